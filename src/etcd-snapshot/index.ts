// etcd-snapshot: etcd's backup files, written and read without etcd.
//
// Such a file is etcd's backend, a bbolt database (a B+tree in pages, bbolt-format.ts), and behind
// it the SHA-256 of all of it. What etcd keeps in which bucket is in schema.ts. `writeSnapshot` makes
// the file of a state, `EtcdSnapshot` reads one, of any etcd from 3.0 to 3.6 or of Quorate.
//
// Rules:
// - Memory is bounded on both ways, whatever the size: pages are written as they fill, keys coming
//   in their order, and read one by one.
// - Whatever is read is validated before it is used; what does not fit is a DecodeError that says
//   what is wrong and on which page. A page cannot be reached twice.
// - Nothing here touches a disk: files come in as ByteSource and ByteSink.
//
// Limits: what is written has no free pages and no inline buckets; both are read. Page sizes are
// those that bbolt can have, 1 to 64 KiB.
//
// Read next: bbolt-writer.ts, then bbolt-reader.ts.

export { countingReads } from "./bytes.ts";
export type { ByteSink, ByteSource } from "./bytes.ts";
export { snapshotHashBytes } from "./checked-file.ts";
export type { SnapshotMember } from "./schema.ts";
export { EtcdSnapshot } from "./snapshot-reader.ts";
export type { SnapshotEvent, SnapshotLease, SnapshotStatus } from "./snapshot-reader.ts";
export { writeSnapshot } from "./snapshot-writer.ts";
export type { HistoryRow, SnapshotContents } from "./snapshot-writer.ts";
