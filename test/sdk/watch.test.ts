// Watches: each change once, whole revisions, and what happens when history is gone.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CompactedError } from "../../src/client/index.ts";
import { json, Quorate } from "../../src/sdk/index.ts";
import { isInstalled, startTarget, type Target, targetNames } from "./targets.ts";

/** The first `count` items. */
async function take<T>(source: AsyncIterable<T>, count: number): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) {
    items.push(item);
    if (items.length === count) {
      break;
    }
  }
  return items;
}

describe.each(targetNames.filter(isInstalled))("a watch of %s", (name) => {
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
    store = root.namespace(`watch${++tests}/`);
  });

  it("tells of puts and deletes, in order, with what was there before", async () => {
    const watch = store.watch({ prefix: "" }, { previous: true });
    await watch.opened();
    const { revision } = await store.put("a", "1");
    await root.put("elsewhere", "x");
    await store.put("a", "2");
    await store.delete("a");
    const [first, second, third] = await take(watch, 3);
    expect(first).toMatchObject({ kind: "put", key: "a", revision, entry: { value: "1" } });
    expect(first?.previous).toBeUndefined();
    expect(second).toMatchObject({ kind: "put", entry: { version: 2 }, previous: { value: "1" } });
    expect(third).toMatchObject({ kind: "delete", key: "a", previous: { value: "2" } });
    expect(watch.revision).toBe(third?.revision);
  });

  it("begins at a revision, with transactions whole", async () => {
    const { revision } = await store.put("a", "1");
    const numbers = store.withCodec(json<number>());
    await numbers.txn().do(numbers.op.put("b", 1), numbers.op.put("c", 2)).commit();
    const watch = store.watch({ prefix: "" }, { fromRevision: revision });
    const seen: string[][] = [];
    for await (const batch of watch.batches()) {
      for (const event of batch.events) {
        const last = seen.at(-1);
        if (event.revision === revision + seen.length - 1) {
          last?.push(event.key);
        } else {
          seen.push([event.key]);
        }
      }
      expect(batch.events.at(-1)?.revision).toBe(batch.revision);
      if (batch.revision === revision + 1) {
        break;
      }
    }
    expect(seen).toEqual([["a"], ["b", "c"]]);
  });

  it("begins with what is there, and misses nothing after it", async () => {
    await store.put("a", "1");
    await store.put("b", "2");
    const watch = store.watch({ prefix: "" }, { initial: true });
    const events = watch[Symbol.asyncIterator]();
    const first = (await events.next()).value;
    expect(first).toMatchObject({ kind: "resync", reason: "initial" });
    expect(first?.kind === "resync" && first.entries.map(({ value }) => value)).toEqual(["1", "2"]);
    await store.put("c", "3");
    expect((await events.next()).value).toMatchObject({ kind: "put", key: "c" });
    watch.close();
    expect((await events.next()).done).toBe(true);
  });

  it("fails when history is compacted, or begins anew if told to", async () => {
    const { revision } = await store.put("a", "1");
    await store.put("a", "2");
    const last = await store.put("a", "3");
    await store.client.compact({ revision: last.revision });
    const failing = store.watch("a", { fromRevision: revision });
    const failure = await take(failing, 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CompactedError);
    expect((failure as CompactedError).compactRevision).toBe(last.revision);
    await using watch = store.watch("a", { fromRevision: revision, resync: true });
    const events = watch[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({
      kind: "resync",
      reason: "compacted",
      entries: [{ key: "a", value: "3" }],
    });
    await store.put("a", "4");
    expect((await events.next()).value).toMatchObject({ kind: "put", entry: { value: "4" } });
  });

  it("says how far it has come when it is asked", async () => {
    await using watch = store.watch("a", { progress: true });
    await watch.opened();
    const { revision } = await store.put("other", "1");
    const events = watch[Symbol.asyncIterator]();
    watch.requestProgress();
    let event = (await events.next()).value;
    while (event !== undefined && event.revision < revision) {
      watch.requestProgress();
      event = (await events.next()).value;
    }
    expect(event).toEqual({ kind: "progress", revision });
    expect(watch.revision).toBe(revision);
  });

  it("ends when it is told to, wherever it waits", async () => {
    const stop = new AbortController();
    const waiting = take(store.watch("a", { signal: stop.signal }), 1);
    const starting = take(store.watch("a", { signal: stop.signal, initial: true }), 2);
    stop.abort();
    expect(await waiting).toEqual([]);
    expect((await starting).length).toBeLessThan(2);
  });
});
