// Counters (term, index, revision) are branded numbers, checked safe when they enter the process.
// Identities (cluster, member, lease) are 64 bits and stay bigint: a JavaScript number would
// silently corrupt them.

import { assert } from "./assert.ts";

declare const brand: unique symbol;

/** A raft term; 0 before the first election. */
export type Term = number & { readonly [brand]: "Term" };
/** A position in the raft log; the first entry has index 1. */
export type LogIndex = number & { readonly [brand]: "LogIndex" };
/** A revision of the store; an empty store is at 1, as in etcd. */
export type Revision = number & { readonly [brand]: "Revision" };
export type ClusterId = bigint & { readonly [brand]: "ClusterId" };
/** 0n means "no member" wherever a member is optional. */
export type MemberId = bigint & { readonly [brand]: "MemberId" };
/** 0n means "no lease". Unsigned in memory, whatever sign the wire carries. */
export type LeaseId = bigint & { readonly [brand]: "LeaseId" };

function counter(value: number, what: string): number {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${what} out of range: ${value}`);
  return value;
}

export function toTerm(value: number): Term {
  return counter(value, "term") as Term;
}
export function toLogIndex(value: number): LogIndex {
  return counter(value, "log index") as LogIndex;
}
export function toRevision(value: number): Revision {
  return counter(value, "revision") as Revision;
}
export function toMemberId(value: bigint): MemberId {
  return BigInt.asUintN(64, value) as MemberId;
}
export function toClusterId(value: bigint): ClusterId {
  return BigInt.asUintN(64, value) as ClusterId;
}
export function toLeaseId(value: bigint): LeaseId {
  return BigInt.asUintN(64, value) as LeaseId;
}

export const noMember = 0n as MemberId;
export const noLease = 0n as LeaseId;

/** Lower-case hex without padding, the form etcd prints ids in. */
export function idToHex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

/** Orders bigint ids ascending; for Array.prototype.sort. */
export function compareIds(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
