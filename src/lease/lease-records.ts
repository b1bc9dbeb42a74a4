// How leases lie in the engine: one record each, "l" and the id, so that a change costs one small
// record however many leases there are.

import { CorruptionError, idToHex, readU32, toLeaseId, writeU32 } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import { LeaseRecord } from "../wire/index.ts";
import type { Lease } from "./lease-clock.ts";

const prefix = 0x6c;

/** Every lease record. */
export const leaseRange = {
  from: Uint8Array.of(prefix),
  to: Uint8Array.of(prefix + 1),
} as const;

export function leaseKey(id: LeaseId): Uint8Array {
  const key = new Uint8Array(9);
  key[0] = prefix;
  writeU32(key, 1, Number(id >> 32n));
  writeU32(key, 5, Number(id & 0xffff_ffffn));
  return key;
}

export function encodeLease(lease: Lease): Uint8Array {
  return LeaseRecord.encode(lease);
}

/** Throws CorruptionError when the value does not belong to the key. */
export function decodeLease(key: Uint8Array, value: Uint8Array): Lease {
  const id = toLeaseId((BigInt(readU32(key, 1)) << 32n) | BigInt(readU32(key, 5)));
  let record: LeaseRecord;
  try {
    record = LeaseRecord.decode(value);
  } catch (error) {
    throw new CorruptionError(`lease ${idToHex(id)}: the record does not parse`, { cause: error });
  }
  if (record.id !== id || record.grantedTtlSeconds <= 0) {
    throw new CorruptionError(`lease ${idToHex(id)}: the record is not of this lease`);
  }
  return {
    id,
    grantedTtlSeconds: record.grantedTtlSeconds,
    remainingTtlSeconds: record.remainingTtlSeconds,
  };
}
