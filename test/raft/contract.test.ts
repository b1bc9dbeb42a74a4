// The caller's side of the contract: what is handed out when, and what misuse runs into.

import { describe, expect, it } from "vitest";
import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { LogIndex, MemberId } from "../../src/base/index.ts";
import { bootstrapState, joinState, RaftNode } from "../../src/raft/index.ts";
import type { RaftConfig } from "../../src/raft/index.ts";
import { drain } from "./drain.ts";

const self = 1n as MemberId;
const single: RaftConfig = { self, rng: new SeededRng(1), initial: bootstrapState([self]) };

function leadAlone(config: Partial<RaftConfig> = {}): RaftNode {
  const node = new RaftNode({ ...single, ...config });
  node.campaign();
  drain(node);
  expect(node.status()).toMatchObject({ role: "leader", commit: 2, applied: 2 });
  return node;
}

describe("ready", () => {
  it("has nothing to hand out when nothing happened", () => {
    const node = new RaftNode(single);
    expect(node.hasReady(true)).toBe(false);
    expect(node.ready(true)).toEqual({
      persist: undefined,
      sendNow: [],
      committed: [],
      reads: [],
      readsDropped: [],
    });
  });

  it("keeps one write out, and binds what comes meanwhile to the next", () => {
    const node = leadAlone();
    node.propose(utf8("a"));
    const first = node.ready(true);
    expect(first.persist?.entries.map((entry) => entry.index)).toEqual([3]);
    node.propose(utf8("b"));
    expect(node.hasReady(false)).toBe(false);
    expect(node.ready(false).persist).toBeUndefined();
    expect(() => node.ready(true)).toThrow("a write is already out");
    node.persisted();
    expect(() => node.persisted()).toThrow("no write is out");
    const second = node.ready(true);
    expect(second.persist?.entries.map((entry) => entry.index)).toEqual([4]);
    expect(second.committed.map((entry) => entry.index)).toEqual([3]);
  });

  it("writes no commit index for its own sake", () => {
    const node = leadAlone();
    node.propose(utf8("a"));
    drain(node);
    expect(node.hasReady(true)).toBe(false);
    node.propose(utf8("b"));
    expect(node.ready(true).persist?.hardState).toMatchObject({ commit: 3 });
  });

  it("hands out committed entries in bounded portions", () => {
    const node = leadAlone({ committedBytesMax: 10 });
    for (let i = 0; i < 5; i++) {
      node.propose(new Uint8Array(4));
    }
    node.ready(true);
    node.persisted();
    const portions: number[] = [];
    while (node.hasReady(true)) {
      portions.push(node.ready(true).committed.length);
    }
    expect(portions).toEqual([2, 2, 1]);
  });
});

describe("misuse", () => {
  it("is told when something is applied that was not handed out", () => {
    const node = leadAlone();
    expect(() => node.appliedTo(3 as LogIndex)).toThrow("was not handed out");
  });

  it("is told when a membership entry is passed over, or invented", () => {
    const node = leadAlone();
    expect(() => node.applyConfChange(undefined)).toThrow("no committed confChange entry");
    const change = { steps: [{ kind: "addLearner", member: 2n as MemberId }] } as const;
    expect(() => node.proposeConfChange(change, new Uint8Array(0))).toThrow("leaving the joint");
    expect(node.proposeConfChange(change, utf8("2"))).toMatchObject({ kind: "appended" });
    node.ready(true);
    node.persisted();
    node.ready(true);
    expect(() => node.appliedTo(3 as LogIndex)).toThrow("without applyConfChange");
    expect(node.applyConfChange(change).learners).toEqual([2n]);
    node.appliedTo(3 as LogIndex);
  });

  it("is told when limits make no sense", () => {
    expect(() => new RaftNode({ ...single, electionTicks: 1, heartbeatTicks: 1 })).toThrow();
    expect(() => new RaftNode({ ...single, inflightMessagesMax: 0 })).toThrow();
    expect(() => new RaftNode({ ...single, self: 0n as MemberId })).toThrow();
  });
});

describe("start", () => {
  it("draws election timeouts from one to two election times, spread evenly", () => {
    const ticks = new Map<number, number>();
    for (let seed = 1; seed <= 500; seed++) {
      const node = new RaftNode({ ...single, rng: new SeededRng(seed) });
      let count = 0;
      while (node.status().role === "follower") {
        node.tick();
        count++;
      }
      ticks.set(count, (ticks.get(count) ?? 0) + 1);
    }
    const counts = [...ticks.keys()].sort((a, b) => a - b);
    expect(counts).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    expect(Math.min(...ticks.values())).toBeGreaterThan(25);
  });

  it("may skip the wait, but not the random part of it", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const node = new RaftNode({ ...single, rng: new SeededRng(seed) });
      node.advanceElection(1000);
      expect(node.status().role).toBe("follower");
      let count = 0;
      while (node.status().role === "follower") {
        node.tick();
        count++;
      }
      expect(count).toBeLessThanOrEqual(10);
    }
  });

  it("leaves a member that knows nobody waiting", () => {
    const node = new RaftNode({ ...single, initial: joinState() });
    node.campaign();
    for (let i = 0; i < 100; i++) {
      node.tick();
    }
    expect(node.status()).toMatchObject({ role: "follower", term: 0 });
    expect(node.propose(utf8("a"))).toEqual({ kind: "refused", reason: "notMember" });
    expect(node.hasReady(true)).toBe(false);
  });

  it("goes on from where the state machine stood", () => {
    const node = leadAlone();
    node.propose(utf8("a"));
    node.propose(utf8("b"));
    const { persist } = node.ready(true);
    const initial = bootstrapState([self]);
    const restarted = new RaftNode({
      ...single,
      initial: {
        ...initial,
        hardState: { term: node.status().term, vote: self, commit: 4 as LogIndex },
        entries: [
          { index: 2 as LogIndex, term: node.status().term, kind: "noop", data: utf8("") },
          ...(persist?.entries ?? []),
        ],
        applied: 3 as LogIndex,
      },
    });
    expect(restarted.status()).toMatchObject({ commit: 4, applied: 3, lastIndex: 4 });
    expect(drain(restarted).committed.map((entry) => entry.index)).toEqual([4]);
  });

  it("never asks for a read under a number of an earlier start", () => {
    const initial = bootstrapState([self, 2n as MemberId]);
    const numbers = new Set<number>();
    for (let start = 0; start < 20; start++) {
      const node = new RaftNode({ self, rng: new SeededRng(1, start), initial });
      node.step({
        kind: "heartbeatRequest",
        from: 2n as MemberId,
        to: self,
        term: 2 as never,
        commit: 1 as LogIndex,
        readRound: 0,
      });
      for (let read = 0; read < 50; read++) {
        node.readIndex(read);
        for (const message of drain(node).sent) {
          if (message.kind === "readIndexRequest") {
            numbers.add(message.context);
          }
        }
      }
    }
    expect(numbers.size).toBe(20 * 50);
  });
});
