// What the engine adds to the rows it keeps: a checksum before each value, and links between
// batches. LevelDB as bundled checks neither tables nor its own log when it reads them: a flipped
// bit reads as data, or hides a run of batches, without an error.
//
//   stored value := crc32(key then value) u32 | value
//   link row     := prefix, batch number u64 -> hash u32 | hash of the link before u32
//                   | oldest link kept u64 | bytes written so far u64
//
// Link rows stand behind every key that a caller may use.

import {
  CorruptionError,
  assert,
  bytesToHex,
  readU32,
  readU64,
  writeU32,
  writeU64,
} from "../base/index.ts";
import { checksum } from "./checksum.ts";

export const checksumBytes = 4;

/** Keys at or behind this one belong to the engine. */
export const reservedFrom = new Uint8Array([0xff, 0xff, 0xff, 0xff]);
const linkTag = 0x4c;
const linkKeyBytes = 13;
const linkValueBytes = 24;

export interface Link {
  /** Number of the batch; the one that made the engine is 0. */
  readonly number: number;
  readonly hash: number;
  readonly previousHash: number;
  /** Links from this number on must all be there. */
  readonly oldest: number;
  /** Bytes written by all batches up to this one. */
  readonly totalBytes: number;
}

export function assertKeyIsFree(key: Uint8Array): void {
  assert(
    !(key[0] === 0xff && key[1] === 0xff && key[2] === 0xff && key[3] === 0xff),
    "keys that begin with ff ff ff ff belong to the engine",
  );
}

/** Writes a checksum and `value` to the beginning of `into`; returns the checksum. */
export function sealValue(key: Uint8Array, value: Uint8Array, into: Uint8Array): number {
  const sum = checksum(value, checksum(key));
  writeU32(into, 0, sum);
  into.set(value, checksumBytes);
  return sum;
}

/** The value within a stored one, as a view. Throws CorruptionError naming the key. */
export function openValue(key: Uint8Array, stored: Uint8Array): Uint8Array {
  if (stored.length >= checksumBytes) {
    const value = stored.subarray(checksumBytes);
    if (checksum(value, checksum(key)) === readU32(stored, 0)) {
      return value;
    }
  }
  throw new CorruptionError(
    `the stored value of key ${bytesToHex(key)} does not match its checksum`,
  );
}

/** What a deletion adds to its batch's hash, where a put adds its checksum. */
export function hashDeletion(key: Uint8Array): number {
  return ~checksum(key);
}

/** Hash of a batch from what its operations add, in order, continuing from the link before it. */
export function hashBatch(checksums: Uint32Array, previousHash: number): number {
  const bytes = new Uint8Array(checksums.buffer, checksums.byteOffset, checksums.byteLength);
  return checksum(bytes, previousHash);
}

export function linkKey(number: number): Uint8Array {
  const key = new Uint8Array(linkKeyBytes);
  key.set(reservedFrom);
  key[4] = linkTag;
  writeU64(key, 5, number);
  return key;
}

export function linkValue(link: Link): Uint8Array {
  const value = new Uint8Array(linkValueBytes);
  writeU32(value, 0, link.hash);
  writeU32(value, 4, link.previousHash);
  writeU64(value, 8, link.oldest);
  writeU64(value, 16, link.totalBytes);
  return value;
}

export function readLink(key: Uint8Array, value: Uint8Array): Link {
  if (key.length !== linkKeyBytes || key[4] !== linkTag || value.length !== linkValueBytes) {
    throw new CorruptionError(`not a batch link: ${bytesToHex(key)}`);
  }
  return {
    number: readU64(key, 5),
    hash: readU32(value, 0),
    previousHash: readU32(value, 4),
    oldest: readU64(value, 8),
    totalBytes: readU64(value, 16),
  };
}
