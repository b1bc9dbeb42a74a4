// What a random life is made of: keys that share prefixes or do not, ranges, queries, changes.

import { toLeaseId, utf8 } from "../../src/base/index.ts";
import type { LeaseId, Revision, SeededRng } from "../../src/base/index.ts";
import type { KeyRange, RangeQuery } from "../../src/mvcc/contract.ts";
import type { Model } from "./model.ts";

export type Step =
  | {
      readonly kind: "put";
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      readonly lease: LeaseId;
    }
  | { readonly kind: "delete"; readonly range: KeyRange };

const noBytes = new Uint8Array(0);
export const leases: readonly LeaseId[] = [
  0n,
  1n,
  2n,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_ffffn,
].map(toLeaseId);

export class Draw {
  readonly #rng: SeededRng;
  readonly #keyCount: number;
  readonly #valueBytes: number;

  constructor(rng: SeededRng) {
    this.#rng = rng;
    this.#keyCount = [3, 20, 80, 300][rng.below(4)] as number;
    this.#valueBytes = [4, 40, 400][rng.below(3)] as number;
  }

  step(): Step {
    if (this.#rng.below(4) > 0) {
      const size = this.#rng.below(20) === 0 ? 3_000 : this.#rng.below(this.#valueBytes);
      return {
        kind: "put",
        key: this.key(),
        value: new Uint8Array(size).fill(this.#rng.below(256)),
        lease: this.#rng.below(2) === 0 ? (leases[0] as LeaseId) : this.pick(leases),
      };
    }
    const range = this.range();
    const single = this.#rng.below(4) > 0;
    return { kind: "delete", range: single ? { ...range, rangeEnd: noBytes } : range };
  }

  key(): Uint8Array {
    const n = this.#rng.below(this.#keyCount);
    switch (n % 5) {
      case 0:
        return utf8(`/registry/pods/${n % 7}/pod-${n}`);
      case 1:
        return utf8(`/registry/leases/${"x".repeat(n % 40)}/${n}`);
      case 2:
        return Uint8Array.of(n % 256, 0, n >> 8);
      case 3:
        return new Uint8Array(1 + (n % 3)).fill(n);
      default:
        return n % 50 === 4 ? new Uint8Array(700).fill(n % 256) : utf8(`k${n}`);
    }
  }

  range(): KeyRange {
    const key = this.key();
    switch (this.#rng.below(6)) {
      case 0:
        return { key, rangeEnd: noBytes };
      case 1:
        return { key, rangeEnd: Uint8Array.of(0) };
      case 2:
        return { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
      default:
        return { key, rangeEnd: this.key() };
    }
  }

  query(model: Model): RangeQuery {
    const rng = this.#rng;
    const { revision, compacted } = model;
    const bound = (): number => (rng.below(8) === 0 ? rng.below(revision + 2) : 0);
    const oldest = Math.max(compacted, 1);
    const at = rng.below(2) === 0 ? 0 : oldest + rng.below(revision - oldest + 1);
    return {
      ...this.range(),
      revision: at as Revision,
      limit: rng.below(2) === 0 ? 0 : 1 + rng.below(10),
      keysOnly: rng.below(4) === 0,
      countOnly: rng.below(8) === 0,
      sortTarget:
        rng.below(2) === 0
          ? "key"
          : this.pick(["version", "create", "mod", "value", "key"] as const),
      sortOrder: rng.below(2) === 0 ? "none" : this.pick(["ascend", "descend"] as const),
      minModRevision: bound(),
      maxModRevision: bound(),
      minCreateRevision: bound(),
      maxCreateRevision: bound(),
    };
  }

  pick<T>(items: readonly T[]): T {
    return items[this.#rng.below(items.length)] as T;
  }
}
