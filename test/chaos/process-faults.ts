// Faults of processes: killed, paused, told to stop.

import type { ChaosMember } from "./cluster.ts";
import { lasting, pick, shuffled } from "./faults.ts";
import type { Fault, FaultContext } from "./faults.ts";
import { sleep } from "./workload.ts";

/** Failover after the death of a leader, as the fault matrix has it. */
const failoverMsMax = 2_500;
const handoverMsMax = 300;

async function killAll(
  context: FaultContext,
  victims: readonly ChaosMember[],
  downMs: number,
): Promise<string> {
  context.avoid(victims);
  await Promise.all(victims.map((member) => member.process.stop("SIGKILL")));
  await sleep(downMs);
  context.healed();
  await Promise.all(victims.map((member) => member.process.start()));
  return `${victims.map(({ name }) => name).join("+")} down for ${downMs} ms`;
}

const killMember: Fault = {
  name: "kill-member",
  gapMsMax: failoverMsMax,
  run: (context) =>
    killAll(context, [pick(context.rng, context.cluster.members)], lasting(context, 0, 3_000)),
};

const killLeader: Fault = {
  name: "kill-leader",
  gapMsMax: failoverMsMax,
  run: async (context) =>
    killAll(context, [await context.cluster.leader()], lasting(context, 2_500, 5_000)),
};

const killMajority: Fault = {
  name: "kill-majority",
  gapMsMax: undefined,
  run: (context) => {
    const { members } = context.cluster;
    const count = Math.floor(members.length / 2) + 1;
    const victims = shuffled(context.rng, members).slice(0, count);
    return killAll(context, victims, lasting(context, 0, 2_000));
  },
};

const killEverybody: Fault = {
  name: "kill-all",
  gapMsMax: undefined,
  run: (context) => killAll(context, context.cluster.members, lasting(context, 0, 1_000)),
};

async function pause(context: FaultContext, victim: ChaosMember, ms: number): Promise<string> {
  context.avoid([victim]);
  victim.process.signal("SIGSTOP");
  await sleep(ms);
  victim.process.signal("SIGCONT");
  return `${victim.name} for ${ms} ms`;
}

const pauseMember: Fault = {
  name: "pause-member",
  gapMsMax: 3_000,
  run: (context) =>
    pause(context, pick(context.rng, context.cluster.members), lasting(context, 100, 10_000)),
};

const pauseLeader: Fault = {
  name: "pause-leader",
  gapMsMax: 3_000,
  run: async (context) =>
    pause(context, await context.cluster.leader(), lasting(context, 2_500, 10_000)),
};

async function terminate(context: FaultContext, victim: ChaosMember): Promise<string> {
  context.avoid([victim]);
  await victim.process.stop("SIGTERM");
  await sleep(500);
  context.healed();
  await victim.process.start();
  return victim.name;
}

const terminateMember: Fault = {
  name: "term-member",
  gapMsMax: handoverMsMax,
  run: (context) => terminate(context, pick(context.rng, context.cluster.members)),
};

const terminateLeader: Fault = {
  name: "term-leader",
  gapMsMax: handoverMsMax,
  run: async (context) => terminate(context, await context.cluster.leader()),
};

export const processFaults: readonly Fault[] = [
  killLeader,
  killMember,
  killMajority,
  killEverybody,
  pauseLeader,
  pauseMember,
  terminateLeader,
  terminateMember,
];
