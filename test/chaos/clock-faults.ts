// Faults of clocks: a member's wall clock jumps, there and back. Only time that goes evenly counts
// inside, so nothing may come of it; leases are held to the clock of who was promised them.

import { lasting, pick } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { sleep } from "./workload.ts";

const hourMs = 3_600_000;

const clockJump: Fault = {
  name: "clock-jump",
  gapMsMax: 1_000,
  unavailable: (cluster) => (cluster.hasShim ? undefined : "no gcc to build the shim"),
  run: async (context) => {
    const { cluster, rng } = context;
    const victim = rng.below(2) === 0 ? await cluster.leader() : pick(rng, cluster.members);
    const errorMs = (rng.below(2) === 0 ? 1 : -1) * (1 + rng.below(hourMs));
    const ms = lasting(context, 2_000, 5_000);
    await victim.shim?.setClockError(errorMs);
    await sleep(ms);
    await victim.shim?.setClockError(0);
    return `${victim.name} is ${errorMs} ms off for ${ms} ms`;
  },
};

export const clockFaults: readonly Fault[] = [clockJump];
