// One life of a member's process: everything that calls into it (timers, frames, finished disk
// operations) goes through `run`, so that a paused process hears nothing until it resumes and a
// dead one hears nothing ever again. Its clock may run fast or slow and its wall clock may jump.

import type { Clock, Timer } from "../../src/base/index.ts";
import type { Scheduler } from "./scheduler.ts";

export interface ClockFault {
  /** How fast this process' monotonic time runs; 1 is true time. */
  readonly rate: number;
  readonly wallOffsetMs: number;
}

/** An event inside a process costs some time, so that turns do not all fall on one instant. */
const turnMs = 0.01;

export class SimProcess {
  readonly #scheduler: Scheduler;
  readonly #startedMs: number;
  readonly #fault: ClockFault;
  #wallJumpMs = 0;
  #alive = true;
  #held: (() => void)[] | undefined;
  #awakeSinceMs: number;
  /** Set by each event in this process; whoever checks it puts it back. */
  ran = false;

  constructor(scheduler: Scheduler, fault: ClockFault) {
    this.#scheduler = scheduler;
    this.#startedMs = scheduler.nowMs;
    this.#awakeSinceMs = scheduler.nowMs;
    this.#fault = fault;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get paused(): boolean {
    return this.#held !== undefined;
  }

  /** When it last started or resumed. */
  get awakeSinceMs(): number {
    return this.#awakeSinceMs;
  }

  readonly clock: Clock = {
    monotonicMs: () => this.#monotonicMs(),
    wallMs: () =>
      1_700_000_000_000 + this.#fault.wallOffsetMs + this.#wallJumpMs + this.#monotonicMs(),
    after: (delayMs, callback) => this.after(delayMs / this.#fault.rate, callback),
    soon: (callback) => {
      this.after(turnMs, callback);
    },
  };

  /** Calls into this process now, or when it resumes; never once it is dead. */
  run(callback: () => void): void {
    if (!this.#alive) {
      return;
    }
    if (this.#held === undefined) {
      this.ran = true;
      callback();
    } else {
      this.#held.push(callback);
    }
  }

  /** Calls into this process after `delayMs` of true time. */
  after(delayMs: number, callback: () => void): Timer {
    let cancelled = false;
    const timer = this.#scheduler.after(delayMs, () =>
      this.run(() => {
        if (!cancelled) {
          callback();
        }
      }),
    );
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  jumpWallClock(byMs: number): void {
    this.#wallJumpMs += byMs;
  }

  pause(): void {
    this.#held ??= [];
  }

  /** What was held comes in at once, in order, one event each. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#awakeSinceMs = this.#scheduler.nowMs;
    for (const callback of held) {
      this.#scheduler.after(0, () => this.run(callback));
    }
  }

  kill(): void {
    this.#alive = false;
    this.#held = undefined;
  }

  #monotonicMs(): number {
    return (this.#scheduler.nowMs - this.#startedMs) * this.#fault.rate;
  }
}
