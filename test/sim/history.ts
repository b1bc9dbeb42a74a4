// What clients did and were told: the material of the checks at the end.

import type { RangeRequest } from "../../src/wire/index.ts";

export type OperationKind =
  | "put"
  | "deleteRange"
  | "txn"
  | "compaction"
  | "leaseGrant"
  | "leaseRevoke"
  | "read"
  | "serializableRead"
  | "keepAlive"
  | "timeToLive";

export interface Operation {
  readonly id: number;
  readonly client: number;
  readonly member: string;
  readonly kind: OperationKind;
  readonly callMs: number;
  /** The highest revision that anybody had been told of when it was called. */
  readonly knownRevision: number;
  /** Of a read. */
  readonly range: RangeRequest | undefined;
  /** Set when it was answered in time. */
  returnMs: number | undefined;
  /** The answer as text; undefined when it failed and when nothing is known. */
  answer: string | undefined;
  /** Why it failed; the outcome is unknown all the same. */
  error: string | undefined;
  /** Of the state that a read looked at. */
  revision: number | undefined;
}

export class History {
  readonly operations: Operation[] = [];
  /** The highest revision in an answer that promises to be current. */
  knownRevision = 1;
  #nextId = 1;

  begin(operation: Pick<Operation, "client" | "member" | "kind" | "callMs" | "range">): Operation {
    const begun: Operation = {
      ...operation,
      id: this.#nextId++,
      knownRevision: this.knownRevision,
      returnMs: undefined,
      answer: undefined,
      error: undefined,
      revision: undefined,
    };
    this.operations.push(begun);
    return begun;
  }

  /** A revision that a client has been told, by an answer that must be current. */
  told(revision: number): void {
    this.knownRevision = Math.max(this.knownRevision, revision);
  }

  get answered(): number {
    return this.operations.filter((operation) => operation.answer !== undefined).length;
  }
}
