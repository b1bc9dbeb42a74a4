// apply: from a committed command to a changed state, a result and events.
//
// The same commands in the same order give the same state and the same results on every member:
// nothing here looks at a clock, at chance, at settings or at who this member is. A failure that
// every member sees alike is an answer (`{ kind: "error", code }`) and leaves the state untouched.
// What another member might not see (a record that does not parse, a command from a newer
// version) is thrown and stops this one.
//
// Read executor.ts first (what each command does), then txn.ts (how a txn runs), then applier.ts.
// Policies are executors around an executor: alarm-gate.ts, auth-gate.ts.
//
// Records that are not in memory: the store throws MissingRecords, and the command is executed
// again when they are loaded. Every command but leaseExpiry writes in one store transaction, so a
// broken-off execution has changed nothing; leaseExpiry revokes lease by lease, and those already
// revoked are not there any more when it is executed again. `missing` tells ahead what a command
// will need.

export type * from "./command.ts";
export { Alarms, alarmsKey } from "./alarms.ts";
export { Applier } from "./applier.ts";
export { KeyChecks } from "./auth-gate.ts";
export type { ApplyOutcome } from "./applier.ts";
export type { ReplicatedParts } from "./executor.ts";
export { readTxn } from "./txn.ts";
