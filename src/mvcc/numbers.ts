// Fixed-width and variable-width numbers in pages, blocks and records. Fixed ones are big endian,
// so that byte order is number order where they stand in keys. The fixed ones are unchecked:
// callers stay in bounds (a record's checksum is verified by the engine before any of its bytes are
// read here). The variable ones say themselves how far they go: reading them is bounded all the
// same.

import { CorruptionError, noLease, toLeaseId } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";

const two32 = 0x1_0000_0000;

export function getU24(b: Uint8Array, at: number): number {
  return ((b[at] as number) << 16) | ((b[at + 1] as number) << 8) | (b[at + 2] as number);
}

export function setU24(b: Uint8Array, at: number, value: number): void {
  b[at] = value >>> 16;
  b[at + 1] = value >>> 8;
  b[at + 2] = value;
}

export function getU32(b: Uint8Array, at: number): number {
  return (
    (((b[at] as number) << 24) |
      ((b[at + 1] as number) << 16) |
      ((b[at + 2] as number) << 8) |
      (b[at + 3] as number)) >>>
    0
  );
}

export function setU32(b: Uint8Array, at: number, value: number): void {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
}

/** The first four bytes of `b` from `at` to `end` as a number, zeros behind a shorter piece. */
export function headOf(b: Uint8Array, at: number, end: number): number {
  if (end - at >= 4) {
    return getU32(b, at);
  }
  let head = 0;
  for (let i = at; i < at + 4; i++) {
    head = head * 256 + (i < end ? (b[i] as number) : 0);
  }
  return head;
}

/** Six bytes hold any revision or version that this store can reach (2^48). */
export function getU48(b: Uint8Array, at: number): number {
  return (((b[at] as number) << 8) | (b[at + 1] as number)) * two32 + getU32(b, at + 2);
}

export function setU48(b: Uint8Array, at: number, value: number): void {
  const high = value < two32 ? 0 : Math.floor(value / two32);
  b[at] = high >>> 8;
  b[at + 1] = high;
  setU32(b, at + 2, value >>> 0);
}

export function getLease(b: Uint8Array, at: number): LeaseId {
  const high = getU32(b, at);
  const low = getU32(b, at + 4);
  if (high === 0 && low === 0) {
    return noLease;
  }
  return toLeaseId((BigInt(high) << 32n) | BigInt(low));
}

export function setLease(b: Uint8Array, at: number, lease: LeaseId): void {
  if (lease === noLease) {
    b.fill(0, at, at + 8);
    return;
  }
  setU32(b, at, Number(lease >> 32n));
  setU32(b, at + 4, Number(lease & 0xffff_ffffn));
}

/** Bytes of `value` (a safe integer) as a protobuf varint. */
export function varintLength(value: number): number {
  if (value < 0x80) {
    return 1;
  }
  let length = 2;
  for (let rest = value / 0x4000; rest >= 1; rest /= 0x80) {
    length++;
  }
  return length;
}

/** Writes a safe integer as a varint; returns the position behind it. */
export function putVarint(b: Uint8Array, at: number, value: number): number {
  let rest = value;
  let position = at;
  while (rest >= 0x8000_0000) {
    b[position++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    b[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  b[position++] = rest;
  return position;
}

/** Bytes of a lease id as a varint (int64 on the wire: up to ten). */
export function leaseVarintLength(lease: LeaseId): number {
  let length = 1;
  for (let rest: bigint = lease >> 7n; rest > 0n; rest >>= 7n) {
    length++;
  }
  return length;
}

export function putLeaseVarint(b: Uint8Array, at: number, lease: LeaseId): number {
  let rest: bigint = lease;
  let position = at;
  while (rest >= 0x80n) {
    b[position++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  b[position++] = Number(rest);
  return position;
}

/** Reads varints one after another; `at` is the position behind the last one. */
export class VarintReader {
  bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** CorruptionError for a number that does not end where it must, or is no safe integer. */
  next(): number {
    const b = this.bytes;
    let byte = b[this.at++] as number;
    if (byte < 0x80) {
      return byte;
    }
    let value = byte & 0x7f;
    let scale = 0x80;
    do {
      byte = b[this.at++] as number;
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte >= 0x80 && value <= Number.MAX_SAFE_INTEGER);
    if (!(byte < 0x80 && value <= Number.MAX_SAFE_INTEGER)) {
      throw new CorruptionError("a record holds a number that does not end");
    }
    return value;
  }

  /** A varint of 64 bits. CorruptionError for one that does not end where it must. */
  nextLease(): LeaseId {
    const b = this.bytes;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = b[this.at++];
      if (byte === undefined) {
        break;
      }
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return toLeaseId(BigInt.asUintN(64, value));
      }
    }
    throw new CorruptionError("a record holds a lease that does not end");
  }

  /** Passes over `length` bytes and returns where they end. CorruptionError beyond the record. */
  skip(length: number): number {
    this.at += length;
    if (this.at > this.bytes.length) {
      throw new CorruptionError("a record ends within a field");
    }
    return this.at;
  }
}
