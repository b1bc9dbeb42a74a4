// mvcc: the state of keys. An ordered map of byte keys in which nothing is overwritten: every
// change is an event at a position (revision, sub), every revision can be read until it is
// compacted, and what is kept may be many times larger than memory.
//
//   history   the events, encoded once, in blocks                 history-block.ts, history.ts
//   keys      key -> its newest event, in pages                   page.ts, key-entry.ts
//   leases    lease + key, in pages                               key-entry.ts
//   blocks    first position of a block -> size, dead bytes       block-entry.ts
//   trees     pages under a directory of counts, for the last 3   page-tree.ts, directory.ts
//
// Rules
// - Synchronous and pure. The store never calls the engine: what is not in memory is named by
//   MissingRecords, the caller loads it and runs the operation again. An operation that threw has
//   changed nothing (transaction.ts undoes what a failing body wrote).
// - History is the truth and is written at every checkpoint; pages are its index and are written
//   later, whole groups at a time (checkpoint.ts). Opening brings them up to history (recovery.ts).
// - A record is right only if it is the version that its referrer names: pages and groups carry
//   the number of the checkpoint that wrote them, blocks their length. Its checksum is the
//   engine's business. What is wrong or gone throws CorruptionError with the record's name.
// - Bytes are spliced: a pair or event is a view of its block, encoded when it was written.
//   Blocks in memory are never changed, only appended to, so views stay good.
// - Answers depend on the commands applied and nothing else: not on what is cached, when
//   checkpoints were taken or how far compaction has got. HashKV (hash.ts) compares members.
//
// Costs
//   put            search of two directory levels and a page, one append, one image overwritten
//   point read     the same search, then a block
//   count          sums of the directory; reads the two border pages only. In the past: also the
//                  pages in which keys came or went since
//   range          pages until the limit; blocks of what is returned (range.ts, plain-range.ts)
//   old version    at most 8 events on each of 7 levels, however many versions (versions.ts)
//   compaction     in proportion to the changes compacted, in steps (compaction.ts)
//   opening        the directory's records, and redo of a bounded piece of history
//   memory         about 65 bytes for a key of 20 bytes in memory; the rest up to the budget
//
// Limits
// - An operation needs all records that it touches in memory at once, budget or not: callers read
//   long ranges in pieces.
// - Group headers (one for some ten thousand keys) stay in memory, and their records are read at
//   open.
//
// Read next: contract.ts, page.ts, page-tree.ts, history-block.ts, store.ts. Watching
// (watch-hub.ts) stands on the contract alone. In test/mvcc: scripts first, then workload.ts.

export { MissingRecords } from "./contract.ts";
export { HistoryImport } from "./import.ts";
export type { ImportedEvent } from "./import.ts";
export { Recovery } from "./recovery.ts";
export { groupRange, storeMetaKey } from "./record-keys.ts";
export { storeConfigDefault, type StoreConfig } from "./state.ts";
export { WatchHub, type WatchHubOptions, type WatchHubStats } from "./watch-hub.ts";
