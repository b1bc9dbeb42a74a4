// Values that tests of storage write.

import type {
  Entry,
  EntryKind,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
  Term,
} from "../../src/base/index.ts";

export function entry(
  index: number,
  term: number,
  text = `value ${index}`,
  kind: EntryKind = "command",
): Entry {
  return {
    index: index as LogIndex,
    term: term as Term,
    kind,
    data: new TextEncoder().encode(text),
  };
}

export function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

export function hardState(term: number, vote: bigint, commit: number): HardState {
  return { term: term as Term, vote: vote as MemberId, commit: commit as LogIndex };
}

export function meta(index: number, term: number): SnapshotMeta {
  return {
    index: index as LogIndex,
    term: term as Term,
    conf: {
      voters: [1n, 2n, 7n] as MemberId[],
      votersOutgoing: [],
      learners: [9n] as MemberId[],
      learnersNext: [],
      autoLeave: false,
    },
  };
}
