// Simulated time: one queue of events for the whole world, ordered by time and then by the order
// in which they were asked for. Between two events everything that promises have set off is
// drained, so that a run depends on nothing but its seed.

import type { Timer } from "../../src/base/index.ts";

interface SimEvent {
  readonly atMs: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/**
 * Runs what promises and ticks have set off until nothing is left, within the running event. A turn
 * of Node's own loop an event does the same and takes longer than most events.
 */
const drain = (process as unknown as { readonly _tickCallback: () => void })._tickCallback;

export class Scheduler {
  #nowMs = 0;
  #nextOrder = 0;
  #eventsRun = 0;
  readonly #heap: SimEvent[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  get eventsRun(): number {
    return this.#eventsRun;
  }

  /** Runs `callback` after `delayMs` of simulated time. */
  after(delayMs: number, callback: () => void): Timer {
    const event: SimEvent = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#nextOrder++,
      callback,
    };
    this.#push(event);
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }

  /** Runs events until simulated time reaches `untilMs` or `stop` says so after an event. */
  run(untilMs: number, stop: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      // From a turn of its own: inside a promise's reaction no other would be run.
      setImmediate(() => {
        try {
          this.#run(untilMs, stop);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #run(untilMs: number, stop: () => boolean): void {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return;
      }
      this.#pop();
      if (next.callback === undefined) {
        continue;
      }
      this.#nowMs = next.atMs;
      this.#eventsRun++;
      next.callback();
      drain();
      if (stop()) {
        return;
      }
    }
  }

  #push(event: SimEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as SimEvent)) {
        break;
      }
      heap[at] = heap[parent] as SimEvent;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as SimEvent;
    if (heap.length === 0) {
      return;
    }
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) {
        break;
      }
      if (
        child + 1 < heap.length &&
        isBefore(heap[child + 1] as SimEvent, heap[child] as SimEvent)
      ) {
        child++;
      }
      if (!isBefore(heap[child] as SimEvent, last)) {
        break;
      }
      heap[at] = heap[child] as SimEvent;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
