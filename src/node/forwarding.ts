// Small calls that only the leader can answer, carried between members: a request is a lease id
// (8 bytes, big endian) and a flag; an answer is fixed numbers and, for time-to-live, keys.

import { DecodeError, toLeaseId } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import type { LeaseTimeToLive } from "./handle.ts";

export const forwardedCall = {
  leaseKeepAlive: 1,
  leaseTimeToLive: 2,
  memberChange: 3,
  hashKv: 4,
} as const;

export function encodeLeaseCall(id: LeaseId, wantKeys: boolean): Uint8Array {
  const bytes = new Uint8Array(9);
  new DataView(bytes.buffer).setBigUint64(0, id);
  bytes[8] = wantKeys ? 1 : 0;
  return bytes;
}

export function decodeLeaseCall(bytes: Uint8Array): { id: LeaseId; wantKeys: boolean } {
  if (bytes.length !== 9) {
    throw new DecodeError("a lease call has 9 bytes");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { id: toLeaseId(view.getBigUint64(0)), wantKeys: bytes[8] === 1 };
}

export function encodeTtl(seconds: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, seconds);
  return bytes;
}

export function decodeTtl(bytes: Uint8Array): number {
  if (bytes.length !== 8) {
    throw new DecodeError("a TTL answer has 8 bytes");
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getFloat64(0);
}

/** Two doubles, then each key behind its length (4 bytes). */
export function encodeTimeToLive(answer: LeaseTimeToLive): Uint8Array {
  const length = answer.keys.reduce((sum, key) => sum + 4 + key.length, 16);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, answer.ttlSeconds);
  view.setFloat64(8, answer.grantedTtlSeconds);
  let offset = 16;
  for (const key of answer.keys) {
    view.setUint32(offset, key.length);
    bytes.set(key, offset + 4);
    offset += 4 + key.length;
  }
  return bytes;
}

export function decodeTimeToLive(bytes: Uint8Array): LeaseTimeToLive {
  if (bytes.length < 16) {
    throw new DecodeError("a time-to-live answer has at least 16 bytes");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const keys: Uint8Array[] = [];
  let offset = 16;
  while (offset < bytes.length) {
    const end = offset + 4 <= bytes.length ? offset + 4 + view.getUint32(offset) : Infinity;
    if (end > bytes.length) {
      throw new DecodeError("a time-to-live answer is cut off");
    }
    keys.push(bytes.subarray(offset + 4, end));
    offset = end;
  }
  return { ttlSeconds: view.getFloat64(0), grantedTtlSeconds: view.getFloat64(8), keys };
}
