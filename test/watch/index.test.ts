// The index from keys to watched ranges, against the naive rule.

import { describe, expect, it } from "vitest";
import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { KeyRange } from "../../src/mvcc/contract.ts";
import { RangeIndex } from "../../src/mvcc/watch-index.ts";
import { KeyTable } from "../../src/mvcc/watch-keys.ts";
import { bytesToText, inRange } from "./fake-store.ts";

function collect(index: RangeIndex<string>, key: string): string[] {
  const found: string[] = [];
  index.collect(utf8(key), found);
  return found.sort();
}

describe("RangeIndex", () => {
  it.each([1, 2, 3, 4, 5])("finds what the naive rule finds, seed %i", (seed) => {
    const rng = new SeededRng(seed);
    const index = new RangeIndex<string>(rng);
    const model = new Map<string, KeyRange>();
    const word = (): string =>
      Array.from({ length: rng.below(4) }, () => "abc"[rng.below(3)]).join("");
    for (let step = 0; step < 800; step++) {
      const key = word();
      const end = ["", "\0", `${word()}~`, word()][rng.below(4)] ?? "";
      const name = `${key}|${end}`;
      const range = { key: utf8(key), rangeEnd: utf8(end) };
      expect(index.get(range)).toBe(model.has(name) ? name : undefined);
      if (model.delete(name)) {
        index.delete(range);
      } else {
        index.add(range, name);
        model.set(name, range);
      }
      expect(index.size).toBe(model.size);
      const probe = word();
      const expected = [...model].filter(([, some]) => inRange(utf8(probe), some));
      expect(collect(index, probe)).toEqual(expected.map(([found]) => found).sort());
    }
  });

  it("holds 100,000 ranges, and finds one among them without a scan", () => {
    const index = new RangeIndex<string>(new SeededRng(1));
    const prefix = (i: number): string => `/tenants/${String(i).padStart(6, "0")}/`;
    for (let i = 0; i < 100_000; i++) {
      index.add({ key: utf8(prefix(i)), rangeEnd: utf8(`${prefix(i)}~`) }, prefix(i));
    }
    const startedMs = performance.now();
    for (let i = 0; i < 2_000; i++) {
      expect(collect(index, `${prefix(i * 7)}x`)).toEqual([prefix(i * 7)]);
    }
    // A scan of all would take minutes.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe("KeyTable", () => {
  it("keeps keys apart whose hashes are equal", () => {
    const table = new KeyTable<number>(new SeededRng(1));
    const key = (i: number): Uint8Array => utf8(`key-${i}`);
    // Among so many keys about twenty pairs share one of the 2^30 hashes.
    const count = 200_000;
    for (let i = 0; i < count; i++) {
      table.add(key(i), i);
    }
    for (let i = 0; i < count; i += 2) {
      table.delete(key(i));
    }
    table.delete(utf8("never there"));
    expect(table.size).toBe(count / 2);
    const wrong: string[] = [];
    for (let i = 0; i < count; i++) {
      if (table.get(key(i)) !== (i % 2 === 0 ? undefined : i)) {
        wrong.push(bytesToText(key(i)));
      }
    }
    expect(wrong).toEqual([]);
  });
});
