// What goes to the disk, and what waits for it. One write is out at a time; whatever must not be
// said before it is durable is bound to the next one.

import { assert } from "../base/index.ts";
import type { HardState, LogIndex, MemberId } from "../base/index.ts";
import type { CoreState } from "./core-state.ts";
import type { Message } from "./message.ts";
import type { Persist } from "./ready.ts";

const noMessages: readonly Message[] = [];

export class Persistence {
  /** Messages that promise something. All are of the present term. */
  #waiting: Message[] = [];
  /** What the newest write carries, and what is known durable. */
  #written: HardState;
  #durable: HardState;
  /** A write is out. */
  #isOut = false;

  constructor(hardState: HardState) {
    this.#written = hardState;
    this.#durable = hardState;
  }

  /** Whether this member's vote for itself in the present term is durable. */
  ownVoteIsDurable(core: CoreState): boolean {
    return this.#durable.term === core.term && this.#durable.vote === core.self;
  }

  /** Whether a crash now would leave this member knowing that its configuration is committed. */
  confIsDurable(core: CoreState): boolean {
    return core.confIndex <= this.#durable.commit;
  }

  /** Sends `message` once everything that is true now is durable. */
  sendAfter(message: Message): void {
    this.#waiting.push(message);
  }

  /**
   * Acknowledges that everything up to `index` is durable, once it is. Acknowledgements are
   * cumulative, so one that still waits for the same write gives way to the later.
   */
  acknowledge(core: CoreState, to: MemberId, index: LogIndex): void {
    const last = this.#waiting[this.#waiting.length - 1];
    if (last?.kind === "appendResponse" && last.to === to && last.index <= index) {
      this.#waiting.pop();
    }
    this.#waiting.push({
      kind: "appendResponse",
      from: core.self,
      to,
      term: core.term,
      index,
      rejected: false,
      hintIndex: 0 as typeof index,
      hintTerm: 0 as typeof core.term,
    });
  }

  /** A new term: what was to be promised in the old one is pointless. */
  forgetWaiting(): void {
    this.#waiting = [];
  }

  /** The next write would carry something. */
  isDue(core: CoreState): boolean {
    return this.#waiting.length > 0 || this.#mustWrite(core);
  }

  /** The next write; undefined when everything is durable, and then nothing needs to wait. */
  take(core: CoreState): Persist | undefined {
    assert(!this.#isOut, "a write is already out");
    const thenSend = this.#waiting.length === 0 ? noMessages : this.#waiting;
    if (thenSend.length > 0) {
      this.#waiting = [];
    }
    if (!this.#mustWrite(core)) {
      for (const message of thenSend) {
        core.sendNow.push(message);
      }
      return undefined;
    }
    const { term, vote, log } = core;
    const { entries, snapshot } = log.takeUnsaved();
    let hardState: HardState | undefined;
    // The commit index alone is worth no write: it is a hint, and goes along with the next one.
    if (this.#voteChanged(core) || this.#written.commit !== log.commit) {
      hardState = { term, vote, commit: log.commit };
      this.#written = hardState;
    }
    this.#isOut = true;
    return { hardState, entries, snapshot, thenSend };
  }

  /** The write that was out is durable. */
  saved(core: CoreState): void {
    assert(this.#isOut, "no write is out");
    this.#isOut = false;
    this.#durable = this.#written;
    core.log.saved();
  }

  /**
   * That a change of the configuration is committed is no mere hint: whoever it removed may be gone
   * by the time this member restarts, and then nobody is left to commit it again with.
   */
  #mustWrite(core: CoreState): boolean {
    const confIsHint = core.confIndex > this.#written.commit;
    return core.log.hasUnsaved || this.#voteChanged(core) || confIsHint;
  }

  #voteChanged(core: CoreState): boolean {
    return this.#written.term !== core.term || this.#written.vote !== core.vote;
  }
}
