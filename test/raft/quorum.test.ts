// Quorums and configurations against naive twins. fast-check prints the seed of a failure.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareIds } from "../../src/base/index.ts";
import type { ConfState, MemberId } from "../../src/base/index.ts";
import { changeConf, confFault, isJoint } from "../../src/raft/confchange.ts";
import { emptyConf } from "../../src/raft/index.ts";
import type { ConfChangeStep } from "../../src/raft/index.ts";
import { jointVote, majorityHolds, majorityIndex, majorityVote } from "../../src/raft/quorum.ts";

const index = fc.nat({ max: 20 });
const ids = fc.uniqueArray(
  fc.bigInt({ min: 1n, max: 7n }).map((id) => id as MemberId),
  { maxLength: 7 },
);

/** The twin of majorityIndex: the highest index that more than half have reached. */
function naiveIndex(reached: readonly number[]): number {
  if (reached.length === 0) {
    return Number.POSITIVE_INFINITY;
  }
  const holds = (i: number): boolean => reached.filter((r) => r >= i).length * 2 > reached.length;
  return Math.max(...reached.filter(holds));
}

describe("quorum", () => {
  it("finds what a majority has reached", () => {
    fc.assert(
      fc.property(fc.array(index, { maxLength: 9 }), (reached) => {
        const expected = naiveIndex(reached);
        expect(majorityIndex([...reached])).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it("asks for more than half", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 9 }), (group) => {
        const yes = group.filter(Boolean).length;
        expect(majorityHolds(group, (one) => one)).toBe(
          group.length === 0 || yes * 2 > group.length,
        );
      }),
    );
  });

  it("decides a vote as soon as, and only when, nothing can change it", () => {
    const votes = fc.dictionary(fc.constantFrom("1", "2", "3", "4", "5", "6", "7"), fc.boolean());
    fc.assert(
      fc.property(ids, votes, (voters, cast) => {
        const given = new Map(
          Object.entries(cast).map(([id, vote]) => [BigInt(id) as MemberId, vote]),
        );
        const yes = voters.filter((id) => given.get(id) === true).length;
        const no = voters.filter((id) => given.get(id) === false).length;
        const size = voters.length;
        const wins = (granted: number): boolean => size === 0 || granted * 2 > size;
        const expected = wins(yes) ? "won" : wins(size - no) ? "pending" : "lost";
        expect(majorityVote(voters, given)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it("lets a joint vote be lost by either group and won by both", () => {
    const outcomes = fc.tuple(ids, ids, fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }));
    fc.assert(
      fc.property(outcomes, ([incoming, outgoing, cast]) => {
        const votes = new Map(cast.map((vote, i) => [BigInt(i + 1) as MemberId, vote]));
        const both = [majorityVote(incoming, votes), majorityVote(outgoing, votes)];
        const expected = both.includes("lost") ? "lost" : "won";
        expect(jointVote(incoming, outgoing, votes)).toBe(expected);
      }),
    );
  });
});

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<ConfChangeStep["kind"]>("addVoter", "addLearner", "remove"),
    member: fc.bigInt({ min: 1n, max: 6n }).map((id) => id as MemberId),
  }),
  { minLength: 1, maxLength: 4 },
);

describe("configuration changes", () => {
  it("keep every configuration sound, and end where applying the steps in turn would end", () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 8 }), (changes) => {
        let conf: ConfState = { ...emptyConf, voters: [1n as MemberId, 2n as MemberId] };
        for (const change of changes) {
          const voters = new Set(conf.voters);
          const learners = new Set(conf.learners);
          for (const { kind, member } of change) {
            voters.delete(member);
            learners.delete(member);
            if (kind !== "remove") {
              (kind === "addVoter" ? voters : learners).add(member);
            }
          }
          const next = changeConf(conf, { steps: change });
          if (voters.size === 0) {
            expect(next).toBeUndefined();
            continue;
          }
          expect(next && confFault(next)).toBeUndefined();
          const settled = next && isJoint(next) ? changeConf(next, undefined) : next;
          expect(settled?.voters).toEqual([...voters].sort(compareIds));
          expect(settled?.learners).toEqual([...learners].sort(compareIds));
          expect(settled?.autoLeave).toBe(false);
          conf = { ...emptyConf, ...settled };
        }
      }),
      { numRuns: 500 },
    );
  });

  it("refuse to leave what is not joint and to change what is", () => {
    const conf = { ...emptyConf, voters: [1n as MemberId] };
    expect(changeConf(conf, undefined)).toBeUndefined();
    expect(changeConf(conf, { steps: [] })).toBeUndefined();
    const joint = changeConf(conf, {
      steps: [
        { kind: "addVoter", member: 2n as MemberId },
        { kind: "addLearner", member: 1n as MemberId },
      ],
    });
    expect(joint).toMatchObject({ voters: [2n], votersOutgoing: [1n], learnersNext: [1n] });
    expect(
      joint && changeConf(joint, { steps: [{ kind: "addVoter", member: 3n as MemberId }] }),
    ).toBeUndefined();
  });
});
