// Faults of disks: reads, writes and syncs that fail, stall or are cut short, a full file system,
// and power cuts, which take what was not synced.

import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { demand } from "../sim/violation.ts";
import type { ChaosCluster, ChaosMember } from "./cluster.ts";
import { lasting, pick } from "./faults.ts";
import type { Fault, FaultContext } from "./faults.ts";
import type { ShimCommand } from "./shim.ts";
import { sleep } from "./workload.ts";

const EIO = 5;
const ENOSPC = 28;
/** A member whose disk fails is gone within this, milliseconds; a loaded machine takes its time. */
const stopMsMax = 60_000;
/** What the log of a member that stops itself must name. */
const namesItsDisk = /EIO|ENOSPC|(i\/o|input\/output) error|no space left|short/i;

function needsShim(cluster: ChaosCluster): string | undefined {
  return cluster.hasShim ? undefined : "no gcc to build the shim";
}

async function ended(member: ChaosMember, withinMs: number): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  while (member.process.running && performance.now() < untilMs) {
    await sleep(20);
  }
  return !member.process.running;
}

/** The lines that `member` has logged since `before`, the length of its log then. */
function logSince(member: ChaosMember, before: number): string {
  return member.process.log.slice(before);
}

async function failingDisk(context: FaultContext, command: ShimCommand): Promise<string> {
  const { cluster, rng } = context;
  const leads = rng.below(2) === 0;
  const victim = leads ? await cluster.leader() : pick(rng, cluster.members);
  context.avoid([victim]);
  const before = victim.process.log.length;
  await victim.shim?.order(command);
  const orderedMs = performance.now();
  const stopped = await ended(victim, stopMsMax);
  const tookMs = Math.round(performance.now() - orderedMs);
  await victim.shim?.clear();
  demand(stopped, () => `${victim.name} went on with a disk that fails: ${command.does}`);
  const log = logSince(victim, before);
  demand(
    namesItsDisk.test(log),
    () => `${victim.name} stopped without naming its disk:\n${log.slice(-2000)}`,
  );
  await victim.process.start();
  return `${victim.name}${leads ? ", the leader," : ""} stopped after ${tookMs} ms`;
}

const syncError: Fault = {
  name: "fsync-error",
  gapMsMax: 3_000,
  unavailable: needsShim,
  run: (context) => failingDisk(context, { on: "sync", does: "fail", argument: EIO }),
};

const writeError: Fault = {
  name: "write-error",
  gapMsMax: 3_000,
  unavailable: needsShim,
  run: (context) => {
    const argument = context.rng.below(2) === 0 ? EIO : ENOSPC;
    return failingDisk(context, { on: "write", does: "fail", argument });
  },
};

/** A write cut short may be gone on with or given up: only the data must be right. */
const shortWrite: Fault = {
  name: "short-write",
  gapMsMax: 3_000,
  unavailable: needsShim,
  run: async (context) => {
    const victim = pick(context.rng, context.cluster.members);
    context.avoid([victim]);
    await victim.shim?.order({ on: "write", does: "short", argument: 0 });
    const stopped = await ended(victim, lasting(context, 1_500, 3_000));
    await victim.shim?.clear();
    if (stopped) {
      await victim.process.start();
    }
    return `${victim.name} ${stopped ? "stopped" : "went on"}`;
  },
};

const slowDisk: Fault = {
  name: "slow-disk",
  gapMsMax: undefined,
  unavailable: needsShim,
  run: async (context) => {
    const { cluster, rng } = context;
    const leader = await cluster.leader();
    const victim = rng.below(2) === 0 ? leader : pick(rng, cluster.members);
    const sleepMs = 200 + rng.below(1_300);
    const ms = lasting(context, 4_000, 8_000);
    await victim.shim?.order({ on: "sync", does: "sleep", argument: sleepMs });
    await sleep(ms);
    const leads = await cluster.leader();
    await victim.shim?.clear();
    return (
      `a sync of ${victim.name} takes ${sleepMs} ms for ${ms} ms; ` +
      `${leader.name} led before, ${leads.name} after`
    );
  },
};

