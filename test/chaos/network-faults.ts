// Faults of the links between members.

import type { ChaosCluster, ChaosMember } from "./cluster.ts";
import { lasting, pick, shuffled } from "./faults.ts";
import type { Fault, FaultContext } from "./faults.ts";
import type { LinkRule } from "./proxy.ts";
import { sleep } from "./workload.ts";

/** Writes resume within this wherever some quorum is fully connected, milliseconds. */
const resumeMsMax = 3_000;

function between(
  cluster: ChaosCluster,
  some: readonly ChaosMember[],
  others: readonly ChaosMember[],
  rule: LinkRule,
): void {
  for (const one of some) {
    for (const other of others) {
      cluster.rules.set(one.name, other.name, rule);
      cluster.rules.set(other.name, one.name, rule);
    }
  }
}

/** What a dead link looks like: silence, or connections that are refused. */
function deadLink({ rng }: FaultContext): LinkRule {
  return rng.below(2) === 0 ? { kind: "hold" } : { kind: "cut" };
}

async function heal(context: FaultContext, ms: number): Promise<void> {
  await sleep(ms);
  context.cluster.rules.clear();
}

async function isolate(context: FaultContext, victim: ChaosMember): Promise<string> {
  const { cluster } = context;
  const rule = deadLink(context);
  const ms = lasting(context, 3_500, 8_000);
  context.avoid([victim]);
  between(cluster, [victim], cluster.others(victim), rule);
  await heal(context, ms);
  return `${victim.name} alone (${rule.kind}) for ${ms} ms`;
}

const isolateLeader: Fault = {
  name: "partition-leader",
  gapMsMax: resumeMsMax,
  run: async (context) => isolate(context, await context.cluster.leader()),
};

const isolateMember: Fault = {
  name: "partition-member",
  gapMsMax: resumeMsMax,
  run: (context) => isolate(context, pick(context.rng, context.cluster.members)),
};

const halves: Fault = {
  name: "partition-halves",
  gapMsMax: resumeMsMax,
  membersMin: 5,
  run: async (context) => {
    const { cluster } = context;
    const rule = deadLink(context);
    const order = shuffled(context.rng, cluster.members);
    const minority = order.slice(0, Math.floor((order.length - 1) / 2));
    const ms = lasting(context, 3_500, 8_000);
    context.avoid(minority);
    between(cluster, minority, order.slice(minority.length), rule);
    await heal(context, ms);
    return `${minority.map(({ name }) => name).join("+")} alone (${rule.kind}) for ${ms} ms`;
  },
};

async function oneWay(context: FaultContext, outgoing: boolean): Promise<string> {
  const { cluster } = context;
  const leader = await cluster.leader();
  const ms = lasting(context, 4_000, 8_000);
  context.avoid([leader]);
  for (const other of cluster.others(leader)) {
    const [from, to] = outgoing ? [leader, other] : [other, leader];
    cluster.rules.set(from.name, to.name, { kind: "hold" });
  }
  await heal(context, ms);
  return `${leader.name} ${outgoing ? "not heard" : "hears nobody"} for ${ms} ms`;
}

const oneWayOut: Fault = {
  name: "one-way-out",
  gapMsMax: resumeMsMax,
  run: (context) => oneWay(context, true),
};

const oneWayIn: Fault = {
  name: "one-way-in",
  gapMsMax: resumeMsMax,
  run: (context) => oneWay(context, false),
};

/** Two members that hear each other only through the others; one of them leads. */
const bridge: Fault = {
  name: "bridge",
  gapMsMax: resumeMsMax,
  run: async (context) => {
    const { cluster } = context;
    const leader = await cluster.leader();
    const other = pick(context.rng, cluster.others(leader));
    const ms = lasting(context, 4_000, 8_000);
    context.avoid([other, leader]);
    between(cluster, [leader], [other], deadLink(context));
    await heal(context, ms);
    return `${leader.name} and ${other.name} apart for ${ms} ms`;
  },
};

const delay: Fault = {
  name: "delay",
  gapMsMax: resumeMsMax,
  run: async (context) => {
    const { cluster, rng } = context;
    const slow = pick(rng, cluster.members);
    const delayMs = 50 + rng.below(950);
    const ms = lasting(context, 3_000, 6_000);
    context.avoid([slow]);
    between(cluster, [slow], cluster.others(slow), { kind: "delay", delayMs });
    await heal(context, ms);
    return `${slow.name} ${delayMs} ms away for ${ms} ms`;
  },
};

export const networkFaults: readonly Fault[] = [
  isolateLeader,
  isolateMember,
  halves,
  oneWayOut,
  oneWayIn,
  bridge,
  delay,
];
