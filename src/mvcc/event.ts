// Events as watchers and leases get them, over the bytes of their block.

import type { LeaseId, Revision } from "../base/index.ts";
import type { Commit, StoredEvent } from "./contract.ts";
import type { EventHead, HistoryBlock } from "./history-block.ts";
import { VarintReader } from "./numbers.ts";

export class HistoryEvent implements StoredEvent {
  readonly kind: "put" | "delete";
  readonly revision: Revision;
  readonly sub: number;
  readonly created: boolean;
  readonly previousRevision: Revision | 0;
  readonly previousSub: number;
  readonly lease: LeaseId;
  readonly previousLease: LeaseId;
  readonly #bytes: Uint8Array;
  readonly #bodyStart: number;
  readonly #end: number;
  #key: Uint8Array | undefined;
  #message: Uint8Array | undefined;

  constructor(
    bytes: Uint8Array,
    bodyStart: number,
    end: number,
    deleted: boolean,
    created: boolean,
    revision: number,
    sub: number,
    previousRevision: number,
    previousSub: number,
    lease: LeaseId,
    previousLease: LeaseId,
  ) {
    this.kind = deleted ? "delete" : "put";
    this.revision = revision as Revision;
    this.sub = sub;
    this.created = created;
    // A pair that was created replaced nothing, though a tombstone may precede it.
    this.previousRevision = (created ? 0 : previousRevision) as Revision | 0;
    this.previousSub = created ? 0 : previousSub;
    this.lease = lease;
    this.previousLease = previousLease;
    this.#bytes = bytes;
    this.#bodyStart = bodyStart;
    this.#end = end;
  }

  get key(): Uint8Array {
    if (this.#key === undefined) {
      // Body of a delete: 08 01, then as a put: 12 length 0a length key.
      const start = this.#bodyStart + (this.kind === "delete" ? 3 : 1);
      const reader = new VarintReader(this.#bytes, start);
      reader.next();
      reader.at++;
      const length = reader.next();
      this.#key = this.#bytes.subarray(reader.at, reader.at + length);
    }
    return this.#key;
  }

  get message(): Uint8Array {
    this.#message ??= this.#bytes.subarray(this.#bodyStart, this.#end);
    return this.#message;
  }
}

/** The event at an index of a block. */
export function readEvent(head: EventHead, block: HistoryBlock, index: number): HistoryEvent {
  head.read(block, index);
  return new HistoryEvent(
    block.bytes,
    head.bodyStart,
    head.end,
    head.deleted,
    head.created,
    head.revision,
    head.sub,
    head.previousRevision,
    head.previousSub,
    head.lease,
    head.previousLease,
  );
}

/** Groups events, which are in order, by revision. */
export function toCommits(events: readonly StoredEvent[]): Commit[] {
  const commits: Commit[] = [];
  let current: StoredEvent[] = [];
  for (const event of events) {
    if (current[0] === undefined || current[0].revision !== event.revision) {
      current = [];
      commits.push({ revision: event.revision, events: current });
    }
    current.push(event);
  }
  return commits;
}
