// Pages against a sorted array, by random changes. A failure names its seed.

import { describe, expect, it } from "vitest";
import { compareBytes, CorruptionError, SeededRng } from "../../src/base/index.ts";
import { extraBytes, imageLength, Page } from "../../src/mvcc/page.ts";

const payloadBytes = 5;

interface Entry {
  readonly key: Uint8Array;
  readonly image: Uint8Array;
}

function drawKey(rng: SeededRng): Uint8Array {
  const shared = "/registry/some/path/".slice(0, [0, 20, 20, 20, 9][rng.below(5)]);
  const key = Buffer.from(
    shared +
      rng
        .below(60)
        .toString(3)
        .repeat(1 + rng.below(3)),
  );
  return rng.below(40) === 0 ? new Uint8Array(0) : new Uint8Array(key);
}

function drawImage(rng: SeededRng): Uint8Array {
  const flags = (rng.below(8) << 4) | rng.below(2);
  const image = new Uint8Array(imageLength(payloadBytes, flags));
  image.fill(rng.below(256));
  image[0] = flags;
  return image;
}

function expectSame(page: Page, entries: readonly Entry[]): void {
  expect(page.count).toBe(entries.length);
  expect(page.visible).toBe(entries.filter(({ image }) => ((image[0] as number) & 1) === 0).length);
  entries.forEach(({ key, image }, slot) => {
    expect(page.find(key)).toBe(slot);
    expect(Buffer.from(page.keyAt(slot)).equals(key)).toBe(true);
    const at = page.imageAt(slot);
    expect(Buffer.from(page.bytes.subarray(at, at + image.length)).equals(image)).toBe(true);
  });
}

function play(seed: number): void {
  const rng = new SeededRng(seed);
  let page = new Page(payloadBytes, 64);
  let entries: Entry[] = [];
  for (let step = 0; step < 200; step++) {
    const key = drawKey(rng);
    const image = drawImage(rng);
    const slot = page.find(key);
    const index = entries.findIndex((entry) => compareBytes(entry.key, key) >= 0);
    const place = index < 0 ? entries.length : index;
    const known = index >= 0 && compareBytes((entries[index] as Entry).key, key) === 0;
    expect(slot).toBe(known ? place : -1 - place);
    expect(page.lowerBound(key)).toBe(place);
    if (!known) {
      page.insert(place, key, image);
      entries.splice(place, 0, { key, image });
    } else if (rng.below(3) === 0) {
      page.remove(place);
      entries.splice(place, 1);
    } else {
      page.replace(place, image);
      entries[place] = { key, image };
    }
    if (rng.below(10) === 0) {
      page = Page.parse(page.serialize(step), payloadBytes, "page");
    }
    if (rng.below(30) === 0 && page.count > 1) {
      const cut = page.splitSlot(rng.below(100) / 100);
      expect(cut).toBeGreaterThan(0);
      expect(cut).toBeLessThan(page.count);
      const upper = page.split(cut);
      expectSame(page, entries.slice(0, cut));
      expectSame(upper, entries.slice(cut));
      if (rng.below(2) === 0) {
        page.append(upper);
      } else {
        page = upper;
        entries = entries.slice(cut);
      }
    }
  }
  expectSame(page, entries);
}

describe("page", () => {
  it("holds what a sorted array holds", () => {
    for (let seed = 1; seed <= 40; seed++) {
      try {
        play(seed);
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  });

  it("takes keys larger than itself", () => {
    const page = new Page(payloadBytes, 64);
    const image = new Uint8Array(imageLength(payloadBytes, 0));
    const large = new Uint8Array(1_500_000).fill(7);
    page.insert(0, large, image);
    page.insert(0, Uint8Array.of(1), image);
    expect(page.find(large)).toBe(1);
    const again = Page.parse(page.serialize(3), payloadBytes, "page");
    expect(again.find(large)).toBe(1);
    expect(Page.stampOf(page.serialize(3))).toBe(3);
  });

  it("stores a common prefix once", () => {
    const prefix = "/registry/pods/some-namespace/";
    const page = new Page(0, 64);
    for (let i = 0; i < 100; i++) {
      const key = new Uint8Array(Buffer.from(prefix + String(i).padStart(3, "0")));
      page.insert(i, key, new Uint8Array(1));
    }
    page.split(50);
    expect(page.usedBytes).toBeLessThan(50 * 16 + prefix.length + 40);
  });

  it("refuses a record that does not add up", () => {
    const page = new Page(payloadBytes, 64);
    page.insert(0, Uint8Array.of(1, 2, 3), new Uint8Array(imageLength(payloadBytes, 0x10)));
    const record = page.serialize(1);
    expect(record.length).toBeGreaterThan(extraBytes);
    for (const broken of [
      record.subarray(0, 10),
      record.subarray(0, record.length - 1),
      new Uint8Array(record.length),
    ]) {
      expect(() => Page.parse(broken, payloadBytes, "page 9")).toThrow(CorruptionError);
      expect(() => Page.parse(broken, payloadBytes, "page 9")).toThrow(/page 9/);
    }
    expect(() => Page.parse(record, payloadBytes + 1, "page 9")).toThrow(CorruptionError);
  });
});
