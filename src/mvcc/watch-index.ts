// From a key to everything registered for it: single keys by hash, ranges by an interval tree.
// One value for each distinct range; the watchers that share a range share its value.

import type { Rng } from "../base/index.ts";
import type { KeyRange } from "./contract.ts";
import { IntervalTree } from "./watch-intervals.ts";
import { KeyTable } from "./watch-keys.ts";

export class RangeIndex<T> {
  readonly #keys: KeyTable<T>;
  readonly #ranges: IntervalTree<T>;

  constructor(rng: Rng) {
    this.#keys = new KeyTable(rng);
    this.#ranges = new IntervalTree(rng);
  }

  /** Distinct ranges. */
  get size(): number {
    return this.#keys.size + this.#ranges.size;
  }

  get(range: KeyRange): T | undefined {
    return isSingleKey(range)
      ? this.#keys.get(range.key)
      : this.#ranges.get(range.key, upperBound(range));
  }

  /** Adds a range that is not there yet. Its bytes are kept, not copied. */
  add(range: KeyRange, value: T): void {
    if (isSingleKey(range)) {
      this.#keys.add(range.key, value);
    } else {
      this.#ranges.add(range.key, upperBound(range), value);
    }
  }

  /** Removes a range that is there. */
  delete(range: KeyRange): void {
    if (isSingleKey(range)) {
      this.#keys.delete(range.key);
    } else {
      this.#ranges.delete(range.key, upperBound(range));
    }
  }

  /** Appends the values of all ranges that hold `key`. */
  collect(key: Uint8Array, into: T[]): void {
    if (this.#keys.size > 0) {
      const value = this.#keys.get(key);
      if (value !== undefined) {
        into.push(value);
      }
    }
    if (this.#ranges.size > 0) {
      this.#ranges.collect(key, into);
    }
  }
}

export function isSingleKey(range: KeyRange): boolean {
  return range.rangeEnd.length === 0;
}

/** Exclusive; undefined when the range has no upper bound (one zero byte). */
export function upperBound(range: KeyRange): Uint8Array | undefined {
  return range.rangeEnd.length === 1 && range.rangeEnd[0] === 0 ? undefined : range.rangeEnd;
}
