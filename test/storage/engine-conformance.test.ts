// One suite for every engine: what src/storage/engine.ts promises.

import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { SeededRng, compareBytes, fromUtf8, utf8 } from "../../src/base/index.ts";
import type { BatchOperation, Engine, EngineReader } from "../../src/storage/engine.ts";
import { createLevelEngine, createMemoryEngine } from "../../src/storage/index.ts";
import { temporaryDirectory } from "./wal-fixtures.ts";

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["memory", async () => createMemoryEngine()],
  ["level", async () => createLevelEngine(join(await temporaryDirectory(), "state"))],
];

const unsynced = { sync: false };

function put(key: string, value: string): BatchOperation {
  return { kind: "put", key: utf8(key), value: utf8(value) };
}

function remove(key: string): BatchOperation {
  return { kind: "delete", key: utf8(key) };
}

async function rowsOf(
  reader: EngineReader,
  range: { from?: string; to?: string; reverse?: boolean; limit?: number } = {},
): Promise<string[]> {
  const rows: string[] = [];
  const { from = "", to, reverse, limit } = range;
  const bounds = { from: utf8(from), to: to === undefined ? undefined : utf8(to) };
  for await (const chunk of reader.scan({ ...bounds, reverse, limit })) {
    rows.push(...chunk.map(([key, value]) => `${fromUtf8(key)}=${fromUtf8(value)}`));
  }
  return rows;
}

