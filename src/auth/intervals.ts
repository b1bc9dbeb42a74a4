// Key ranges as intervals, and whether a union of them covers another: the one piece of code that
// decides what a grant reaches, whatever asks (range, watch, delete, txn).

import { compareBytes } from "../base/index.ts";

/** Keys from `begin` up to but not including `end`; no `end` means every key from `begin` on. */
export interface Interval {
  readonly begin: Uint8Array;
  readonly end: Uint8Array | undefined;
}

/** Whether a `range_end` stands for "every key from here on": one zero byte. */
export function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

/** The keys that etcd's `key` and `range_end` name: one key, a range, or all from `key` on. */
export function intervalOf(key: Uint8Array, rangeEnd: Uint8Array): Interval {
  if (rangeEnd.length === 0) {
    return { begin: key, end: successor(key) };
  }
  return { begin: key, end: isOpenEnd(rangeEnd) ? undefined : rangeEnd };
}

/** The least key above `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

function compareEnds(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) {
    return a === b ? 0 : a === undefined ? 1 : -1;
  }
  return compareBytes(a, b);
}

/** The union as disjoint intervals in order; intervals that touch become one. */
export function unionOf(intervals: readonly Interval[]): Interval[] {
  const sorted = [...intervals].sort((a, b) => compareBytes(a.begin, b.begin));
  const union: Interval[] = [];
  for (const interval of sorted) {
    const last = union.at(-1);
    if (last === undefined || compareEnds(interval.begin, last.end) > 0) {
      union.push(interval);
    } else if (compareEnds(interval.end, last.end) > 0) {
      union[union.length - 1] = { begin: last.begin, end: interval.end };
    }
  }
  return union;
}

/** What `union` (as `unionOf` gives it) leaves out, in order. */
export function gapsOf(union: readonly Interval[]): Interval[] {
  const gaps: Interval[] = [];
  let begin: Uint8Array | undefined = new Uint8Array(0);
  for (const interval of union) {
    if (begin !== undefined && compareBytes(begin, interval.begin) < 0) {
      gaps.push({ begin, end: interval.begin });
    }
    begin = interval.end;
  }
  return begin === undefined ? gaps : [...gaps, { begin, end: undefined }];
}

/**
 * Whether `union` (as `unionOf` gives it) holds every key of `interval`. A range that ends before
 * it begins has no keys; it is covered where its first key is, so that it tells nothing.
 */
export function covers(union: readonly Interval[], interval: Interval): boolean {
  let low = 0;
  let high = union.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes((union[middle] as Interval).begin, interval.begin) <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const candidate = union[low - 1];
  return (
    candidate !== undefined &&
    compareEnds(interval.begin, candidate.end) < 0 &&
    compareEnds(interval.end, candidate.end) <= 0
  );
}
