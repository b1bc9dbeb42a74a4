// Proposals that wait for their answer. A command carries (origin, sequence); whoever applies an
// entry looks its own up here. The origin is drawn anew at each start, so an entry of an earlier
// life never meets a waiter of this one.

import { QuorateError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";
import type { CommandResult } from "../apply/command.ts";

interface Waiter {
  readonly deadlineMs: number;
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: Error) => void;
}

export class Proposals {
  /** Drawn at random at each start; stands in every command that this process proposes. */
  readonly origin: bigint;
  #nextSequence = 1;
  /** In order of sequence, and so of deadline: all wait equally long. */
  readonly #waiters = new Map<number, Waiter>();

  constructor(origin: bigint) {
    this.origin = origin;
  }

  get pending(): number {
    return this.#waiters.size;
  }

  /** Reserves a sequence number; `wait` must follow with it. */
  nextSequence(): number {
    return this.#nextSequence++;
  }

  /** Resolves when an entry with `sequence` is applied here, rejects when it is given up. */
  wait(sequence: number, deadlineMs: number): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      this.#waiters.set(sequence, { deadlineMs, resolve, reject });
    });
  }

  isWaiting(sequence: number): boolean {
    return this.#waiters.has(sequence);
  }

  applied(origin: bigint, sequence: number, result: CommandResult): void {
    if (origin !== this.origin) {
      return;
    }
    const waiter = this.#waiters.get(sequence);
    if (waiter !== undefined) {
      this.#waiters.delete(sequence);
      waiter.resolve(result);
    }
  }

  fail(sequence: number, code: ErrorCode): void {
    const waiter = this.#waiters.get(sequence);
    if (waiter !== undefined) {
      this.#waiters.delete(sequence);
      waiter.reject(new QuorateError(code));
    }
  }

  /** Gives up on what is overdue; the outcome of those is unknown. Returns how many. */
  expire(nowMs: number, code: ErrorCode): number {
    let expired = 0;
    for (const [sequence, waiter] of this.#waiters) {
      if (waiter.deadlineMs > nowMs) {
        break;
      }
      this.fail(sequence, code);
      expired++;
    }
    return expired;
  }

  failAll(code: ErrorCode): void {
    for (const sequence of [...this.#waiters.keys()]) {
      this.fail(sequence, code);
    }
  }
}
