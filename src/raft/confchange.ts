// Membership changes as pure functions of configurations (dissertation chapter 4).
//
// One step is a simple change: old and new majorities overlap by themselves. Several steps go
// through a joint configuration, in which both majorities rule; an empty `confChange` entry leaves
// it, proposed by the leader on its own (`autoLeave`).
//
// Members apply the same entry to the same configuration, so a change that does not hold is void
// on every one of them alike.

import { assert, compareIds } from "../base/index.ts";
import type { ConfState, MemberId } from "../base/index.ts";
import type { ConfChange, ConfChangeStep } from "./ready.ts";

export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

export function isVoter(conf: ConfState, member: MemberId): boolean {
  return conf.voters.includes(member) || conf.votersOutgoing.includes(member);
}

export function isLearner(conf: ConfState, member: MemberId): boolean {
  return conf.learners.includes(member);
}

/** Every member of either configuration, ids ascending, each once. */
export function membersOf(conf: ConfState): MemberId[] {
  const all = new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners]);
  return [...all].sort(compareIds);
}

/** Every voter of either configuration, ids ascending, each once. */
export function votersOf(conf: ConfState): MemberId[] {
  return [...new Set([...conf.voters, ...conf.votersOutgoing])].sort(compareIds);
}

/**
 * The configuration after `change`; undefined `change` leaves a joint one. Undefined comes back
 * when the change is void: one is under way, none is, or no voter would be left.
 */
export function changeConf(conf: ConfState, change: ConfChange | undefined): ConfState | undefined {
  if (change === undefined) {
    return isJoint(conf) ? leaveJoint(conf) : undefined;
  }
  if (isJoint(conf) || change.steps.length === 0) {
    return undefined;
  }
  const joint = change.steps.length > 1;
  const sets: Sets = {
    voters: new Set(conf.voters),
    learners: new Set(conf.learners),
    learnersNext: new Set(),
    outgoing: joint ? new Set(conf.voters) : new Set(),
  };
  for (const step of change.steps) {
    applyStep(sets, step);
  }
  if (sets.voters.size === 0) {
    return undefined;
  }
  const next: ConfState = {
    voters: sorted(sets.voters),
    votersOutgoing: sorted(sets.outgoing),
    learners: sorted(sets.learners),
    learnersNext: sorted(sets.learnersNext),
    autoLeave: joint,
  };
  assertConf(next);
  return next;
}

interface Sets {
  readonly voters: Set<MemberId>;
  readonly learners: Set<MemberId>;
  readonly learnersNext: Set<MemberId>;
  readonly outgoing: Set<MemberId>;
}

function applyStep(sets: Sets, step: ConfChangeStep): void {
  const { member } = step;
  sets.voters.delete(member);
  sets.learners.delete(member);
  sets.learnersNext.delete(member);
  switch (step.kind) {
    case "addVoter":
      sets.voters.add(member);
      return;
    case "addLearner":
      // A voter of the outgoing half keeps its vote until the joint state is left.
      if (sets.outgoing.has(member)) {
        sets.learnersNext.add(member);
      } else {
        sets.learners.add(member);
      }
      return;
    case "remove":
      return;
  }
}

function leaveJoint(conf: ConfState): ConfState {
  const next: ConfState = {
    voters: conf.voters,
    votersOutgoing: [],
    learners: sorted(new Set([...conf.learners, ...conf.learnersNext])),
    learnersNext: [],
    autoLeave: false,
  };
  assertConf(next);
  return next;
}

function sorted(ids: Iterable<MemberId>): MemberId[] {
  return [...ids].sort(compareIds);
}

function assertConf(conf: ConfState): void {
  const fault = confFault(conf);
  assert(fault === undefined, () => `configuration does not hold: ${fault}`);
}

/** What is wrong with a configuration; undefined when it holds. Also judges a peer's snapshot. */
export function confFault(conf: ConfState): string | undefined {
  for (const ids of [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext]) {
    for (let i = 1; i < ids.length; i++) {
      if (compareIds(ids[i - 1] as MemberId, ids[i] as MemberId) >= 0) {
        return "members not ascending";
      }
    }
  }
  if (conf.voters.length === 0) {
    return "no voters";
  }
  if (conf.learners.some((id) => isVoter(conf, id))) {
    return "a learner is a voter";
  }
  if (
    conf.learnersNext.some((id) => !conf.votersOutgoing.includes(id) || conf.voters.includes(id))
  ) {
    return "a learner to be is no outgoing voter";
  }
  if (conf.autoLeave && !isJoint(conf)) {
    return "nothing to leave";
  }
  return undefined;
}
