// Reading everything that the engine holds, slowly and over and over, so that rot is found while
// the other members still have what it took. Every row's checksum is checked as it is read; a wrong
// one is a CorruptionError, which stops the node.

import { emptyBytes } from "../base/index.ts";
import type { Clock, Timer } from "../base/index.ts";
import type { Engine } from "../storage/engine.ts";

/** A pass is to take about so long, milliseconds. */
const passMs = 12 * 3_600_000;
const stepMs = 1_000;
const rowsMin = 8;
/** More would be felt; a store so large takes longer. */
const rowsMax = 512;
/** Rows are blocks and pages of about this size, bytes. */
const rowBytes = 6 * 1024;

export class Scrubber {
  readonly #engine: () => Engine | undefined;
  readonly #clock: Clock;
  readonly #onFatal: (error: unknown) => void;
  #timer: Timer | undefined;
  #from: Uint8Array = emptyBytes;
  #stopped = false;

  /** `engine` is the one in use; undefined while another is put in its place. */
  constructor(engine: () => Engine | undefined, clock: Clock, onFatal: (error: unknown) => void) {
    this.#engine = engine;
    this.#clock = clock;
    this.#onFatal = onFatal;
  }

  start(): void {
    this.#timer = this.#clock.after(stepMs, () => {
      void this.#step();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** No iterator outlives a step: it would hold on to files that are to go. */
  async #step(): Promise<void> {
    const engine = this.#engine();
    if (engine === undefined) {
      this.#from = emptyBytes;
      this.start();
      return;
    }
    const rowsAPass = engine.sizeBytes() / rowBytes;
    const goal = Math.ceil((rowsAPass * stepMs) / passMs);
    const limit = Math.min(rowsMax, Math.max(rowsMin, goal));
    try {
      let count = 0;
      let last = this.#from;
      for await (const rows of engine.scan({ from: this.#from, to: undefined, limit })) {
        count += rows.length;
        last = rows.at(-1)?.[0] ?? last;
      }
      this.#from = count < limit ? emptyBytes : successor(last);
    } catch (error) {
      if (this.#stopped) {
        return;
      }
      // An engine that is or was replaced meanwhile is closed.
      if (engine === this.#engine()) {
        this.#onFatal(error);
        return;
      }
      this.#from = emptyBytes;
    }
    if (!this.#stopped) {
      this.start();
    }
  }
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
