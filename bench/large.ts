// npm run bench:large: one member that holds far more than its memory budget. What it keeps
// resident, how long a start takes, and whether its hot set reads as fast as in a small store.
//
//   npm run bench:large -- --keys=10000000 --value-bytes=256 --hot=20000 --json

import { parseArgs } from "node:util";
import { closedLoop } from "./load/closed-loop.ts";
import { System } from "./systems.ts";
import { fill, put, range } from "./workloads.ts";

const mib = 1024 * 1024;

interface Figures {
  readonly keys: number;
  readonly valueBytes: number;
  readonly keysFilledPerSecond: number;
  readonly residentMiB: Record<string, number>;
  readonly restartSeconds: number;
  readonly hotReadsPerSecond: { readonly small: number; readonly large: number };
  readonly coldReadsPerSecond: number;
  readonly putsPerSecond: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      keys: { type: "string", default: "10000000" },
      "value-bytes": { type: "string", default: "256" },
      hot: { type: "string", default: "20000" },
      seconds: { type: "string", default: "5" },
      json: { type: "boolean", default: false },
    },
  });
  const keys = Number(values.keys);
  const valueBytes = Number(values["value-bytes"]);
  const hot = Number(values.hot);
  const seconds = Number(values.seconds);
  const small = await System.start("quorate", 1);
  let smallRate = 0;
  try {
    await fill(small.endpoints, hot, valueBytes);
    smallRate = await rateOf(small, seconds, () => range(hot, false));
  } finally {
    await small.stop();
  }
  const large = await System.start("quorate", 1);
  try {
    const figures = await measure(large, { keys, valueBytes, hot, seconds }, smallRate);
    process.stdout.write(`${JSON.stringify(figures, undefined, values.json ? 0 : 2)}\n`);
  } finally {
    await large.stop();
  }
}

interface Sizes {
  readonly keys: number;
  readonly valueBytes: number;
  readonly hot: number;
  readonly seconds: number;
}

async function measure(system: System, sizes: Sizes, smallRate: number): Promise<Figures> {
  const { keys, valueBytes, hot, seconds } = sizes;
  const residentMiB: Record<string, number> = {};
  const note = (name: string): void => {
    residentMiB[name] = Math.round(system.usage().residentBytes / mib);
    process.stderr.write(`${name}: ${residentMiB[name]} MiB resident\n`);
  };
  const startedMs = performance.now();
  await fill(system.endpoints, keys, valueBytes);
  const filledSeconds = (performance.now() - startedMs) / 1000;
  note("filled");
  const putsPerSecond = await rateOf(system, seconds, () => put(keys, valueBytes));
  note("puts all over");
  const coldReadsPerSecond = await rateOf(system, seconds, () => range(keys, false));
  note("reads all over");
  await rateOf(system, seconds, () => range(hot, false));
  const hotRate = await rateOf(system, seconds, () => range(hot, false));
  note("hot reads");
  await system.halt("SIGTERM");
  const restartedMs = performance.now();
  await system.launch();
  const restartSeconds = (performance.now() - restartedMs) / 1000;
  note("restarted");
  residentMiB["peak"] = Math.round(system.peakResidentBytes / mib);
  return {
    keys,
    valueBytes,
    keysFilledPerSecond: Math.round(keys / filledSeconds),
    residentMiB,
    restartSeconds: Math.round(restartSeconds * 100) / 100,
    hotReadsPerSecond: { small: Math.round(smallRate), large: Math.round(hotRate) },
    coldReadsPerSecond: Math.round(coldReadsPerSecond),
    putsPerSecond: Math.round(putsPerSecond),
  };
}

async function rateOf(
  system: System,
  seconds: number,
  next: () => ReturnType<typeof put>,
): Promise<number> {
  const { endpoints } = system;
  const { perSecond } = await closedLoop({
    endpoints,
    inFlight: 100,
    connections: 10,
    seconds,
    next,
  });
  return perSecond;
}

await main();
