// Random requests of clients, in the form that the front doors hand them on: valid, encoded.

import type { Rng } from "../../src/base/index.ts";
import { utf8 } from "../../src/base/index.ts";
import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import type { RequestOp } from "../../src/wire/index.ts";
import type { SimOptions } from "./options.ts";

export class Requests {
  readonly #rng: Rng;
  readonly #options: SimOptions;
  #nextValue = 1;

  constructor(rng: Rng, options: SimOptions) {
    this.#rng = rng;
    this.#options = options;
  }

  key(): string {
    return `k${String(this.#rng.below(this.#options.keys)).padStart(2, "0")}`;
  }

  /** From a key to another, to the end, or the key alone. */
  #span(): { key: Uint8Array; rangeEnd: Uint8Array } {
    const ends = [this.key(), this.key()].sort();
    const [from = "", to = ""] = ends;
    switch (this.#rng.below(3)) {
      case 0:
        return { key: utf8(from), rangeEnd: utf8("\0") };
      case 1:
        return from === to
          ? { key: utf8(from), rangeEnd: utf8("") }
          : { key: utf8(from), rangeEnd: utf8(to) };
      default:
        return { key: utf8(from), rangeEnd: utf8("") };
    }
  }

  /** No two values are the same. */
  #value(): Uint8Array {
    const unique = `v${this.#nextValue++}`;
    return utf8(unique.padEnd(this.#rng.below(this.#options.valueBytesMax), "x"));
  }

  put(leases: readonly bigint[]): PutRequest {
    const keeps = this.#rng.below(12);
    const lease =
      leases.length > 0 && this.#rng.below(4) === 0
        ? (leases[this.#rng.below(leases.length)] as bigint)
        : 0n;
    return PutRequest.create({
      key: utf8(this.key()),
      value: keeps === 0 ? utf8("") : this.#value(),
      lease: keeps === 1 ? 0n : lease,
      prevKv: this.#rng.below(3) === 0,
      ignoreValue: keeps === 0,
      ignoreLease: keeps === 1,
    });
  }

  deleteRange(): DeleteRangeRequest {
    const range =
      this.#rng.below(4) === 0 ? this.#span() : { key: utf8(this.key()), rangeEnd: utf8("") };
    return DeleteRangeRequest.create({ ...range, prevKv: this.#rng.below(2) === 0 });
  }

  get(): RangeRequest {
    return RangeRequest.create({ key: utf8(this.key()) });
  }

  range(): RangeRequest {
    const limit = this.#rng.below(3) === 0 ? 1 + this.#rng.below(4) : 0;
    return RangeRequest.create({
      ...this.#span(),
      limit,
      keysOnly: this.#rng.below(6) === 0,
      countOnly: limit === 0 && this.#rng.below(6) === 0,
    });
  }

  /** Comparisons that hold now and then, and up to five operations in each branch. */
  txn(leases: readonly bigint[], revision: number, depth = 0): TxnRequest {
    return TxnRequest.create({
      compare: Array.from({ length: this.#rng.below(3) }, () => this.#compare(revision)),
      success: this.#operations(leases, revision, depth),
      failure: this.#operations(leases, revision, depth),
    });
  }

  /** No key is written twice, as the front door would refuse that. */
  #operations(leases: readonly bigint[], revision: number, depth: number): RequestOp[] {
    const operations: RequestOp[] = [];
    const written = new Set<string>();
    for (let count = this.#rng.below(4); count > 0; count--) {
      const chance = this.#rng.below(10);
      if (chance < 5) {
        const value = this.put(leases);
        const name = String(value.key);
        if (depth === 0 && !written.has(name)) {
          written.add(name);
          operations.push({ request: { kind: "requestPut", value } });
        }
      } else if (chance < 8) {
        // Now and then in the past, compacted or not, or in the future.
        const isOld = this.#rng.below(4) === 0;
        const at = isOld ? Math.max(0, revision + 2 - this.#rng.below(30)) : 0;
        const value = RangeRequest.create({ ...this.#span(), revision: at });
        operations.push({ request: { kind: "requestRange", value } });
      } else if (chance === 8 && depth === 0 && written.size === 0) {
        const value = this.deleteRange();
        return [...operations, { request: { kind: "requestDeleteRange", value } }];
      } else if (depth === 0) {
        const value = this.txn(leases, revision, depth + 1);
        operations.push({ request: { kind: "requestTxn", value } });
      }
    }
    return operations;
  }

  #compare(revision: number): Compare {
    const results = [
      CompareResult.EQUAL,
      CompareResult.NOT_EQUAL,
      CompareResult.GREATER,
      CompareResult.LESS,
    ];
    const result = results[this.#rng.below(results.length)] ?? CompareResult.EQUAL;
    const span = this.#rng.below(5) === 0 ? this.#span() : { key: utf8(this.key()) };
    const near = Math.max(0, revision - this.#rng.below(20));
    switch (this.#rng.below(5)) {
      case 0:
        return Compare.create({
          ...span,
          result,
          target: CompareTarget.VERSION,
          targetUnion: { kind: "version", value: this.#rng.below(4) },
        });
      case 1:
        return Compare.create({
          ...span,
          result,
          target: CompareTarget.CREATE,
          targetUnion: { kind: "createRevision", value: near },
        });
      case 2:
        return Compare.create({
          ...span,
          result,
          target: CompareTarget.MOD,
          targetUnion: { kind: "modRevision", value: near },
        });
      case 3:
        return Compare.create({
          ...span,
          result,
          target: CompareTarget.LEASE,
          targetUnion: { kind: "lease", value: 0n },
        });
      default:
        return Compare.create({
          ...span,
          result,
          target: CompareTarget.VALUE,
          targetUnion: { kind: "value", value: utf8(`v${1 + this.#rng.below(this.#nextValue)}`) },
        });
    }
  }
}
