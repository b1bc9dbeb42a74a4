// Random KV requests and those that grant and revoke leases, over few keys, so that they meet: what
// a client may get right and what it may get wrong.

import { compareBytes, type SeededRng } from "../../../src/base/index.ts";
import {
  type Compare,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  TxnRequest,
  TxnResponse,
} from "../../../src/wire/index.ts";

/** One call: the same bytes go to both servers. */
export interface RandomCall {
  readonly path: string;
  /** Sent as a stream of this one request, which has one reply. */
  readonly isStream?: boolean;
  readonly request: object;
  readonly bytes: Uint8Array;
  readonly decode: (bytes: Uint8Array) => object;
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const none = new Uint8Array(0);
export const keys = ["a", "b", "c", "ab", "abc", "b\0", "\xff"].map(bytes);
export const rangeEnds = ["", "", "\0", "c", "b", "b\0"].map(bytes);
/** The first two are granted, the third never is. */
export const leases = [11n, 12n, 13n];

export class RequestGenerator {
  readonly #rng: SeededRng;
  /** Where revisions in requests are taken from: around the current one. */
  revision = 1;
  /** How deep transactions are nested at most. */
  txnDepth = 2;
  /** Whether some ranges end at or before their key. */
  isEmptyRangeUsed = true;

  constructor(rng: SeededRng) {
    this.#rng = rng;
  }

  next(): RandomCall {
    const draw = this.#rng.below(100);
    if (draw < 30) {
      const request = this.#put();
      return call("KV/Put", request, PutRequest.encode(request), PutResponse.decode);
    }
    if (draw < 40) {
      const request = this.#delete();
      const encoded = DeleteRangeRequest.encode(request);
      return call("KV/DeleteRange", request, encoded, DeleteRangeResponse.decode);
    }
    if (draw < 70) {
      const request = this.#range();
      return call("KV/Range", request, RangeRequest.encode(request), RangeResponse.decode);
    }
    if (draw < 96) {
      const request = this.#txn(this.txnDepth);
      return call("KV/Txn", request, TxnRequest.encode(request), TxnResponse.decode);
    }
    if (draw < 97) {
      const request = { revision: this.#near(20), physical: this.#chance(50) };
      const encoded = CompactionRequest.encode(request);
      return call("KV/Compact", request, encoded, CompactionResponse.decode);
    }
    if (draw < 98) {
      const request = { id: this.#pick(leases) };
      const encoded = LeaseRevokeRequest.encode(request);
      return call("Lease/LeaseRevoke", request, encoded, LeaseRevokeResponse.decode);
    }
    return this.grant(this.#pick(leases.slice(0, 2)));
  }

  grant(id: bigint): RandomCall {
    const request = { id, ttl: 3_600 };
    const encoded = LeaseGrantRequest.encode(request);
    return call("Lease/LeaseGrant", request, encoded, LeaseGrantResponse.decode);
  }

  #chance(percent: number): boolean {
    return this.#rng.below(100) < percent;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#rng.below(list.length)] as T;
  }

  /** A revision at most one ahead and at most `spread` behind. */
  #near(spread: number): number {
    return this.revision + 1 - this.#rng.below(spread);
  }

  /** Now and then. */
  #bound(): number {
    return this.#chance(8) ? this.#near(9) : 0;
  }

  #key(): Uint8Array {
    return this.#chance(2) ? none : this.#pick(keys);
  }

  #range(): RangeRequest {
    const key = this.#chance(20) ? bytes("\0") : this.#key();
    return {
      key,
      rangeEnd: this.#endFor(key),
      limit: this.#chance(30) ? this.#rng.below(4) : 0,
      revision: this.#chance(25) ? Math.max(-1, this.#near(12)) : 0,
      sortOrder: this.#chance(30) ? this.#rng.below(3) : 0,
      sortTarget: this.#chance(30) ? this.#rng.below(4) : 0,
      serializable: this.#chance(30),
      keysOnly: this.#chance(20),
      countOnly: this.#chance(10),
      minModRevision: this.#bound(),
      maxModRevision: this.#bound(),
      minCreateRevision: this.#bound(),
      maxCreateRevision: this.#bound(),
    };
  }

  #put(): PutRequest {
    return {
      key: this.#key(),
      value: this.#chance(85) ? bytes(`v${this.#rng.below(50)}`) : none,
      lease: this.#chance(40) ? this.#pick(leases) : 0n,
      prevKv: this.#chance(30),
      ignoreValue: this.#chance(6),
      ignoreLease: this.#chance(6),
    };
  }

  /** The end of a range of some keys from this one. */
  #endFor(key: Uint8Array): Uint8Array {
    const end = this.#pick(rangeEnds);
    const isOpen = end.length === 1 && end[0] === 0;
    const isEmpty = end.length > 0 && !isOpen && compareBytes(end, key) <= 0;
    return isEmpty && !this.isEmptyRangeUsed ? none : end;
  }

  #delete(): DeleteRangeRequest {
    const key = this.#key();
    return {
      key,
      rangeEnd: this.#endFor(key),
      prevKv: this.#chance(40),
    };
  }

  #txn(depth: number): TxnRequest {
    return {
      compare: this.#some(2, () => this.#compare()),
      success: this.#some(3, () => this.#operation(depth)),
      failure: this.#some(3, () => this.#operation(depth)),
    };
  }

  #some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.#rng.below(most + 1) }, make);
  }

  #operation(depth: number): RequestOp {
    const draw = this.#rng.below(depth > 0 ? 100 : 85);
    if (draw < 35) {
      // Keeping the value of a key that the same transaction deletes ends the process of etcd 3.4.
      const value = { ...this.#put(), ignoreValue: false, ignoreLease: false };
      return { request: { kind: "requestPut", value } };
    }
    if (draw < 55) {
      return { request: { kind: "requestDeleteRange", value: this.#delete() } };
    }
    if (draw < 84) {
      return { request: { kind: "requestRange", value: this.#range() } };
    }
    return {
      request: draw < 85 ? undefined : { kind: "requestTxn", value: this.#txn(depth - 1) },
    };
  }

  #compare(): Compare {
    const target = this.#rng.below(5);
    const key = this.#pick(keys);
    return {
      result: this.#rng.below(4),
      target,
      key,
      rangeEnd: this.#chance(20) ? this.#endFor(key) : none,
      targetUnion: this.#chance(5) ? undefined : this.#operand(target),
    };
  }

  #operand(target: number): Compare["targetUnion"] {
    switch (target) {
      case 0:
        return { kind: "version", value: this.#rng.below(4) };
      case 1:
        return { kind: "createRevision", value: this.#chance(40) ? 0 : this.#near(9) };
      case 2:
        return { kind: "modRevision", value: this.#near(5) };
      case 3:
        return { kind: "value", value: bytes(`v${this.#rng.below(50)}`) };
      default:
        return { kind: "lease", value: this.#pick(leases) };
    }
  }
}

export function call(
  method: string,
  request: object,
  encoded: Uint8Array,
  decode: (bytes: Uint8Array) => object,
): RandomCall {
  const path = method.startsWith("v3") ? `/${method}` : `/etcdserverpb.${method}`;
  return { path, request, bytes: encoded, decode };
}

interface Codec<T> {
  create(partial?: Partial<T>): T;
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** A call by the codecs of its messages. */
export function callOf<Q extends object, A extends object>(
  method: string,
  request: Partial<Q>,
  requestCodec: Codec<Q>,
  replyCodec: Codec<A>,
): RandomCall {
  const whole = requestCodec.create(request);
  return call(method, whole, requestCodec.encode(whole), (bytes) => replyCodec.decode(bytes));
}
