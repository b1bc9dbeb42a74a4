// Ranges that are read in pieces, and counts in the past, against the same range read whole.

import { describe, expect, it } from "vitest";
import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { Revision } from "../../src/base/index.ts";
import type { RangeQuery } from "../../src/mvcc/contract.ts";
import { ColdStore, everything, plainQuery } from "./cold-store.ts";
import { hex } from "./expect.ts";

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));

function name(n: number): string {
  return `/keys/${String(n).padStart(6, "0")}`;
}

/** Small pages and blocks; keys come, change and go over 600 revisions. */
function storeWithHistory(rng: SeededRng): ColdStore {
  const cold = new ColdStore({
    memoryBudgetBytes: 0,
    pageSizeBytesMax: 600,
    blockSizeBytesTarget: 600,
    groupPagesMax: 8,
    redoSizeBytesMax: 0,
  });
  for (let step = 0; step < 600; step++) {
    const key = name(rng.below(150));
    if (rng.below(5) === 0) {
      cold.delete(key);
    } else {
      cold.put(key, new Uint8Array(rng.below(120)).fill(step));
    }
    if (step % 40 === 0) {
      cold.checkpoint();
    }
  }
  return cold;
}

function ask(cold: ColdStore, query: Partial<RangeQuery>): ReturnType<ColdStore["store"]["range"]> {
  return cold.attempt(() => cold.store.range({ ...plainQuery, ...everything, ...query }));
}

describe(`plain ranges (SEED=${seed})`, () => {
  it("read in pieces are the range read whole, at every revision", () => {
    const rng = new SeededRng(seed);
    const cold = storeWithHistory(rng);
    for (let round = 0; round < 40; round++) {
      const at = rng.below(2) === 0 ? 0 : 1 + rng.below(cold.store.revision);
      const revision = at as Revision;
      const whole = ask(cold, { revision });
      const sizeBytesMax = 1 + rng.below(3_000);
      const pieces: string[] = [];
      for (let key: Uint8Array = everything.key; ; ) {
        const piece = ask(cold, { key, revision, sizeBytesMax, uncounted: true });
        expect(piece.count).toBe(0);
        const bytes = piece.kvs.map(({ field }) => field.length);
        const allButLast = bytes.slice(0, -1).reduce((sum, length) => sum + length, 0);
        expect(allButLast).toBeLessThan(sizeBytesMax);
        pieces.push(...piece.kvs.map(({ field }) => hex(field)));
        if (!piece.more) {
          break;
        }
        // Field 1 of the last pair: its key, at most 127 bytes long.
        const last = piece.kvs.at(-1)?.message ?? new Uint8Array(2);
        key = Uint8Array.of(...last.subarray(2, 2 + (last[1] ?? 0)), 0);
      }
      expect(pieces).toEqual(whole.kvs.map(({ field }) => hex(field)));
      expect(whole.count).toBe(pieces.length);
      const limit = 1 + rng.below(150);
      const limited = ask(cold, { revision, limit, uncounted: true });
      expect(limited.kvs.map(({ field }) => hex(field))).toEqual(pieces.slice(0, limit));
      expect(limited.more).toBe(pieces.length > limit);
    }
  });

  it("give every pair as a field of its own", () => {
    const cold = storeWithHistory(new SeededRng(seed));
    const { fields, kvs } = ask(cold, {});
    expect(fields?.map(hex)).toEqual(kvs.map(({ field }) => hex(field)));
  });
});

describe("a count in the past", () => {
  it("costs no page in which keys have only changed", () => {
    const cold = new ColdStore({
      memoryBudgetBytes: 0,
      pageSizeBytesMax: 600,
      blockSizeBytesTarget: 600,
      groupPagesMax: 8,
      redoSizeBytesMax: 0,
    });
    for (let n = 0; n < 1000; n++) {
      cold.put(name(n), utf8("first"));
    }
    const past = cold.store.revision;
    for (let n = 0; n < 1000; n++) {
      cold.put(name(n), utf8("second"));
    }
    cold.delete(name(500));
    for (let i = 0; i < 3; i++) {
      cold.checkpoint();
    }
    cold.reopen();
    const loads = cold.loadsOf(() =>
      cold.store.range({ ...plainQuery, ...everything, revision: past, countOnly: true }),
    );
    expect(ask(cold, { revision: past, countOnly: true }).count).toBe(1000);
    expect(ask(cold, { countOnly: true }).count).toBe(999);
    expect(loads.page).toBeLessThanOrEqual(4);
    expect(loads.block).toBe(0);
  });
});
