// What etcd keeps where (server/storage/schema): the buckets, their keys, and their values as far
// as they are not messages of the API. Numbers are big-endian.
//
//   key              revision (8) "_" sub revision (8), and "t" for a tombstone -> KeyValue; that
//                    of a tombstone has only the key
//   lease            id (8) -> leasepb.Lease, which is Quorate's LeaseRecord field by field
//   alarm            AlarmMember -> nothing
//   auth             authEnabled (one byte), authRevision (8)
//   authUsers, authRoles   name -> authpb.User, authpb.Role
//   members, members_removed   id as hex -> JSON, "removed"
//   cluster          clusterVersion -> text
//   meta             consistent_index, term (8 each), confState (JSON), storageVersion (text),
//                    scheduledCompactRev, finishedCompactRev (as in "key")

import { DecodeError, fromUtf8, readU64, utf8, writeU64 } from "../base/index.ts";

export const bucketNames = {
  key: utf8("key"),
  lease: utf8("lease"),
  alarm: utf8("alarm"),
  auth: utf8("auth"),
  authUsers: utf8("authUsers"),
  authRoles: utf8("authRoles"),
  members: utf8("members"),
  membersRemoved: utf8("members_removed"),
  cluster: utf8("cluster"),
  meta: utf8("meta"),
} as const;

export const metaKeys = {
  confState: utf8("confState"),
  consistentIndex: utf8("consistent_index"),
  finishedCompact: utf8("finishedCompactRev"),
  scheduledCompact: utf8("scheduledCompactRev"),
  storageVersion: utf8("storageVersion"),
  term: utf8("term"),
} as const;

export const authKeys = { enabled: utf8("authEnabled"), revision: utf8("authRevision") } as const;

export const clusterVersionKey: Uint8Array = utf8("clusterVersion");
export const removedMark: Uint8Array = utf8("removed");

const revisionBytes = 17;
const underscore = 0x5f;
const tombstoneMark = 0x74;

export interface RevisionKey {
  readonly revision: number;
  readonly sub: number;
  readonly isTombstone: boolean;
}

export function encodeRevision({ revision, sub, isTombstone }: RevisionKey): Uint8Array {
  const key = new Uint8Array(revisionBytes + (isTombstone ? 1 : 0));
  writeU64(key, 0, revision);
  key[8] = underscore;
  writeU64(key, 9, sub);
  if (isTombstone) {
    key[revisionBytes] = tombstoneMark;
  }
  return key;
}

export function decodeRevision(key: Uint8Array): RevisionKey {
  const isTombstone = key.length === revisionBytes + 1 && key[revisionBytes] === tombstoneMark;
  if ((key.length !== revisionBytes && !isTombstone) || key[8] !== underscore) {
    throw new DecodeError("snapshot: a key of bucket key is no revision");
  }
  return { revision: readU64(key, 0), sub: readU64(key, 9), isTombstone };
}

export function encodeU64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeU64(bytes, 0, value);
  return bytes;
}

export function decodeU64(bytes: Uint8Array, what: string): number {
  if (bytes.length !== 8) {
    throw new DecodeError(`snapshot: ${what} has ${bytes.length} bytes, not 8`);
  }
  return readU64(bytes, 0);
}

export interface SnapshotMember {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

/** The JSON of Go's membership.Member; ids are beyond JavaScript's numbers. */
export function encodeMember(member: SnapshotMember): Uint8Array {
  const rest = JSON.stringify({
    peerURLs: member.peerUrls,
    ...(member.isLearner ? { isLearner: true } : {}),
    ...(member.name === "" ? {} : { name: member.name }),
    ...(member.clientUrls.length === 0 ? {} : { clientURLs: member.clientUrls }),
  });
  return utf8(`{"id":${member.id},${rest.slice(1)}`);
}

export interface SnapshotConf {
  readonly voters: readonly bigint[];
  readonly votersOutgoing: readonly bigint[];
  readonly learners: readonly bigint[];
  readonly learnersNext: readonly bigint[];
  readonly autoLeave: boolean;
}

/** The JSON of Go's raftpb.ConfState. */
export function encodeConf(conf: SnapshotConf): Uint8Array {
  const list = (name: string, ids: readonly bigint[]): string =>
    ids.length === 0 ? "" : `"${name}":[${ids.join(",")}],`;
  const lists =
    list("voters", conf.voters) +
    list("learners", conf.learners) +
    list("voters_outgoing", conf.votersOutgoing) +
    list("learners_next", conf.learnersNext);
  return utf8(`{${lists}"auto_leave":${conf.autoLeave}}`);
}

/** Bucket names as text, for messages and for finding them. */
export function nameOf(bytes: Uint8Array): string {
  return fromUtf8(bytes);
}
