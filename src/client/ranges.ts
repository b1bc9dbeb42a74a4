// Ranges of keys as the API writes them: a first key and the first key after.

import { emptyBytes, utf8 } from "../base/index.ts";

/** What both ends of "from this key on" and "everything" are written with. */
export const openEnd: Uint8Array = new Uint8Array([0]);

/** A key as text or bytes, as bytes. */
export function keyBytes(key: string | Uint8Array): Uint8Array {
  return typeof key === "string" ? utf8(key) : key;
}

/**
 * The end of the range of all keys that begin with `prefix`; `openEnd` if there is no key after
 * them. An empty prefix needs `openEnd` for its key, too.
 */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix[last] ?? 0;
    if (byte < 0xff) {
      // Not slice: that of a Buffer shares its bytes.
      const end = new Uint8Array(prefix.subarray(0, last + 1));
      end[last] = byte + 1;
      return end;
    }
  }
  return openEnd;
}

/** `key` and `rangeEnd` of all keys that begin with `prefix`. */
export function prefixRange(prefix: string | Uint8Array): {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
} {
  const bytes = keyBytes(prefix);
  return bytes.length === 0
    ? { key: openEnd, rangeEnd: openEnd }
    : { key: bytes, rangeEnd: prefixEnd(bytes) };
}

/** `key` and `rangeEnd` of one key. */
export function oneKey(key: string | Uint8Array): {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
} {
  return { key: keyBytes(key), rangeEnd: emptyBytes };
}
