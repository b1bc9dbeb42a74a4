// The checks at the end: the whole history, as a watch from revision 1 shows it, is replayed
// through the model of the simulator in the order of revisions. Every revision must have been
// written by a request that somebody made, every answer must be the model's, and the order of
// revisions must agree with real time.

import {
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  TxnRequest,
} from "../../src/wire/index.ts";
import { Model, isIn, text } from "../sim/model.ts";
import { demand } from "../sim/violation.ts";
import type { History, Operation } from "./history.ts";
import { renderModelEvent } from "./render.ts";
import type { EventLog } from "./watchers.ts";

export interface CheckCounts {
  writes: number;
  unknownWrites: number;
  reads: number;
  serializableReads: number;
  historicalReads: number;
  leasesExpired: number;
}

/** The values that a write may leave, which are unique to it; its deleted ranges else. */
function valuesOf(operation: Operation): string[] {
  const body = operation.body ?? new Uint8Array();
  if (operation.kind === "put") {
    return [text(PutRequest.decode(body).value)];
  }
  if (operation.kind !== "txn") {
    return [];
  }
  const { success, failure } = TxnRequest.decode(body);
  return [...success, ...failure].flatMap(({ request }) =>
    request?.kind === "requestPut" ? [text(request.value.value)] : [],
  );
}

class Replay {
  readonly counts: CheckCounts = {
    writes: 0,
    unknownWrites: 0,
    reads: 0,
    serializableReads: 0,
    historicalReads: 0,
    leasesExpired: 0,
  };
  readonly #history: History;
  readonly #truth: EventLog;
  readonly #revision: number;
  readonly #model = new Model();
  readonly #byValue = new Map<string, Operation>();
  readonly #byRevision = new Map<number, Operation>();
  /** Answered operations that changed nothing, by the revision that they looked at. */
  readonly #lookingAt = new Map<number, Operation[]>();
  readonly #openDeletes: Operation[] = [];
  readonly #applied = new Set<Operation>();

  constructor(history: History, truth: EventLog, revision: number) {
    this.#history = history;
    this.#truth = truth;
    this.#revision = revision;
    for (const { id, ttlSeconds } of history.leases.values()) {
      const request = LeaseGrantRequest.create({ id, ttl: ttlSeconds });
      this.#model.apply("leaseGrant", LeaseGrantRequest.encode(request), 1);
    }
    for (const operation of history.operations) {
      this.#file(operation);
    }
  }

  run(): void {
    this.#look(1);
    for (let revision = 2; revision <= this.#revision; revision++) {
      const events = this.#truth.get(revision);
      demand(events !== undefined, () => `revision ${revision} has no events`);
      this.#write(revision, events);
      const expected = (this.#model.events[revision] ?? []).map(renderModelEvent);
      demand(
        this.#model.revision === revision && expected.join("\n") === events.join("\n"),
        () =>
          `the events of revision ${revision} are\n  ${events.join("\n  ")}\n` +
          `and the model says\n  ${expected.join("\n  ")}`,
      );
      this.#look(revision);
    }
    for (const operation of this.#byRevision.values()) {
      demand(
        this.#applied.has(operation),
        () => `an acknowledged write is lost: ${describe(operation)}`,
      );
    }
  }

  #file(operation: Operation): void {
    for (const value of valuesOf(operation)) {
      this.#byValue.set(value, operation);
    }
    const { revision } = operation;
    if (revision === undefined) {
      if (operation.kind === "deleteRange") {
        this.#openDeletes.push(operation);
      }
      return;
    }
    this.#checkOrder(operation, revision);
    if (operation.wrote) {
      const other = this.#byRevision.get(revision);
      demand(
        other === undefined,
        () => `two writes of one revision: ${describe(operation)}, ${describe(other)}`,
      );
      this.#byRevision.set(revision, operation);
      return;
    }
    const list = this.#lookingAt.get(revision);
    if (list === undefined) {
      this.#lookingAt.set(revision, [operation]);
    } else {
      list.push(operation);
    }
  }

