// Refuses commands while alarms are raised. It looks only at replicated state, so every member
// refuses the same ones.

import type { ErrorCode } from "../base/index.ts";
import type { Commit } from "../mvcc/contract.ts";
import { TxnRequest } from "../wire/index.ts";
import type { DecodedCommand, RequestOp } from "../wire/index.ts";
import type { Alarms } from "./alarms.ts";
import type { CommandResult } from "./command.ts";
import type { Executor, Position } from "./executor.ts";

/** Everything that touches keys or leases: a member whose data is suspect must not spread it. */
const refusedWhenCorrupt: ReadonlySet<DecodedCommand["kind"]> = new Set([
  "put",
  "deleteRange",
  "txn",
  "compaction",
  "leaseGrant",
  "leaseRevoke",
  "leaseExpiry",
]);

export class AlarmGate implements Executor {
  readonly #inner: Executor;
  readonly #alarms: Alarms;

  constructor(inner: Executor, alarms: Alarms) {
    this.#inner = inner;
    this.#alarms = alarms;
  }

  execute(command: DecodedCommand, position: Position, commits: Commit[]): CommandResult {
    const code = this.#refusal(command);
    return code === undefined
      ? this.#inner.execute(command, position, commits)
      : { kind: "error", code };
  }

  #refusal(command: DecodedCommand): ErrorCode | undefined {
    if (this.#alarms.isRaised("corrupt") && refusedWhenCorrupt.has(command.kind)) {
      return "corrupt";
    }
    return this.#alarms.isRaised("noSpace") && needsSpace(command) ? "noSpace" : undefined;
  }
}

/** Deletes, compactions and revocations make room and stay allowed. */
function needsSpace(command: DecodedCommand): boolean {
  switch (command.kind) {
    case "put":
    case "leaseGrant":
      return true;
    case "txn":
      return txnPuts(TxnRequest.decode(command.body));
    default:
      return false;
  }
}

/** A put in either branch counts, at any depth. */
function txnPuts(request: TxnRequest): boolean {
  const puts = ({ request: operation }: RequestOp): boolean =>
    operation?.kind === "requestPut" ||
    (operation?.kind === "requestTxn" && txnPuts(operation.value));
  return request.success.some(puts) || request.failure.some(puts);
}
