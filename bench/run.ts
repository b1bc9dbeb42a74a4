// npm run bench: Quorate beside etcd in one run.
//
// Both clusters run at the same time and take turns, row by row and round by round; the figures
// are medians of the rounds and what counts is their ratio. Without an `etcd` on the PATH only
// Quorate's figures are printed.
//
//   npm run bench -- --nodes=3 --rounds=5 --seconds=2 --rows=put,range --keys=100000 --json
//
// `--all` adds the rows with a million keys and a restart (million.ts), the comparison with what
// is possible (limits.ts) and the curves (scaling.ts): some 40 minutes. `npm run bench:docs` does
// that and puts the results into docs/performance.md.

import { mkdir, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { clientRows } from "./client-rows.ts";
import { type LimitFigures, measureLimits } from "./limits.ts";
import { type Effort, measure, type RowFigures, systemNames, withSystems } from "./measure.ts";
import { measureMillion, type StoreFigures } from "./million.ts";
import { type Row, rows } from "./rows.ts";
import { measureScaling, type Point } from "./scaling.ts";
import { etcdVersion } from "./systems.ts";
import { printTable } from "./table.ts";

/** What a run writes as JSON. */
export interface Results {
  /** In words. */
  readonly machine: string;
  readonly options: Options;
  readonly figures: readonly RowFigures[];
  /** Of the largest member after the rows, bytes, by system and number of members. */
  readonly resident: Readonly<Record<string, number>>;
  readonly stores: readonly StoreFigures[];
  readonly limits: LimitFigures;
  readonly scaling: readonly Point[];
}

interface Options extends Effort {
  readonly nodes: readonly number[];
  readonly only: readonly string[];
  /** Keys of the large store. */
  readonly largeKeys: number;
  readonly all: boolean;
  readonly json: boolean;
  readonly out: string;
}

const noLimits: LimitFigures = { log: [], h2load: undefined };

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "1,3" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      keys: { type: "string", default: "100000" },
      rows: { type: "string", default: "" },
      "large-keys": { type: "string", default: "1000000" },
      all: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      out: { type: "string", default: "" },
    },
  });
  return {
    nodes: values.nodes.split(",").map(Number),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    keys: Number(values.keys),
    only: values.rows === "" ? [] : values.rows.split(","),
    largeKeys: Number(values["large-keys"]),
    all: values.all,
    json: values.json,
    out: values.out,
  };
}

/** What a client costs is another question than what a store does: asked only by name. */
function chosenRows(only: readonly string[]): readonly Row[] {
  const known = only.length === 0 ? rows : [...rows, ...clientRows];
  const chosen = known.filter(
    ({ name }) => only.length === 0 || only.some((part) => name.includes(part)),
  );
  if (chosen.length === 0) {
    const names = [...rows, ...clientRows].map(({ name }) => name);
    throw new Error(`no such row; there are: ${names.join(", ")}`);
  }
  return chosen;
}

function describeMachine(options: Options): string {
  const { model } = cpus()[0] ?? { model: "unknown processor" };
  const etcd = systemNames.includes("etcd") ? `, beside ${etcdVersion()}` : "";
  const memory = Math.round(totalmem() / 2 ** 30);
  return (
    `${cpus().length} cores (${model.trim()}), ${memory} GiB, Node.js ${process.version}${etcd}; ` +
    `medians of ${options.rounds} rounds of ${options.seconds} s.`
  );
}

async function main(): Promise<void> {
  const options = readOptions();
  const chosen = chosenRows(options.only);
  const figures: RowFigures[] = [];
  const resident: Record<string, number> = {};
  for (const nodes of options.nodes) {
    await withSystems(nodes, options.keys, async (systems) => {
      for (const row of chosen) {
        figures.push(...(await measure(row, systems, options)));
      }
      for (const system of systems) {
        resident[`${system.name}, ${nodes} nodes`] = system.usage().residentBytes;
      }
    });
  }
  const large = options.all
    ? await measureMillion(3, { ...options, keys: options.largeKeys })
    : undefined;
  const results: Results = {
    machine: describeMachine(options),
    options,
    figures: [...figures, ...(large?.figures ?? [])],
    resident,
    stores: large?.stores ?? [],
    limits: options.all ? await measureLimits(options.rounds, options.seconds) : noLimits,
    scaling: options.all ? await measureScaling(options, options.largeKeys) : [],
  };
  const text = `${JSON.stringify(results, undefined, 2)}\n`;
  if (options.out !== "") {
    await mkdir(dirname(options.out), { recursive: true });
    await writeFile(options.out, text);
  }
  if (options.json) {
    process.stdout.write(text);
    return;
  }
  process.stdout.write(`${results.machine}\n\n`);
  printTable(results);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await main();
}
