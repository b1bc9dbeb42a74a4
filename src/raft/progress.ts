// What a leader knows of one member's log, and how it may send to it.
//
//   probe      looking for the point where the logs agree: one append, then wait for its answer
//              or for a heartbeat's
//   replicate  agreed: appends go out back to back, within the inflight window
//   snapshot   too far behind for the log: nothing is sent until the snapshot is reported or
//              acknowledged
//
// Rules: match < next; match never falls; in replicate, entries from match + 1 to next - 1 are
// under way.

import { assert } from "../base/index.ts";
import type { LogIndex, MemberId } from "../base/index.ts";
import type { RaftLimits } from "./config.ts";
import { Inflights } from "./inflights.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  readonly id: MemberId;
  readonly inflights: Inflights;
  isLearner: boolean;
  state: ProgressState = "probe";
  /** Highest index known durable on the member. */
  match = 0 as LogIndex;
  /** The next index to send. */
  next: LogIndex;
  /** In snapshot state: the least index that the snapshot brings. */
  snapshotIndex = 0 as LogIndex;
  /** Ticks since it was last heard; a new one gets the benefit of the doubt. */
  silentTicks = 0;
  /** In probe state: an append is out, wait. */
  probeSent = false;
  /** Send an append even with nothing in it: its answer tells where the member stands. */
  emptyDue = false;
  /** Whether nothing was acknowledged between the last two heartbeats, and where that was. */
  #isStalled = false;
  #matchAtHeartbeat = 0;
  /** The highest commit index told in an append. */
  commitSent = 0 as LogIndex;
  /** The highest read round that the member has acknowledged. */
  readRound = 0;

  constructor(id: MemberId, next: LogIndex, isLearner: boolean, limits: RaftLimits) {
    this.id = id;
    this.next = next;
    this.isLearner = isLearner;
    this.inflights = new Inflights(limits.inflightMessagesMax, limits.inflightBytesMax);
  }

  becomeProbe(): void {
    // After a snapshot the log is met again right behind it, if it arrived.
    const from =
      this.state === "snapshot" && this.snapshotIndex > this.match
        ? this.snapshotIndex
        : this.match;
    this.#enter("probe");
    this.next = (from + 1) as LogIndex;
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = (this.match + 1) as LogIndex;
  }

  becomeSnapshot(index: LogIndex): void {
    this.#enter("snapshot");
    this.snapshotIndex = index;
  }

  /** Whether entries may be sent now. */
  get paused(): boolean {
    switch (this.state) {
      case "probe":
        return this.probeSent;
      case "replicate":
        return this.inflights.full;
      case "snapshot":
        return true;
    }
  }

  /** An append with the entries up to `lastIndex` left. */
  sent(lastIndex: LogIndex, count: number, bytes: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.next = (lastIndex + 1) as LogIndex;
        this.inflights.add(lastIndex, bytes);
      }
    } else {
      this.probeSent = true;
    }
  }

  /** A heartbeat leaves on the clock's account, not a read round's. */
  noteHeartbeat(): void {
    this.#isStalled = this.state !== "replicate" || this.match === this.#matchAtHeartbeat;
    this.#matchAtHeartbeat = this.match;
  }

  /**
   * A heartbeat was answered. True when an append should go out, even an empty one: the member is
   * alive, lacks something, and has acknowledged nothing of late, so what is missing may be lost.
   */
  takeStalled(lastIndex: LogIndex): boolean {
    if (!this.#isStalled || (this.match === lastIndex && this.state !== "probe")) {
      return false;
    }
    this.#isStalled = false;
    this.probeSent = false;
    this.emptyDue = true;
    return true;
  }

  /** Everything up to `index` is durable on the member. False when that was known. */
  accepted(index: LogIndex): boolean {
    if (index <= this.match) {
      return false;
    }
    this.match = index;
    if (this.next <= index) {
      this.next = (index + 1) as LogIndex;
    }
    return true;
  }

  /**
   * The append after `rejected` was refused; the logs may agree at `hint`. False when the answer
   * is to an older append.
   */
  refused(rejected: LogIndex, hint: LogIndex): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) {
        return false;
      }
      this.becomeProbe();
      return true;
    }
    if (this.state === "snapshot" || this.next - 1 !== rejected) {
      return false;
    }
    const next = Math.max(Math.min(rejected, hint + 1), this.match + 1) as LogIndex;
    assert(next > this.match, "next must stay beyond match");
    this.next = next;
    this.probeSent = false;
    return true;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.snapshotIndex = 0 as LogIndex;
    this.probeSent = false;
    this.inflights.reset();
  }
}
