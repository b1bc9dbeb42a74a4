// Ends what no longer moves.

import type { Timer } from "../base/index.ts";
import type { LinkContext } from "./link-context.ts";

/** A state transfer on which nothing moves for this long is given up, milliseconds. */
export const stallMsMax = 30_000;

/** Calls `onStall` when nothing moved for a while; it says whether to go on watching. */
export class StallWatch {
  readonly #context: LinkContext;
  readonly #onStall: () => boolean;
  #movedAtMs: number;
  #timer: Timer;

  constructor(context: LinkContext, onStall: () => boolean) {
    this.#context = context;
    this.#onStall = onStall;
    this.#movedAtMs = context.clock.monotonicMs();
    this.#timer = this.#wait(stallMsMax);
  }

  moved(): void {
    this.#movedAtMs = this.#context.clock.monotonicMs();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #wait(delayMs: number): Timer {
    return this.#context.clock.after(delayMs, () => {
      const idleMs = this.#context.clock.monotonicMs() - this.#movedAtMs;
      if (idleMs < stallMsMax) {
        this.#timer = this.#wait(stallMsMax - idleMs);
      } else if (this.#onStall()) {
        this.#timer = this.#wait(stallMsMax);
      }
    });
  }
}
