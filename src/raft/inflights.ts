// The window of appends that one member has not acknowledged: a ring of (last index, bytes).
//
// Indexes in it only rise. An acknowledgement frees everything up to its index, since appends are
// acknowledged cumulatively.

import { assert } from "../base/index.ts";

export class Inflights {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #lastIndexes: number[] = [];
  readonly #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The byte bound is met by the first message that reaches it, so one may always leave. */
  get full(): boolean {
    return this.#count === this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.full, "inflight window overrun");
    // The ring grows to its bound on demand: most links never fill it.
    const slot = (this.#start + this.#count) % this.#messagesMax;
    this.#lastIndexes[slot] = lastIndex;
    this.#sizes[slot] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  freeTo(index: number): void {
    while (this.#count > 0 && (this.#lastIndexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = (this.#start + 1) % this.#messagesMax;
      this.#count--;
    }
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }
}
