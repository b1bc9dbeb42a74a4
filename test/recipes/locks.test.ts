// Locks and elections: one holder at a time while members are killed and links cut, in etcd's line,
// and a paused holder's write is refused.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  acquireLock,
  Election,
  HoldLostError,
  type Leader,
  tryLock,
  withLock,
} from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { withTimeout } from "../support/processes.ts";
import { actsOutOfOrder, History, threeMembers, underFaults } from "./chaos.ts";

let cluster: TestCluster;
let store: Quorate;

beforeAll(async () => {
  cluster = await threeMembers();
  store = new Quorate({ endpoints: cluster.endpoints });
});

afterAll(async () => {
  store.close();
  await cluster.close();
});

function soon<T>(promise: Promise<T>): Promise<T> {
  return withTimeout(promise, 20_000, () => "not in time");
}

describe("a lock", () => {
  it("is held by one, and passed on in the order of asking", async () => {
    const first = await acquireLock(store, "order");
    expect(first.held).toBe(true);
    const order: number[] = [];
    const waiting: Promise<void>[] = [];
    for (const number of [1, 2, 3]) {
      waiting.push(
        withLock(store, "order", async (lock) => {
          order.push(number);
          await sleep(20);
          expect(lock.held).toBe(true);
        }),
      );
      await expect
        .poll(() => store.count({ prefix: "order/" }), { timeout: 10_000 })
        .toBe(number + 1);
    }
    expect(order).toEqual([]);
    await first.release();
    await first.release();
    await soon(Promise.all(waiting));
    expect(order).toEqual([1, 2, 3]);
    expect(await store.count({ prefix: "order/" })).toBe(0);
  });

  it("can be tried for", async () => {
    await using held = await acquireLock(store, "try");
    expect(await tryLock(store, "try")).toBeUndefined();
    expect(await store.count({ prefix: "try/" })).toBe(1);
    await held.release();
    await using next = await tryLock(store, "try");
    expect(next?.token).toBeGreaterThan(held.token);
  });

  it("is not waited for any longer than wanted", async () => {
    await using _held = await acquireLock(store, "impatient");
    const signal = AbortSignal.timeout(200);
    await expect(acquireLock(store, "impatient", { signal })).rejects.toThrow(/timeout/i);
    await expect.poll(() => store.count({ prefix: "impatient/" }), { timeout: 10_000 }).toBe(1);
  });

  it("says when it is lost, and refuses writes tied to it", async () => {
    await using lock = await acquireLock(store, "stolen");
    const guarded = (): Promise<{ readonly succeeded: boolean }> =>
      store.txn().if(lock.condition()).do(store.op.put("stolen-data", "mine")).commit();
    expect((await guarded()).succeeded).toBe(true);
    await store.delete(lock.key);
    expect((await soon(lock.lost)).why).toBe("deleted");
    expect(lock.held).toBe(false);
    expect(() => lock.throwIfLost()).toThrow(HoldLostError);
    expect((await guarded()).succeeded).toBe(false);
  });

  it("ends with its lease while the store is away, by the holder's own clock", async () => {
    await using lock = await acquireLock(store, "away", { ttlSeconds: 1 });
    await Promise.all(cluster.members.map((member) => member.kill()));
    const killedAt = performance.now();
    expect((await soon(lock.lost)).why).toBe("lease");
    expect(performance.now() - killedAt).toBeLessThan(3_000);
    expect(lock.held).toBe(false);
    await Promise.all(cluster.members.map((member) => member.start()));
  });

  it("has one holder at a time under faults", async () => {
    const acts = new History<bigint>();
    const counts = { acquired: 0, lost: 0, gaveUp: 0 };
    const enough = (): boolean => counts.acquired > 7 && counts.lost > 0 && counts.gaveUp > 0;
    const faults = { durationMs: 6_000, faultMsMax: 3_000, enough };
    await underFaults(cluster, faults, async (over) => {
      // Each knows one member only: when that is cut off, it loses what it has and the others go
      // on.
      const worker = async (name: string, endpoint: string): Promise<void> => {
        await using own = new Quorate({ endpoints: [endpoint] });
        for (let turn = 0; !over.aborted; turn++) {
          try {
            await using lock = await acquireLock(own, "chaos", { ttlSeconds: 1, signal: over });
            counts.acquired++;
            for (let i = 0; i < (turn % 2 === 0 ? 10 : 150) && lock.held; i++) {
              acts.add(name, BigInt(lock.token));
              await sleep(10);
            }
            counts.lost += lock.held ? 0 : 1;
          } catch (error) {
            if (over.aborted) {
              return;
            }
            expect(error).toBeInstanceOf(HoldLostError);
            counts.lost++;
          }
        }
      };
      // Leaves the line again and again, so that a place opens that is not the first.
      const impatient = async (): Promise<void> => {
        while (!over.aborted) {
          const signal = AbortSignal.any([over, AbortSignal.timeout(150)]);
          const options = { ttlSeconds: 1, signal };
          const lock = await acquireLock(store, "chaos", options).catch(() => undefined);
          counts.gaveUp += lock === undefined ? 1 : 0;
          if (lock?.held === true) {
            acts.add("impatient", BigInt(lock.token));
          }
          await lock?.release();
        }
      };
      const workers = cluster.endpoints.map((endpoint, i) => worker(`worker ${i}`, endpoint));
      await Promise.all([...workers, impatient()]);
      expect(actsOutOfOrder(acts)).toEqual([]);
      expect(enough(), JSON.stringify(counts)).toBe(true);
    });
    console.info(`locks: ${JSON.stringify(counts)}, ${acts.length} acts`);
  }, 120_000);
});

