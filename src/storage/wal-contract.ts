// The contract of the write-ahead log, for the node, the simulator's disk and the tests.

import type {
  ClusterId,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
} from "../base/index.ts";

/** Who a data directory belongs to; written once, when it is made. */
export interface WalIdentity {
  readonly clusterId: ClusterId;
  readonly memberId: MemberId;
}

export interface WalBatch {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** A received snapshot that replaces the log up to its index. */
  readonly snapshot: SnapshotMeta | undefined;
}

/** What opening found. `entries` are contiguous and follow `snapshot.index` (or 0). */
export interface WalRecovered {
  readonly identity: WalIdentity;
  readonly hardState: HardState;
  /** The newest snapshot mark, from `markSnapshot` or a received one; undefined if none. */
  readonly snapshot: SnapshotMeta | undefined;
  readonly entries: readonly Entry[];
}

export interface Wal {
  /**
   * Resolves when the batch is durable. One call at a time; a failure is final (StorageError)
   * and the node must stop: a write is never retried (a failed fsync marks its pages clean).
   */
  append(batch: WalBatch): Promise<void>;
  /**
   * The state at `meta` is durable elsewhere (a synced engine batch): remembers it and removes
   * segments that lie wholly at or below `keepFrom` (exclusive).
   */
  markSnapshot(meta: SnapshotMeta, keepFrom: LogIndex): Promise<void>;
  sizeBytes(): number;
  /** Bytes written since it was opened. */
  writtenBytes(): number;
  close(): Promise<void>;
}
