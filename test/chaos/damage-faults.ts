// One bit flipped in a file of a stopped member. It must be found, at the start or when what it
// hit is read, and never be served; the member is then replaced and refilled from the others.

import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Rng } from "../../src/base/index.ts";
import { Violation, demand } from "../sim/violation.ts";
import type { ChaosMember } from "./cluster.ts";
import { pick } from "./faults.ts";
import type { Fault, FaultContext } from "./faults.ts";

const names: Readonly<Record<string, RegExp>> = {
  "damage-wal": /^wal\/.*\.wal$/,
  "damage-table": /^state-\d+\/.*\.(ldb|log)$/,
  "damage-manifest": /^state-\d+\/(MANIFEST-\d+|CURRENT)$/,
  "damage-pointer": /^CURRENT$/,
};
/** What a refusal must tell: what to do. */
const tellsDamage = /member remove/i;
/** What an answer must tell that is not given because of damage. */
const tellsLoss = /corrupt|damage|checksum|DATA_LOSS|member remove/i;

async function filesIn(directory: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true });
  return entries.filter((name) => pattern.test(name)).sort();
}

/** Flips a bit where something is stored; undefined when the file holds nothing. */
async function flipBit(rng: Rng, path: string): Promise<string | undefined> {
  const file = await open(path, "r+");
  try {
    const bytes = await file.readFile();
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) {
      end--;
    }
    if (end === 0) {
      return undefined;
    }
    const at = rng.below(end);
    const bit = rng.below(8);
    await file.write(Uint8Array.of((bytes[at] as number) ^ (1 << bit)), 0, 1, at);
    return `bit ${bit} of byte ${at} of ${end}`;
  } finally {
    await file.close();
  }
}

async function damage(context: FaultContext, pattern: RegExp): Promise<string> {
  const { cluster, rng } = context;
  const victim = pick(rng, cluster.members);
  const { dataDirectory } = victim.process.options;
  context.avoid([victim]);
  await victim.process.stop(rng.below(2) === 0 ? "SIGTERM" : "SIGKILL");
  let where: string | undefined;
  let file = "";
  for (let attempt = 0; where === undefined && attempt < 20; attempt++) {
    file = pick(rng, await filesIn(dataDirectory, pattern));
    where = await flipBit(rng, join(dataDirectory, file));
  }
  const before = victim.process.log.length;
  const outcome = await judge(context, victim, before);
  if (outcome !== "harmless") {
    await victim.process.stop("SIGKILL");
    await cluster.replace(victim);
  }
  return `${victim.name}, ${where} of ${file}: ${outcome}`;
}

/** "harmless" when nothing that anybody reads is changed; else how the damage was found. */
async function judge(context: FaultContext, victim: ChaosMember, before: number): Promise<string> {
  try {
    await victim.process.start();
  } catch {
    const log = victim.process.log.slice(before);
    demand(
      tellsDamage.test(log),
      () => `${victim.name} does not say why it does not start:\n${log.slice(-2000)}`,
    );
    return `refused: ${lastError(log)}`;
  }
  try {
    await context.audit(victim);
    return "harmless";
  } catch (error) {
    if (error instanceof Violation) {
      throw error;
    }
    const log = `${victim.process.log.slice(before)}\n${String(error)}`;
    demand(
      tellsLoss.test(log),
      () => `${victim.name} failed and does not say why:\n${log.slice(-2000)}`,
    );
    return `found when read: ${lastError(log)}`;
  }
}

/** The message of the last error in a member's log. */
function lastError(log: string): string {
  const messages = [...log.matchAll(/"level":"error".*"msg":"([^"]*)/g)];
  return messages.at(-1)?.[1] ?? log.trim().split("\n").at(-1) ?? "";
}

export const damageFaults: readonly Fault[] = Object.entries(names).map(([name, pattern]) => ({
  name,
  gapMsMax: 3_000,
  run: (context) => damage(context, pattern),
}));
