// Background work in small steps between requests: compaction, catching up of watchers, hashing.
// A step may find that it misses records; they are loaded and the step is run again.

import type { Clock } from "../base/index.ts";
import { MissingRecords } from "../mvcc/index.ts";

export interface SteppedWorkOptions {
  /** One bounded piece of work; true while more is left. */
  readonly step: () => boolean;
  readonly load: (missing: MissingRecords) => Promise<void>;
  readonly clock: Clock;
  /** Rest between steps, milliseconds; 0 lets other events run and goes on. */
  readonly restMs: number;
  readonly onFatal: (error: unknown) => void;
}

export class SteppedWork {
  readonly #options: SteppedWorkOptions;
  #active = false;
  #stopped = false;
  #idleWaiters: (() => void)[] = [];

  constructor(options: SteppedWorkOptions) {
    this.#options = options;
  }

  /** There may be work: begins unless it is under way. */
  wake(): void {
    if (!this.#active && !this.#stopped) {
      this.#active = true;
      this.#next();
    }
  }

  /** Resolves when no step is left; at once when none is under way. */
  whenIdle(): Promise<void> {
    return this.#active
      ? new Promise((resolve) => {
          this.#idleWaiters.push(resolve);
        })
      : Promise.resolve();
  }

  stop(): void {
    this.#stopped = true;
    this.#becomeIdle();
  }

  #next(): void {
    const { clock, restMs } = this.#options;
    const run = (): void => this.#step();
    if (restMs > 0) {
      clock.after(restMs, run);
    } else {
      clock.soon(run);
    }
  }

  #step(): void {
    if (this.#stopped) {
      return;
    }
    try {
      if (this.#options.step()) {
        this.#next();
      } else {
        this.#becomeIdle();
      }
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        this.#options.onFatal(error);
        return;
      }
      this.#options.load(error).then(
        () => this.#step(),
        (failure: unknown) => this.#options.onFatal(failure),
      );
    }
  }

  #becomeIdle(): void {
    this.#active = false;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) {
      resolve();
    }
  }
}
