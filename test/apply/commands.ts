// Random commands over a few keys and leases, and results as plain text to compare.

import { utf8 } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import type { CommandKind, CommandResult, TxnOpResult } from "../../src/apply/index.ts";
import type { StoredKeyValue } from "../../src/mvcc/contract.ts";
import {
  CompactionRequest,
  DeleteRangeRequest,
  KeyValue,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import type { Compare, RequestOp } from "../../src/wire/index.ts";

export interface RandomCommand {
  readonly kind: CommandKind;
  readonly body: Uint8Array;
}

const words = ["a", "aa", "ab", "b", "ba", "c", "d", "e"];

export class CommandSource {
  readonly #rng: Rng;
  /** The revision that ranges may ask for, told by the caller as it grows. */
  revision = 1;
  compacted = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  next(): RandomCommand {
    const choice = this.#rng.below(100);
    if (choice < 35) {
      return { kind: "put", body: PutRequest.encode(this.#put()) };
    }
    if (choice < 45) {
      return { kind: "deleteRange", body: DeleteRangeRequest.encode(this.#deletion()) };
    }
    if (choice < 85) {
      return { kind: "txn", body: TxnRequest.encode(this.#txn(0)) };
    }
    if (choice < 90) {
      const revision = this.#rng.below(this.revision + 3);
      return { kind: "compaction", body: CompactionRequest.encode({ revision, physical: false }) };
    }
    const id = this.#lease();
    return choice < 97
      ? { kind: "leaseGrant", body: LeaseGrantRequest.encode({ id: id || 1n, ttl: 1000 }) }
      : { kind: "leaseRevoke", body: LeaseRevokeRequest.encode({ id }) };
  }

  #flag(percent: number): boolean {
    return this.#rng.below(100) < percent;
  }

  #key(): Uint8Array {
    return utf8(words[this.#rng.below(words.length)] as string);
  }

  #end(percent: number): Uint8Array {
    if (!this.#flag(percent)) {
      return new Uint8Array(0);
    }
    return this.#flag(30) ? Uint8Array.of(0) : this.#key();
  }

  #value(): Uint8Array {
    return new Uint8Array(this.#rng.below(60)).fill(97 + this.#rng.below(4));
  }

  #lease(): bigint {
    return this.#flag(60) ? 0n : BigInt(1 + this.#rng.below(4));
  }

  #put(): PutRequest {
    const ignoreValue = this.#flag(8);
    const ignoreLease = this.#flag(8);
    return {
      key: this.#key(),
      value: ignoreValue ? new Uint8Array(0) : this.#value(),
      lease: ignoreLease ? 0n : this.#lease(),
      prevKv: this.#flag(30),
      ignoreValue,
      ignoreLease,
    };
  }

  #deletion(): DeleteRangeRequest {
    return { key: this.#key(), rangeEnd: this.#end(40), prevKv: this.#flag(40) };
  }

  #range(): RangeRequest {
    const wide = this.#flag(50);
    return RangeRequest.create({
      key: this.#key(),
      rangeEnd: this.#end(70),
      limit: this.#flag(30) ? 1 + this.#rng.below(3) : 0,
      revision: this.#flag(30) ? this.#someRevision() : 0,
      // Ties of other targets stand in no promised order.
      sortOrder: wide ? this.#rng.below(3) : 0,
      keysOnly: this.#flag(20),
      countOnly: this.#flag(10),
      minModRevision: this.#flag(15) ? this.#someRevision() : 0,
      maxCreateRevision: this.#flag(15) ? this.#someRevision() : 0,
    });
  }

  #someRevision(): number {
    return this.#rng.below(this.revision + 2);
  }

  #compare(): Compare {
    const rangeEnd = this.#end(20);
    const base = { key: this.#key(), rangeEnd, result: this.#rng.below(4) };
    const small = this.#rng.below(4);
    switch (this.#rng.below(5)) {
      case 0:
        return { ...base, target: 0, targetUnion: { kind: "version", value: small } };
      case 1: {
        const value = this.#someRevision();
        return { ...base, target: 1, targetUnion: { kind: "createRevision", value } };
      }
      case 2: {
        const value = this.#someRevision();
        return { ...base, target: 2, targetUnion: { kind: "modRevision", value } };
      }
      case 3:
        return { ...base, target: 3, targetUnion: { kind: "value", value: this.#value() } };
      default:
        return { ...base, target: 4, targetUnion: { kind: "lease", value: this.#lease() } };
    }
  }

  /**
   * Each branch, with all below it, puts a key at most once and deletes none of those: what front
   * doors refuse does not come here either.
   */
  #txn(depth: number, taken = new Set<string>()): TxnRequest {
    const compare = Array.from({ length: this.#rng.below(3) }, () => this.#compare());
    const success = this.#branch(depth, new Set(taken));
    const failure = this.#branch(depth, new Set(taken));
    return { compare, success, failure };
  }

  #branch(depth: number, taken: Set<string>): RequestOp[] {
    const deletes = this.#flag(40);
    return Array.from({ length: this.#rng.below(4) }, (): RequestOp => {
      const choice = this.#rng.below(10);
      if (choice < 4) {
        const put = this.#put();
        const name = String.fromCharCode(...put.key);
        if (!deletes && !taken.has(name)) {
          taken.add(name);
          return { request: { kind: "requestPut", value: put } };
        }
      } else if (choice < 6 && deletes && taken.size === 0) {
        return { request: { kind: "requestDeleteRange", value: this.#deletion() } };
      } else if (choice < 7 && depth < 2 && !deletes) {
        const value = this.#putsOnly(depth, taken);
        return { request: { kind: "requestTxn", value } };
      }
      return { request: { kind: "requestRange", value: this.#range() } };
    });
  }

  /** A nested txn whose branches put different keys and delete nothing. */
  #putsOnly(depth: number, taken: Set<string>): TxnRequest {
    const nested = this.#txn(depth + 1, taken);
    const keep = ({ request }: RequestOp): boolean => request?.kind !== "requestDeleteRange";
    for (const { request } of [...nested.success, ...nested.failure]) {
      if (request?.kind === "requestPut") {
        taken.add(String.fromCharCode(...request.value.key));
      }
    }
    return {
      compare: nested.compare,
      success: nested.success.filter(keep),
      failure: nested.failure.filter(keep),
    };
  }
}

function pair(stored: StoredKeyValue): KeyValue {
  return KeyValue.decode(stored.message);
}

/** A result with its pairs decoded, for deep comparison. */
export function plain(result: CommandResult | TxnOpResult): unknown {
  switch (result.kind) {
    case "put":
      return { ...result, previous: result.previous && pair(result.previous) };
    case "deleteRange":
      return { ...result, previous: result.previous.map(pair) };
    case "range": {
      // A store may have the same pairs as `fields` besides.
      const { kvs, more, count } = result.range;
      return { ...result, range: { kvs: kvs.map(pair), more, count } };
    }
    case "txn":
      return { ...result, responses: result.responses.map(plain) };
    default:
      return result;
  }
}
