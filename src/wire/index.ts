// wire: typed messages and their bytes.
//
// The contract is proto/: etcd's client API under etcd's own names and numbers, and Quorate's log
// and records. `scripts/generate-wire.ts` turns it into straight-line codecs in generated/, on the
// runtime in reader.ts and writer.ts. Why not a library: the hot paths must not go through
// reflection, 64-bit counters must be checked numbers, and nothing may throw but DecodeError.
//
// Rules: `X.decode(bytes)` gives views into `bytes`; copy what is to be kept for long. 64-bit
// fields marked jstype = JS_NUMBER are numbers, all others bigint (int64 signed, uint64 unsigned).
// Enums are open numbers. A oneof is `{ kind, value }` or undefined. Unknown fields are dropped;
// an embedded message that comes twice is replaced, not merged.
//
// Where stored bytes are spliced into replies, splice.ts builds messages as lists of parts; the
// envelope of the raft log is command.ts. descriptor.ts and generated/descriptors.ts describe
// every message as data, for the JSON gateway; generated/files.ts has the files of proto/ as others
// read them, for server reflection.

export * from "./command.ts";
export type * from "./descriptor.ts";
export {
  enumDescriptors,
  messageDescriptors,
  serviceDescriptors,
} from "./generated/descriptors.ts";
export { fileDescriptors } from "./generated/files.ts";
export * from "./generated/index.ts";
export { messageDepthMax, Reader } from "./reader.ts";
export * from "./splice.ts";
export { sharedWriter, Writer } from "./writer.ts";