describe("fencing", () => {
  it("refuses the write of a holder that was stopped, and it knows when it goes on", async () => {
    const script = fileURLToPath(new URL("holder.ts", import.meta.url));
    const holder = spawn(
      process.execPath,
      ["--import", "tsx", script, "fenced", ...cluster.endpoints],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const lines: string[] = [];
    holder.stdout.on("data", (text: Buffer) => lines.push(...text.toString().trim().split("\n")));
    try {
      await expect.poll(() => lines[0], { timeout: 20_000 }).toMatch(/^holds \d+$/);
      const token = Number(lines[0]?.split(" ")[1]);
      holder.kill("SIGSTOP");
      await using next = await soon(acquireLock(store, "fenced", { ttlSeconds: 5 }));
      expect(next.token).toBeGreaterThan(token);
      await store.put("fenced-data", `by ${next.token}`);
      holder.kill("SIGCONT");
      holder.stdin.write("write\n");
      await expect.poll(() => lines.length, { timeout: 20_000 }).toBeGreaterThan(2);
      // What it believes when it is asked, and what became of its write.
      expect(lines.slice(1)).toEqual(["held false", "refused"]);
      expect((await store.get("fenced-data"))?.value).toBe(`by ${next.token}`);
    } finally {
      holder.kill("SIGKILL");
      await once(holder, "exit");
    }
  }, 60_000);
});

describe("etcd's tools", () => {
  const run = promisify(execFile);
  const environment = { ...process.env, ETCDCTL_API: "3" };

  it("wait for our lock, and we for theirs", async () => {
    const lock = await acquireLock(store, "shared");
    const endpoints = cluster.endpoints.join(",");
    const theirs = run("etcdctl", ["--endpoints", endpoints, "lock", "shared", "sleep", "1"], {
      env: environment,
      timeout: 20_000,
    });
    await expect.poll(() => store.count({ prefix: "shared/" }), { timeout: 10_000 }).toBe(2);
    await lock.release();
    const releasedAt = performance.now();
    await expect.poll(() => store.count({ prefix: "shared/" }), { timeout: 10_000 }).toBe(1);
    await using again = await soon(acquireLock(store, "shared"));
    expect(performance.now() - releasedAt).toBeGreaterThan(800);
    await theirs;
    expect(again.held).toBe(true);
  }, 60_000);

  it("see our leader, and we see theirs", async () => {
    const election = new Election(store, "shared-election");
    const leadership = await election.campaign("ours");
    const endpoints = cluster.endpoints.join(",");
    const theirs = spawn("etcdctl", ["--endpoints", endpoints, "elect", "shared-election", "x"], {
      env: environment,
    });
    await expect
      .poll(() => store.count({ prefix: "shared-election/" }), { timeout: 10_000 })
      .toBe(2);
    expect((await election.leader())?.value).toBe("ours");
    await leadership.resign();
    await expect.poll(async () => (await election.leader())?.value, { timeout: 10_000 }).toBe("x");
    theirs.kill("SIGINT");
    await once(theirs, "exit");
  }, 60_000);
});

describe("an election", () => {
  it("is won, proclaimed, observed and given up", async () => {
    const election = new Election(store, "seats");
    expect(await election.leader()).toBeUndefined();
    const seen: (string | undefined)[] = [];
    const over = new AbortController();
    const observing = (async () => {
      for await (const leader of election.observe(over.signal)) {
        seen.push(leader?.value);
      }
    })();
    observing.catch(() => undefined);
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([undefined]);
    const first = await election.campaign("one");
    const second = election.campaign("two");
    await first.proclaim("one again");
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([undefined, "one", "one again"]);
    await expect.poll(() => store.count({ prefix: "seats/" }), { timeout: 10_000 }).toBe(2);
    await first.resign();
    const next = await soon(second);
    expect(next.token).toBeGreaterThan(first.token);
    await expect(first.proclaim("late")).rejects.toThrow("not held any more");
    await next.resign();
    await expect
      .poll(() => seen, { timeout: 10_000 })
      .toEqual([undefined, "one", "one again", "two", undefined]);
    over.abort();
    await soon(observing);
  });

  it("has one leader at a time under faults, and observers see all of them in order", async () => {
    const acts = new History<bigint>();
    const seen: (Leader | undefined)[] = [];
    const won: number[] = [];
    const enough = (): boolean => won.length > 5;
    const faults = { durationMs: 6_000, faultMsMax: 3_000, enough };
    await underFaults(cluster, faults, async (over) => {
      const observing = new AbortController();
      const observer = (async () => {
        for await (const leader of new Election(store, "throne").observe(observing.signal)) {
          seen.push(leader);
        }
      })();
      // Each knows one member only: when that is cut off, it loses its office and another is
      // elected.
      const candidate = async (endpoint: string): Promise<void> => {
        await using own = new Quorate({ endpoints: [endpoint] });
        const election = new Election(own, "throne");
        for (let term = 0; !over.aborted; term++) {
          try {
            await using reign = await election.campaign("me", { ttlSeconds: 1, signal: over });
            won.push(reign.token);
            for (let i = 0; i < (term % 2 === 0 ? 10 : 150) && reign.held; i++) {
              acts.add(endpoint, BigInt(reign.token));
              await sleep(10);
            }
          } catch (error) {
            if (over.aborted) {
              return;
            }
            expect(error).toBeInstanceOf(HoldLostError);
          }
        }
      };
      await Promise.all(cluster.endpoints.map(candidate));
      expect(actsOutOfOrder(acts)).toEqual([]);
      // Whoever led was seen, in the order of leading, once.
      const last = Math.max(...won);
      await expect
        .poll(() => seen.some((leader) => leader?.token === last), { timeout: 20_000 })
        .toBe(true);
      observing.abort();
      await soon(observer);
      const tokens = seen.flatMap((leader) => (leader === undefined ? [] : [leader.token]));
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
      expect(won.filter((token) => !tokens.includes(token))).toEqual([]);
      expect(enough()).toBe(true);
    });
  }, 120_000);
});