/** Reads fail, then the member is to start on a disk like that: it refuses, and takes no harm. */
const readError: Fault = {
  name: "read-error",
  gapMsMax: 3_000,
  unavailable: needsShim,
  run: async (context) => {
    const { cluster, rng } = context;
    const victim = rng.below(2) === 0 ? await cluster.leader() : pick(rng, cluster.members);
    context.avoid([victim]);
    await victim.shim?.order({ on: "read", does: "fail", argument: EIO });
    const stopped = await ended(victim, lasting(context, 500, 3_000));
    await victim.process.stop("SIGKILL");
    const before = victim.process.log.length;
    const refused = await victim.process.start().then(
      () => false,
      () => true,
    );
    demand(refused, () => `${victim.name} serves without having read its disk`);
    const log = logSince(victim, before);
    demand(
      !victim.process.running && namesItsDisk.test(log),
      () => `${victim.name} does not name its disk as it refuses:\n${log.slice(-2000)}`,
    );
    await victim.shim?.clear();
    await victim.process.start();
    return `${victim.name} ${stopped ? "stopped" : "went on"}, and did not start`;
  },
};

async function cutPower(
  { rng, healed }: FaultContext,
  victims: readonly ChaosMember[],
): Promise<string> {
  await Promise.all(victims.map((member) => member.process.stop("SIGKILL")));
  const lost: string[] = [];
  for (const victim of victims) {
    lost.push(`${victim.name} lost ${(await victim.shim?.losePower(rng)) ?? 0} bytes`);
  }
  healed();
  await Promise.all(victims.map((member) => member.process.start()));
  return lost.join(", ");
}

const powerCut: Fault = {
  name: "power-cut-member",
  gapMsMax: 3_000,
  unavailable: needsShim,
  run: async (context) => {
    const victim = pick(context.rng, context.cluster.members);
    context.avoid([victim]);
    return cutPower(context, [victim]);
  },
};

const powerCutOfAll: Fault = {
  name: "power-cut-all",
  gapMsMax: undefined,
  unavailable: needsShim,
  run: (context) => {
    context.avoid(context.cluster.members);
    return cutPower(context, context.cluster.members);
  },
};

/** Fills the file system of the member that has one of its own; else writes say that it is full. */
const fullDisk: Fault = {
  name: "disk-full",
  gapMsMax: 3_000,
  unavailable: (cluster) =>
    cluster.members.some((member) => member.ownsFileSystem)
      ? undefined
      : needsShim(cluster) && "mounting a tmpfs takes root, and there is no gcc to build the shim",
  run: async (context) => {
    const { members } = context.cluster;
    const owner = members.find((each) => each.ownsFileSystem);
    const victim = owner ?? pick(context.rng, members);
    const ballast = join(victim.home, "ballast");
    context.avoid([victim]);
    const before = victim.process.log.length;
    await (owner === undefined
      ? victim.shim?.order({ on: "write", does: "fail", argument: ENOSPC })
      : fill(victim.home, ballast));
    const stopped = await ended(victim, lasting(context, 5_000, 10_000));
    const log = logSince(victim, before);
    demand(
      !stopped || namesItsDisk.test(log),
      () => `${victim.name} stopped without naming its disk:\n${log.slice(-2000)}`,
    );
    await victim.shim?.clear();
    await rm(ballast, { force: true });
    if (stopped) {
      await victim.process.start();
    }
    const how = owner === undefined ? " by the shim's word" : "";
    return `${victim.name} ${stopped ? "stopped" : "went on"}${how}`;
  },
};

async function fill(fileSystem: string, path: string): Promise<void> {
  const file = await open(path, "w");
  const zeros = Buffer.alloc(1024 * 1024);
  try {
    for (;;) {
      const { bavail, bsize } = await statfs(fileSystem);
      if (bavail === 0) {
        return;
      }
      await file.write(zeros, 0, Math.min(zeros.length, bavail * bsize));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") {
      throw error;
    }
  } finally {
    await file.close();
  }
}

export const diskFaults: readonly Fault[] = [
  syncError,
  writeError,
  shortWrite,
  readError,
  slowDisk,
  fullDisk,
  powerCut,
  powerCutOfAll,
];
