// Random lives of the store, compared with a naive model at every answer. A failure names its seed:
// MVCC_SEED=n runs that one alone.

import { describe, expect, it } from "vitest";
import { emptyTally, Workload } from "./workload.ts";
import type { Tally } from "./workload.ts";

const only = process.env["MVCC_SEED"];
const seeds =
  only === undefined ? Array.from({ length: 100 }, (_, i) => i + 1) : [Number.parseInt(only, 10)];

describe("store model", () => {
  it("answers as the model does, whatever is evicted, compacted or lost", () => {
    const sum = emptyTally();
    for (const seed of seeds) {
      let workload: Workload | undefined;
      try {
        workload = new Workload(seed);
        workload.run(400);
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
      for (const name of Object.keys(sum) as (keyof Tally)[]) {
        sum[name] += workload.tally[name];
      }
    }
    // A run in which little happened proves nothing.
    if (only === undefined) {
      for (const count of Object.values(sum)) {
        expect(count).toBeGreaterThan(100);
      }
    }
  }, 120_000);
});
