// A state as an etcd backend file, bucket by bucket. History comes first, since it alone is large.

import { compareBytes, emptyBytes, idToHex, utf8 } from "../base/index.ts";
import type { MemberId } from "../base/index.ts";
import type { Row } from "../storage/engine.ts";
import { AlarmMember } from "../wire/index.ts";
import { BboltWriter } from "./bbolt-writer.ts";
import type { ByteSink } from "./bytes.ts";
import {
  authKeys,
  bucketNames,
  clusterVersionKey,
  encodeConf,
  encodeMember,
  encodeRevision,
  encodeU64,
  metaKeys,
  removedMark,
} from "./schema.ts";
import type { RevisionKey, SnapshotConf, SnapshotMember } from "./schema.ts";

/** One event of history; `keyValue` is an encoded KeyValue, for a tombstone with only the key. */
export interface HistoryRow extends RevisionKey {
  readonly keyValue: Uint8Array;
}

type Rows = AsyncIterable<readonly Row[]>;

export interface SnapshotContents {
  /** Where the state stands in the log. */
  readonly index: number;
  readonly term: number;
  readonly conf: SnapshotConf;
  /** "3.6.0". */
  readonly storageVersion: string;
  /** 0 for never. */
  readonly compactedRevision: number;
  readonly members: readonly SnapshotMember[];
  readonly removed: readonly bigint[];
  readonly alarms: readonly AlarmMember[];
  readonly auth: { readonly enabled: boolean; readonly revision: number };
  /** Names, in the order of their bytes, and authpb messages. */
  readonly users: Rows;
  readonly roles: Rows;
  /** Ids (8 bytes), ascending, and leasepb.Lease messages. */
  readonly leases: Rows;
  /** In the order of revisions, without what compaction has to free. */
  readonly history: AsyncIterable<readonly HistoryRow[]>;
}

/** Writes the file without its hash; resolves with its size, which is a multiple of 4096. */
export async function writeSnapshot(sink: ByteSink, contents: SnapshotContents): Promise<number> {
  const writer = new BboltWriter(sink);
  const history = writer.bucket(bucketNames.key);
  for await (const rows of contents.history) {
    for (const row of rows) {
      history.add(encodeRevision(row), row.keyValue);
    }
    if (writer.needsFlush) {
      await writer.flush();
    }
  }
  history.finish();
  await writeRows(writer, bucketNames.lease, contents.leases);
  await writeRows(writer, bucketNames.authUsers, contents.users);
  await writeRows(writer, bucketNames.authRoles, contents.roles);
  writePairs(writer, bucketNames.auth, authPairs(contents));
  writePairs(writer, bucketNames.alarm, alarmPairs(contents));
  writePairs(writer, bucketNames.members, memberPairs(contents));
  writePairs(writer, bucketNames.membersRemoved, removedPairs(contents));
  writePairs(writer, bucketNames.cluster, [[clusterVersionKey, utf8(contents.storageVersion)]]);
  writePairs(writer, bucketNames.meta, metaPairs(contents));
  return writer.finish();
}

async function writeRows(writer: BboltWriter, name: Uint8Array, all: Rows): Promise<void> {
  const bucket = writer.bucket(name);
  for await (const rows of all) {
    for (const [key, value] of rows) {
      bucket.add(key, value);
    }
    if (writer.needsFlush) {
      await writer.flush();
    }
  }
  bucket.finish();
}

function writePairs(writer: BboltWriter, name: Uint8Array, rows: readonly Row[]): void {
  const bucket = writer.bucket(name);
  for (const [key, value] of [...rows].sort((a, b) => compareBytes(a[0], b[0]))) {
    bucket.add(key, value);
  }
  bucket.finish();
}

function authPairs({ auth }: SnapshotContents): Row[] {
  return auth.revision === 0
    ? []
    : [
        [authKeys.enabled, Uint8Array.of(auth.enabled ? 1 : 0)],
        [authKeys.revision, encodeU64(auth.revision)],
      ];
}

function alarmPairs({ alarms }: SnapshotContents): Row[] {
  return alarms.map((alarm) => [AlarmMember.encode(alarm), emptyBytes]);
}

function memberPairs({ members }: SnapshotContents): Row[] {
  return members.map((member) => [memberKey(member.id), encodeMember(member)]);
}

function removedPairs({ removed }: SnapshotContents): Row[] {
  return removed.map((id) => [memberKey(id), removedMark]);
}

function metaPairs(contents: SnapshotContents): Row[] {
  const pairs: Row[] = [
    [metaKeys.consistentIndex, encodeU64(contents.index)],
    [metaKeys.term, encodeU64(contents.term)],
    [metaKeys.confState, encodeConf(contents.conf)],
    [metaKeys.storageVersion, utf8(contents.storageVersion)],
  ];
  if (contents.compactedRevision > 0) {
    const revision = { revision: contents.compactedRevision, sub: 0, isTombstone: false };
    const encoded = encodeRevision(revision);
    pairs.push([metaKeys.scheduledCompact, encoded], [metaKeys.finishedCompact, encoded]);
  }
  return pairs;
}

function memberKey(id: bigint): Uint8Array {
  return utf8(idToHex(id as MemberId));
}
