// Deadlines of all running calls of a server, for the price of two list operations each.
//
// A hashed wheel: a slot holds the calls that are due in its turn of `granularityMs`, or a whole
// round later. One timer runs while any call waits; calls that are answered at once never come
// here.

import type { Call } from "./call.ts";

const granularityMs = 8;
const slotCount = 1_024;

export class DeadlineWheel {
  readonly #slots = new Array<Call | undefined>(slotCount).fill(undefined);
  #count = 0;
  /** The turn up to which slots have been looked at. */
  #turn = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  add(call: Call): void {
    if (call.deadlineMs === undefined) {
      return;
    }
    this.#start();
    const due = Math.floor(call.deadlineMs / granularityMs) + 1;
    const slot = Math.max(due, this.#turn + 1) % slotCount;
    const first = this.#slots[slot];
    call.deadlineSlot = slot;
    call.deadlinePrevious = undefined;
    call.deadlineNext = first;
    if (first !== undefined) {
      first.deadlinePrevious = call;
    }
    this.#slots[slot] = call;
    this.#count++;
  }

  remove(call: Call): void {
    const { deadlineNext: next, deadlinePrevious: previous } = call;
    if (previous === undefined) {
      this.#slots[call.deadlineSlot] = next;
    } else {
      previous.deadlineNext = next;
    }
    if (next !== undefined) {
      next.deadlinePrevious = previous;
    }
    call.deadlineSlot = -1;
    call.deadlineNext = undefined;
    call.deadlinePrevious = undefined;
    this.#count--;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #start(): void {
    if (this.#timer === undefined) {
      this.#turn = Math.floor(performance.now() / granularityMs);
      this.#timer = setInterval(() => this.#advance(), granularityMs);
      this.#timer.unref();
    }
  }

  #advance(): void {
    const nowMs = performance.now();
    const turn = Math.floor(nowMs / granularityMs);
    const from = Math.max(this.#turn + 1, turn - slotCount + 1);
    for (let at = from; at <= turn; at++) {
      this.#expire(at % slotCount, nowMs);
    }
    this.#turn = turn;
    if (this.#count === 0) {
      this.stop();
    }
  }

  #expire(slot: number, nowMs: number): void {
    // First all that are due, then their handlers, which may take others out of the list.
    const due: Call[] = [];
    for (let call = this.#slots[slot]; call !== undefined; call = call.deadlineNext) {
      if (call.deadlineMs !== undefined && call.deadlineMs <= nowMs) {
        due.push(call);
      }
    }
    for (const call of due) {
      if (call.deadlineSlot === slot) {
        call.expire();
      }
    }
  }
}
