// What a part may be given from outside instead of reaching for it: randomness, time, a log.
// The deterministic zone takes only Rng; ticks and stamps come inside its inputs.

/** A seeded source of randomness. */
export interface Rng {
  /** An unsigned 32-bit number. */
  next(): number;
  /** A whole number with 0 <= n < bound; bound is 1 to 2^32. */
  below(bound: number): number;
  /** An unsigned 64-bit number. */
  next64(): bigint;
}

/** sfc32: small, fast, passes PractRand; the same seed gives the same stream on every machine. */
export class SeededRng implements Rng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed` is any safe integer; `stream` separates uses, so a draw in one shifts no other. */
  constructor(seed: number, stream = 0) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0;
    this.#c = stream >>> 0;
    for (let i = 0; i < 16; i++) {
      this.next();
    }
  }

  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  next64(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }
}

/** A cancellable timer. */
export interface Timer {
  cancel(): void;
}

/** Time as a node sees it. Monotonic time rules everything inside; wall time is only for stamps. */
export interface Clock {
  /** Milliseconds, never falling, from an arbitrary start; fractions allowed. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /** Runs `callback` once after `delayMs`. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` as soon as the current event is done (setImmediate's place). */
  soon(callback: () => void): void;
}

/** Structured log in pino's argument order. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};

const lineWindowMs = 1_000;
const linesPerWindow = 10;

/** A bound on log lines that load can cause: who is slow must not be made slower by saying so. */
export class LineBudget {
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #silenced = 0;

  /** Whether a line may be written now: how many were not since the last one, or undefined. */
  take(nowMs: number): number | undefined {
    if (nowMs - this.#windowStartMs >= lineWindowMs) {
      this.#windowStartMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines >= linesPerWindow) {
      this.#silenced++;
      return undefined;
    }
    this.#lines++;
    const silenced = this.#silenced;
    this.#silenced = 0;
    return silenced;
  }
}
