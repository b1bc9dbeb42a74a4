// `npm run fuzz`: every target in turn, over and over with new seeds, until the time is up. A
// failure shows the seed, the path to the smallest input, and the input.

import { parseArgs } from "node:util";
import fc from "fast-check";
import { targets } from "./targets.ts";

const usage = "npm run fuzz -- [--minutes N] [--only PART-OF-A-NAME]";
/** How long one target is tried before the next has its turn, milliseconds. */
const turnMs = 5_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "1" }, only: { type: "string", default: "" } },
  });
  const minutes = Number(values.minutes);
  const chosen = targets.filter(({ name }) => name.includes(values.only));
  if (!(minutes > 0) || chosen.length === 0) {
    throw new Error(usage);
  }
  const untilMs = performance.now() + minutes * 60_000;
  const counts = new Map(chosen.map(({ name }) => [name, 0]));
  do {
    for (const { name, property } of chosen) {
      const result = await fc.check(property as fc.IAsyncProperty<unknown>, {
        numRuns: Number.MAX_SAFE_INTEGER,
        interruptAfterTimeLimit: Math.min(turnMs, (minutes * 60_000) / chosen.length),
        markInterruptAsFailure: false,
      });
      if (result.failed) {
        const cause = result.errorInstance;
        const stack = cause instanceof Error ? cause.stack : String(cause);
        throw new Error(`${name}\n${fc.defaultReportMessage(result)}\n${stack}`);
      }
      counts.set(name, (counts.get(name) ?? 0) + result.numRuns);
    }
  } while (performance.now() < untilMs);
  for (const [name, count] of counts) {
    process.stdout.write(`${String(count).padStart(10)}  ${name}\n`);
    if (count === 0) {
      throw new Error(`${name} was not tried`);
    }
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
