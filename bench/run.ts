// npm run bench: Quorate beside etcd in one run.
//
// Both clusters run at the same time and take turns, row by row and round by round, so that a
// noisy machine is noisy for both; the figures are medians of the rounds and what counts is their
// ratio. Without an `etcd` on the PATH only Quorate's figures are printed.
//
//   npm run bench -- --nodes=3 --rounds=5 --seconds=2 --rows=put,range --keys=100000 --json

import { parseArgs } from "node:util";
import type { LoadResult } from "./load/closed-loop.ts";
import { etcdVersion, hasEtcd, System, type SystemName } from "./systems.ts";
import { printTable, type RowFigures } from "./table.ts";
import { fill } from "./workloads.ts";
import { type Row, rows } from "./rows.ts";
import { clientRows } from "./client-rows.ts";

interface Options {
  readonly nodes: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly keys: number;
  readonly only: readonly string[];
  readonly json: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "1,3" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      keys: { type: "string", default: "100000" },
      rows: { type: "string", default: "" },
      json: { type: "boolean", default: false },
    },
  });
  return {
    nodes: values.nodes.split(",").map(Number),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    keys: Number(values.keys),
    only: values.rows === "" ? [] : values.rows.split(","),
    json: values.json,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function measure(
  row: Row,
  systems: readonly System[],
  nodes: number,
  options: Options,
): Promise<RowFigures[]> {
  const results = new Map<SystemName, LoadResult[]>();
  const cpu = new Map<SystemName, number[]>();
  for (let round = 0; round < options.rounds; round++) {
    // The order turns round by round, so that neither always runs on the other's heels.
    const order = round % 2 === 0 ? systems : [...systems].reverse();
    for (const system of order) {
      const before = system.usage().cpuSeconds;
      const result = await row.run(system.endpoints, options.keys, options.seconds);
      const spent = system.usage().cpuSeconds - before;
      results.set(system.name, [...(results.get(system.name) ?? []), result]);
      cpu.set(system.name, [
        ...(cpu.get(system.name) ?? []),
        (spent / Math.max(1, result.requests)) * 1e6,
      ]);
    }
  }
  return systems.map(({ name }) => {
    const all = results.get(name) ?? [];
    return {
      row: row.name,
      nodes,
      system: name,
      perSecond: median(all.map((r) => r.perSecond)),
      p50Ms: median(all.map((r) => r.p50Ms)),
      p99Ms: median(all.map((r) => r.p99Ms)),
      cpuSecondsPerMillion: median(cpu.get(name) ?? []),
      errors: all.reduce((sum, r) => sum + r.errors, 0),
    };
  });
}

async function main(): Promise<void> {
  const options = readOptions();
  const names: SystemName[] = hasEtcd() ? ["quorate", "etcd"] : ["quorate"];
  // What a client costs is another question than what a store does: asked only by name.
  const chosen = (options.only.length === 0 ? rows : [...rows, ...clientRows]).filter(
    (row) => options.only.length === 0 || options.only.some((part) => row.name.includes(part)),
  );
  if (chosen.length === 0) {
    throw new Error(
      `no such row; there are: ${[...rows, ...clientRows].map((row) => row.name).join(", ")}`,
    );
  }
  const figures: RowFigures[] = [];
  const resident: Record<string, number> = {};
  for (const nodes of options.nodes) {
    const systems: System[] = [];
    try {
      for (const name of names) {
        const system = await System.start(name, nodes);
        systems.push(system);
        await fill(system.endpoints, options.keys);
      }
      for (const row of chosen) {
        process.stderr.write(`${nodes} node${nodes === 1 ? "" : "s"}: ${row.name}\n`);
        figures.push(...(await measure(row, systems, nodes, options)));
      }
      for (const system of systems) {
        resident[`${system.name}, ${nodes} nodes`] = system.usage().residentBytes;
      }
    } finally {
      await Promise.all(systems.map((system) => system.stop()));
    }
  }
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ options, figures, resident }, undefined, 2)}\n`);
    return;
  }
  if (names.includes("etcd")) {
    process.stdout.write(`beside ${etcdVersion()}, ${options.rounds} rounds, medians\n\n`);
  }
  printTable(figures, resident);
}

await main();
