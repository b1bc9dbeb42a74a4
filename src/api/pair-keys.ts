// Keys of stored pairs, to go on behind them.

import { Reader } from "../wire/index.ts";

const keyTag = 0x0a;

/** The key of an encoded KeyValue. */
export function keyOf(message: Uint8Array): Uint8Array {
  const reader = new Reader(message);
  while (reader.offset < reader.limit) {
    const tag = reader.tag();
    if (tag === keyTag) {
      return reader.bytes();
    }
    reader.skip(tag);
  }
  throw new TypeError("a stored pair without a key");
}

/** The key of a KeyValue in its field (tag, length, KeyValue). */
export function keyOfPair(field: Uint8Array): Uint8Array {
  const reader = new Reader(field);
  reader.tag();
  return keyOf(reader.bytes());
}

/** The least key above `key`. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
