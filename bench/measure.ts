// Rows measured on systems that run side by side and take turns, so that a noisy machine is noisy
// for all; the figures are medians of the rounds.

import type { LoadResult } from "./load/closed-loop.ts";
import type { Row } from "./rows.ts";
import { hasEtcd, System, type SystemName } from "./systems.ts";
import { fill } from "./workloads.ts";

export interface RowFigures {
  readonly row: string;
  readonly nodes: number;
  readonly keys: number;
  readonly system: SystemName;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all members together. */
  readonly cpuSecondsPerMillion: number;
  readonly errors: number;
}

export interface Effort {
  readonly keys: number;
  readonly rounds: number;
  readonly seconds: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export const systemNames: readonly SystemName[] = hasEtcd() ? ["quorate", "etcd"] : ["quorate"];

/** Starts a cluster of each system, filled, and stops them when `use` has ended. */
export async function withSystems<T>(
  nodes: number,
  keys: number,
  use: (systems: readonly System[]) => Promise<T>,
): Promise<T> {
  const systems: System[] = [];
  try {
    for (const name of systemNames) {
      const system = await System.start(name, nodes);
      systems.push(system);
      await fill(system.endpoints, keys);
    }
    return await use(systems);
  } finally {
    await Promise.all(systems.map((system) => system.stop()));
  }
}

export async function measure(
  row: Row,
  systems: readonly System[],
  effort: Effort,
): Promise<RowFigures[]> {
  const { keys, rounds, seconds } = effort;
  process.stderr.write(`${systems[0]?.size ?? 0} nodes, ${keys} keys: ${row.name}\n`);
  const results = new Map<System, { result: LoadResult; cpuSecondsPerMillion: number }[]>();
  for (const system of systems) {
    // One serves from compiled code at once, the other once it has been used.
    await row.run(system.endpoints, keys, seconds);
  }
  for (let round = 0; round < rounds; round++) {
    // The order turns round by round, so that neither always runs on the other's heels.
    for (const system of round % 2 === 0 ? systems : [...systems].reverse()) {
      const before = system.usage().cpuSeconds;
      const result = await row.run(system.endpoints, keys, seconds);
      const spent = system.usage().cpuSeconds - before;
      const cpuSecondsPerMillion = (spent / Math.max(1, result.requests)) * 1e6;
      results.set(system, [...(results.get(system) ?? []), { result, cpuSecondsPerMillion }]);
    }
  }
  return systems.map((system) => {
    const all = results.get(system) ?? [];
    return {
      row: row.name,
      nodes: system.size,
      keys,
      system: system.name,
      perSecond: median(all.map(({ result }) => result.perSecond)),
      p50Ms: median(all.map(({ result }) => result.p50Ms)),
      p99Ms: median(all.map(({ result }) => result.p99Ms)),
      cpuSecondsPerMillion: median(all.map((each) => each.cpuSecondsPerMillion)),
      errors: all.reduce((sum, { result }) => sum + result.errors, 0),
    };
  });
}
