// Majorities and joint majorities: pure functions of numbers and votes.
//
// A joint configuration decides only what both of its majorities decide (dissertation 4.3). An
// empty group decides nothing against anybody, so a plain configuration is a joint one whose
// outgoing group is empty.

import type { MemberId } from "../base/index.ts";

export type VoteOutcome = "won" | "lost" | "pending";

/** The smallest majority of `size` voters. */
export function majoritySize(size: number): number {
  return (size >> 1) + 1;
}

/**
 * The highest index that a majority has reached; Infinity for no voters. Reorders `reached`, which
 * is the caller's scratch: groups are small, so insertion sort is fast, and it allocates nothing.
 */
export function majorityIndex(reached: number[]): number {
  if (reached.length === 0) {
    return Number.POSITIVE_INFINITY;
  }
  for (let i = 1; i < reached.length; i++) {
    const value = reached[i] as number;
    let j = i - 1;
    while (j >= 0 && (reached[j] as number) < value) {
      reached[j + 1] = reached[j] as number;
      j--;
    }
    reached[j + 1] = value;
  }
  return reached[majoritySize(reached.length) - 1] as number;
}

/** Whether a majority of `group` passes; true for an empty group. */
export function majorityHolds<T>(group: readonly T[], holds: (one: T) => boolean): boolean {
  let missing = group.length === 0 ? 0 : majoritySize(group.length);
  for (const one of group) {
    if (holds(one)) {
      missing--;
    }
  }
  return missing <= 0;
}

/** The state of a vote in one group; members absent from `votes` have not answered. */
export function majorityVote(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteOutcome {
  if (voters.length === 0) {
    return "won";
  }
  const needed = majoritySize(voters.length);
  let granted = 0;
  let open = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) {
      open++;
    } else if (vote) {
      granted++;
    }
  }
  if (granted >= needed) {
    return "won";
  }
  return granted + open >= needed ? "pending" : "lost";
}

/** The state of a vote in both groups. */
export function jointVote(
  incoming: readonly MemberId[],
  outgoing: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteOutcome {
  const first = majorityVote(incoming, votes);
  const second = majorityVote(outgoing, votes);
  if (first === "lost" || second === "lost") {
    return "lost";
  }
  return first === "won" && second === "won" ? "won" : "pending";
}
