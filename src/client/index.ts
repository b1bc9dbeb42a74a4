// client: the API for TypeScript programs, and what quoratectl, the tests and the bench use.
//
//   const client = connect({ endpoints: ["127.0.0.1:2379"] });
//   await client.put({ key: keyBytes("a"), value: keyBytes("1") });
//   for await (const { events } of client.watch(prefixRange("a"))) { ... }
//
// It speaks etcd's API, so it works with etcd as well. Messages are those of wire/. Rules:
// - A call ends within its time limit, or when its signal aborts.
// - A read moves on to another endpoint when one fails, and is asked of a second one when the first
//   has not answered by half its time. A write is sent again only when it was certainly not sent,
//   or was refused for its token before anything was done. `ClientError.uncertain` says whether a
//   write that failed may have been carried out all the same.
// - A watch resumes after a break without losing or repeating an event, or fails with
//   CompactedError. What is not read yet is bounded; then the server is made to wait.
// - All renewals of leases share one stream. A connection that is dead but not closed is noticed by
//   pings (client.ts has the times).
// - Nothing rejects unheard: what no caller waits for is not a promise.
//
// Files: channel.ts (one endpoint on grpc-js), endpoints.ts (which one is used), channels.ts (what
// is sent again), tokens.ts, tls.ts, watcher.ts, renewals.ts. Errors: client-error.ts and, made
// from the table in base/, generated/errors.ts.
//
// Limits: serializable reads through more than one endpoint may go back in time. Snapshots and
// Election.Observe come from one member and end with it.

export type { CallOptions } from "./channels.ts";
export { Client, type ClientOptions, connect } from "./client.ts";
export * from "./errors.ts";
export type { Balancing } from "./endpoints.ts";
export { errorOf } from "./failures.ts";
export { keyBytes, oneKey, openEnd, prefixEnd, prefixRange } from "./ranges.ts";
export { takeManyListeners, timerMs } from "./timers.ts";
export type { TlsOptions } from "./tls.ts";
export type { UserOptions } from "./tokens.ts";
export { Watcher, type WatchOptions } from "./watcher.ts";
