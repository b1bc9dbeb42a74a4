// What the rest of the system sees of the MVCC store.
//
// The store is synchronous and pure; its pages and blocks live in an Engine that it never calls.
// Whenever an operation needs a record that is not in memory it throws MissingRecords; the caller
// loads those records (async), hands them to `load`, and runs the operation again. An operation
// that threw has changed nothing. Callers prefetch what a batch touches, so the throw is rare.

import type { LeaseId, Revision } from "../base/index.ts";
import type { BatchOperation } from "../storage/engine.ts";

/** Thrown by reads and writes: load `keys` from the engine, call `load`, run again. */
export class MissingRecords extends Error {
  override name = "MissingRecords";
  readonly keys: readonly Uint8Array[];

  constructor(keys: readonly Uint8Array[]) {
    super("records must be loaded");
    this.keys = keys;
  }
}

/** A key-value pair as stored: encoded once, when written, and spliced ever after. */
export interface StoredKeyValue {
  /**
   * Field 2 of a message: tag 0x12, length, KeyValue. Fits RangeResponse.kvs, Event.kv and
   * PutResponse.prev_kv.
   */
  readonly field: Uint8Array;
  /** The encoded mvccpb.KeyValue alone (the tail of `field`). */
  readonly message: Uint8Array;
}

/** What the index knows of a key, without its value. */
export interface KeyMeta {
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly version: number;
  readonly lease: LeaseId;
}

/** One change, as watchers get it and leases follow it. Immutable, shared by all watchers. */
export interface StoredEvent {
  readonly kind: "put" | "delete";
  readonly key: Uint8Array;
  readonly revision: Revision;
  /** True for a put that made the key. */
  readonly created: boolean;
  /** Revision of the pair that this event replaced or deleted; 0 if there was none. */
  readonly previousRevision: Revision | 0;
  /** Order within the revision, and that of the replaced pair. */
  readonly sub: number;
  readonly previousSub: number;
  readonly lease: LeaseId;
  readonly previousLease: LeaseId;
  /** Encoded mvccpb.Event without prev_kv. */
  readonly message: Uint8Array;
}

/** What one write transaction changed. */
export interface Commit {
  readonly revision: Revision;
  readonly events: readonly StoredEvent[];
}

/** `rangeEnd` as in etcd: empty = the single key; one zero byte = every key >= `key`. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

export type SortTarget = "key" | "version" | "create" | "mod" | "value";

export interface RangeQuery extends KeyRange {
  /** 0 = latest. The caller has checked compacted <= revision <= current. */
  readonly revision: Revision | 0;
  /** 0 = no limit. */
  readonly limit: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly sortTarget: SortTarget;
  readonly sortOrder: "none" | "ascend" | "descend";
  /** 0 = no bound. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
  /**
   * Stop behind pairs of about so many bytes, one at least; `more` is then true. Of effect only
   * where pairs are returned as stored and in key order. Absent = no bound.
   */
  readonly sizeBytesMax?: number;
  /** `count` is not asked for and 0. Of effect where `sizeBytesMax` is. */
  readonly uncounted?: boolean;
}

export interface RangeResult {
  readonly kvs: readonly StoredKeyValue[];
  /** The fields of all `kvs`, where the store has no need to make more of them. */
  readonly fields?: readonly Uint8Array[];
  readonly more: boolean;
  /** All keys of the range at that revision, whatever limit and filters say. */
  readonly count: number;
}

export interface StoreReader {
  /** Current revision; 1 when empty. */
  readonly revision: Revision;
  /** Reads below it are refused; 0 before the first compaction (and -1 never). */
  readonly compactedRevision: Revision;
  range(query: RangeQuery): RangeResult;
  /** The latest pair's metadata, or undefined. */
  meta(key: Uint8Array): KeyMeta | undefined;
  /** The latest pair, or undefined. */
  get(key: Uint8Array): StoredKeyValue | undefined;
  /** The pair written at exactly (revision, sub); for prev_kv. Undefined once compacted. */
  at(revision: Revision, sub: number): StoredKeyValue | undefined;
  /** Keys attached to a lease, sorted. */
  leaseKeys(lease: LeaseId): Uint8Array[];
  /** Whether a key in [begin, end) is attached to it; no `end` means all from `begin` on. O(log n). */
  hasLeaseKey(lease: LeaseId, begin: Uint8Array, end: Uint8Array | undefined): boolean;
  /**
   * Events of revisions from..to inclusive, compacted <= from, in order; whole revisions, and no
   * further one once there are `maxEvents`.
   */
  events(from: Revision, to: Revision, maxEvents: number): Commit[];
}

