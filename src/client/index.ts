// client: the API for TypeScript programs, and what quoratectl, the tests and the bench use.
//
//   const client = connect({ endpoints: ["127.0.0.1:2379"] });
//   await client.put({ key: keyBytes("a"), value: keyBytes("1") });
//   for await (const { events } of client.watch(prefixRange("a"))) { ... }
//
// It speaks etcd's API, so it works with etcd as well. Messages are those of wire/. It gives three
// promises: a call ends within its time limit; a read moves on to another endpoint when one fails,
// a write only when it was certainly not sent; a watch resumes after a break without losing or
// repeating an event, or fails with CompactedError.
//
// Not here yet: TLS, authentication, locks, elections, codecs.

export type { CallOptions } from "./channels.ts";
export { Client, type ClientOptions, connect } from "./client.ts";
export { ClientError, CompactedError } from "./client-error.ts";
export { keyBytes, oneKey, openEnd, prefixEnd, prefixRange } from "./ranges.ts";
export { Watcher, type WatchOptions } from "./watcher.ts";
