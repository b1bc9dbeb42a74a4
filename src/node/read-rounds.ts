// Linearizable reads (Raft dissertation 6.4). All reads that arrive in one turn of the event
// loop share one context; the core folds contexts that wait into one ReadIndex round. A read is
// released once its index is applied here. Rounds lost to a leader change are asked again until
// their readers' deadline.

import { QuorateError } from "../base/index.ts";
import type { ErrorCode, LogIndex } from "../base/index.ts";

interface Reader {
  readonly deadlineMs: number;
  readonly release: () => void;
  readonly fail: (error: Error) => void;
}

interface Round {
  readonly readers: Reader[];
  askedAtMs: number;
}

interface Confirmed {
  readonly index: LogIndex;
  readonly readers: readonly Reader[];
}

export class ReadRounds {
  #nextContext: number;
  #gathering: Reader[] = [];
  readonly #asked = new Map<number, Round>();
  #confirmed: Confirmed[] = [];

  /** Contexts start at a random point: an answer meant for an earlier life matches nothing. */
  constructor(firstContext: number) {
    this.#nextContext = firstContext;
  }

  /** True when `wait` has made company that has not been asked for yet. */
  get hasGathering(): boolean {
    return this.#gathering.length > 0;
  }

  /** Resolves when the state applied here includes everything acknowledged before this call. */
  wait(deadlineMs: number): Promise<void> {
    return new Promise((release, fail) => {
      this.#gathering.push({ deadlineMs, release, fail });
    });
  }

  /** Closes the group that gathered and returns the context to ask for. */
  ask(nowMs: number): number {
    const context = this.#nextContext++;
    this.#asked.set(context, { readers: this.#gathering, askedAtMs: nowMs });
    this.#gathering = [];
    return context;
  }

  /** The core's answer for `context`. */
  confirmed(context: number, index: LogIndex, applied: LogIndex): void {
    const round = this.#asked.get(context);
    if (round === undefined) {
      return;
    }
    this.#asked.delete(context);
    if (index <= applied) {
      releaseAll(round.readers);
    } else {
      this.#confirmed.push({ index, readers: round.readers });
    }
  }

  /** The core will not answer `context`: its readers join the next group. */
  dropped(context: number): void {
    const round = this.#asked.get(context);
    if (round !== undefined) {
      this.#asked.delete(context);
      this.#gathering.unshift(...round.readers);
    }
  }

  applied(index: LogIndex): void {
    if (this.#confirmed.length === 0) {
      return;
    }
    const late: Confirmed[] = [];
    for (const group of this.#confirmed) {
      if (group.index <= index) {
        releaseAll(group.readers);
      } else {
        late.push(group);
      }
    }
    this.#confirmed = late;
  }

  /** Gathers again the rounds asked before `beforeMs` and unanswered; returns how many. */
  retryStale(beforeMs: number): number {
    let stale = 0;
    for (const [context, round] of this.#asked) {
      if (round.askedAtMs < beforeMs) {
        this.dropped(context);
        stale++;
      }
    }
    return stale;
  }

  /**
   * Fails overdue readers: with `code` those without an answer, else with timeoutAppliedIndex.
   * Returns how many had no answer.
   */
  expire(nowMs: number, code: ErrorCode): number {
    let unanswered = 0;
    const keep = (reader: Reader, reason: ErrorCode): boolean => {
      if (reader.deadlineMs > nowMs) {
        return true;
      }
      unanswered += reason === code ? 1 : 0;
      reader.fail(new QuorateError(reason));
      return false;
    };
    this.#gathering = this.#gathering.filter((reader) => keep(reader, code));
    for (const [context, round] of this.#asked) {
      const left = round.readers.filter((reader) => keep(reader, code));
      if (left.length === 0) {
        this.#asked.delete(context);
      } else {
        round.readers.splice(0, round.readers.length, ...left);
      }
    }
    this.#confirmed = this.#confirmed
      .map((group) => ({
        index: group.index,
        readers: group.readers.filter((reader) => keep(reader, "timeoutAppliedIndex")),
      }))
      .filter((group) => group.readers.length > 0);
    return unanswered;
  }

  failAll(code: ErrorCode): void {
    const fail = (reader: Reader): void => reader.fail(new QuorateError(code));
    this.#gathering.forEach(fail);
    for (const round of this.#asked.values()) {
      round.readers.forEach(fail);
    }
    for (const group of this.#confirmed) {
      group.readers.forEach(fail);
    }
    this.#gathering = [];
    this.#asked.clear();
    this.#confirmed = [];
  }
}

function releaseAll(readers: readonly Reader[]): void {
  for (const reader of readers) {
    reader.release();
  }
}
