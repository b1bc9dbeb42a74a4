// What the command line asks for.

import { parseArgs } from "node:util";
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
];

export interface ChaosOptions {
  readonly seed: number;
  /** Of faults, in each cluster. */
  readonly secs: number;
  readonly sizes: readonly number[];
  readonly faults: readonly Fault[];
  readonly isShort: boolean;
}

export const usage = `npm run chaos -- [options]

  --secs N       seconds of faults in each cluster (120; with --short 30)
  --seed S       what to do and when; drawn when not given
  --members N    3 or 5 (both, one after the other)
  --faults A,B   only kinds of these names or beginnings of names
  --short        faults of a third of their length

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
    secs: values.secs === undefined ? (values.short ? 30 : 120) : whole("secs", values.secs),
    sizes: members === undefined ? [3, 5] : [members],
    faults: chosenFaults(values.faults),
    isShort: values.short,
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
