// What a store of a million keys costs, beside etcd: puts, resident memory, and a restart.

import { measure, type Effort, type RowFigures, withSystems } from "./measure.ts";
import { rowNamed } from "./rows.ts";
import type { SystemName } from "./systems.ts";

export interface StoreFigures {
  readonly system: SystemName;
  readonly nodes: number;
  readonly keys: number;
  /** Of the largest member, bytes: after the keys were put, after the rows, after a restart. */
  readonly residentFilled: number;
  readonly residentUsed: number;
  readonly residentRestarted: number;
  /** From the start of all members until each has answered a linearizable read. */
  readonly restartSeconds: number;
}

export interface MillionFigures {
  readonly figures: readonly RowFigures[];
  readonly stores: readonly StoreFigures[];
}

const rowNames = ["put, 1000", "put, 100 while compacting"];

export function measureMillion(nodes: number, effort: Effort): Promise<MillionFigures> {
  return withSystems(nodes, effort.keys, async (systems) => {
    const filled = systems.map((system) => system.usage().residentBytes);
    const figures: RowFigures[] = [];
    for (const name of rowNames) {
      figures.push(...(await measure(rowNamed(name), systems, effort)));
    }
    const stores: StoreFigures[] = [];
    for (const [i, system] of systems.entries()) {
      process.stderr.write(`${nodes} nodes, ${effort.keys} keys: restart of ${system.name}\n`);
      const residentUsed = system.usage().residentBytes;
      await system.halt("SIGTERM");
      const startedMs = performance.now();
      await system.launch();
      stores.push({
        system: system.name,
        nodes,
        keys: effort.keys,
        residentFilled: filled[i] ?? 0,
        residentUsed,
        residentRestarted: system.usage().residentBytes,
        restartSeconds: (performance.now() - startedMs) / 1000,
      });
    }
    return { figures, stores };
  });
}
