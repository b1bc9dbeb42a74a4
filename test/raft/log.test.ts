// The log and the inflight window against naive twins. fast-check prints the seed of a failure.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry, LogIndex, Term } from "../../src/base/index.ts";
import { entryOverheadBytes } from "../../src/raft/config.ts";
import { bootstrapState, joinState } from "../../src/raft/index.ts";
import { Inflights } from "../../src/raft/inflights.ts";
import { RaftLog } from "../../src/raft/log.ts";

function entriesAfter(index: number, terms: readonly number[], bytes = 1): Entry[] {
  return terms.map((term, i) => ({
    index: (index + 1 + i) as LogIndex,
    term: term as Term,
    kind: "command",
    data: new Uint8Array(bytes),
  }));
}

/** A log after index 1 with entries of these terms, all of them durable. */
function logOf(terms: readonly number[], applied = 1, commit = applied): RaftLog {
  const state = bootstrapState([]);
  return new RaftLog({
    ...state,
    hardState: { ...state.hardState, commit: commit as LogIndex },
    entries: entriesAfter(1, terms),
    applied: applied as LogIndex,
  });
}

const risingTerms = fc
  .array(fc.integer({ min: 1, max: 6 }), { maxLength: 20 })
  .map((terms) => terms.sort((a, b) => a - b));

describe("log", () => {
  it("finds where logs may agree as a scan from the end would", () => {
    fc.assert(
      fc.property(risingTerms, fc.nat(25), fc.integer({ min: 1, max: 7 }), (terms, index, term) => {
        const log = logOf(terms);
        let expected = Math.min(index, log.lastIndex);
        while (expected > 1 && (log.termAt(expected) ?? 0) > term) {
          expected--;
        }
        expect(log.lastIndexAtTerm(index, term)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("answers for what lies below its base with an index that it cannot deny", () => {
    const log = logOf([3, 3, 5], 4, 4);
    log.compactTo(4 as LogIndex);
    expect(log.firstIndex).toBe(4);
    expect(log.termAt(3)).toBe(3);
    expect(log.termAt(2)).toBeUndefined();
    expect(log.lastIndexAtTerm(2, 9)).toBe(2);
    expect(log.lastIndexAtTerm(4, 2)).toBe(2);
  });

  it("ends up with the leader's entries from the first conflict on, and with its own before", () => {
    fc.assert(
      fc.property(risingTerms, risingTerms, fc.nat(20), (own, sent, at) => {
        const previous = Math.min(at, own.length);
        const floor = previous === 0 ? 1 : (own[previous - 1] as number);
        const terms = sent.map((term) => Math.max(term, floor));
        const log = logOf(own);
        log.store(entriesAfter(1 + previous, terms));
        const conflict = terms.findIndex((term, i) => own[previous + i] !== term);
        const expected =
          conflict === -1 ? own : [...own.slice(0, previous + conflict), ...terms.slice(conflict)];
        const stored = expected.map((_, i) => log.termAt(2 + i));
        expect(stored).toEqual(expected);
        expect(log.lastIndex).toBe(1 + expected.length);
        expect(log.sizeBytes).toBe(expected.length * (1 + entryOverheadBytes));
      }),
      { numRuns: 1000 },
    );
  });

  it("cuts slices by bytes, but never to nothing", () => {
    const log = new RaftLog({
      ...bootstrapState([]),
      entries: entriesAfter(1, [1, 1, 1, 1], 10),
    });
    expect(log.slice(2 as LogIndex, 0)).toHaveLength(1);
    expect(log.slice(2 as LogIndex, 29)).toHaveLength(2);
    expect(log.slice(2 as LogIndex, 30)).toHaveLength(3);
    expect(log.slice(2 as LogIndex, 1000, 3 as LogIndex)).toHaveLength(2);
    expect(log.slice(6 as LogIndex, 1000)).toHaveLength(0);
  });

  it("hands out only what is committed and durable, each entry once", () => {
    const log = logOf([1, 1], 1, 3);
    log.append(1 as Term, "command", new Uint8Array(1));
    log.commitTo(4 as LogIndex);
    expect(log.takeCommitted(1000).map((entry) => entry.index)).toEqual([2, 3]);
    expect(log.hasCommitted).toBe(false);
    expect(log.takeUnsaved().entries.map((entry) => entry.index)).toEqual([4]);
    expect(log.hasCommitted).toBe(false);
    log.saved();
    expect(log.takeCommitted(1000).map((entry) => entry.index)).toEqual([4]);
  });

  it("does not believe a stored commit index beyond its last entry: the tail was torn", () => {
    expect(logOf([1, 1], 1, 9).commit).toBe(3);
  });

  it("takes compaction up to the applied index only", () => {
    const log = logOf([1, 1, 1], 1, 4);
    log.takeCommitted(1000);
    log.appliedTo(3 as LogIndex);
    expect(() => log.compactTo(5 as LogIndex)).toThrow("beyond the applied index");
    log.compactTo(4 as LogIndex);
    log.compactTo(2 as LogIndex);
    expect(log.firstIndex).toBe(4);
    expect(log.sizeBytes).toBe(1 + entryOverheadBytes);
  });

  it("says from where on its entries weigh no more than a bound", () => {
    const weight = 10 + entryOverheadBytes;
    const log = new RaftLog({ ...bootstrapState([]), entries: entriesAfter(1, [1, 1, 1, 1], 10) });
    expect(log.firstWithin(4 * weight)).toBe(2);
    expect(log.firstWithin(4 * weight - 1)).toBe(3);
    expect(log.firstWithin(weight)).toBe(5);
    expect(log.firstWithin(0)).toBe(log.lastIndex + 1);
  });

  it("is empty for a member that joins", () => {
    const log = new RaftLog(joinState());
    expect([log.lastIndex, log.lastTerm, log.commit]).toEqual([0, 0, 0]);
    expect(log.termAt(0)).toBe(0);
  });
});

describe("inflight window", () => {
  it("holds what a list of (index, bytes) would", () => {
    const step = fc.oneof(
      fc.record({ add: fc.nat(3), bytes: fc.nat(10) }),
      fc.record({ freeTo: fc.nat(60) }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 50 }),
        (max, steps) => {
          const window = new Inflights(max, 20);
          let twin: { index: number; bytes: number }[] = [];
          let last = 0;
          for (const one of steps) {
            if ("freeTo" in one) {
              window.freeTo(one.freeTo);
              twin = twin.filter(({ index }) => index > one.freeTo);
            } else if (!window.full) {
              last += one.add;
              window.add(last, one.bytes);
              twin.push({ index: last, bytes: one.bytes });
            }
            const bytes = twin.reduce((sum, message) => sum + message.bytes, 0);
            expect([window.count, window.bytes]).toEqual([twin.length, bytes]);
            expect(window.full).toBe(twin.length === max || bytes >= 20);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
