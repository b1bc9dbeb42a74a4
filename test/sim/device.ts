// The block device under one life of a member's process: how long an operation takes, when its
// effect is durable, what a crash leaves of those under way, and when it begins to fail. An
// operation goes on while its process is paused, and ends with the machine, not with the process.

import { StorageError } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import type { SimProcess } from "./process.ts";
import type { Scheduler } from "./scheduler.ts";

/** Boundaries of effects at which a crash may be armed. */
export type EffectPoint =
  | "walStart"
  | "walDurable"
  | "engineStart"
  | "engineDurable"
  | "segmentStart"
  | "segmentDurable"
  | "installStart"
  | "installDurable";

export type EffectKind = "wal" | "engine" | "segment" | "install";

/** What a write does: whole, or what a crash in the middle of it may leave. */
export interface Effect {
  whole(): void;
  /** Some part of it, by chance; also nothing, also all. */
  torn(rng: Rng): void;
}

interface Pending {
  readonly effect: Effect;
  settled: boolean;
}

export interface DeviceSpeed {
  /** Least and most, milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Reads of which one is late. */
const readsPerTail = 10;

export class Device {
  readonly #scheduler: Scheduler;
  readonly #process: SimProcess;
  readonly #rng: Rng;
  readonly #onPoint: (point: EffectPoint) => void;
  readonly #pending = new Set<Pending>();
  #failure: StorageError | undefined;
  /** Added to every operation, milliseconds. */
  slowMs = 0;
  /** The next write fails, and after it every other. */
  failNext = false;
  isFull = false;
  speed: DeviceSpeed = { fromMs: 0.1, toMs: 1.5 };
  /** A late read takes up to so much longer. */
  readonly #tailMs: number;

  constructor(
    scheduler: Scheduler,
    process: SimProcess,
    rng: Rng,
    onPoint: (point: EffectPoint) => void,
    tailMs: number,
  ) {
    this.#scheduler = scheduler;
    this.#tailMs = tailMs;
    this.#process = process;
    this.#rng = rng;
    this.#onPoint = onPoint;
  }

  get process(): SimProcess {
    return this.#process;
  }

  get rng(): Rng {
    return this.#rng;
  }

  /** Resolves some time after the effect is durable; never, if the process dies before. */
  write(kind: EffectKind, effect: Effect): Promise<void> {
    if (this.#failure !== undefined) {
      return Promise.reject(this.#failure);
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = { effect, settled: false };
      this.#pending.add(pending);
      this.#onPoint(`${kind}Start`);
      this.#scheduler.after(this.#latencyMs(), () => {
        if (pending.settled) {
          return;
        }
        this.#pending.delete(pending);
        pending.settled = true;
        const failure = this.#fails(kind, effect);
        if (failure !== undefined) {
          this.#process.run(() => reject(failure));
          return;
        }
        effect.whole();
        this.#onPoint(`${kind}Durable`);
        this.#process.after(0.02 + this.#rng.below(100) / 500, resolve);
      });
    });
  }

  /** A read takes its time and changes nothing. */
  read(): Promise<void> {
    return new Promise((resolve) => {
      const isLate = this.#tailMs > 0 && this.#rng.below(readsPerTail) === 0;
      const tailMs = isLate ? this.#rng.below(this.#tailMs) : 0;
      const delayMs = this.slowMs / 4 + 0.05 + this.#rng.below(100) / 200 + tailMs;
      this.#process.after(delayMs, resolve);
    });
  }

  /** The machine stops: what was under way is lost, torn or whole. */
  crash(): void {
    for (const pending of this.#pending) {
      pending.settled = true;
      pending.effect.torn(this.#rng);
    }
    this.#pending.clear();
  }

  #fails(kind: EffectKind, effect: Effect): StorageError | undefined {
    if (this.#failure === undefined && !this.failNext && !this.isFull) {
      return undefined;
    }
    if (this.#failure === undefined) {
      effect.torn(this.#rng);
      const what = this.failNext ? "input/output error" : "no space left on device";
      this.#failure = new StorageError(`simulated ${kind} write: ${what}`);
    }
    return this.#failure;
  }

  #latencyMs(): number {
    const { fromMs, toMs } = this.speed;
    const slow = this.slowMs === 0 ? 0 : this.#rng.below(Math.ceil(this.slowMs * 2));
    return fromMs + (this.#rng.below(1000) / 1000) * (toMs - fromMs) + slow;
  }
}
