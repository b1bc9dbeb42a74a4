// CRC-32 as zlib computes it, at some GB/s.

import { crc32 } from "node:zlib";

/** CRC-32 of `bytes`, continuing from `seed`. (zlib alone answers 0 for no bytes at no address.) */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return bytes.length === 0 ? seed : crc32(bytes, seed);
}
