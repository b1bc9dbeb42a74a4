// The union of granted ranges against every key of a small world, one by one.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes } from "../../src/base/index.ts";
import { covers, intervalOf, unionOf } from "../../src/auth/intervals.ts";

/** All keys of up to three letters out of three, the least byte and the greatest among them. */
const letters = [0x00, 0x61, 0xff];
const keys: Uint8Array[] = [];
for (const a of letters) {
  keys.push(Uint8Array.of(a));
  for (const b of letters) {
    keys.push(Uint8Array.of(a, b));
    for (const c of letters) {
      keys.push(Uint8Array.of(a, b, c));
    }
  }
}

/** etcd's words for a range, by the book. */
function contains(key: Uint8Array, rangeEnd: Uint8Array, candidate: Uint8Array): boolean {
  if (rangeEnd.length === 0) {
    return compareBytes(key, candidate) === 0;
  }
  const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return compareBytes(candidate, key) >= 0 && (isOpen || compareBytes(candidate, rangeEnd) < 0);
}

const anyKey = fc.constantFrom(...keys);
const anyEnd = fc.oneof(
  anyKey,
  fc.constantFrom(new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0x61, 0x61, 0)),
);
const anyRange = fc
  .tuple(anyKey, anyEnd)
  // As a permission must be: a key, a range that is not empty, or open.
  .filter(([key, end]) => end.length === 0 || end[0] === 0 || compareBytes(key, end) < 0)
  .filter(([key, end]) => end.length <= 1 || compareBytes(key, end) < 0);

/**
 * Whether no key at all lies in `asked` and outside `granted`. Between two keys of the world lie
 * others: each key and its successor are tried, which is where a gap would begin.
 */
function isCovered(
  granted: readonly (readonly [Uint8Array, Uint8Array])[],
  [key, rangeEnd]: readonly [Uint8Array, Uint8Array],
): boolean {
  const candidates = [...keys, ...granted.map(([, end]) => end), key]
    .filter((candidate) => candidate.length > 0)
    .flatMap((candidate) => [candidate, Uint8Array.of(...candidate, 0)]);
  const last = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
  return [...candidates, last].every(
    (candidate) =>
      !contains(key, rangeEnd, candidate) ||
      granted.some(([begin, end]) => contains(begin, end, candidate)),
  );
}

describe("a union of grants", () => {
  it("covers what it holds, key by key, and nothing else", () => {
    let covered = 0;
    let runs = 0;
    fc.assert(
      fc.property(fc.array(anyRange, { maxLength: 6 }), anyRange, (granted, asked) => {
        const union = unionOf(granted.map(([key, end]) => intervalOf(key, end)));
        const answer = covers(union, intervalOf(asked[0], asked[1]));
        covered += answer ? 1 : 0;
        runs++;
        expect(answer).toBe(isCovered(granted, asked));
      }),
      { numRuns: 4000 },
    );
    expect(covered).toBeGreaterThan(runs / 20);
    expect(covered).toBeLessThan((runs * 19) / 20);
  });

  it("is disjoint and in order", () => {
    fc.assert(
      fc.property(fc.array(anyRange, { maxLength: 8 }), (granted) => {
        const union = unionOf(granted.map(([key, end]) => intervalOf(key, end)));
        union.slice(1).forEach((interval, i) => {
          const { end } = union[i] ?? {};
          expect(end !== undefined && compareBytes(end, interval.begin) < 0).toBe(true);
        });
      }),
    );
  });

  it("tells one key, a range and an open range apart", () => {
    const a = Uint8Array.of(0x61);
    const b = Uint8Array.of(0x62);
    const none = new Uint8Array(0);
    const open = Uint8Array.of(0);
    const one = unionOf([intervalOf(a, none)]);
    expect(covers(one, intervalOf(a, none))).toBe(true);
    // The hole of GHSA-xg4h-6gfc-h4m8: a grant on one key, and all keys from it on asked for.
    expect(covers(one, intervalOf(a, open))).toBe(false);
    expect(covers(one, intervalOf(a, b))).toBe(false);
    const range = unionOf([intervalOf(a, b)]);
    expect(covers(range, intervalOf(a, b))).toBe(true);
    expect(covers(range, intervalOf(a, open))).toBe(false);
    expect(covers(range, intervalOf(b, none))).toBe(false);
    const rest = unionOf([intervalOf(a, open)]);
    expect(covers(rest, intervalOf(b, open))).toBe(true);
    expect(covers(rest, intervalOf(open, open))).toBe(false);
    expect(covers(unionOf([intervalOf(a, b), intervalOf(b, open)]), intervalOf(a, open))).toBe(
      true,
    );
    // Keys, not text: nothing is between a key and its successor.
    expect(
      covers(
        unionOf([intervalOf(a, none), intervalOf(Uint8Array.of(0x61, 0), b)]),
        intervalOf(a, b),
      ),
    ).toBe(true);
  });

  it("does not cover a range that ends before it begins, but where its key is", () => {
    const [a, m, z] = [0x61, 0x6d, 0x7a].map((byte) => Uint8Array.of(byte)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const low = unionOf([intervalOf(a, m)]);
    expect(covers(low, intervalOf(z, a))).toBe(false);
    expect(covers(unionOf([]), intervalOf(z, a))).toBe(false);
  });
});
