// Keys and ranges of keys, inside a namespace.

import { concatBytes, emptyBytes, fromUtf8, utf8 } from "../base/index.ts";
import { EmptyKeyError, openEnd, prefixEnd } from "../client/index.ts";

/**
 * Which keys: a string is one key; `prefix` all that begin with it ("" for every key of the
 * namespace); `from` all from that one on, up to but without `to`.
 */
export type KeyRange =
  | string
  | { readonly prefix: string; readonly from?: never; readonly to?: never }
  | { readonly from: string; readonly to?: string | undefined; readonly prefix?: never };

/** A range as the API has it; an empty end for one key. */
export interface WireRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** The keys below one prefix, which its users do not see. */
export class Keyspace {
  readonly prefix: Uint8Array;

  constructor(prefix: Uint8Array) {
    this.prefix = prefix;
  }

  below(prefix: string): Keyspace {
    return new Keyspace(concatBytes([this.prefix, utf8(prefix)]));
  }

  /** Throws EmptyKeyError for "". */
  toWire(key: string): Uint8Array {
    if (key === "") {
      throw new EmptyKeyError();
    }
    return this.#add(key);
  }

  /** Bytes that are no UTF-8 become U+FFFD. */
  fromWire(key: Uint8Array): string {
    return fromUtf8(key.subarray(this.prefix.length));
  }

  rangeToWire(range: KeyRange): WireRange {
    if (typeof range === "string") {
      return { key: this.toWire(range), rangeEnd: emptyBytes };
    }
    const first = this.#add(range.prefix ?? range.from);
    // The API has no empty key; nothing sorts between it and a zero byte.
    const key = first.length === 0 ? openEnd : first;
    if (range.prefix !== undefined) {
      return { key, rangeEnd: first.length === 0 ? openEnd : prefixEnd(first) };
    }
    const { to } = range;
    if (to !== undefined && to !== "") {
      return { key, rangeEnd: this.#add(to) };
    }
    return { key, rangeEnd: this.prefix.length === 0 ? openEnd : prefixEnd(this.prefix) };
  }

  #add(key: string): Uint8Array {
    return this.prefix.length === 0 ? utf8(key) : concatBytes([this.prefix, utf8(key)]);
  }
}
