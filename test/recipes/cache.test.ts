// The cache: always the range as it was at one revision, nothing missed or doubled while members
// are killed and links cut, honest about its age.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cache, type CacheChange } from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { threeMembers, underFaults } from "./chaos.ts";

const patient = { timeout: 20_000 };
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

describe("a cache", () => {
  it("has what was there, follows what comes, and is read at once", async () => {
    await store.put("one/a", "1");
    await store.put("two/b", "not in it");
    await using cache = await Cache.open(store, { prefix: "one/" });
    expect(cache.get("one/a")?.value).toBe("1");
    const told: (readonly CacheChange<string>[])[] = [];
    cache.onChange((changes) => told.push(changes));
    const both = await store
      .txn()
      .do(store.op.put("one/c", "3"), store.op.put("one/a", "2"))
      .commit();
    await cache.reached(both.revision);
    expect([...cache.entries()].map(({ key, value }) => `${key}=${value}`)).toEqual([
      "one/a=2",
      "one/c=3",
    ]);
    expect(told).toHaveLength(1);
    expect(told[0]?.map(({ key, before }) => [key, before?.value])).toEqual([
      ["one/c", undefined],
      ["one/a", "1"],
    ]);
    const gone = await store.delete("one/a");
    await cache.reached(gone.revision);
    expect([cache.has("one/a"), cache.size]).toEqual([false, 1]);
  });

  it("says how fresh it is, also when nothing happens", async () => {
    await using cache = await Cache.open(store, { prefix: "idle/" }, { checkIntervalMs: 50 });
    const isFresh = (): Promise<void> =>
      expect.poll(() => cache.freshness.ageMs, patient).toBeLessThan(1_000);
    await isFresh();
    await sleep(1_500);
    await isFresh();
    const { revision } = await store.put("elsewhere", "x");
    // News of other keys is news as well.
    await cache.reached(revision, AbortSignal.timeout(20_000));
    await isFresh();
    await Promise.all(cluster.members.map((member) => member.kill()));
    await sleep(1_500);
    expect(cache.freshness.ageMs).toBeGreaterThan(1_400);
    expect(cache.failure).toBeUndefined();
    await Promise.all(cluster.members.map((member) => member.start()));
    await isFresh();
  });

  it("gets older beside a member that is cut off from the others", async () => {
    const lonely = await cluster.isolate();
    await using own = new Quorate({ endpoints: [lonely.endpoint] });
    cluster.heal();
    await using cache = await Cache.open(own, { prefix: "one/" }, { checkIntervalMs: 50 });
    await expect.poll(() => cache.freshness.ageMs, patient).toBeLessThan(1_000);
    await cluster.isolate(lonely);
    await sleep(1_500);
    expect(cache.freshness.ageMs).toBeGreaterThan(1_400);
    cluster.heal();
    await expect.poll(() => cache.freshness.ageMs, patient).toBeLessThan(1_000);
  });

  it("waits for a store that is away, but not for longer than it is told to", async () => {
    await Promise.all(cluster.members.map((member) => member.kill()));
    const signal = AbortSignal.timeout(300);
    await expect(Cache.open(store, { prefix: "" }, { signal })).rejects.toThrow(/timeout/i);
    const opening = Cache.open(store, { prefix: "one/" });
    await Promise.all(cluster.members.map((member) => member.start()));
    await using cache = await opening;
    expect(cache.has("one/c")).toBe(true);
  });

  it("outlives a listener's mistake", async () => {
    await using cache = await Cache.open(store, { prefix: "mistake/" });
    const warning = new Promise<Error>((resolve) => process.once("warning", resolve));
    cache.onChange(() => {
      throw new Error("a listener's mistake");
    });
    const { revision } = await store.put("mistake/a", "1");
    await cache.reached(revision);
    expect((await warning).message).toBe("a listener's mistake");
    await cache.reached((await store.put("mistake/a", "2")).revision);
    expect(cache.get("mistake/a")?.value).toBe("2");
  });

  it("reads anew what was compacted while it was cut off, and tells the differences", async () => {
    const lonely = await cluster.isolate();
    await using own = new Quorate({ endpoints: [lonely.endpoint] });
    cluster.heal();
    await store.put("gap/stays", "1");
    await store.put("gap/goes", "1");
    await using cache = await Cache.open(own, { prefix: "gap/" });
    const changes: string[] = [];
    cache.onChange((all) =>
      changes.push(...all.map(({ key, entry }) => `${key}=${entry?.value ?? "gone"}`)),
    );
    await lonely.kill();
    await cluster.leader();
    for (let i = 0; i < 20; i++) {
      await store.put("gap/new", String(i));
    }
    const { revision } = await store.delete("gap/goes");
    await store.client.compact({ revision });
    await lonely.start();
    await cache.reached(revision, AbortSignal.timeout(30_000));
    expect([...cache.entries()].map(({ key, value }) => `${key}=${value}`)).toEqual([
      "gap/new=19",
      "gap/stays=1",
    ]);
    expect(changes.toSorted()).toEqual(["gap/goes=gone", "gap/new=19"]);
  });

  it("is at each moment what was there at its revision, under faults", async () => {
    const keys = ["a", "b", "c"].map((name) => `chaos/${name}`);
    const copies: { readonly revision: number; readonly values: string }[] = [];
    const enough = (): boolean => copies.length > 50;
    await underFaults(cluster, { durationMs: 6_000, enough }, async (over) => {
      const changed: string[] = [];
      await using own = new Quorate({ endpoints: cluster.endpoints });
      await using cache = await Cache.open(own, { prefix: "chaos/" });
      const copyOf = (): string =>
        [...cache.entries()].map(({ key, value }) => `${key}=${value}`).join(" ");
      cache.onChange((changes, revision) => {
        copies.push({ revision, values: copyOf() });
        changed.push(...changes.map(({ entry }) => String(entry?.modRevision)));
      });
      let last = 0;
      for (let i = 0; !over.aborted; i++) {
        // All three at once: a copy that has them different was torn.
        const done = await store
          .txn()
          .do(...keys.map((key) => store.op.put(key, String(i))))
          .commit({ timeoutMs: 1_000 })
          .catch(() => undefined);
        last = done?.revision ?? last;
        await sleep(20);
      }
      await cache.reached(last, AbortSignal.timeout(30_000));
      expect(enough()).toBe(true);
      const revisions = copies.map(({ revision }) => revision);
      expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
      for (const { values } of copies) {
        expect(values).toMatch(/^chaos\/a=(\d+) chaos\/b=\1 chaos\/c=\1$/);
      }
      // Each change once: three keys a revision.
      expect(changed.length).toBe(3 * new Set(changed).size);
      // Against the history of the store.
      for (const { revision, values } of copies.filter((_, i) => i % 10 === 0)) {
        const { entries } = await store.range({ prefix: "chaos/" }, { revision }).list();
        expect(entries.map(({ key, value }) => `${key}=${value}`).join(" ")).toBe(values);
      }
    });
  }, 120_000);
});
