// The faults by name, each from its beginning to its end: what it does to the cluster, and how
// long clients may be left without an acknowledged write meanwhile (reliability: fault matrix).

import type { Rng } from "../../src/base/index.ts";
import type { ChaosCluster, ChaosMember } from "./cluster.ts";

export interface FaultContext {
  readonly cluster: ChaosCluster;
  readonly rng: Rng;
  /** Scales how long faults last. */
  readonly isShort: boolean;
  /** Members that the probe shall not ask, since they cannot answer. */
  avoid(members: readonly ChaosMember[]): void;
  /** What follows is no part of the fault: clients' longest gap is taken up to here. */
  healed(): void;
  /** Reads everything that a member holds; rejects when it cannot, or says that it may not. */
  audit(member: ChaosMember): Promise<void>;
}

export interface Fault {
  readonly name: string;
  /** Longest time without an acknowledged write, milliseconds; undefined when none is promised. */
  readonly gapMsMax: number | undefined;
  readonly membersMin?: number;
  /** Why it cannot be done here; undefined when it can. */
  unavailable?(cluster: ChaosCluster): string | undefined;
  /** Resolves, with a few words for the report, when the fault is over and all members run. */
  run(context: FaultContext): Promise<string>;
}

export function pick<T>(rng: Rng, list: readonly T[]): T {
  return list[rng.below(list.length)] as T;
}

/** Between `fromMs` and `toMs`, a third of that in short runs. */
export function lasting({ rng, isShort }: FaultContext, fromMs: number, toMs: number): number {
  const ms = fromMs + rng.below(toMs - fromMs + 1);
  return Math.round(isShort ? fromMs + (ms - fromMs) / 3 : ms);
}

export function shuffled<T>(rng: Rng, list: readonly T[]): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = rng.below(i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
