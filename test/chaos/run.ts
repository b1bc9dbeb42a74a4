// `npm run chaos`: clusters of real processes under a checked load and seeded faults. Ends with
// status 1 when a promise was broken, and when too little was tried to mean anything.

import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChaosCluster } from "./cluster.ts";
import { parseOptions, shortList, shortMinima, usage } from "./options.ts";
import type { ChaosOptions } from "./options.ts";
import { Trial } from "./trial.ts";
import type { Verdict } from "./trial.ts";

const startedMs = performance.now();

function say(line: string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${line}\n`);
}

/** What a run must have tried at least: by seconds of faults, or what the short list says. */
function shortfalls(verdict: Verdict, options: ChaosOptions): string[] {
  const { injected, counts, watched } = verdict;
  const { secs, isShort } = options;
  const planned = isShort ? shortList(options, verdict.size) : [];
  const minima: readonly (readonly [string, number, number])[] = [
    ["faults", injected.length, isShort ? planned.length : Math.max(1, Math.floor(secs / 25))],
    ["checked writes", counts.writes, isShort ? shortMinima.writes : secs * 10],
    ["checked reads", counts.reads, isShort ? shortMinima.reads : secs * 5],
    ["watched revisions", watched, isShort ? shortMinima.writes : secs * 20],
    ["leases", verdict.leases, 1],
  ];
  const missing = planned.filter((each) => !injected.some(({ fault }) => fault === each));
  return [
    ...missing.map(({ name }) => `${name}: ${verdict.skipped.get(name) ?? "not injected"}`),
    ...minima
      .filter(([, got, least]) => got < least)
      .map(([what, got, least]) => `only ${got} ${what}, ${least} are the least`),
  ];
}

function report(verdict: Verdict): void {
  const { counts } = verdict;
  const lines = [`${verdict.size} members, revision ${verdict.revision}:`];
  const names = [...new Set(verdict.injected.map(({ fault }) => fault.name))].sort();
  lines.push(`  ${"fault".padEnd(18)} times  longest gap  allowed  longest recovery`);
  for (const name of names) {
    const list = verdict.injected.filter(({ fault }) => fault.name === name);
    const gap = Math.max(...list.map((each) => each.gapMs));
    const recovery = Math.max(...list.map((each) => each.recoveryMs));
    const allowed = list[0]?.fault.gapMsMax;
    lines.push(
      `  ${name.padEnd(18)} ${String(list.length).padStart(5)} ${`${gap} ms`.padStart(12)}` +
        ` ${(allowed === undefined ? "-" : `${allowed} ms`).padStart(8)}` +
        ` ${`${recovery} ms`.padStart(17)}`,
    );
  }
  for (const [name, why] of verdict.skipped) {
    lines.push(`  ${name.padEnd(18)} skipped: ${why}`);
  }
  lines.push(
    `  checked: ${counts.writes} acknowledged writes, ${counts.unknownWrites} unanswered ones ` +
      `that took effect, ${counts.reads} linearizable reads, ${counts.historicalReads} of old ` +
      `revisions, ${counts.serializableReads} serializable; ${verdict.failedCalls} calls failed`,
    `  watched: ${verdict.watched} revisions, ${verdict.resumptions} resumptions, ` +
      `${verdict.audits} audits; ${verdict.leases} leases, ${verdict.renewals} renewals, ` +
      `${counts.leasesExpired} expired`,
  );
  for (const line of lines) {
    process.stdout.write(`${line}\n`);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function keepLogs(cluster: ChaosCluster, seed: number): Promise<void> {
  for (const member of cluster.members) {
    const path = join(tmpdir(), `quorate-chaos-${seed}-${member.name}.log`);
    await writeFile(path, member.earlierLog + member.process.log);
    say(`the log of ${member.name} is in ${path}`);
  }
}

/** Whether everything held. */
async function tryCluster(size: number, options: ChaosOptions): Promise<boolean> {
  say(`${size} members`);
  const cluster = await ChaosCluster.start(size);
  const onInterrupt = (): void => {
    void cluster.stop().finally(() => process.exit(130));
  };
  process.once("SIGINT", onInterrupt);
  process.once("SIGTERM", onInterrupt);
  try {
    const verdict = await new Trial(cluster, options, say).run();
    report(verdict);
    const short = shortfalls(verdict, options);
    for (const line of short) {
      say(`too little: ${line}`);
    }
    return short.length === 0;
  } catch (error) {
    say(`FAILED with seed ${options.seed}: ${describe(error)}`);
    await keepLogs(cluster, options.seed);
    return false;
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onInterrupt);
    await cluster.stop();
  }
}

async function main(): Promise<boolean> {
  const options = parseOptions(process.argv.slice(2), randomInt(2 ** 31));
  if (options === "help") {
    process.stdout.write(`${usage}\n`);
    return true;
  }
  const what = options.isShort ? "the short list" : `${options.secs} s`;
  say(`seed ${options.seed}, ${what} of faults in clusters of ${options.sizes.join(", ")}`);
  for (const size of options.sizes) {
    if (!(await tryCluster(size, options))) {
      return false;
    }
  }
  return true;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
