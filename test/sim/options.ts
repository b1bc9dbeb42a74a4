// What one life of a cluster is made from: everything is drawn from the seed, and printed when the
// life fails, so that a part of it can be fixed or left out when it is played again.

import { SeededRng } from "../../src/base/index.ts";

export const faultKinds = [
  "crash",
  "powerCut",
  "crashAll",
  "effectCrash",
  "stop",
  "pause",
  "partition",
  "isolate",
  "oneWay",
  "bridge",
  "ring",
  "loss",
  "duplication",
  "reordering",
  "delay",
  "drift",
  "wallJump",
  "slowDisk",
  "diskFull",
  "writeError",
  "logRot",
  "stateRot",
  "moveLeader",
  "handover",
  "staleLeader",
  "fallenLeader",
  "leaveBehind",
  "membership",
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface SimOptions {
  readonly seed: number;
  readonly members: number;
  /** Faults that this life meets. */
  readonly faults: readonly FaultKind[];
  /** Length of the first phase, with faults; simulated seconds. */
  readonly faultSecs: number;
  /** Mean time between two faults, milliseconds. */
  readonly faultEveryMs: number;
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  readonly electionTickAdvance: boolean;
  readonly snapshotCount: number;
  readonly catchUpEntries: number;
  readonly segmentBytes: number;
  readonly memoryBudgetBytes: number;
  /** Small: a log goes to a member in many messages, and may stop in the middle. */
  readonly messageSizeBytesMax: number;
  readonly pageSizeBytesMax: number;
  readonly blockSizeBytesTarget: number;
  readonly groupPagesMax: number;
  readonly redoSizeBytesMax: number;
  readonly progressNotifyIntervalMs: number;
  readonly clients: number;
  readonly watchers: number;
  readonly keys: number;
  readonly valueBytesMax: number;
  /** Mean time between an answer and the next request of a client, milliseconds. */
  readonly thinkMs: number;
  /** A client gives up on a request after this, and does not know its outcome. */
  readonly patienceMs: number;
  readonly leaseTtlSecondsMax: number;
  readonly compactEveryMs: number;
  /** Some reads of the disk take so much longer, milliseconds at most. */
  readonly readTailMs: number;
}

function pick<T>(rng: SeededRng, choices: readonly T[]): T {
  return choices[rng.below(choices.length)] as T;
}

function chooseFaults(rng: SeededRng): FaultKind[] {
  const none = rng.below(12) === 0;
  const percent = pick(rng, [15, 30, 50, 80]);
  const chosen = faultKinds.filter(() => rng.below(100) < percent);
  return none ? [] : chosen;
}

export function chooseOptions(seed: number, overrides: Partial<SimOptions> = {}): SimOptions {
  const rng = new SeededRng(seed, 1);
  const heartbeatIntervalMs = pick(rng, [50, 100, 100, 200]);
  const tiny = rng.below(3) > 0;
  const chosen: SimOptions = {
    seed,
    members: pick(rng, [1, 3, 3, 3, 5]),
    faults: chooseFaults(rng),
    faultSecs: pick(rng, [15, 30, 60]),
    faultEveryMs: pick(rng, [300, 1000, 3000]),
    heartbeatIntervalMs,
    electionTimeoutMs: heartbeatIntervalMs * pick(rng, [5, 10]),
    electionTickAdvance: rng.below(2) === 0,
    snapshotCount: pick(rng, [10, 30, 200, 10_000]),
    catchUpEntries: pick(rng, [0, 3, 10, 100]),
    segmentBytes: pick(rng, [4096, 16_384, 65_536]),
    memoryBudgetBytes: tiny ? pick(rng, [2_000, 8_000, 32_000]) : 4 * 1024 * 1024,
    pageSizeBytesMax: tiny ? pick(rng, [256, 512, 2048]) : 8192,
    blockSizeBytesTarget: tiny ? pick(rng, [256, 1024]) : 8192,
    groupPagesMax: tiny ? pick(rng, [4, 16]) : 128,
    redoSizeBytesMax: tiny ? pick(rng, [1_000, 20_000]) : 1024 * 1024,
    progressNotifyIntervalMs: pick(rng, [500, 2_000, 60_000]),
    clients: pick(rng, [2, 4, 8]),
    watchers: pick(rng, [0, 2, 4]),
    keys: pick(rng, [3, 10, 30]),
    valueBytesMax: pick(rng, [16, 16, 200, 2_000]),
    thinkMs: pick(rng, [50, 200, 600]),
    patienceMs: pick(rng, [500, 3_000, 10_000]),
    leaseTtlSecondsMax: pick(rng, [3, 8, 20]),
    compactEveryMs: pick(rng, [500, 3_000, 1_000_000]),
    messageSizeBytesMax: pick(rng, [1, 200, 1024 * 1024]),
    readTailMs: pick(rng, [0, 0, 10, 50]),
  };
  return { ...chosen, ...overrides };
}

/** What shrinking may lower, and to what. */
export const phaseOptions: readonly {
  readonly name: "faultSecs" | "clients" | "watchers" | "members" | "valueBytesMax" | "keys";
  readonly values: readonly number[];
}[] = [
  { name: "faultSecs", values: [1, 2, 4, 8, 16, 32] },
  { name: "watchers", values: [0, 1, 2] },
  { name: "clients", values: [1, 2, 4] },
  { name: "members", values: [1, 3] },
  { name: "valueBytesMax", values: [16] },
  { name: "keys", values: [3, 10] },
];
