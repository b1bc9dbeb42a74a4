// Writes for `check`: so many at a time, so many a second, and how long each took.

import type { Client } from "../../client/index.ts";
import { textOf } from "./failure.ts";

export interface Load {
  readonly client: Client;
  readonly prefix: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Most writes under way at a time. */
  readonly concurrency: number;
  /** Writes in all; undefined to go on for `durationMs`. */
  readonly count?: number;
  readonly durationMs?: number;
  /** Most writes a second. */
  readonly rate?: number;
  readonly stop: AbortSignal;
  onWritten(writtenInAll: number): void;
}

export interface LoadResult {
  readonly writes: number;
  readonly seconds: number;
  readonly slowestSeconds: number;
  readonly deviationSeconds: number;
  /** How often each error came. */
  readonly errors: ReadonlyMap<string, number>;
}

const tickMs = 5;

/** Resolves when the load is done, or stopped. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const startedMs = performance.now();
  const tally = new Tally();
  const value = new Uint8Array(load.valueBytes);
  const pending = new Set<Promise<void>>();
  let issued = 0;
  const write = async (): Promise<void> => {
    const sentMs = performance.now();
    try {
      await load.client.put({ key: randomKey(load), value });
      tally.add((performance.now() - sentMs) / 1_000);
    } catch (error) {
      tally.fail(textOf(error));
    }
    load.onWritten(tally.writes);
  };
  for (;;) {
    const elapsedMs = performance.now() - startedMs;
    const isOver =
      load.stop.aborted ||
      elapsedMs >= (load.durationMs ?? Number.POSITIVE_INFINITY) ||
      issued >= (load.count ?? Number.POSITIVE_INFINITY);
    if (isOver) {
      break;
    }
    const due =
      load.rate === undefined ? Number.POSITIVE_INFINITY : (elapsedMs / 1_000) * load.rate;
    const room = Math.min(
      load.concurrency - pending.size,
      due - issued,
      (load.count ?? Number.POSITIVE_INFINITY) - issued,
    );
    for (let i = 0; i < room; i++) {
      issued++;
      const one: Promise<void> = write().finally(() => pending.delete(one));
      pending.add(one);
    }
    await (pending.size >= load.concurrency || load.rate === undefined
      ? Promise.race(pending)
      : new Promise((resolve) => setTimeout(resolve, tickMs)));
  }
  await Promise.all(pending);
  return tally.result((performance.now() - startedMs) / 1_000);
}

/** The prefix, a random number, and zeros up to the size. */
function randomKey({ prefix, keyBytes }: Load): Uint8Array {
  const head = Buffer.from(prefix);
  const key = Buffer.alloc(head.length + keyBytes);
  head.copy(key);
  key.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), head.length);
  key.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), head.length + 4);
  return key;
}

/** Mean and deviation as they come (Welford's method). */
class Tally {
  writes = 0;
  readonly #errors = new Map<string, number>();
  #slowest = 0;
  #mean = 0;
  #squares = 0;

  add(seconds: number): void {
    this.writes++;
    this.#slowest = Math.max(this.#slowest, seconds);
    const difference = seconds - this.#mean;
    this.#mean += difference / this.writes;
    this.#squares += difference * (seconds - this.#mean);
  }

  fail(text: string): void {
    this.#errors.set(text, (this.#errors.get(text) ?? 0) + 1);
  }

  result(seconds: number): LoadResult {
    return {
      writes: this.writes,
      seconds,
      slowestSeconds: this.#slowest,
      deviationSeconds: this.writes === 0 ? 0 : Math.sqrt(this.#squares / this.writes),
      errors: this.#errors,
    };
  }
}
