// node: one member of a cluster, from its disk to its handle.
//
// The way of a write: a front door calls `NodeHandle.propose`; the command gets its envelope and
// goes into the raft core (parked-proposals.ts); one pump a turn (raft-driver.ts) sends the
// appends and starts the log's write side by side; what is committed is applied in one synchronous
// run (state-machine.ts), answers its waiter (proposals.ts) and reaches the watchers; history and
// pages follow into the engine in the background (checkpointer.ts).
//
// The way of a linearizable read: readers gather (read-rounds.ts), one ReadIndex round serves them
// all, and each reads the applied state, loading what is not in memory.
//
// Rules:
// - Only node.ts and raft-driver.ts touch the core. All run on one thread; nothing awaits between
//   looking at the state and changing it.
// - A failure that another replica might not share (disk, corruption) stops the node. A failure
//   that all share is an answer.
// - Everything from outside comes in as devices (devices.ts), so that the simulator runs this code.
//
// Limits: applying never runs beside anything else, so a txn over very many keys holds up the
// loop; proposals wait at most five seconds and two election timeouts, and then their outcome is
// unknown.
//
// Read next: node.ts, then raft-driver.ts.

export { AutoCompaction } from "./auto-compaction.ts";
export type { AutoCompactionPolicy } from "./auto-compaction.ts";
export { checkData } from "./check-data.ts";
export type { CheckedData, LogSummary, StateSummary } from "./check-data.ts";
export type { NodeConfig, NodeDevices, NodeDisk } from "./devices.ts";
export type * from "./handle.ts";
export { deriveClusterId, deriveMemberId } from "./ids.ts";
export { QuorateNode, RemovedError } from "./node.ts";
export { openMember } from "./open-member.ts";
export type { Founding, OpenedMember } from "./open-member.ts";
export { defragmentData, hashOffline } from "./offline-data.ts";
export type { Defragmented, OfflineHashOptions } from "./offline-data.ts";
export { peerMetrics } from "./peer-metrics.ts";
export { realClock } from "./real-clock.ts";
export { restoreSnapshot } from "./restore-snapshot.ts";
export type { Restored, RestoreOptions } from "./restore-snapshot.ts";
export { foundingRecords, openState } from "./replicated-state.ts";
export type { OpenedState, StateOptions } from "./replicated-state.ts";
