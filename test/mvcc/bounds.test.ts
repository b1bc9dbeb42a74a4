// What an operation may cost: records loaded, memory held, bytes written, events redone.

import { describe, expect, it } from "vitest";
import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { Revision } from "../../src/base/index.ts";
import { ColdStore, everything, plainQuery } from "./cold-store.ts";

const value = new Uint8Array(100).fill(0x76);

function name(n: number): string {
  return `/keys/${String(n).padStart(6, "0")}`;
}

/** Many small pages, nothing kept in memory that may be dropped, everything written at once. */
function coldWithKeys(count: number): ColdStore {
  const cold = new ColdStore({
    memoryBudgetBytes: 0,
    pageSizeBytesMax: 600,
    blockSizeBytesTarget: 600,
    groupPagesMax: 8,
    redoSizeBytesMax: 0,
  });
  for (let n = 0; n < count; n++) {
    cold.put(name(n), value);
    if (n % 50 === 0) {
      cold.checkpoint();
    }
  }
  cool(cold);
  return cold;
}

function cool(cold: ColdStore): void {
  cold.checkpoint();
  cold.checkpoint();
  cold.store.trim();
}

describe("what is loaded", () => {
  it("is one page and one block for a point read, and the way to them", () => {
    const cold = coldWithKeys(1000);
    const loads = cold.loadsOf(() => cold.store.get(utf8(name(500))));
    expect(loads.page).toBeLessThanOrEqual(2);
    expect(loads.block).toBe(1);
    expect(loads.group).toBeLessThanOrEqual(2);
  });

  it("is the border pages for a count, however long the range", () => {
    const cold = coldWithKeys(2000);
    const query = {
      ...plainQuery,
      key: utf8(name(3)),
      rangeEnd: utf8(name(1997)),
      countOnly: true,
    };
    const loads = cold.loadsOf(() => cold.store.range(query));
    expect(cold.store.range(query).count).toBe(1994);
    expect(loads.page).toBeLessThanOrEqual(2);
    expect(loads.block).toBe(0);
  });

  it("is no more than what a limit lets through, and the border of the count", () => {
    const cold = coldWithKeys(2000);
    const query = { ...plainQuery, key: utf8(name(700)), rangeEnd: Uint8Array.of(0), limit: 10 };
    const loads = cold.loadsOf(() => cold.store.range(query));
    expect(loads.page).toBeLessThanOrEqual(6);
    expect(loads.block).toBeLessThanOrEqual(8);
    expect(loads.rounds).toBeLessThanOrEqual(6);
  });

  it("is no history for keys only", () => {
    const cold = coldWithKeys(300);
    const loads = cold.loadsOf(() =>
      cold.store.range({ ...plainQuery, ...everything, keysOnly: true }),
    );
    expect(loads.block).toBe(0);
  });

  it("is asked for in few rounds, not one record after another", () => {
    const cold = coldWithKeys(2000);
    const loads = cold.loadsOf(() => cold.store.range({ ...plainQuery, ...everything }));
    expect(loads.block).toBeGreaterThan(300);
    expect(loads.rounds).toBeLessThanOrEqual(5);
  });

  it("is, for a count in the past, only what has changed since", () => {
    const cold = coldWithKeys(2000);
    const past = cold.store.revision;
    cold.put(name(42), value);
    cold.put(name(1500), value);
    cool(cold);
    const query = { ...plainQuery, ...everything, revision: past, countOnly: true };
    const loads = cold.loadsOf(() => cold.store.range(query));
    expect(loads.page).toBeLessThanOrEqual(4);
    expect(loads.block).toBe(0);
  });

  it("is, for an old version, at most 8 events on each of the levels", () => {
    const cold = new ColdStore({
      memoryBudgetBytes: 0,
      blockSizeBytesTarget: 10,
      redoSizeBytesMax: 1_000_000,
    });
    const versions = 5000;
    for (let n = 0; n < versions; n++) {
      cold.put("hot", String(n));
    }
    cool(cold);
    const rng = new SeededRng(1);
    let most = 0;
    for (let i = 0; i < 200; i++) {
      const revision = (2 + rng.below(versions)) as Revision;
      const query = { ...plainQuery, key: utf8("hot"), rangeEnd: new Uint8Array(0), revision };
      const loads = cold.loadsOf(() => cold.store.range(query));
      expect(Buffer.from(cold.store.range(query).kvs[0]?.field ?? []).toString()).toContain(
        `*${String.fromCharCode(String(revision - 2).length)}${revision - 2}`,
      );
      most = Math.max(most, loads.block);
      cold.store.trim();
      cold.store.trim();
    }
    // 8^4 < 5000 < 8^5: five levels.
    expect(most).toBeLessThanOrEqual(8 * 5);
    expect(most).toBeGreaterThan(3);
  });
});