describe.each(engines)("the %s engine", (_name, create) => {
  async function opened(): Promise<Engine> {
    const engine = await create();
    onTestFinished(() => engine.close());
    return engine;
  }

  test("is empty when new", async () => {
    const engine = await opened();
    expect(await rowsOf(engine)).toEqual([]);
    expect(await engine.getMany([utf8("a"), utf8("")])).toEqual([undefined, undefined]);
  });

  test("reads values in the order of the keys asked for", async () => {
    const engine = await opened();
    await engine.write([put("a", "1"), put("b", ""), put("c", "3")], unsynced);
    const found = await engine.getMany(["c", "x", "b", "a", "c"].map(utf8));
    expect(found.map((value) => (value === undefined ? null : fromUtf8(value)))).toEqual([
      "3",
      null,
      "",
      "1",
      "3",
    ]);
  });

  test("the last operation on a key in a batch wins", async () => {
    const engine = await opened();
    await engine.write(
      [put("a", "1"), remove("a"), put("a", "2"), put("b", "1"), remove("b")],
      unsynced,
    );
    expect(await rowsOf(engine)).toEqual(["a=2"]);
  });

  test("scans ranges both ways, with limits", async () => {
    const engine = await opened();
    await engine.write(
      ["a", "b", "c", "d", "e"].map((key) => put(key, key)),
      { sync: true },
    );
    expect(await rowsOf(engine, { from: "b", to: "d" })).toEqual(["b=b", "c=c"]);
    expect(await rowsOf(engine, { from: "bb" })).toEqual(["c=c", "d=d", "e=e"]);
    expect(await rowsOf(engine, { from: "b", to: "dd", reverse: true })).toEqual([
      "d=d",
      "c=c",
      "b=b",
    ]);
    expect(await rowsOf(engine, { limit: 2 })).toEqual(["a=a", "b=b"]);
    expect(await rowsOf(engine, { limit: 2, reverse: true })).toEqual(["e=e", "d=d"]);
    expect(await rowsOf(engine, { limit: 0 })).toEqual([]);
    expect(await rowsOf(engine, { from: "d", to: "b" })).toEqual([]);
    expect(await rowsOf(engine, { from: "x" })).toEqual([]);
  });

  test("scans large sets in chunks of bounded size", async () => {
    const engine = await opened();
    const value = new Uint8Array(1000).fill(7);
    const count = 5000;
    const key = (i: number): Uint8Array => utf8(`key ${String(i).padStart(6, "0")}`);
    await engine.write(
      Array.from({ length: count }, (_, i) => ({ kind: "put", key: key(i), value }) as const),
      unsynced,
    );
    let next = 0;
    for await (const chunk of engine.scan({ from: utf8(""), to: undefined })) {
      expect(chunk.length).toBeLessThanOrEqual(1000);
      for (const [found] of chunk) {
        expect(compareBytes(found, key(next))).toBe(0);
        next++;
      }
    }
    expect(next).toBe(count);
    expect(engine.sizeBytes()).toBeGreaterThanOrEqual(0);
  });

  test("a view stays as it was when taken", async () => {
    const engine = await opened();
    await engine.write([put("a", "1"), put("b", "1")], unsynced);
    const view = engine.view();
    await engine.write([put("a", "2"), remove("b"), put("c", "2")], unsynced);
    expect(await rowsOf(view)).toEqual(["a=1", "b=1"]);
    expect((await view.getMany([utf8("c"), utf8("b")])).map((v) => v && fromUtf8(v))).toEqual([
      undefined,
      "1",
    ]);
    expect(await rowsOf(engine)).toEqual(["a=2", "c=2"]);
    await view.close();
  });

  test("a scan sees one state while batches are written", async () => {
    const engine = await opened();
    await engine.write(
      Array.from({ length: 3000 }, (_, i) => put(`k${1000 + i}`, "old")),
      unsynced,
    );
    const values = new Set<string>();
    for await (const chunk of engine.scan({ from: utf8(""), to: undefined })) {
      chunk.forEach(([, value]) => values.add(fromUtf8(value)));
      await engine.write([put("k3999", "new"), put("k9999", "new")], unsynced);
    }
    expect([...values]).toEqual(["old"]);
  });

  test("batches written together are applied in order", async () => {
    const engine = await opened();
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => engine.write([put("a", `${i}`)], unsynced)),
    );
    expect(await rowsOf(engine)).toEqual(["a=49"]);
  });

  test("values handed out are the caller's own", async () => {
    const engine = await opened();
    const value = utf8("value");
    await engine.write([{ kind: "put", key: utf8("a"), value }], unsynced);
    value.fill(0);
    const [first] = await engine.getMany([utf8("a")]);
    first?.fill(0);
    expect(await rowsOf(engine)).toEqual(["a=value"]);
  });

  test("keys that the engine keeps for itself are refused", async () => {
    const engine = await opened();
    const key = new Uint8Array([0xff, 0xff, 0xff, 0xff, 1]);
    await expect(engine.write([{ kind: "delete", key }], unsynced)).rejects.toThrow(/belong/);
  });

  test("nothing works after close", async () => {
    const engine = await create();
    await engine.close();
    await expect(engine.getMany([utf8("a")])).rejects.toThrow("closed");
    await expect(engine.write([], unsynced)).rejects.toThrow("closed");
    expect(() => engine.view()).toThrow("closed");
  });

  test("random batches give the same rows as a plain map", async () => {
    const engine = await opened();
    const seed = Date.now() % 1_000_000;
    const rng = new SeededRng(seed);
    const model = new Map<string, string>();
    for (let round = 0; round < 60; round++) {
      const batch: BatchOperation[] = [];
      for (let i = rng.below(80); i >= 0; i--) {
        const key = `k${rng.below(400)}`;
        if (rng.below(4) === 0) {
          batch.push(remove(key));
          model.delete(key);
        } else {
          batch.push(put(key, `${rng.next()}`));
          model.set(key, fromUtf8((batch.at(-1) as { value: Uint8Array }).value));
        }
      }
      const before = await rowsOf(engine);
      const view = engine.view();
      await engine.write(batch, unsynced);
      const expected = [...model].map(([key, value]) => `${key}=${value}`).sort(byKey);
      expect(await rowsOf(engine), `seed ${seed}`).toEqual(expected);
      expect(await rowsOf(engine, { reverse: true }), `seed ${seed}`).toEqual(expected.reverse());
      expect(await rowsOf(view), `seed ${seed}`).toEqual(before);
      await view.close();
    }
  });
});

function byKey(a: string, b: string): number {
  return compareBytes(utf8(a.split("=")[0] ?? ""), utf8(b.split("=")[0] ?? ""));
}