  /** What was known before a call is behind its answer; only a serializable read may be stale. */
  #checkOrder(operation: Operation, revision: number): void {
    const { knownRevision, kind, wrote } = operation;
    demand(
      revision <= this.#revision,
      () => `revision ${revision} was told and is gone: ${describe(operation)}`,
    );
    demand(
      kind === "serializableRead" || revision >= knownRevision,
      () => `stale: ${knownRevision} was known before the call: ${describe(operation)}`,
    );
    demand(
      !wrote || revision > knownRevision,
      () => `written before it was asked for: ${describe(operation)}`,
    );
  }

  #write(revision: number, events: readonly string[]): void {
    const operation = this.#byRevision.get(revision) ?? this.#settle(revision, events);
    if (operation === undefined) {
      this.#endLease(revision, events);
      return;
    }
    const { kind, body, answer } = operation;
    demand(!this.#applied.has(operation), () => `applied twice: ${describe(operation)}`);
    demand(
      revision > operation.knownRevision,
      () => `took effect at ${revision}, before it was asked for: ${describe(operation)}`,
    );
    this.#applied.add(operation);
    const expected = this.#model.apply(kind as "put", body as Uint8Array, 1);
    if (answer === undefined) {
      this.counts.unknownWrites++;
      return;
    }
    this.counts.writes++;
    demand(answer === expected, () => `${describe(operation)}\nand the model says ${expected}`);
  }

  /** The unanswered write that must have had this effect. */
  #settle(revision: number, events: readonly string[]): Operation | undefined {
    for (const event of events) {
      const value = /^put [^=]*=(.*)@\d+\.\d+\.\d+\.\d+ prev=/.exec(event)?.[1];
      if (value !== undefined) {
        const operation = this.#byValue.get(value);
        demand(
          operation !== undefined,
          () => `revision ${revision} was written by nobody: ${event}`,
        );
        return operation;
      }
    }
    const keys = events.map((event) => /^delete (.*)@\d+ prev=/.exec(event)?.[1] ?? "");
    const at = this.#openDeletes.findIndex((operation) => {
      const request = DeleteRangeRequest.decode(operation.body as Uint8Array);
      const [from, end] = [text(request.key), text(request.rangeEnd)];
      const matching = [...this.#model.pairs.keys()].filter((key) => isIn(key, from, end));
      return operation.knownRevision < revision && matching.sort().join() === keys.join();
    });
    return at === -1 ? undefined : this.#openDeletes.splice(at, 1)[0];
  }

  #endLease(revision: number, events: readonly string[]): void {
    const id = BigInt(/^delete lease\/(\d+)@/.exec(events[0] ?? "")?.[1] ?? 0);
    const lease = this.#history.leases.get(id);
    demand(
      lease !== undefined,
      () => `revision ${revision} was written by nobody: ${events.join(", ")}`,
    );
    const seenMs = this.#history.firstSeenMs.get(revision);
    demand(
      seenMs === undefined || seenMs >= lease.promisedUntilMs,
      () =>
        `lease ${id} ended ${Math.round(lease.promisedUntilMs - (seenMs ?? 0))} ms too early, ` +
        `at revision ${revision}`,
    );
    this.#model.apply("leaseRevoke", LeaseRevokeRequest.encode({ id }), 1);
    this.counts.leasesExpired++;
  }

  #look(revision: number): void {
    for (const operation of this.#lookingAt.get(revision) ?? []) {
      const expected =
        operation.range === undefined
          ? this.#model.apply(operation.kind as "txn", operation.body as Uint8Array, 1)
          : this.#model.range(operation.range);
      demand(
        operation.answer === expected,
        () => `${describe(operation)}\nand the model says ${expected}`,
      );
      this.#count(operation);
    }
  }

  #count({ kind, range }: Operation): void {
    if (range === undefined) {
      this.counts.writes++;
    } else if (kind === "serializableRead") {
      this.counts.serializableReads++;
    } else if (range.revision > 0) {
      this.counts.historicalReads++;
    } else {
      this.counts.reads++;
    }
  }
}

function describe(operation: Operation | undefined): string {
  if (operation === undefined) {
    return "nothing";
  }
  const { id, kind, member, answer, range } = operation;
  const asked = range === undefined ? valuesOf(operation).join(",") : text(range.key);
  return `operation ${id}, ${kind} ${asked} at ${member}, was answered ${answer ?? "nothing"}`;
}

/** Throws Violation. `revision` is the newest of all; `truth` holds every event up to it. */
export function checkHistory(history: History, truth: EventLog, revision: number): CheckCounts {
  const replay = new Replay(history, truth, revision);
  replay.run();
  return replay.counts;
}

/** Throws Violation unless both show the same events up to `revision`. */
export function checkSameEvents(
  truth: EventLog,
  other: EventLog,
  revision: number,
  who: string,
): void {
  for (let at = 2; at <= revision; at++) {
    const expected = truth.get(at)?.join("\n") ?? "nothing";
    const shown = other.get(at)?.join("\n") ?? "nothing";
    demand(expected === shown, () => `${who} shows at revision ${at}\n${shown}\nnot\n${expected}`);
  }
}
