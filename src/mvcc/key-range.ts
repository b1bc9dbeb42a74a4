// etcd's key ranges: `rangeEnd` empty is the single key, one zero byte is every key from `key` on.

import { compareBytes } from "../base/index.ts";
import type { KeyRange } from "./contract.ts";

export interface KeyBounds {
  /** Inclusive. */
  readonly start: Uint8Array;
  /** Exclusive; undefined = no bound. */
  readonly end: Uint8Array | undefined;
  readonly empty: boolean;
}

/** Bounds of a range that is not a single key. */
export function toBounds(range: KeyRange): KeyBounds {
  const end = range.rangeEnd;
  if (end.length === 1 && end[0] === 0) {
    return { start: range.key, end: undefined, empty: false };
  }
  return { start: range.key, end, empty: compareBytes(range.key, end) >= 0 };
}

export function isSingleKey(range: KeyRange): boolean {
  return range.rangeEnd.length === 0;
}