describe("memory", () => {
  it("stays within the budget while data grow to many times of it", () => {
    const budget = 400_000;
    const cold = new ColdStore({ memoryBudgetBytes: budget });
    const rng = new SeededRng(7);
    let most = 0;
    for (let n = 0; n < 40_000; n++) {
      cold.put(name(rng.below(30_000)), value);
      if (n % 100 === 0) {
        cold.checkpoint();
        most = Math.max(most, cold.store.memoryBytes);
      }
    }
    expect(cold.store.sizeInUseBytes).toBeGreaterThan(10 * budget);
    expect(most).toBeLessThan(budget * 1.2);
    expect(cold.store.range({ ...plainQuery, ...everything, countOnly: true }).count).toBe(
      cold.store.keyCount,
    );
  });

  it("goes to blocks only as far as pages do not need it", () => {
    // The index takes 1.3 MB, history 17 MB in more blocks than one trim looks at.
    const cold = new ColdStore({ memoryBudgetBytes: 4_000_000, blockSizeBytesTarget: 500 });
    const rng = new SeededRng(11);
    for (let n = 0; n < 100_000; n++) {
      cold.loads.page = 0;
      cold.put(name(n < 20_000 ? n : rng.below(20_000)), value);
      expect(cold.loads.page).toBe(0);
      if (n % 5000 === 0) {
        cold.checkpoint();
      }
    }
  });

  it("keeps hot pairs that are scattered, not the blocks around them", () => {
    const cold = new ColdStore({ memoryBudgetBytes: 4_000_000 });
    for (let n = 0; n < 40_000; n++) {
      cold.put(name(n), value);
      if (n % 200 === 0) {
        cold.checkpoint();
      }
    }
    // 400 hot keys in as many blocks: 3.4 MB of blocks, 240 KB of pairs. The index takes 2.4 MB.
    const hot = Array.from({ length: 400 }, (_, n) => utf8(name(n * 97)));
    const loads = (): number => {
      let blocks = 0;
      for (const key of hot) {
        blocks += cold.loadsOf(() => cold.store.get(key)).block;
        cold.store.trim();
      }
      return blocks;
    };
    expect(loads()).toBeGreaterThan(350);
    loads();
    loads();
    expect(loads()).toBeLessThan(40);
    expect(cold.store.memoryBytes).toBeLessThan(4_200_000);
  });
});

describe("redo", () => {
  it("reads no more than the bound says, whatever was written", () => {
    const bound = 200_000;
    const cold = new ColdStore({ redoSizeBytesMax: bound });
    const rng = new SeededRng(3);
    for (let n = 0; n < 20_000; n++) {
      cold.put(name(rng.below(2_000)), value);
      if (n % 100 === 0) {
        cold.checkpoint();
      }
      if (n % 1000 === 999) {
        cold.checkpoint();
        cold.reopen();
        expect(cold.redoBytes).toBeLessThan(bound + 30_000);
      }
    }
    expect(cold.store.revision).toBe(20_001);
  });
});

describe("writing", () => {
  it("writes a page once for many updates", () => {
    const cold = new ColdStore();
    for (let n = 0; n < 2_000; n++) {
      cold.put(name(n), value);
    }
    cold.checkpoint();
    const before = cold.engine.writtenBytes;
    const puts = 50_000;
    const rng = new SeededRng(5);
    for (let n = 0; n < puts; n++) {
      cold.put(name(rng.below(2_000)), value);
      if (n % 500 === 0) {
        cold.checkpoint();
      }
    }
    // The event is about 170 bytes; pages and directory may add a tenth.
    expect((cold.engine.writtenBytes - before) / puts).toBeLessThan(190);
  });
});

describe("compaction", () => {
  it("gives back what was replaced, with blocks filled well", () => {
    const cold = new ColdStore();
    const rng = new SeededRng(9);
    const keys = 2_000;
    for (let n = 0; n < 40_000; n++) {
      cold.put(name(rng.below(keys)), value);
      if (n % 500 === 0) {
        cold.checkpoint();
      }
    }
    const full = cold.store.sizeInUseBytes;
    cold.compactFully(cold.store.revision);
    const blocks = cold.engine.scan(Uint8Array.of(0x68), Uint8Array.of(0x69));
    const bytes = blocks.reduce((sum, [, record]) => sum + record.length, 0);
    const alive = keys * 170;
    expect(bytes).toBeLessThan(alive * 2.2);
    expect(blocks.length).toBeLessThan((alive / 8192) * 3.5);
    expect(cold.store.sizeInUseBytes).toBeLessThan(full / 8);
    // Everything is still there.
    expect(cold.attempt(() => cold.store.range({ ...plainQuery, ...everything })).kvs.length).toBe(
      cold.store.keyCount,
    );
  });

  it("leaves no trace of keys that were deleted", () => {
    const cold = new ColdStore();
    for (let n = 0; n < 3_000; n++) {
      cold.put(name(n), value, 5n as never);
      cold.delete(name(n));
    }
    cold.put("last", "1");
    cold.compactFully(cold.store.revision);
    cold.reopen();
    const pages = cold.engine.scan(Uint8Array.of(0x70), Uint8Array.of(0x71));
    const bytes = pages.reduce((sum, [, record]) => sum + record.length, 0);
    expect(bytes).toBeLessThan(1_000);
    expect(cold.store.keyCount).toBe(1);
  });
});
