import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError, concatBytes } from "../../src/base/index.ts";
import type { Entry, LogIndex, MemberId, Term } from "../../src/base/index.ts";
import { decodeMessage, encodeFrame, encodeMessage } from "../../src/node/peer-codec.ts";
import type { Message } from "../../src/raft/index.ts";

const memberId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((id) => id as MemberId);
const counter = fc.oneof(fc.nat(1000), fc.maxSafeNat());
const index = counter.map((n) => n as LogIndex);
const term = counter.map((n) => n as Term);
const bytes = fc.uint8Array({ maxLength: 300 });
const members = fc
  .uniqueArray(memberId, { maxLength: 5 })
  .map((list) => list.sort((a, b) => (a < b ? -1 : 1)));
const conf = fc.record({
  voters: members,
  votersOutgoing: members,
  learners: members,
  learnersNext: members,
  autoLeave: fc.boolean(),
});

const append = fc
  .record({
    previousIndex: fc.maxSafeNat().map((n) => Math.max(0, n - 10) as LogIndex),
    previousTerm: term,
    commit: index,
    drafts: fc.array(
      fc.record({ term, kind: fc.constantFrom("noop", "command", "confChange"), data: bytes }),
      { maxLength: 6 },
    ),
  })
  .map(({ drafts, ...rest }) => {
    const entries = drafts.map(
      (draft, i) => ({ index: rest.previousIndex + 1 + i, ...draft }) as Entry,
    );
    return { kind: "appendRequest", ...rest, entries };
  });

const kinds = [
  append,
  fc.record({
    kind: fc.constant("appendResponse"),
    index,
    rejected: fc.boolean(),
    hintIndex: index,
    hintTerm: term,
  }),
  fc.record({ kind: fc.constant("heartbeatRequest"), commit: index, readRound: counter }),
  fc.record({ kind: fc.constant("heartbeatResponse"), readRound: counter }),
  fc.record({
    kind: fc.constant("voteRequest"),
    preVote: fc.boolean(),
    lastIndex: index,
    lastTerm: term,
    transfer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("voteResponse"),
    preVote: fc.boolean(),
    granted: fc.boolean(),
    commit: index,
    commitTerm: term,
  }),
  fc.record({ kind: fc.constant("snapshotRequest"), snapshot: fc.record({ index, term, conf }) }),
  fc.record({ kind: fc.constant("timeoutNow") }),
  fc.record({ kind: fc.constant("proposeForward"), proposals: fc.array(bytes, { maxLength: 5 }) }),
  fc.record({ kind: fc.constant("readIndexRequest"), context: counter }),
  fc.record({ kind: fc.constant("readIndexResponse"), context: counter, index }),
  fc.record({ kind: fc.constant("transferForward"), transferee: memberId }),
] as const;

const message: fc.Arbitrary<Message> = fc
  .tuple(fc.record({ from: memberId, to: memberId, term }), fc.oneof(...kinds))
  .map(([envelope, body]) => ({ ...envelope, ...body }) as unknown as Message);

describe("raft messages between members", () => {
  test("come back as they were sent", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(message, (sent) => {
        seen.add(sent.kind);
        expect(decodeMessage(concatBytes(encodeFrame(sent).parts))).toEqual(sent);
        expect(decodeMessage(encodeMessage(sent))).toEqual(sent);
      }),
      { numRuns: 2000 },
    );
    expect(seen.size).toBe(kinds.length);
  });

  test("every cut and every byte too many is refused", () => {
    fc.assert(
      fc.property(message, fc.nat(), (sent, at) => {
        const whole = encodeMessage(sent);
        expect(() => decodeMessage(whole.subarray(0, at % whole.length))).toThrow(DecodeError);
        expect(() => decodeMessage(concatBytes([whole, new Uint8Array(1)]))).toThrow(DecodeError);
      }),
      { numRuns: 2000 },
    );
  });

  test("arbitrary and altered bytes give a message or DecodeError, nothing else", () => {
    const attempt = (input: Uint8Array): void => {
      try {
        const decoded = decodeMessage(input);
        expect(decodeMessage(encodeMessage(decoded))).toEqual(decoded);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), attempt), { numRuns: 2000 });
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (sent, at, change) => {
        const altered = encodeMessage(sent);
        const i = at % altered.length;
        altered[i] = (altered[i] ?? 0) ^ change;
        attempt(altered);
      }),
      { numRuns: 2000 },
    );
  });

  test("followers share the encoding of the same entries", () => {
    const entries: Entry[] = [1, 2, 3].map((i) => ({
      index: i as LogIndex,
      term: 1 as Term,
      kind: "command",
      data: new Uint8Array(10).fill(i),
    }));
    const request = (to: bigint, from: number, commit: number): Message => ({
      kind: "appendRequest",
      from: 1n as MemberId,
      to: to as MemberId,
      term: 1 as Term,
      previousIndex: from as LogIndex,
      previousTerm: 1 as Term,
      commit: commit as LogIndex,
      entries: entries.slice(from),
    });
    const first = encodeFrame(request(2n, 0, 0));
    const second = encodeFrame(request(3n, 0, 1));
    expect(second.parts[1]).toBe(first.parts[1]);
    const shorter = encodeFrame(request(3n, 1, 1));
    expect(shorter.parts[1]).not.toBe(first.parts[1]);
    expect(decodeMessage(concatBytes(shorter.parts))).toEqual(request(3n, 1, 1));
  });
});
