// npm run sim -- [--seed N | --seeds A..B | --lives N] [--faults a,b,...] [--secs S] [--trace]
//                [--jobs N] [--shrink] [--until-failure] [--hash] [--no-corpus]
//                [--least-speed H]
//
// Plays lives of simulated clusters and fails when a promise was broken, or when the run was too
// small to prove anything, or slower than so many simulated hours a CPU-minute. Without a seed it
// plays fresh ones, one or as many as --lives says, and prints which.

import { parseArgs } from "node:util";
import { keep, regressions } from "./corpus.ts";
import { chooseOptions, faultKinds } from "./options.ts";
import type { FaultKind, SimOptions } from "./options.ts";
import type { Played } from "./player.ts";
import { playAll } from "./players.ts";
import { ProgressBar } from "./progress.ts";
import { playLife } from "./run.ts";
import type { Report } from "./run.ts";
import { shrink } from "./shrink.ts";
import { Summary } from "./summary.ts";

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    lives: { type: "string" },
    jobs: { type: "string", default: "1" },
    faults: { type: "string" },
    secs: { type: "string" },
    trace: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
    "until-failure": { type: "boolean", default: false },
    hash: { type: "boolean", default: false },
    "no-corpus": { type: "boolean", default: false },
    "least-speed": { type: "string", default: "0" },
  },
});

// Stacks are costly, and the store says what it misses by throwing.
Error.stackTraceLimit = values.trace ? 30 : 3;

function seedRange(): readonly [number, number] {
  const text = values.seeds ?? values.seed;
  if (text === undefined) {
    const fresh = Math.floor(Date.now() / 1000);
    const last = fresh + Number(values.lives ?? 1) - 1;
    if (!(last >= fresh)) {
      throw new Error(`not a number of lives: ${values.lives}`);
    }
    say(`seeds ${fresh}..${last}`);
    return [fresh, last];
  }
  const [from, to = from] = text.split("..").map(Number);
  if (from === undefined || to === undefined || !Number.isSafeInteger(from) || !(to >= from)) {
    throw new Error(`not a seed or a range A..B: ${text}`);
  }
  return [from, to];
}

function overrides(): Partial<SimOptions> {
  const wanted: { faults?: FaultKind[]; faultSecs?: number } = {};
  if (values.faults !== undefined) {
    const names = values.faults.split(",").filter((name) => name !== "");
    const unknown = names.find((name) => !faultKinds.includes(name as FaultKind));
    if (unknown !== undefined) {
      throw new Error(`no such fault: ${unknown}; there are ${faultKinds.join(", ")}`);
    }
    wanted.faults = names as FaultKind[];
  }
  if (values.secs !== undefined) {
    wanted.faultSecs = Number(values.secs);
  }
  return wanted;
}

/** The lives of the corpus; returns how many failed. */
async function replayCorpus(): Promise<number> {
  let failed = 0;
  for (const { name, options } of values["no-corpus"] ? [] : regressions()) {
    const { failure } = await playLife(options);
    if (failure !== undefined) {
      failed++;
      say(`regression ${name} FAILED: ${failure}`);
    }
  }
  return failed;
}

/** Plays one life here, where it can be traced, and more of them in processes of their own. */
async function play(from: number, to: number, onPlayed: (played: Played) => boolean) {
  const wanted = overrides();
  if (from < to && !values.trace) {
    const jobs = Number(values.jobs);
    if (!(jobs >= 1)) {
      throw new Error(`not a number of jobs: ${values.jobs}`);
    }
    await playAll({ jobs, from, to, wanted, onPlayed });
    return;
  }
  for (let seed = from; seed <= to; seed++) {
    const started = process.cpuUsage();
    const report = await playLife(chooseOptions(seed, wanted), values.trace ? say : undefined);
    const { user, system } = process.cpuUsage(started);
    if (!onPlayed({ report, cpuSeconds: (user + system) / 1e6 })) {
      return;
    }
  }
}

async function main(): Promise<boolean> {
  const [from, to] = seedRange();
  const lives = to - from + 1;
  const summary = new Summary();
  const hashes = new Map<number, number>();
  const bar = new ProgressBar(lives);
  const failedRegressions = await replayCorpus();
  const failed: Report[] = [];
  await play(from, to, (played) => {
    const { report } = played;
    summary.add(played);
    bar.show(summary.lives, `${summary.failures.length} failed`);
    hashes.set(report.options.seed, report.hash);
    if (report.failure !== undefined) {
      bar.clear();
      say(`seed ${report.options.seed} FAILED: ${report.failure}`);
      say(`options ${JSON.stringify(report.options)}`);
      failed.push(report);
    }
    return report.failure === undefined || !values["until-failure"];
  });
  bar.clear();
  if (values.shrink) {
    for (const report of failed) {
      say(`kept as ${keep(await shrink(report, say))}`);
    }
  }
  if (values.hash) {
    for (const [seed, hash] of [...hashes].sort(([a], [b]) => a - b)) {
      say(`${seed} ${hash.toString(16).padStart(8, "0")}`);
    }
    return summary.failures.length === 0;
  }
  say(summary.render());
  const shortfalls = summary.shortfalls(
    lives,
    values.faults === undefined && values.secs === undefined,
  );
  if (!(summary.hoursPerMinute >= Number(values["least-speed"]))) {
    shortfalls.push(`${summary.hoursPerMinute.toFixed(2)} simulated hours a CPU-minute`);
  }
  for (const shortfall of shortfalls) {
    say(`TOO LITTLE: ${shortfall}`);
  }
  return summary.failures.length === 0 && shortfalls.length === 0 && failedRegressions === 0;
}

process.exitCode = (await main()) ? 0 : 1;
