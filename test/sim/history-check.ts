// The main check of what clients were told: every answer must be the model's at the place of the
// log where the request was executed, and places must agree with real time.

import type { History, Operation } from "./history.ts";
import type { Applied, Ledger } from "./ledger.ts";
import { demand } from "./violation.ts";

const reads = new Set(["read", "serializableRead"]);
const leaseCalls = new Set(["keepAlive", "timeToLive"]);

/** Throws Violation. */
export function checkHistory(history: History, ledger: Ledger): void {
  const writes: { readonly operation: Operation; readonly applied: Applied }[] = [];
  for (const operation of history.operations) {
    if (reads.has(operation.kind)) {
      checkRead(operation, ledger);
    } else if (!leaseCalls.has(operation.kind)) {
      const applied = ledger.outcome(operation.id);
      if (applied !== undefined) {
        writes.push({ operation, applied });
      }
      checkWrite(operation, applied);
    }
  }
  checkRealTime(writes);
}

function name({ kind, id, client, member }: Operation): string {
  return `${kind} ${id} of c${client} at ${member}`;
}

function checkWrite(operation: Operation, applied: Applied | undefined): void {
  const { answer, callMs, returnMs } = operation;
  if (applied !== undefined) {
    demand(applied.atMs >= callMs, () => `${name(operation)} was executed before it was asked for`);
  }
  if (answer === undefined) {
    return;
  }
  demand(applied !== undefined, () => `${name(operation)} was acknowledged and is not in the log`);
  demand(
    answer === applied.answer,
    () => `${name(operation)} was answered "${answer}"; right is "${applied.answer}"`,
  );
  demand(
    returnMs !== undefined && applied.atMs <= returnMs,
    () => `${name(operation)} was acknowledged before it was executed`,
  );
}

/** Whoever was answered before another was asked stands before it in the log. */
function checkRealTime(
  writes: { readonly operation: Operation; readonly applied: Applied }[],
): void {
  writes.sort((a, b) => a.applied.index - b.applied.index);
  let latest: Operation | undefined;
  for (const { operation } of writes) {
    const { answer, returnMs } = operation;
    const before = latest;
    demand(
      answer === undefined ||
        returnMs === undefined ||
        before === undefined ||
        returnMs >= before.callMs,
      () => `${name(operation)} stands behind ${before && name(before)}, which came later`,
    );
    if (latest === undefined || operation.callMs > latest.callMs) {
      latest = operation;
    }
  }
}

function checkRead(operation: Operation, ledger: Ledger): void {
  const { range, revision, answer } = operation;
  if (range === undefined || revision === undefined || answer === undefined) {
    return;
  }
  const { model } = ledger;
  demand(
    revision <= model.revision,
    () => `${name(operation)} saw revision ${revision}, which never was`,
  );
  if (answer === "error futureRevision") {
    demand(range.revision > revision, () => `${name(operation)}: ${answer} at ${range.revision}`);
    return;
  }
  if (answer === "error compacted") {
    demand(
      range.revision > 0 && range.revision < model.compacted,
      () => `${name(operation)}: ${answer} at ${range.revision}`,
    );
    return;
  }
  const right = model.range({ ...range, revision: range.revision || revision });
  demand(
    answer === right,
    () => `${name(operation)} at revision ${revision} read "${answer}"; right is "${right}"`,
  );
}