/** Open only inside `Store.transact`. Reads see the transaction's own writes. */
export interface WriteTransaction extends StoreReader {
  /** Returns the replaced pair's metadata. Bytes are copied. */
  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): KeyMeta | undefined;
  /** Deletes the keys of the range; returns their pairs, in key order, when asked, else counts. */
  deleteRange(
    range: KeyRange,
    wantPrevious: boolean,
  ): { readonly deleted: number; readonly previous: readonly StoredKeyValue[] };
}

/** One consistent point of the store, for the engine. */
export interface Checkpoint {
  readonly operations: readonly BatchOperation[];
  /** Bytes in `operations`, roughly. */
  readonly sizeBytes: number;
}

export interface Store extends StoreReader {
  /**
   * Runs `body` as one transaction with one revision. Nothing changed = no revision consumed and
   * `commit` undefined. If `body` throws (MissingRecords included) nothing has happened.
   */
  transact<T>(body: (txn: WriteTransaction) => T): {
    readonly value: T;
    readonly commit: Commit | undefined;
  };
  /**
   * Moves the compaction point (the caller has checked the revision); `compactStep` frees the
   * space.
   */
  compact(revision: Revision): void;
  /**
   * One bounded piece of background compaction; false when nothing can be done now: all is done,
   * or (`compactionPending`) the next checkpoint must be written first. May throw MissingRecords.
   */
  compactStep(): boolean;
  /** Whether space below the compacted revision remains to be freed. */
  readonly compactionPending: boolean;
  /** Installs records loaded for MissingRecords; undefined = the engine has none. */
  load(
    records: readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[],
  ): void;
  /**
   * History since the last checkpoint, the store's own meta, and (as the budget and volume policy
   * say) dirty pages. The caller adds its own meta and writes all of it as ONE batch, then calls
   * `checkpointDone`. At most one is out at a time.
   */
  checkpoint(): Checkpoint;
  checkpointDone(): void;
  /** Bytes of changes not yet handed to a checkpoint; the caller's cue to start one. */
  readonly pendingBytes: number;
  /**
   * Drops clean cached records beyond the memory budget, those not touched lately first. Called
   * between batches and after reads that had to load.
   */
  trim(): void;
  /** Begins HashKV of the pairs up to `revision`, which the caller has checked (not 0). */
  beginHash(revision: Revision): HashWalk;
  /**
   * Begins to read everything that compaction has not freed or will not free, for a backup. The
   * store must not change meanwhile: open one on a pinned view of the engine.
   */
  beginExport(): HistoryExport;
  /** Keys that exist now. */
  readonly keyCount: number;
  /** Bytes of keys and values put, and versions freed by compaction, since the store was opened. */
  readonly putBytes: number;
  readonly compactedVersions: number;
  /** Bytes that history not compacted and index take, roughly (Status.dbSizeInUse). */
  readonly sizeInUseBytes: number;
  /** Bytes of memory held now for pages, directory and blocks, roughly. */
  readonly memoryBytes: number;
}

/** One event of history, with its KeyValue encoded; that of a delete has only the key. */
export interface ExportedEvent {
  readonly revision: Revision;
  readonly sub: number;
  readonly isTombstone: boolean;
  readonly keyValue: Uint8Array;
}

export interface HistoryExport {
  /** The events of the next block, in order; undefined at the end. May throw MissingRecords. */
  next(): readonly ExportedEvent[] | undefined;
}

/**
 * A hash under way: etcd's HashKV, which is equal on all members that hold the same pairs. If
 * compaction moves meanwhile it begins anew at the new compacted revision; if that has passed the
 * revision, `step` throws QuorateError "compacted".
 */
export interface HashWalk {
  /** One bounded piece; false when done. May throw MissingRecords. */
  step(): boolean;
  /** Right once `step` has returned false. */
  readonly hash: number;
  readonly compactedRevision: Revision;
}
