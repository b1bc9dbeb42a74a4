// What the command line asks for.

import { parseArgs } from "node:util";
import { clockFaults } from "./clock-faults.ts";
import { damageFaults } from "./damage-faults.ts";
import { diskFaults } from "./disk-faults.ts";
import type { Fault } from "./faults.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";

export const allFaults: readonly Fault[] = [
  ...processFaults,
  ...networkFaults,
  ...diskFaults,
  ...damageFaults,
  ...clockFaults,
];

/** What `--short` injects, each once, by the size of the cluster. */
const shortNames: ReadonlyMap<number, readonly string[]> = new Map([
  [
    3,
    [
      "kill-leader",
      "kill-all",
      "pause-leader",
      "partition-leader",
      "one-way-in",
      "fsync-error",
      "read-error",
      "slow-disk",
      "disk-full",
      "power-cut-all",
      "damage-wal",
      "damage-table",
      "clock-jump",
    ],
  ],
  [5, ["kill-majority", "partition-halves"]],
]);

/** What the load of a short run does at least, in each cluster. */
export const shortMinima = { writes: 200, reads: 100 } as const;

export interface ChaosOptions {
  readonly seed: number;
  /** Of faults, in each cluster. */
  readonly secs: number;
  readonly sizes: readonly number[];
  /** The kinds to choose from. */
  readonly faults: readonly Fault[];
  /** Each kind of a short list once, instead of any kinds for `secs`. */
  readonly isShort: boolean;
  /** How long things took is told and not judged, and waits are longer. */
  readonly isPatient: boolean;
}

/** The kinds of the short list for a cluster of `size`. */
export function shortList({ faults }: ChaosOptions, size: number): Fault[] {
  return faults.filter(({ name }) => shortNames.get(size)?.includes(name));
}

export const usage = `npm run chaos -- [options]

  --secs N       seconds of faults in each cluster (120)
  --seed S       what to do and when; drawn when not given
  --members N    3 or 5 (both, one after the other)
  --faults A,B   only kinds of these names or beginnings of names
  --short        each kind of a short list once, for a short time; and --patient
  --patient      for a machine that is slow or busy: gaps are told and not judged

Kinds: ${allFaults.map(({ name }) => name).join(", ")}`;

/** Throws Error with a line for the user. */
export function parseOptions(args: readonly string[], drawnSeed: number): ChaosOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      secs: { type: "string" },
      seed: { type: "string" },
      members: { type: "string" },
      faults: { type: "string" },
      short: { type: "boolean", default: false },
      patient: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    return "help";
  }
  const members = values.members === undefined ? undefined : whole("members", values.members);
  if (members !== undefined && members !== 3 && members !== 5) {
    throw new Error("--members is 3 or 5");
  }
  return {
    seed: values.seed === undefined ? drawnSeed : whole("seed", values.seed),
    secs: values.secs === undefined ? 120 : whole("secs", values.secs),
    sizes: members === undefined ? [3, 5] : [members],
    faults: chosenFaults(values.faults),
    isShort: values.short,
    isPatient: values.short || values.patient,
  };
}

function whole(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new Error(`--${name} takes a whole number`);
  }
  return Number(text);
}

function chosenFaults(list: string | undefined): readonly Fault[] {
  if (list === undefined) {
    return allFaults;
  }
  const prefixes = list.split(",");
  for (const prefix of prefixes) {
    if (!allFaults.some(({ name }) => name.startsWith(prefix))) {
      throw new Error(`no kind of fault is called ${prefix}`);
    }
  }
  return allFaults.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
}
