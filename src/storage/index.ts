// storage: the only folder that touches the disk.
//
// What is kept where:
// - The write-ahead log (wal-contract.ts) makes entries and votes durable; an acknowledgement is
//   legal only after its `append` has resolved. Codec: wal-codec.ts; files: wal-segments.ts,
//   file-wal.ts; recovery: wal-reader.ts, open-wal.ts and log-image.ts.
// - The engine (engine.ts) keeps the state. It lags behind the log and is brought up to it at
//   start. On LevelDB (level-engine.ts) or in memory (memory-engine.ts), one suite for both.
// - A state on its way between members: snapshot-stream.ts.
// - A backup while it is made, and one to be restored: byte-files.ts.
// - All of it in one place, owned by one process: data-directory.ts, or without any files
//   memory-disk.ts. Looked at without changing a
//   byte: inspect-directory.ts.
//
// Rules:
// - The first failed write or sync ends it: everything after it fails with StorageError, and the
//   node stops. Nothing is written again: after a failed sync the kernel calls its pages clean.
// - What was durable once and no longer reads back is CorruptionError and is never guessed at: a
//   value by its checksum, a lost batch by the links between batches, a log record by its chain.
// - A file is made under another name and renamed when it is whole and synced, directory too.
// - Directories 0700, files 0600. LevelDB makes its own files by the umask; they stand inside.
//
// Limits:
// - Damage to the very last write of a log that was not closed in order cannot be told from a
//   torn write, and is cut. The other members hold what was acknowledged.
// - Of the engine, links cover the newest 128 MiB of batches. A row that vanishes from an older
//   table is found by who looks for it (mvcc's block links), or by comparing members.
// - The newest batches of the engine may be lost without a trace; whoever opens both compares
//   the applied index with the log's snapshot mark, which stands only on synced batches.

export { openFile } from "./byte-files.ts";
export type { ReadableFile, ScratchFile } from "./byte-files.ts";
export {
  createDataDirectory,
  diskAt,
  hasDataDirectory,
  openDataDirectory,
} from "./data-directory.ts";
export type {
  DataDirectory,
  MemberDisk,
  NewDataDirectory,
  ReceivedState,
} from "./data-directory.ts";
export { describeIdentity, inspectDirectory, problemOf } from "./inspect-directory.ts";
export type { Finding, InspectedDirectory, Report } from "./inspect-directory.ts";
export { createLevelEngine, engineMemoryBytes, openLevelEngine } from "./level-engine.ts";
export { LogImage } from "./log-image.ts";
export { MemoryDisk } from "./memory-disk.ts";
export { createMemoryEngine } from "./memory-engine.ts";
export { createWal, openWal } from "./open-wal.ts";
export type { WalBeginning, WalOptions } from "./open-wal.ts";
export { withAdvice } from "./rejoin-advice.ts";
export { fillFromSnapshot, streamSnapshot } from "./snapshot-stream.ts";
export type { SnapshotHeader } from "./snapshot-stream.ts";
export type { Shadow } from "./shadow.ts";
export {
  BatchEncoder,
  batchSizeBytes,
  judgeDamagedStart,
  markSizeBytes,
  readSegmentStart,
  scanSegment,
  segmentHeaderBytes,
} from "./wal-codec.ts";
export type { SegmentEnd, SegmentHeader, SegmentStart, WritePosition } from "./wal-codec.ts";
export type { ReadLog } from "./wal-reader.ts";
export type { WalRecord } from "./wal-records.ts";
export type * from "./engine.ts";
export type * from "./wal-contract.ts";
