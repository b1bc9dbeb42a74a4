// What clients did and were told, in real time: the material of the checks at the end.

import type { RangeRequest } from "../../src/wire/index.ts";
import type { CommandBodyKind } from "../../src/wire/index.ts";

export type WriteKind = Extract<CommandBodyKind, "put" | "deleteRange" | "txn">;

export interface Operation {
  readonly id: number;
  readonly member: string;
  readonly kind: WriteKind | "read" | "serializableRead";
  /** The encoded request of a write. */
  readonly body: Uint8Array | undefined;
  /** Of a read. */
  readonly range: RangeRequest | undefined;
  readonly callMs: number;
  /** The highest revision that anybody had been told of when it was called. */
  readonly knownRevision: number;
  /** Of the header of the answer; undefined when there was none: the outcome is unknown. */
  revision: number | undefined;
  /** The answer in the text of the model. */
  answer: string | undefined;
  /** Whether the answer says that the state was changed. */
  wrote: boolean;
}

export interface LeaseRecord {
  readonly id: bigint;
  readonly key: string;
  readonly ttlSeconds: number;
  /** It may not expire before, by our clock. */
  promisedUntilMs: number;
  renewals: number;
}

export class History {
  readonly operations: Operation[] = [];
  readonly leases = new Map<bigint, LeaseRecord>();
  /** When each acknowledged write was answered, ascending. */
  readonly acknowledgedMs: number[] = [];
  /** When an event of that revision was first shown to anybody. */
  readonly firstSeenMs = new Map<number, number>();
  knownRevision = 1;
  failed = 0;
  answeredReads = 0;

  begin(operation: Pick<Operation, "member" | "kind" | "body" | "range">): Operation {
    const begun: Operation = {
      ...operation,
      id: this.operations.length + 1,
      callMs: performance.now(),
      knownRevision: this.knownRevision,
      revision: undefined,
      answer: undefined,
      wrote: false,
    };
    this.operations.push(begun);
    return begun;
  }

  told(revision: number): void {
    this.knownRevision = Math.max(this.knownRevision, revision);
  }

  seen(revision: number): void {
    if (!this.firstSeenMs.has(revision)) {
      this.firstSeenMs.set(revision, performance.now());
    }
    this.told(revision);
  }

  answered(operation: Operation, revision: number, answer: string, wrote: boolean): void {
    operation.revision = revision;
    operation.answer = answer;
    operation.wrote = wrote;
    if (operation.body !== undefined) {
      this.acknowledgedMs.push(performance.now());
    } else if (operation.kind === "read" && operation.range?.revision === 0) {
      this.answeredReads++;
    }
    this.told(revision);
  }

  get answeredCount(): number {
    return (
      this.operations.length - this.operations.filter((each) => each.answer === undefined).length
    );
  }

  /** The longest time without an acknowledged write between two moments. */
  longestGapMs(fromMs: number, untilMs: number): number {
    let last = fromMs;
    let longest = 0;
    for (let i = this.#firstAfter(fromMs); i < this.acknowledgedMs.length; i++) {
      const at = this.acknowledgedMs[i] as number;
      if (at > untilMs) {
        break;
      }
      longest = Math.max(longest, at - last);
      last = at;
    }
    return Math.max(longest, untilMs - last);
  }

  #firstAfter(atMs: number): number {
    let low = 0;
    let high = this.acknowledgedMs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.acknowledgedMs[middle] as number) < atMs) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
