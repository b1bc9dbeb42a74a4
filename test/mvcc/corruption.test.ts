// Records that are missing, stale or not what they should be are found when met, and named.

import { describe, expect, it } from "vitest";
import { CorruptionError, utf8 } from "../../src/base/index.ts";
import { storeMetaKey } from "../../src/mvcc/index.ts";
import { VarintReader } from "../../src/mvcc/numbers.ts";
import type { Row } from "../../src/storage/engine.ts";
import { ColdStore, everything, plainQuery } from "./cold-store.ts";

const value = new Uint8Array(100).fill(0x76);
const prefixes = { block: 0x68, group: 0x67, page: 0x70 } as const;

function filled(redoSizeBytesMax = 0): ColdStore {
  const cold = new ColdStore({
    // Without a budget nothing stays that may be dropped; with one pages are written late.
    memoryBudgetBytes: redoSizeBytesMax,
    pageSizeBytesMax: 600,
    blockSizeBytesTarget: 600,
    groupPagesMax: 8,
    redoSizeBytesMax,
  });
  for (let n = 0; n < 300; n++) {
    cold.put(`k${String(n).padStart(4, "0")}`, value);
    if (n % 20 === 19) {
      cold.checkpoint();
    }
  }
  cold.checkpoint();
  cold.store.trim();
  cold.store.trim();
  return cold;
}

function rows(cold: ColdStore, kind: keyof typeof prefixes): Row[] {
  const prefix = prefixes[kind];
  return cold.engine.scan(Uint8Array.of(prefix), Uint8Array.of(prefix + 1));
}

function readAll(cold: ColdStore): void {
  cold.attempt(() => cold.store.range({ ...plainQuery, ...everything }));
}

describe("a damaged record", () => {
  it.each([
    ["page", /^page \d+ is missing$/],
    ["group", /^page group \d\/\d+ is missing$/],
    ["block", /^history block \d+\.\d+ is missing$/],
  ] as const)("that is gone: %s", (kind, message) => {
    const cold = filled();
    const [key] = rows(cold, kind)[3] as Row;
    cold.engine.damage(key, undefined);
    expect(() => readAll(cold)).toThrow(CorruptionError);
    expect(() => readAll(cold)).toThrow(message);
  });

  it.each([
    ["page", /^page \d+ /],
    ["group", /^page group \d\/\d+ /],
    ["block", /^history block \d+\.\d+ /],
  ] as const)("that has another form: %s", (kind, message) => {
    const cold = filled();
    const [key, record] = rows(cold, kind)[3] as Row;
    cold.engine.damage(key, record.fill(0xee, 0, 40));
    expect(() => readAll(cold)).toThrow(CorruptionError);
    expect(() => readAll(cold)).toThrow(message);
  });

  it.each(["page", "block"] as const)("that is another one's: %s", (kind) => {
    const cold = filled();
    const [key] = rows(cold, kind)[3] as Row;
    const [, other] = rows(cold, kind)[5] as Row;
    cold.engine.damage(key, other);
    expect(() => readAll(cold)).toThrow(CorruptionError);
  });

  it("that is an older version of a page", () => {
    const cold = filled();
    const [key, old] = rows(cold, "page")[3] as Row;
    for (let n = 0; n < 300; n += 5) {
      cold.put(`k${String(n).padStart(4, "0")}`, "changed");
    }
    cold.checkpoint();
    cold.store.trim();
    cold.store.trim();
    cold.engine.damage(key, old);
    expect(() => readAll(cold)).toThrow(/^page \d+ has stamp \d+, not \d+$/);
  });

  it("that is an older version of a block", () => {
    const cold = filled();
    const before = rows(cold, "block");
    cold.compactFully(cold.put("k0000", "x").revision);
    for (let n = 0; n < 300; n += 2) {
      cold.put(`k${String(n).padStart(4, "0")}`, "x");
    }
    cold.compactFully(cold.store.revision);
    const now = new Map(rows(cold, "block").map(([key, record]) => [String(key), record.length]));
    const rewritten = before.find(([key, record]) => {
      const length = now.get(String(key));
      return length !== undefined && length !== record.length;
    });
    expect(rewritten).toBeDefined();
    const [key, old] = rewritten as Row;
    cold.store.trim();
    cold.store.trim();
    cold.engine.damage(key, old);
    expect(() => readAll(cold)).toThrow(/has \d+ bytes, not \d+ as indexed/);
  });
});

describe("opening", () => {
  it("refuses a hole in what it must redo", () => {
    const cold = filled(1_000_000);
    expect(cold.store.revision).toBe(301);
    const [key] = rows(cold, "block")[10] as Row;
    cold.engine.damage(key, undefined);
    expect(() => cold.reopen()).toThrow(/^history has a gap: event \d+\.0 follows \d+\.0$/);
  });

  it("refuses history that ends too early", () => {
    const cold = filled(1_000_000);
    const blocks = rows(cold, "block");
    cold.engine.damage((blocks[blocks.length - 1] as Row)[0], undefined);
    expect(() => cold.reopen()).toThrow(/^history ends at revision \d+, not 301$/);
  });

  it("refuses meta of another form", () => {
    const cold = filled();
    cold.engine.damage(storeMetaKey, utf8("?"));
    expect(() => cold.reopen()).toThrow(/^store meta has an unknown form$/);
  });

  it("does not read what it need not", () => {
    const cold = filled();
    const [key] = rows(cold, "block")[3] as Row;
    cold.engine.damage(key, undefined);
    cold.reopen();
    expect(cold.store.revision).toBe(301);
  });
});

describe("numbers of a record", () => {
  const reader = (...bytes: number[]): VarintReader => new VarintReader(Uint8Array.from(bytes), 0);
  const endless = new Array<number>(40).fill(0xff);

  it("end within it, or are refused", () => {
    for (const bytes of [[], [0x80], [0xff, 0xff], endless]) {
      expect(() => reader(...bytes).next()).toThrow(CorruptionError);
      expect(() => reader(...bytes).nextLease()).toThrow(CorruptionError);
    }
  });

  it("are safe integers, and leases 64 bits", () => {
    expect(reader(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f).next()).toBe(2 ** 53 - 1);
    const beyond = reader(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    expect(() => beyond.next()).toThrow(CorruptionError);
    const all = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    expect(reader(...all).nextLease()).toBe(2n ** 64n - 1n);
  });

  it("say no length beyond it", () => {
    const bytes = reader(1, 2, 3);
    expect(bytes.skip(3)).toBe(3);
    expect(() => bytes.skip(1)).toThrow(CorruptionError);
  });
});

describe("a history block that its checksum did not save", () => {
  it("is read to an end, whatever of it is altered", () => {
    const made = filled();
    const [key, value] = rows(made, "block")[3] as Row;
    for (let at = 0; at < value.length; at += 3) {
      for (const bit of [0x80, 0x01]) {
        const altered = value.slice();
        altered[at] = (altered[at] as number) ^ bit;
        const cold = filled();
        cold.engine.damage(key, altered);
        try {
          readAll(cold);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
        }
      }
    }
  });
});
