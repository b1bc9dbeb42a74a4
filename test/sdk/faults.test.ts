// The client's promises on three real members that are killed, stopped, cut off and held, checked
// over what it saw: a watch has every change once, in order; no write is done twice, none that was
// acknowledged is missing, none is there that certainly failed; a lease is never thought alive when
// the servers have let it go; nothing is rejected unheard.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ClientError } from "../../src/client/index.ts";
import { type Lease, Quorate } from "../../src/sdk/index.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

let cluster: ClusterProcesses;
let proxies: CuttingProxy[] = [];
const unheard: unknown[] = [];
const listen = (reason: unknown): void => void unheard.push(reason);

beforeAll(async () => {
  process.on("unhandledRejection", listen);
  cluster = await ClusterProcesses.start(3, ["--grpc-keepalive-min-time=100ms"]);
  proxies = await Promise.all(cluster.endpoints.map((endpoint) => CuttingProxy.to(endpoint)));
});
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await cluster?.[Symbol.asyncDispose]();
  process.off("unhandledRejection", listen);
});

function open(): Quorate {
  return new Quorate({
    endpoints: proxies.map(({ endpoint }) => endpoint),
    callTimeoutMs: 2_000,
    pingIntervalMs: 500,
    pingTimeoutMs: 500,
  });
}

/** Each key is written once, whatever becomes of it. */
class Writes {
  readonly acknowledged = new Map<string, number>();
  readonly failed = new Set<string>();
  readonly uncertain = new Set<string>();
  #next = 0;

  async run(store: Quorate, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const key = `w/${String(this.#next++).padStart(6, "0")}`;
      try {
        this.acknowledged.set(key, (await store.put(key, key)).revision);
      } catch (error) {
        const uncertain = !(error instanceof ClientError) || error.uncertain;
        (uncertain ? this.uncertain : this.failed).add(key);
      }
      await sleep(2);
    }
  }
}

/** What a watch told of, in the order of its telling. */
async function listenTo(
  store: Quorate,
  heard: { key: string; revision: number }[],
  until: Promise<number>,
): Promise<void> {
  await using watch = store.watch({ prefix: "w/" }, { progress: true });
  await watch.opened();
  let last = Number.POSITIVE_INFINITY;
  void until.then((revision) => {
    last = revision;
    watch.requestProgress();
  });
  for await (const event of watch) {
    if (event.kind !== "progress") {
      heard.push({ key: event.key, revision: event.revision });
    }
    if (watch.revision >= last) {
      return;
    }
    if (Number.isFinite(last)) {
      // A member that is behind has answered.
      watch.requestProgress();
    }
  }
}

/** A lease, and a key that lives as long. */
async function takeLease(store: Quorate): Promise<Lease> {
  const lease = await store.lease({ ttlSeconds: 2 });
  try {
    await store.put("held", String(lease.id), { lease });
    return lease;
  } catch (error) {
    // A put whose answer was lost leaves nothing to check the lease by.
    await lease[Symbol.asyncDispose]();
    throw error;
  }
}

/** Holds a lease, again when it is lost, and looks whether the servers agree that it is alive. */
async function hold(
  store: Quorate,
  stop: AbortSignal,
  wrong: string[],
): Promise<{ readonly lost: number; readonly checks: number }> {
  let lost = 0;
  let checks = 0;
  let lease: Lease | undefined;
  while (!stop.aborted) {
    try {
      if (lease === undefined || !lease.alive) {
        lost += lease === undefined ? 0 : 1;
        lease = undefined;
        lease = await takeLease(store);
      }
      const found = await store.get("held");
      if (found?.leaseId !== lease.id && lease.alive) {
        wrong.push(`${lease.id} is thought alive and is not`);
      }
      checks++;
    } catch (error) {
      expect(error).toBeInstanceOf(ClientError);
    }
    await sleep(20);
  }
  await lease?.[Symbol.asyncDispose]();
  return { lost, checks };
}

async function leaderOf(store: Quorate): Promise<MemberProcess> {
  for (;;) {
    for (const member of cluster.members) {
      const status = await store.client.status(member.endpoint).catch(() => undefined);
      if (status !== undefined && status.header?.memberId === status.leader) {
        return member;
      }
    }
    await sleep(50);
  }
}

async function torment(store: Quorate): Promise<void> {
  const [first, second, third] = proxies as [CuttingProxy, CuttingProxy, CuttingProxy];
  const leader = await leaderOf(store);
  await leader.stop("SIGKILL");
  await sleep(1_500);
  await leader.start();
  first.cut();
  await sleep(700);
  first.heal();
  second.hold();
  await sleep(2_000);
  second.heal();
  const stopped = cluster.members.find((member) => member !== leader) as MemberProcess;
  stopped.signal("SIGSTOP");
  await sleep(2_500);
  stopped.signal("SIGCONT");
  // All at once: longer than a lease lives.
  for (const proxy of [first, second, third]) {
    proxy.hold();
  }
  await sleep(4_000);
  for (const proxy of [first, second, third]) {
    proxy.heal();
  }
  for (const proxy of [first, second, third]) {
    proxy.cut();
    await sleep(200);
    proxy.heal();
  }
}

it("keeps its promises while members are killed and links cut", async () => {
  await using store = open();
  await using watching = open();
  const stop = new AbortController();
  const heard: { key: string; revision: number }[] = [];
  const wrong: string[] = [];
  let end = (_revision: number): void => {};
  const until = new Promise<number>((resolve) => (end = resolve));
  const listening = listenTo(watching, heard, until);
  const writes = new Writes();
  const writing = Promise.all([1, 2, 3].map(() => writes.run(store, stop.signal)));
  const holding = hold(store, stop.signal, wrong);
  await torment(store);
  await sleep(500);
  stop.abort();
  await writing;
  const { lost, checks } = await holding;
  await using calm = new Quorate({ endpoints: cluster.endpoints, callTimeoutMs: 10_000 });
  end((await calm.put("end", "1", { timeoutMs: 10_000 })).revision);
  await listening;

  const { entries } = await calm.range({ prefix: "w/" }).list();
  const there = new Map(entries.map(({ key, modRevision }) => [key, modRevision]));
  expect(entries.filter(({ version }) => version !== 1)).toEqual([]);
  expect([...writes.failed].filter((key) => there.has(key))).toEqual([]);
  for (const [key, revision] of writes.acknowledged) {
    expect(there.get(key)).toBe(revision);
  }
  const inOrder = [...there].sort(([, a], [, b]) => a - b);
  expect(heard.map(({ key, revision }) => [key, revision])).toEqual(inOrder);
  expect(wrong).toEqual([]);
  expect(unheard).toEqual([]);
  console.info(
    `${writes.acknowledged.size} acknowledged, ${writes.uncertain.size} uncertain, ` +
      `${writes.failed.size} failed; ${lost} leases lost, ${checks} checks of them`,
  );
  expect(writes.acknowledged.size).toBeGreaterThan(20);
  expect(writes.uncertain.size).toBeGreaterThan(0);
  expect(lost).toBeGreaterThan(0);
}, 120_000);
