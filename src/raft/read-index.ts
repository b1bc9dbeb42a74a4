// ReadIndex (dissertation 6.4): a leader proves that it still leads by hearing from a majority
// after the read arrived; the commit index of that moment then bounds the read.
//
// On the leader, `ReadRounds`: all reads that wait share one round; those that arrive while it is
// under way join the next. Rounds are numbered within one leadership and never reused, and an
// acknowledgement counts only in the term of that leadership: a late answer to an earlier question
// can never confirm a later one (the stale read of etcd issue 20418).
//
// Elsewhere, `ReadForwarder`: reads are bundled into one request for the leader, under a number
// that no other request of this member has had, in this life or an earlier one. A read whose
// request is lost, or whose leader changes, is given up, and the caller asks again under a new one.

import { noMember } from "../base/index.ts";
import type { LogIndex, MemberId, Rng } from "../base/index.ts";
import { remoteReadsMax } from "./config.ts";

/** A read waiting on the leader: `from` is 0n for the leader's own. */
export interface WaitingRead {
  readonly context: number;
  readonly from: MemberId;
}

interface Round {
  readonly number: number;
  readonly index: LogIndex;
  readonly reads: readonly WaitingRead[];
}

export class ReadRounds {
  #waiting: WaitingRead[] = [];
  #remoteCount = 0;
  #current: Round | undefined;
  #lastNumber = 0;

  /** False when too many remote reads wait already. */
  add(read: WaitingRead): boolean {
    if (read.from !== noMember) {
      if (this.#remoteCount >= remoteReadsMax) {
        return false;
      }
      this.#remoteCount++;
    }
    this.#waiting.push(read);
    return true;
  }

  /** A round could start: some read waits and no round is under way. */
  get isDue(): boolean {
    return this.#current === undefined && this.#waiting.length > 0;
  }

  /** The round under way; 0 for none. */
  get current(): number {
    return this.#current?.number ?? 0;
  }

  /** The newest round ever started. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** Starts a round for everything that waits, at the commit index of now. */
  start(commit: LogIndex): number {
    this.#lastNumber++;
    this.#current = { number: this.#lastNumber, index: commit, reads: this.#waiting };
    this.#waiting = [];
    return this.#lastNumber;
  }

  /** Ends the round under way; its reads may be answered with its index. */
  finish(): { index: LogIndex; reads: readonly WaitingRead[] } {
    const round = this.#current as Round;
    this.#current = undefined;
    for (const read of round.reads) {
      if (read.from !== noMember) {
        this.#remoteCount--;
      }
    }
    return round;
  }

  /** The contexts of the leader's own reads, all given up. */
  dropOwn(into: number[]): void {
    for (const read of [...(this.#current?.reads ?? []), ...this.#waiting]) {
      if (read.from === noMember) {
        into.push(read.context);
      }
    }
  }
}

/** Not `push(...)`: there may be more than the stack takes. */
function pushAll(into: number[], contexts: readonly number[]): void {
  for (const context of contexts) {
    into.push(context);
  }
}

interface SentReads {
  readonly contexts: readonly number[];
  ageTicks: number;
}

/** Requests sent by one start of a member before its numbers could meet those of another. */
const requestsPerStart = 2 ** 21;

export class ReadForwarder {
  #waiting: number[] = [];
  #waitingTicks = 0;
  /** By request number; insertion order is age. */
  readonly #sent = new Map<number, SentReads>();
  #nextRequest: number;

  constructor(rng: Rng) {
    // 32 random bits on top, 21 of counting below.
    this.#nextRequest = rng.next() * requestsPerStart;
  }

  add(context: number): void {
    this.#waiting.push(context);
  }

  get isDue(): boolean {
    return this.#waiting.length > 0;
  }

  /** Bundles what waits under a new request number. */
  take(): number {
    const request = this.#nextRequest;
    this.#nextRequest = request + 1 > Number.MAX_SAFE_INTEGER ? 0 : request + 1;
    this.#sent.set(request, { contexts: this.#waiting, ageTicks: 0 });
    this.#waiting = [];
    this.#waitingTicks = 0;
    return request;
  }

  /** The contexts that `request` stood for; undefined when it was given up or never made. */
  answered(request: number): readonly number[] | undefined {
    const sent = this.#sent.get(request);
    this.#sent.delete(request);
    return sent?.contexts;
  }

  /** Gives up every request that was sent. */
  dropSent(into: number[]): void {
    for (const sent of this.#sent.values()) {
      pushAll(into, sent.contexts);
    }
    this.#sent.clear();
  }

  /** Takes back what was not sent: this member leads now and answers by itself. */
  takeWaiting(): readonly number[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingTicks = 0;
    return waiting;
  }

  /** Gives up requests that got no answer, and reads that found no leader, for `patienceTicks`. */
  tick(patienceTicks: number, into: number[]): void {
    for (const [request, sent] of this.#sent) {
      sent.ageTicks++;
      if (sent.ageTicks >= patienceTicks) {
        pushAll(into, sent.contexts);
        this.#sent.delete(request);
      }
    }
    if (this.#waiting.length === 0) {
      return;
    }
    this.#waitingTicks++;
    if (this.#waitingTicks >= patienceTicks) {
      pushAll(into, this.#waiting);
      this.#waiting = [];
      this.#waitingTicks = 0;
    }
  }
}
