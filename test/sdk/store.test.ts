// Keys and values through Quorate, on one real server of each kind.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  ConflictError,
  json,
  KeyExistsError,
  Quorate,
  RevisionMismatchError,
} from "../../src/sdk/index.ts";
import { isInstalled, startTarget, type Target, targetNames } from "./targets.ts";

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it succeeded");
}

describe.each(targetNames.filter(isInstalled))("%s", (name) => {
  let target: Target;
  let root: Quorate;
  let store: Quorate;
  let tests = 0;

  beforeAll(async () => {
    target = await startTarget(name);
    root = new Quorate({ endpoints: target.endpoints });
  });
  afterAll(async () => {
    root?.close();
    await target?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    store = root.namespace(`test${++tests}/`);
  });

  describe("one key", () => {
    it("is put, read and deleted", async () => {
      expect(await store.get("a")).toBeUndefined();
      const { revision } = await store.put("a", "1");
      expect(await store.get("a")).toEqual({
        key: "a",
        value: "1",
        createRevision: revision,
        modRevision: revision,
        version: 1,
        leaseId: undefined,
      });
      const second = await store.put("a", "2", { previous: true });
      expect(second.previous?.value).toBe("1");
      expect((await store.get("a", { revision }))?.value).toBe("1");
      const gone = await store.delete("a", { previous: true });
      expect([gone.deleted, gone.previous[0]?.value]).toEqual([1, "2"]);
      expect((await store.delete("a")).deleted).toBe(0);
    });

    it("is created once", async () => {
      await store.create("a", "1");
      const error = await errorOf(store.create("a", "2"));
      expect(error).toBeInstanceOf(KeyExistsError);
      expect((error as KeyExistsError).entry.value).toBe("1");
    });

    it("is updated and deleted at a revision", async () => {
      const { revision } = await store.put("a", "1");
      const updated = await store.update("a", "2", revision);
      const error = await errorOf(store.update("a", "3", revision));
      expect(error).toBeInstanceOf(RevisionMismatchError);
      expect((error as RevisionMismatchError).current?.value).toBe("2");
      expect(await errorOf(store.deleteAt("a", revision))).toBeInstanceOf(RevisionMismatchError);
      await store.deleteAt("a", updated.revision);
      const absent = await errorOf(store.update("a", "3", updated.revision));
      expect((absent as RevisionMismatchError).current).toBeUndefined();
    });
  });

  describe("ranges", () => {
    it("are read in pages at one revision", async () => {
      for (let i = 0; i < 25; i++) {
        await store.put(`k${String(i).padStart(2, "0")}`, String(i));
      }
      const range = store.range({ prefix: "k" }, { pageSize: 10 });
      const pages: number[] = [];
      const revisions = new Set<number>();
      for await (const { entries, revision } of range.pages()) {
        pages.push(entries.length);
        revisions.add(revision);
        await store.put("k99", "late");
        await store.delete("k24");
      }
      expect(pages).toEqual([10, 10, 5]);
      expect(revisions.size).toBe(1);
      const keys: string[] = [];
      for await (const key of store.range({ from: "k03", to: "k06" }).keys()) {
        keys.push(key);
      }
      expect(keys).toEqual(["k03", "k04", "k05"]);
    });

    it("are read backwards, limited, counted, and stay inside the namespace", async () => {
      for (const key of ["a", "b", "c", "d"]) {
        await store.put(key, key);
      }
      await root.put("zz-outside", "no");
      const backwards = store.range({ prefix: "" }, { reverse: true, pageSize: 2, limit: 3 });
      const { entries } = await backwards.list();
      expect(entries.map(({ key }) => key)).toEqual(["d", "c", "b"]);
      expect((await backwards.first())?.key).toBe("d");
      expect((await store.range({ prefix: "" }, { limit: 0 }).list()).entries).toEqual([]);
      expect(() => store.range({ prefix: "" }, { pageSize: 0 })).toThrow(RangeError);
      expect(await store.count({ from: "b" })).toBe(3);
      expect((await store.range({ from: "c" }).list()).entries.map(({ key }) => key)).toEqual([
        "c",
        "d",
      ]);
      expect((await store.delete({ prefix: "" })).deleted).toBe(4);
      expect(await root.get("zz-outside")).toBeDefined();
    });
  });

  describe("transactions", () => {
    it("do one thing or the other, with typed results", async () => {
      const numbers = store.withCodec(json<number>());
      const transaction = store
        .txn()
        .if(store.when("a").absent())
        .do(store.op.put("a", "1"), numbers.op.put("n", 7))
        .else(numbers.op.get("n"), store.op.list({ prefix: "" }), store.op.delete("a"));
      const first = await transaction.commit();
      expect(first.succeeded).toBe(true);
      const second = await transaction.commit();
      if (second.succeeded) {
        throw new Error("the key was there");
      }
      const [number, list, deleted] = second.results;
      expect(number?.value).toBe(7);
      expect(list.entries.map(({ key }) => key)).toEqual(["a", "n"]);
      expect(deleted.deleted).toBe(1);
    });

    it("compare all there is to compare", async () => {
      await using lease = await store.lease({ ttlSeconds: 60 });
      const { revision } = await store.put("a", "m", { lease });
      const holds = async (condition: ReturnType<ReturnType<Quorate["when"]>["exists"]>) =>
        (await store.txn().if(condition).commit()).succeeded;
      const a = store.when("a");
      expect(await holds(a.exists())).toBe(true);
      expect(await holds(a.value(">", "l"))).toBe(true);
      expect(await holds(a.value("<", "l"))).toBe(false);
      expect(await holds(a.modRevision("=", revision))).toBe(true);
      expect(await holds(a.createRevision("!=", revision))).toBe(false);
      expect(await holds(a.version("<", 2))).toBe(true);
      expect(await holds(a.lease("=", lease))).toBe(true);
      expect(await holds(store.when({ prefix: "" }).modRevision("<", revision))).toBe(false);
      expect(await holds(store.when("b").value("=", ""))).toBe(false);
    });

    it("stand in each other", async () => {
      const inner = store.txn().if(store.when("a").exists()).do(store.op.get("a"));
      await store.put("a", "1");
      const done = await store.txn().do(inner, store.op.put("b", "2")).commit();
      if (!done.succeeded || !done.results[0].succeeded) {
        throw new Error("the key is there");
      }
      expect(done.results[0].results[0]?.value).toBe("1");
    });
  });

  describe("software transactional memory", () => {
    it("loses no update of many at once", async () => {
      const increment = () =>
        store.stm(
          async (view) => {
            const count = Number((await view.get("n"))?.value ?? "0");
            await view.put("n", String(count + 1));
            return count + 1;
          },
          { attemptsMax: 1_000 },
        );
      const counts = await Promise.all(Array.from({ length: 20 }, increment));
      expect((await store.get("n"))?.value).toBe("20");
      expect(counts.map(({ result }) => result).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 1),
      );
    });

    it("sees its own writes, and writes nothing when it throws", async () => {
      await store.put("a", "1");
      const { result } = await store.stm(async (view) => {
        await view.put("b", "2");
        view.delete("a");
        const all = await view.list({ prefix: "" });
        return [await view.get("a"), (await view.get("b"))?.value, all.map(({ key }) => key)];
      });
      expect(result).toEqual([undefined, "2", ["b"]]);
      await errorOf(
        store.stm(async (view) => {
          await view.put("b", "3");
          throw new Error("no");
        }),
      );
      expect((await store.get("b"))?.value).toBe("2");
    });

    it("allows no write skew, and no phantom", async () => {
      // Each may take the key only while nobody else has one; together they must not both.
      const take = (key: string) =>
        store.stm(async (view) => {
          const taken = await view.list({ prefix: "seat/" });
          if (taken.length === 0) {
            await view.put(`seat/${key}`, key);
          }
        });
      await Promise.all(["a", "b", "c", "d", "e"].map(take));
      expect(await store.count({ prefix: "seat/" })).toBe(1);
    });

    it("gives up at its limit", async () => {
      await store.put("a", "0");
      const work = store.stm(
        async (view) => {
          await view.get("a");
          await store.put("a", "again");
          await view.put("a", "mine");
        },
        { attemptsMax: 3 },
      );
      const error = await errorOf(work);
      expect(error).toBeInstanceOf(ConflictError);
      expect((error as ConflictError).attempts).toBe(3);
    });
  });
});
