// The contract of the state store: an ordered map of byte keys, atomic batches, pinned views.
// A types-only door: layers above import this file and never an implementation.
//
// Rules that every implementation keeps:
// - A batch is applied whole or not at all, and batches survive a crash as a prefix of the order
//   they were written in. `sync: true` makes this batch and all before it durable.
// - Every value carries a checksum over key and value, checked on each read; a mismatch throws
//   CorruptionError naming the key. Batches are hash-linked, and opening verifies the links
//   since the last synced batch, so a silent hole is found at open.
// - After any write error every later call fails (StorageError): the node must stop.
// - Keys passed in are copied; values handed out are owned by the caller.

export type BatchOperation =
  | { readonly kind: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: "delete"; readonly key: Uint8Array };

export interface ScanRange {
  /** Inclusive. */
  readonly from: Uint8Array;
  /** Exclusive; undefined means to the end. */
  readonly to: Uint8Array | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

export type Row = readonly [key: Uint8Array, value: Uint8Array];

export interface EngineReader {
  /** Values in the order of `keys`; undefined where there is none. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  /** Rows in key order, in chunks of bounded size. */
  scan(range: ScanRange): AsyncIterable<readonly Row[]>;
}

/** The store as it was when the view was taken; must be closed. */
export interface EngineView extends EngineReader {
  close(): Promise<void>;
}

export interface Engine extends EngineReader {
  write(batch: readonly BatchOperation[], options: { readonly sync: boolean }): Promise<void>;
  view(): EngineView;
  /** Bytes on disk, for Status.dbSize; may be some seconds old. */
  sizeBytes(): number;
  /**
   * Gives the disk space of deleted and replaced rows back, piece by piece, while reads and writes
   * go on; a call while one is under way joins it. Absent where space is given back at once.
   */
  reclaim?(): Promise<void>;
  close(): Promise<void>;
}
