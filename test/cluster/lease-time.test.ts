// What is left of leases across changes of leader, on real members: time that has passed is not
// given back, whether the leader was killed or told to stop, and none of it is taken away.

import { expect, test } from "vitest";
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
} from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

const lease = "/etcdserverpb.Lease/";
const deadlineMs = 10_000;
/** An election timeout, which is added, the time without a leader, and a slow machine. */
const changeSecondsMax = 5;

interface Granted {
  readonly id: bigint;
  readonly beforeMs: number;
  readonly ttl: number;
}

class Clients {
  readonly #byMember: Map<MemberProcess, KvClient>;

  constructor(members: readonly MemberProcess[]) {
    this.#byMember = new Map(members.map((member) => [member, new KvClient(member.endpoint)]));
  }

  /** One that answers, among the members that run; a leader may just be elected. */
  async call<T>(what: (client: KvClient) => Promise<T>): Promise<T> {
    const untilMs = performance.now() + 20_000;
    for (;;) {
      for (const [member, client] of this.#byMember) {
        if (member.running) {
          try {
            return await what(client);
          } catch (error) {
            if (performance.now() > untilMs) {
              throw error;
            }
          }
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async leader(): Promise<MemberProcess> {
    for (const [member, client] of this.#byMember) {
      const status = await client.status().catch(() => undefined);
      if (status !== undefined && status.header?.memberId === status.leader) {
        return member;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    return this.leader();
  }

  close(): void {
    for (const client of this.#byMember.values()) {
      client.close();
    }
  }
}

function timeToLive(id: bigint): (client: KvClient) => Promise<LeaseTimeToLiveResponse> {
  return (client) =>
    client.call(
      `${lease}LeaseTimeToLive`,
      LeaseTimeToLiveRequest,
      LeaseTimeToLiveResponse,
      LeaseTimeToLiveRequest.create({ id, keys: true }),
      deadlineMs,
    );
}

async function grant(clients: Clients, ttl: number, key: string): Promise<Granted> {
  const beforeMs = performance.now();
  const request = LeaseGrantRequest.create({ ttl });
  const { id } = await clients.call((client) =>
    client.call(`${lease}LeaseGrant`, LeaseGrantRequest, LeaseGrantResponse, request, deadlineMs),
  );
  const put = PutRequest.create({ key: Buffer.from(key), lease: id });
  await clients.call((client) =>
    client.call("/etcdserverpb.KV/Put", PutRequest, PutResponse, put, deadlineMs),
  );
  return { id, beforeMs, ttl };
}

/** What is left is what it was, less the time since, and some seconds for each change of leader. */
async function expectLeft(clients: Clients, granted: Granted, lateSeconds: number): Promise<void> {
  const askedMs = performance.now();
  const { ttl } = await clients.call(timeToLive(granted.id));
  const passed = (atMs: number): number => (atMs - granted.beforeMs) / 1000;
  // Floored seconds: what is told may be one less than what is left.
  expect(ttl).toBeGreaterThanOrEqual(granted.ttl - passed(performance.now()) - 1);
  expect(ttl).toBeLessThanOrEqual(granted.ttl - passed(askedMs) + lateSeconds);
}

test("time that has passed is not given back by a new leader, and none is taken away", async () => {
  await using cluster = await ClusterProcesses.start(3);
  const clients = new Clients(cluster.members);
  const long = await grant(clients, 60, "long");
  await new Promise((resolve) => setTimeout(resolve, 14_000));
  const first = await clients.leader();
  await first.stop("SIGKILL");
  await expectLeft(clients, long, 6 + changeSecondsMax);
  await first.start();

  const short = await grant(clients, 15, "short");
  await new Promise((resolve) => setTimeout(resolve, 9_000));
  const second = await clients.leader();
  await second.stop("SIGTERM");
  await expectLeft(clients, short, changeSecondsMax);
  await expectLeft(clients, long, 6 + 2 * changeSecondsMax);
  for (;;) {
    const askedMs = performance.now();
    const { ttl, keys } = await clients.call(timeToLive(short.id));
    if (ttl === -1) {
      break;
    }
    expect(keys).toHaveLength(1);
    expect((askedMs - short.beforeMs) / 1000).toBeLessThan(short.ttl + 2 * changeSecondsMax);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect((performance.now() - short.beforeMs) / 1000).toBeGreaterThanOrEqual(short.ttl);
  const { count } = await clients.call((client) => client.range({ key: Buffer.from("short") }));
  expect(count).toBe(0);
  clients.close();
}, 120_000);
