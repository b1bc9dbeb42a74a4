// How a leader's log reaches the others. Nothing is sent while entries are being proposed: what
// came in since the last `Ready` leaves in one append per member, so batches form by themselves.

import { must } from "../base/index.ts";
import type { Entry, LogIndex, SnapshotMeta } from "../base/index.ts";
import type { CoreState } from "./core-state.ts";
import type { Progress } from "./progress.ts";
import type { Tracker } from "./tracker.ts";

interface Batch {
  readonly entries: readonly Entry[];
  readonly bytes: number;
}

const emptyBatch: Batch = { entries: [], bytes: 0 };

export class Replication {
  readonly #core: CoreState;
  readonly #tracker: Tracker;
  /** The batch read last: members in step with each other share it. Valid within one flush. */
  #lastBatch: Batch | undefined;
  #lastFrom = 0;

  constructor(core: CoreState, tracker: Tracker) {
    this.#core = core;
    this.#tracker = tracker;
  }

  /** Sends every member what its state and window allow. */
  flush(): void {
    this.#lastBatch = undefined;
    for (const progress of this.#tracker.others) {
      this.sendTo(progress);
    }
    this.#lastBatch = undefined;
  }

  /** Sends one member its entries, or an empty append when only the commit index is news. */
  sendTo(progress: Progress): void {
    // With a full window the commit index can wait for the next entries.
    const commitDue = this.#core.log.commit > progress.commitSent && !progress.paused;
    let more = this.#sendOne(progress, commitDue || progress.emptyDue);
    while (more) {
      more = this.#sendOne(progress, false);
    }
  }

  /** True when an append with entries left and another may follow. */
  #sendOne(progress: Progress, allowEmpty: boolean): boolean {
    if (progress.state === "snapshot" || (progress.state === "probe" && progress.probeSent)) {
      return false;
    }
    const core = this.#core;
    const previousIndex = (progress.next - 1) as LogIndex;
    const previousTerm = core.log.termAt(previousIndex);
    if (previousTerm === undefined) {
      this.#sendSnapshot(progress);
      return false;
    }
    // A full window still lets an empty append through: its answer tells whether all was lost.
    const { entries, bytes } = progress.paused ? emptyBatch : this.#read(progress.next);
    if (entries.length === 0 && !allowEmpty) {
      return false;
    }
    core.sendNow.push({
      kind: "appendRequest",
      from: core.self,
      to: progress.id,
      term: core.term,
      previousIndex,
      previousTerm,
      entries,
      commit: core.log.commit,
    });
    progress.emptyDue = false;
    progress.commitSent = core.log.commit;
    progress.sent((previousIndex + entries.length) as LogIndex, entries.length, bytes);
    return entries.length > 0 && !progress.paused;
  }

  #read(from: LogIndex): Batch {
    if (this.#lastBatch !== undefined && this.#lastFrom === from) {
      return this.#lastBatch;
    }
    const entries = this.#core.log.slice(from, this.#core.limits.messageSizeBytesMax);
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.data.length;
    }
    this.#lastBatch = { entries, bytes };
    this.#lastFrom = from;
    return this.#lastBatch;
  }

  #sendSnapshot(progress: Progress): void {
    // A member that was silent gets none: it may be down, and a snapshot is costly to prepare.
    if (!this.#tracker.isActive(progress)) {
      return;
    }
    const core = this.#core;
    const snapshot = currentPosition(core);
    progress.becomeSnapshot(snapshot.index);
    core.sendNow.push({
      kind: "snapshotRequest",
      from: core.self,
      to: progress.id,
      term: core.term,
      snapshot,
    });
  }
}

/** Where the applied state stands: what a snapshot of it would be, at the least. */
function currentPosition(core: CoreState): SnapshotMeta {
  const index = Math.max(core.log.applied, core.confIndex) as LogIndex;
  return { index, term: must(core.log.termAt(index)), conf: core.conf };
}
