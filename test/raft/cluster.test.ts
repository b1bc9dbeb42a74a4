// Random clusters: see random-cluster.ts. A failure names its seed; RAFT_SEED=N runs that one
// alone, RAFT_SEEDS=N the first N.

import { describe, expect, it } from "vitest";
import type { Happened } from "./random-cluster.ts";
import { RandomCluster } from "./random-cluster.ts";

const only = process.env["RAFT_SEED"];
const seeds =
  only === undefined
    ? Array.from({ length: Number(process.env["RAFT_SEEDS"] ?? 100) }, (_, i) => i + 1)
    : [Number(only)];

describe("random clusters", () => {
  it(`keep every promise, seeds ${seeds[0]} to ${seeds.at(-1)}`, { timeout: 600_000 }, () => {
    const total: Partial<Record<keyof Happened, number>> = {};
    for (const seed of seeds) {
      const cluster = new RandomCluster(seed);
      for (let round = 0; round < 3; round++) {
        cluster.trouble(2500);
        cluster.heal();
      }
      for (const [name, count] of Object.entries(cluster.happened)) {
        const key = name as keyof Happened;
        total[key] = (total[key] ?? 0) + count;
      }
    }
    console.log(JSON.stringify(total));
    if (only === undefined) {
      for (const [name, count] of Object.entries(total)) {
        expect(count, `${name} must happen`).toBeGreaterThan(seeds.length / 2);
      }
    }
  });
});
