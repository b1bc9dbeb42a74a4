// What peers may send that they should not: it is counted and ignored, and never throws.

import { describe, expect, it } from "vitest";
import { emptyBytes, SeededRng, utf8 } from "../../src/base/index.ts";
import type { Entry, EntryKind, LogIndex, MemberId, Term } from "../../src/base/index.ts";
import { bootstrapState, RaftNode } from "../../src/raft/index.ts";
import type { Message } from "../../src/raft/index.ts";
import { drain } from "./drain.ts";

const id = (n: number): MemberId => BigInt(n) as MemberId;
const at = (n: number): LogIndex => n as LogIndex;
const t = (n: number): Term => n as Term;
const founders = [id(1), id(2), id(3)];

function makeNode(seed = 1): RaftNode {
  const rng = new SeededRng(seed);
  return new RaftNode({ self: id(1), rng, initial: bootstrapState(founders), electionTicks: 4 });
}

function entry(index: number, term: number, kind: EntryKind = "command"): Entry {
  return { index: at(index), term: t(term), kind, data: utf8(`${index}`) };
}

function append(term: number, previous: [number, number], entries: Entry[], commit = 0): Message {
  const [previousIndex, previousTerm] = previous;
  return {
    kind: "appendRequest",
    from: id(2),
    to: id(1),
    term: t(term),
    previousIndex: at(previousIndex),
    previousTerm: t(previousTerm),
    entries,
    commit: at(commit),
  };
}

const envelope = { from: id(2), to: id(1), term: t(2) };

describe("malformed messages", () => {
  const conf = bootstrapState(founders).conf;
  const cases: [string, Message][] = [
    ["for somebody else", { ...envelope, to: id(3), kind: "timeoutNow" }],
    ["from this member", { ...envelope, from: id(1), kind: "timeoutNow" }],
    ["from nobody", { ...envelope, from: id(0), kind: "timeoutNow" }],
    ["a term that is no counter", { ...envelope, term: t(1.5), kind: "timeoutNow" }],
    ["an append in term 0", append(0, [1, 0], [])],
    ["a gap in an append", append(2, [1, 1], [entry(3, 2)])],
    ["falling terms in an append", append(5, [1, 1], [entry(2, 3), entry(3, 2)])],
    ["an entry older than the one before it", append(5, [1, 3], [entry(2, 2)])],
    ["an entry of a later term than its sender's", append(2, [1, 1], [entry(2, 3)])],
    ["a previous entry of a later term than its sender's", append(2, [1, 3], [])],
    ["a commit index that is no counter", append(2, [1, 1], [], Number.NaN)],
    [
      "a log end of the term that is asked for",
      {
        ...envelope,
        kind: "voteRequest",
        preVote: false,
        lastIndex: at(9),
        lastTerm: t(2),
        transfer: false,
      },
    ],
    [
      "a snapshot without voters",
      {
        ...envelope,
        kind: "snapshotRequest",
        snapshot: { index: at(9), term: t(2), conf: { ...conf, voters: [] } },
      },
    ],
    [
      "a snapshot of a later term than its sender's",
      { ...envelope, kind: "snapshotRequest", snapshot: { index: at(9), term: t(3), conf } },
    ],
  ];

  it.each(cases)("%s", (_, message) => {
    const node = makeNode();
    const before = node.status();
    node.step(message);
    expect(node.counters().messagesInvalid).toBe(1);
    expect(JSON.stringify([node.status().term, node.hasReady(true)])).toBe(
      JSON.stringify([before.term, false]),
    );
  });
});

describe("messages that contradict", () => {
  it("commits nothing beyond the entries that a message is about", () => {
    const node = makeNode();
    node.step(append(2, [1, 1], [entry(2, 2), entry(3, 2), entry(4, 2)]));
    node.step({ ...append(3, [1, 1], [], 4), from: id(3) });
    expect(node.status().commit).toBe(1);
    node.step({ ...append(3, [1, 1], [entry(2, 2)], 4), from: id(3) });
    expect(node.status().commit).toBe(2);
  });

  it("ignores a commit index beyond the log", () => {
    const node = makeNode();
    node.step({ ...envelope, kind: "heartbeatRequest", commit: at(7), readRound: 0 });
    expect(node.status().commit).toBe(1);
    expect(node.counters().messagesInvalid).toBe(1);
  });

  it("knows one leader a term", () => {
    const node = makeNode();
    node.step(append(2, [1, 1], [entry(2, 2)]));
    node.step({ ...append(2, [1, 1], [entry(2, 2), entry(3, 2)]), from: id(3) });
    expect(node.status()).toMatchObject({ leader: id(2), lastIndex: 2 });
    expect(node.counters().messagesInvalid).toBe(1);
  });

  it("needs its own vote before it leads, whatever others grant", () => {
    const node = makeNode();
    node.campaign();
    const grant = {
      ...envelope,
      kind: "voteResponse",
      granted: true,
      commit: at(1),
      commitTerm: t(1),
    } as const;
    node.step({ ...grant, preVote: true });
    expect(node.status().role).toBe("candidate");
    node.step({ ...grant, preVote: false });
    node.step({ ...grant, from: id(3), preVote: false });
    expect(node.status().role).toBe("candidate");
    drain(node);
    expect(node.status().role).toBe("leader");
  });

  it("does not count read rounds and acknowledgements that were never asked for", () => {
    const node = makeLeader();
    const { commit, lastIndex } = node.status();
    node.step({ ...envelope, kind: "heartbeatResponse", readRound: 9 });
    node.step({ ...accepted(lastIndex + 5) });
    expect(node.counters().messagesInvalid).toBe(2);
    node.readIndex(1);
    expect(drain(node).reads).toEqual([]);
    expect(node.status().commit).toBe(commit);
  });

  it("answers only the request that was asked", () => {
    const node = makeNode();
    node.step(append(2, [1, 1], []));
    drain(node);
    node.readIndex(7);
    const [request] = drain(node).sent;
    if (request?.kind !== "readIndexRequest") {
      throw new Error("a read request was due");
    }
    const answer = { ...envelope, kind: "readIndexResponse", index: at(1) } as const;
    node.step({ ...answer, context: request.context + 1 });
    node.step({ ...answer, context: request.context, from: id(3) });
    expect(drain(node).reads).toEqual([]);
    node.step({ ...answer, context: request.context });
    node.step({ ...answer, context: request.context });
    expect(drain(node).reads).toEqual([{ context: 7, index: 1 }]);
  });
});

