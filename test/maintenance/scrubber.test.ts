// The scrubber comes round to every row, and stops the node at the first that is wrong.

import { expect, test } from "vitest";
import { bytesToHex, CorruptionError, utf8 } from "../../src/base/index.ts";
import type { Clock } from "../../src/base/index.ts";
import { Scrubber } from "../../src/node/scrubber.ts";
import { createMemoryEngine } from "../../src/storage/index.ts";
import type { Engine, Row, ScanRange } from "../../src/storage/index.ts";

/** Steps by hand: what is due runs when it is told to. */
class HandClock implements Clock {
  due: (() => void)[] = [];

  monotonicMs(): number {
    return 0;
  }

  wallMs(): number {
    return 0;
  }

  after(_delayMs: number, callback: () => void): { cancel(): void } {
    this.due.push(callback);
    return { cancel: () => {} };
  }

  soon(callback: () => void): void {
    this.due.push(callback);
  }

  async step(): Promise<void> {
    this.due.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function filled(rows: number): Promise<Engine> {
  const engine = createMemoryEngine();
  for (let i = 0; i < rows; i++) {
    const key = utf8(`row/${String(i).padStart(4, "0")}`);
    await engine.write([{ kind: "put", key, value: utf8("v") }], { sync: false });
  }
  return engine;
}

/** Notes what is read, and finds one row damaged. */
function watched(engine: Engine, seen: string[], damaged?: string): Engine {
  return Object.assign(Object.create(engine) as Engine, {
    sizeBytes: () => 0,
    async *scan(range: ScanRange): AsyncGenerator<readonly Row[]> {
      for await (const rows of engine.scan(range)) {
        for (const [key] of rows) {
          seen.push(bytesToHex(key));
          if (seen.at(-1) === damaged) {
            throw new CorruptionError("a row is damaged");
          }
        }
        yield rows;
      }
    },
  });
}

test("reads every row, then begins again", async () => {
  const seen: string[] = [];
  const engine = watched(await filled(20), seen);
  const clock = new HandClock();
  const scrubber = new Scrubber(
    () => engine,
    clock,
    (error) => {
      throw error;
    },
  );
  scrubber.start();
  for (let step = 0; step < 6; step++) {
    await clock.step();
  }
  expect(seen.length).toBe(40);
  expect(seen.slice(20)).toEqual(seen.slice(0, 20));
  expect(new Set(seen).size).toBe(20);
  scrubber.stop();
  await clock.step();
  expect(seen.length).toBeLessThanOrEqual(48);
});

test("tells of a damaged row and stops", async () => {
  const seen: string[] = [];
  const engine = watched(await filled(20), seen, bytesToHex(utf8("row/0012")));
  const clock = new HandClock();
  const failures: unknown[] = [];
  new Scrubber(
    () => engine,
    clock,
    (error) => failures.push(error),
  ).start();
  for (let step = 0; step < 5; step++) {
    await clock.step();
  }
  expect(failures).toHaveLength(1);
  expect(failures[0]).toBeInstanceOf(CorruptionError);
  expect(clock.due).toEqual([]);
});

test("waits while the engine is put aside, and begins again with the next", async () => {
  const old = await filled(20);
  const seen: string[] = [];
  const next = watched(await filled(8), seen);
  const clock = new HandClock();
  const failures: unknown[] = [];
  let inUse: Engine | undefined = old;
  const scrubber = new Scrubber(
    () => inUse,
    clock,
    (error) => failures.push(error),
  );
  scrubber.start();
  await clock.step();
  // Closed under a step that has begun, and under one that has not.
  const step = clock.step();
  inUse = undefined;
  await old.close();
  await step;
  await clock.step();
  inUse = next;
  await clock.step();
  expect(failures).toEqual([]);
  expect(seen).toHaveLength(8);
  scrubber.stop();
});
