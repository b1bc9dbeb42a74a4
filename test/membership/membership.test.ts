import { describe, expect, test } from "vitest";

import { CorruptionError, toClusterId, toMemberId } from "../../src/base/index.ts";
import type { ConfState, ErrorCode, MemberId } from "../../src/base/index.ts";
import { decodeMembership, Membership, membershipKey } from "../../src/membership/index.ts";
import { ConfChangeStepKind, MembershipRecord } from "../../src/wire/index.ts";
import type { ConfChange } from "../../src/wire/index.ts";

const one = toMemberId(1n);
const two = toMemberId(0xffff_ffff_ffff_ffffn);
const three = toMemberId(3n);

function fresh(): Membership {
  return Membership.bootstrap(toClusterId(9n), [
    { id: two, name: "", peerUrls: ["http://two"], clientUrls: [], isLearner: false },
    { id: one, name: "", peerUrls: ["http://one"], clientUrls: [], isLearner: false },
  ]);
}

function change(kind: number, memberId: MemberId, ...peerUrls: string[]): ConfChange {
  return { origin: 0n, sequence: 0, steps: [{ kind, memberId, peerUrls }] };
}

function conf(voters: readonly MemberId[], learners: readonly MemberId[] = []): ConfState {
  return { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
}

const { ADD_VOTER, ADD_LEARNER, REMOVE, UPDATE } = ConfChangeStepKind;

test("the first members are voters, in order of id", () => {
  const membership = fresh();
  expect(membership.members().map((member) => member.id)).toEqual([one, two]);
  expect(membership.confState).toEqual(conf([one, two]));
});

test("a learner is added, publishes itself, is promoted, moves and is removed for good", () => {
  const membership = fresh();
  membership.applyConfChange(change(ADD_LEARNER, three, "http://three"), conf([one, two], [three]));
  expect(membership.setAttributes(three, "c", ["http://client"])).toBe(true);
  expect(membership.member(three)).toEqual({
    id: three,
    name: "c",
    peerUrls: ["http://three"],
    clientUrls: ["http://client"],
    isLearner: true,
  });
  membership.applyConfChange(change(ADD_VOTER, three), conf([one, three, two]));
  membership.applyConfChange(change(UPDATE, three, "http://new"), conf([one, three, two]));
  expect(membership.member(three)).toEqual({
    id: three,
    name: "c",
    peerUrls: ["http://new"],
    clientUrls: ["http://client"],
    isLearner: false,
  });
  membership.applyConfChange(change(REMOVE, three), conf([one, two]));
  expect(membership.member(three)).toBeUndefined();
  expect(membership.isRemoved(three)).toBe(true);
  expect(membership.setAttributes(three, "c", [])).toBe(false);
  expect(membership.confState).toEqual(conf([one, two]));
});

test("a learner that moves is a learner still, and may be promoted later", () => {
  const membership = fresh();
  const before = conf([one, two], [three]);
  membership.applyConfChange(change(ADD_LEARNER, three, "http://three"), before);
  membership.applyConfChange(change(UPDATE, three, "http://new"), before);
  expect(membership.member(three)).toMatchObject({ peerUrls: ["http://new"], isLearner: true });
  const again = decodeMembership(membership.encode());
  expect(again.members()).toEqual(membership.members());
  expect(again.check(change(ADD_VOTER, three), { learnersMax: 1 })).toBeUndefined();
});

describe("what a change is refused for", () => {
  const membership = fresh();
  membership.applyConfChange(change(ADD_LEARNER, three, "http://three"), conf([one, two], [three]));
  const gone = toMemberId(4n);
  membership.applyConfChange(change(ADD_VOTER, gone, "http://four"), conf([one, two], [three]));
  membership.applyConfChange(change(REMOVE, gone), conf([one, two], [three]));
  const five = toMemberId(5n);

  const cases: readonly [string, ConfChange, ErrorCode | undefined][] = [
    ["a new voter", change(ADD_VOTER, five, "http://five"), undefined],
    ["a voter that is there", change(ADD_VOTER, one, "http://five"), "memberExists"],
    ["URLs of another", change(ADD_VOTER, five, "http://five", "http://one"), "peerUrlExists"],
    ["a second learner", change(ADD_LEARNER, five, "http://five"), "tooManyLearners"],
    ["a learner that is there", change(ADD_LEARNER, three, "http://five"), "memberExists"],
    ["a promotion", change(ADD_VOTER, three), undefined],
    ["a promotion of a voter", change(ADD_VOTER, one), "memberNotLearner"],
    ["a promotion of a stranger", change(ADD_VOTER, five), "memberNotFound"],
    ["an id that was removed", change(ADD_VOTER, gone, "http://five"), "memberNotFound"],
    ["removal of a stranger", change(REMOVE, five), "memberNotFound"],
    ["removal twice", change(REMOVE, gone), "memberNotFound"],
    ["removal", change(REMOVE, one), undefined],
    ["its own URLs again", change(UPDATE, one, "http://one"), undefined],
    ["URLs of another in an update", change(UPDATE, one, "http://two"), "peerUrlExists"],
    ["an update of a stranger", change(UPDATE, five, "http://five"), "memberNotFound"],
  ];
  test.each(cases)("%s", (_name, asked, code) => {
    expect(membership.check(asked, { learnersMax: 1 })).toBe(code);
  });
});

test("the record holds everything, and is written only when something changed", () => {
  const membership = fresh();
  membership.applyConfChange(change(REMOVE, one), conf([two]));
  membership.setAttributes(two, "b", ["http://b"]);
  const [operation, ...more] = membership.collectDirty();
  expect(more).toEqual([]);
  expect(operation).toEqual({ kind: "put", key: membershipKey, value: membership.encode() });
  expect(membership.collectDirty()).toEqual([]);

  const again = decodeMembership(membership.encode());
  expect(again.collectDirty()).toEqual([]);
  expect(again.clusterId).toBe(9n);
  expect(again.members()).toEqual(membership.members());
  expect(again.isRemoved(one)).toBe(true);
  expect(again.confState).toEqual(membership.confState);
  expect(again.encode()).toEqual(membership.encode());
});

test("a joint configuration survives, and leaving it changes no member", () => {
  const membership = fresh();
  const joint: ConfState = {
    voters: [one],
    votersOutgoing: [one, two],
    learners: [],
    learnersNext: [two],
    autoLeave: true,
  };
  membership.applyConfChange({ origin: 0n, sequence: 0, steps: [] }, joint);
  expect(decodeMembership(membership.encode()).confState).toEqual(joint);
  const before = membership.members();
  membership.applyConfChange(undefined, conf([one], [two]));
  expect(membership.members()).toEqual(before);
  expect(membership.confState).toEqual(conf([one], [two]));
});

test("a record that is damaged or incomplete is corruption", () => {
  const whole = fresh().encode();
  expect(() => decodeMembership(whole.subarray(0, whole.length - 1))).toThrow(CorruptionError);
  expect(() => decodeMembership(MembershipRecord.encode(MembershipRecord.create()))).toThrow(
    CorruptionError,
  );
});