function accepted(index: number): Message {
  return {
    ...envelope,
    kind: "appendResponse",
    index: at(index),
    rejected: false,
    hintIndex: at(0),
    hintTerm: t(0),
  };
}

function makeLeader(): RaftNode {
  const node = makeNode();
  node.campaign();
  const grant = {
    ...envelope,
    kind: "voteResponse",
    granted: true,
    commit: at(1),
    commitTerm: t(1),
  } as const;
  node.step({ ...grant, preVote: true });
  drain(node);
  node.step({ ...grant, preVote: false });
  drain(node);
  node.step(accepted(2));
  drain(node);
  expect(node.status()).toMatchObject({ role: "leader", commit: 2 });
  return node;
}

/** Any message, its numbers near those that mean something. */
function randomMessage(rng: SeededRng, term: number): Message {
  const number = (): number => rng.below(8);
  const flag = (): boolean => rng.below(2) === 0;
  const base = {
    from: id(1 + rng.below(4)),
    to: id(1),
    term: t(Math.max(0, term - 1 + rng.below(3))),
  };
  const previous = number();
  const kinds: (() => Message)[] = [
    () => ({
      ...append(base.term, [previous, number()], [], number()),
      ...base,
      entries: Array.from({ length: rng.below(4) }, (_, i) =>
        entry(previous + 1 + i, Math.min(base.term, number()), rng.below(9) ? "command" : "noop"),
      ),
    }),
    () => ({
      ...base,
      kind: "appendResponse",
      index: at(number()),
      rejected: flag(),
      hintIndex: at(number()),
      hintTerm: t(number()),
    }),
    () => ({ ...base, kind: "heartbeatRequest", commit: at(number()), readRound: number() }),
    () => ({ ...base, kind: "heartbeatResponse", readRound: number() }),
    () => ({
      ...base,
      kind: "voteRequest",
      preVote: flag(),
      lastIndex: at(number()),
      lastTerm: t(number()),
      transfer: flag(),
    }),
    () => ({
      ...base,
      kind: "voteResponse",
      preVote: flag(),
      granted: flag(),
      commit: at(number()),
      commitTerm: t(number()),
    }),
    () => ({
      ...base,
      kind: "snapshotRequest",
      snapshot: {
        index: at(number()),
        term: t(number()),
        conf: bootstrapState(founders.slice(0, 1 + rng.below(3))).conf,
      },
    }),
    () => ({ ...base, kind: "timeoutNow" }),
    () => ({ ...base, kind: "proposeForward", proposals: [emptyBytes, utf8("x")] }),
    () => ({ ...base, kind: "readIndexRequest", context: number() }),
    () => ({ ...base, kind: "readIndexResponse", context: number(), index: at(number()) }),
    () => ({ ...base, kind: "transferForward", transferee: id(number()) }),
  ];
  return (kinds[rng.below(kinds.length)] as () => Message)();
}

describe("a peer that sends anything at all", () => {
  it("stops no member", () => {
    const roles = new Set<string>();
    for (let seed = 1; seed <= 300; seed++) {
      const rng = new SeededRng(seed, 7);
      const node = makeNode(seed);
      try {
        for (let i = 0; i < 300; i++) {
          node.step(randomMessage(rng, node.status().term));
          roles.add(node.status().role);
          if (rng.below(5) === 0) {
            node.tick();
          }
          if (rng.below(20) === 0) {
            node.campaign();
          }
          if (rng.below(3) === 0) {
            drain(node);
          }
        }
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    expect([...roles].sort()).toEqual(["candidate", "follower", "leader", "preCandidate"]);
  });
});
