// Configuration: typed, live, always fitting and whole, also while members are killed and links
// cut.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { changedKeys, leavesOf, objectOf } from "../../src/recipes/config-tree.ts";
import { type ConfigChange, defineConfig, InvalidConfigError } from "../../src/recipes/index.ts";
import { ClientError, CompactedError } from "../../src/client/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { threeMembers, underFaults } from "./chaos.ts";

const shop = defineConfig(
  z.object({
    port: z.number().int().max(65_535).default(8080),
    db: z.object({ host: z.string(), replicas: z.array(z.string()).default([]) }).default({
      host: "localhost",
      replicas: [],
    }),
    note: z.string().optional(),
  }),
);

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

describe("a configuration's keys", () => {
  it("make the object that they were made of", () => {
    const tree = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(tree, (value) => {
        const stored = JSON.parse(JSON.stringify(value)) as unknown;
        expect(objectOf(leavesOf(stored))).toEqual(stored);
      }),
      { examples: [[JSON.parse('{"__proto__":{"a":1},"a/b":{"~c":[]},"":{"":{}}}')]] },
    );
  });

  it("take text that is no JSON, and let what is deeper stand over what is above", () => {
    const leaves = new Map([
      ["db", '{"host":"a","port":1}'],
      ["db/host", "b.example"],
    ]);
    expect(objectOf(leaves)).toEqual({ db: { host: "b.example", port: 1 } });
    expect(changedKeys(leaves, new Map([["db", "{}"]]))).toEqual(["db", "db/host"]);
    expect(() => leavesOf({ a: () => 1 })).toThrow(TypeError);
    expect(() => leavesOf(7)).toThrow(TypeError);
  });
});

describe("a live configuration", () => {
  it("has defaults, follows what is put by hand, and tells what changed", async () => {
    await using config = await shop.open(store, "shop/");
    expect(config.value).toEqual({ port: 8080, db: { host: "localhost", replicas: [] } });
    expectTypeOf(config.value.db.replicas).toEqualTypeOf<string[]>();
    expect(Object.isFrozen(config.value.db)).toBe(true);
    const changes: ConfigChange<{ readonly port: number }>[] = [];
    config.onChange((change) => changes.push(change));
    await config.reached((await store.put("shop/db/host", "db.example")).revision);
    const { revision } = await store.put("shop/port", "9090");
    await config.reached(revision);
    expect(config.value).toEqual({ port: 9090, db: { host: "db.example", replicas: [] } });
    expect(config.revision).toBe(revision);
    expect(changes.map(({ keys, value, before }) => [keys, before.port, value.port])).toEqual([
      [["db/host"], 8080, 8080],
      [["port"], 8080, 9090],
    ]);
  });

  it("keeps the last good value, and names the path of what is wrong", async () => {
    await store.put("bad/port", "1");
    await using config = await shop.open(store, "bad/");
    const problems: InvalidConfigError[] = [];
    config.onProblem((problem) => problems.push(problem));
    await config.reached((await store.put("bad/port", "many")).revision);
    expect(config.value.port).toBe(1);
    expect(config.problem?.issues[0]).toMatchObject({ path: "port", key: "port" });
    expect(config.problem?.message).toContain('"bad/" is invalid: port: ');
    expect(problems).toEqual([config.problem]);
    await expect(shop.open(store, "bad/")).rejects.toThrow(InvalidConfigError);
    await config.reached((await store.put("bad/port", "2")).revision);
    expect([config.problem, config.value.port]).toEqual([undefined, 2]);
  });

  it("changes what differs, checked, and all at once", async () => {
    await using config = await shop.open(store, "update/");
    const first = await config.update((draft) => {
      draft.port = 1;
      draft.db = { host: "a", replicas: ["b", "c"] };
    });
    expect(config.value).toEqual({ port: 1, db: { host: "a", replicas: ["b", "c"] } });
    expect((await store.get("update/db/replicas"))?.value).toBe('["b","c"]');
    expect((await store.get("update/port"))?.modRevision).toBe(first.revision);
    const refused = config.update((draft) => {
      draft.port = 70_000;
    });
    await expect(refused).rejects.toThrow(/port: /);
    expect((await store.get("update/port"))?.value).toBe("1");
    const returned = await config.update(() => ({ port: 2 }));
    expect(config.value).toEqual({ port: 2, db: { host: "localhost", replicas: [] } });
    expect(await config.update(() => ({ port: 2 }))).toEqual(returned);
  });

  it("goes back to a revision, and shows the past", async () => {
    await using config = await shop.open(store, "past/");
    const { revision } = await config.update(() => ({ port: 1, note: "then" }));
    await config.update(() => ({ port: 2, db: { host: "b" } }));
    expect((await config.at(revision)).note).toBe("then");
    await config.rollback(revision);
    expect(config.value).toMatchObject({ port: 1, note: "then", db: { host: "localhost" } });
    await store.client.compact({ revision: (await store.put("x", "x")).revision });
    await expect(config.rollback(revision)).rejects.toThrow(CompactedError);
  });

  it("keeps its value while the store is away", async () => {
    await using config = await shop.open(store, "away/");
    await config.update(() => ({ port: 7 }));
    await Promise.all(cluster.members.map((member) => member.kill()));
    expect(config.value.port).toBe(7);
    await Promise.all(cluster.members.map((member) => member.start()));
    await config.update(() => ({ port: 8 }));
    expect(config.value.port).toBe(8);
  });

  it("loses no update of several processes, under faults", async () => {
    const counters = defineConfig(z.record(z.string(), z.number()));
    await underFaults(cluster, { durationMs: 6_000 }, async (over) => {
      const tried = new Map<string, number>();
      const done = new Map<string, number>();
      const count = async (name: string): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using config = await counters.open(own, "chaos/");
        for (let i = 1; !over.aborted || !done.has(name); i++) {
          tried.set(name, i);
          try {
            await config.update((draft) => {
              draft[name] = i;
              // One key that all change: they are in each other's way.
              draft["sum"] = Object.entries(draft)
                .filter(([each]) => each !== "sum")
                .reduce((sum, [, value]) => sum + value, 0);
            });
            done.set(name, i);
          } catch (error) {
            // Whether it took place is not known; the next one stands over it.
            expect(error instanceof ClientError && error.uncertain, String(error)).toBe(true);
          }
        }
      };
      await Promise.all([count("a"), count("b"), count("c")]);
      await using config = await counters.open(store, "chaos/");
      const { sum, ...counts } = config.value;
      expect(Object.keys(counts).sort()).toEqual(["a", "b", "c"]);
      for (const [name, value] of Object.entries(counts)) {
        expect(value).toBeGreaterThanOrEqual(done.get(name) ?? 0);
        expect(value).toBeLessThanOrEqual(tried.get(name) ?? 0);
      }
      expect(sum).toBe(Object.values(counts).reduce((total, value) => total + value, 0));
    });
  });
});
