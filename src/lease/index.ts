// lease: time-limited grants that keys hang on.
//
// Two halves. The replicated half (lessor.ts) is which leases exist, their TTL and, for those that
// nobody renews, a checkpoint of what was left; it changes only by commands. The leader's half
// (lease-clock.ts) is when each runs out; it lives in memory, in the leader's monotonic time, and
// is built anew at each promotion. Which keys hang on a lease is the mvcc store's (`leaseKeys`).
//
// The promise: a lease never ends earlier than its TTL after the last acknowledged renewal was
// asked for, across leader changes and restarts. It holds because
// - the leader renews only after a ReadIndex round that began after the request came in;
// - a new leader counts the whole TTL, or the checkpoint, from when everything of earlier terms
//   is applied, plus an election timeout;
// - a renewal that a checkpoint would cut short is acknowledged only after the log holds a
//   checkpoint of 0 for it, and so is one while a checkpoint is under way;
// - a lease that was named expired is not renewed any more;
// - expiries and checkpoints name the term of the leader that measured them and are void in an
//   entry of another term, so a deposed leader's cannot arrive after a renewal by its successor
//   (an entry of the same term stands before everything the successor does).
//
// Limits: a lease may live longer than its TTL by an election timeout and a scan interval, and at a
// change of leader by the time since its last checkpoint: a tenth of its TTL when it was never
// renewed, up to three quarters when its renewals have just ended, five minutes at most. TTLs are
// whole seconds up to 9e9.

export { lessorDefaults, Lessor } from "./lessor.ts";
export type { GrantOutcome, LessorOptions } from "./lessor.ts";
export type { Checkpoint, Lease, RenewOutcome } from "./lease-clock.ts";
export { leaseRange } from "./lease-records.ts";
