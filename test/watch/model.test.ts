// Random lives of the hub, checked against a naive model at every notice. A failure names its seed:
// WATCH_SEED=n runs that one alone.

import { describe, expect, it } from "vitest";
import { FakeStore } from "./fake-store.ts";
import { RealStore } from "./real-store.ts";
import { Workload } from "./workload.ts";
import type { StoreUnderTest, Tally } from "./workload.ts";

const only = process.env["WATCH_SEED"];
const stores: readonly [string, number, () => StoreUnderTest][] = [
  ["a naive store", 250, () => new FakeStore()],
  ["the real store", 100, () => new RealStore()],
];

describe("watch hub model", () => {
  it.each(stores)("keeps every promise on %s, %i seeds", (_name, seedCount, makeStore) => {
    const seeds =
      only === undefined
        ? Array.from({ length: seedCount }, (_, i) => i + 1)
        : [Number.parseInt(only, 10)];
    const sum: Tally = { events: 0, progress: 0, compacted: 0, missing: 0, installs: 0 };
    for (const seed of seeds) {
      const workload = new Workload(seed, makeStore());
      try {
        workload.run(300);
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
      for (const name of Object.keys(sum) as (keyof Tally)[]) {
        sum[name] += workload.tally[name];
      }
    }
    // A run in which little happened proves nothing.
    if (only === undefined) {
      expect(sum.events).toBeGreaterThan(100 * seedCount);
      for (const count of [sum.progress, sum.compacted, sum.missing, sum.installs]) {
        expect(count).toBeGreaterThan(seedCount);
      }
    }
  });
});
