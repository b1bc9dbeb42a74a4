// What quorate/testing promises to other people's tests: quick starts, kills that are kills,
// partitions that are silent, restarts with what was acknowledged.

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestCluster, startTestNode, type TestCluster } from "../../src/testing/index.ts";
import { KvClient } from "../support/kv-client.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
});

afterAll(() => cluster.close());

/** Tries the members in turn until one acknowledges a write. */
async function putUntilDone(endpoints: readonly string[], key: string, value: string) {
  let next = 0;
  const attempt = async (): Promise<string> => {
    const client = new KvClient(endpoints[next++ % endpoints.length] ?? "");
    try {
      return await client.put(key, value, 1_000).then(() => "acknowledged", String);
    } finally {
      client.close();
    }
  };
  await expect.poll(attempt, { timeout: 20_000 }).toBe("acknowledged");
}

/** One write to one member, tried once. */
async function put(endpoint: string, key: string, value: string, deadlineMs: number) {
  const client = new KvClient(endpoint);
  try {
    await client.put(key, value, deadlineMs);
  } finally {
    client.close();
  }
}

/** As one member has it, without asking the others. */
async function localValue(endpoint: string, key: string): Promise<string | undefined> {
  const client = new KvClient(endpoint);
  try {
    const reply = await client.range({ key: Buffer.from(key), serializable: true });
    const value = reply.kvs[0]?.value;
    return value === undefined ? undefined : Buffer.from(value).toString();
  } finally {
    client.close();
  }
}

describe("starting", () => {
  it("takes less than a second, also for three members", async () => {
    const startMs = async (size: number): Promise<number> => {
      const before = performance.now();
      const started = await startTestCluster(size);
      const after = performance.now();
      await started.close();
      return after - before;
    };
    // The best of some: this machine may be busy with other tests.
    const times: Record<string, number[]> = { one: [], three: [] };
    for (let i = 0; i < 4; i++) {
      times["one"]?.push(await startMs(1));
      times["three"]?.push(await startMs(3));
    }
    console.info(`started in milliseconds: ${JSON.stringify(times)}`);
    expect(Math.min(...(times["one"] ?? []))).toBeLessThan(1_000);
    expect(Math.min(...(times["three"] ?? []))).toBeLessThan(1_000);
  });

  it("gives one node just as well", async () => {
    await using node = await startTestNode();
    await put(node.endpoint, "a", "1", 10_000);
    expect(node.status()).toMatchObject({ isLeader: true, revision: 2 });
    await node.kill();
    expect(node.running).toBe(false);
    expect(() => node.status()).toThrow("n1 is not running");
    await expect(put(node.endpoint, "b", "", 300)).rejects.toThrow();
    await node.start();
    expect(await localValue(node.endpoint, "a")).toBe("1");
  });
});

describe("a kill", () => {
  it("breaks what is under way, and the others go on", async () => {
    const old = await cluster.leader();
    const direct = new KvClient(old.endpoint);
    await direct.put("kill/a", "1", 10_000);
    const underWay = Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => direct.put(`kill/way/${i}`, "x", 10_000)),
    );
    const killing = cluster.killLeader();
    const outcomes = await underWay;
    expect(await killing).toBe(old);
    await expect(direct.put("kill/late", "x", 500)).rejects.toThrow();
    direct.close();
    await putUntilDone(cluster.endpoints, "kill/b", "2");
    for (const [i, { status }] of outcomes.entries()) {
      if (status === "fulfilled") {
        const other = cluster.members.find((member) => member !== old);
        expect(await localValue(other?.endpoint ?? "", `kill/way/${i}`)).toBe("x");
      }
    }
    const leader = await cluster.leader();
    expect(leader).not.toBe(old);
    await old.start();
    expect(await localValue(old.endpoint, "kill/a")).toBe("1");
    await expect.poll(() => localValue(old.endpoint, "kill/b"), { timeout: 10_000 }).toBe("2");
  });

  it("keeps everything acknowledged, even when all are killed at once", async () => {
    await putUntilDone(cluster.endpoints, "all", "kept");
    await Promise.all(cluster.members.map((member) => member.kill()));
    await Promise.all(cluster.members.map((member) => member.start()));
    for (const { endpoint } of cluster.members) {
      expect(await localValue(endpoint, "all")).toBe("kept");
    }
  });
});

describe("a partition", () => {
  it("leaves the leader alone without a majority, and heals", async () => {
    const old = await cluster.isolate();
    const before = old.status();
    await expect(put(old.endpoint, "part", "lost", 300)).rejects.toThrow();
    const leader = await cluster.leader();
    expect(leader).not.toBe(old);
    await putUntilDone([leader.endpoint], "part", "chosen");
    // Without a majority it steps down, and it heard nothing of its successor.
    await expect.poll(() => old.status().isLeader, { timeout: 10_000 }).toBe(false);
    expect(old.status().term).toBe(before.term);
    expect(await localValue(old.endpoint, "part")).toBeUndefined();
    cluster.heal();
    await expect.poll(() => localValue(old.endpoint, "part"), { timeout: 20_000 }).toBe("chosen");
  });

  it("is silent: a short one loses nothing and changes no leader", async () => {
    const leader = await cluster.leader();
    const { term } = leader.status();
    const follower = cluster.members.find((member) => member !== leader);
    for (let i = 0; i < 3; i++) {
      await cluster.isolate(follower);
      await sleep(100);
      cluster.heal();
    }
    await putUntilDone([leader.endpoint], "short", "1");
    await expect
      .poll(() => localValue(follower?.endpoint ?? "", "short"), { timeout: 10_000 })
      .toBe("1");
    expect((await cluster.leader()).status().term).toBe(term);
  });

  it("holds for a member that starts while it lasts", async () => {
    const follower = cluster.members.find((member) => !member.status().isLeader);
    await follower?.kill();
    await cluster.isolate(follower);
    const started = follower?.start();
    let isReady = false;
    void started?.then(() => {
      isReady = true;
    });
    await sleep(1_000);
    expect(isReady).toBe(false);
    cluster.heal();
    await started;
  });
});
