// What the raft log is made of. Shared by raft (which orders it), storage (which keeps it) and
// peer (which carries it), none of which may import another.

import type { LogIndex, MemberId, Term } from "./ids.ts";

/** `noop` opens a term; `command` is for apply; `confChange` is an encoded membership change. */
export type EntryKind = "noop" | "command" | "confChange";

/** One position of the log. Immutable once made; `data` is empty for a noop. */
export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What a member must never forget (Raft section 5.2): durable before any message that shows it. */
export interface HardState {
  readonly term: Term;
  /** The candidate voted for in `term`; 0n for none. */
  readonly vote: MemberId;
  /** Highest index known committed. May lag behind on disk: it is a hint, never a promise. */
  readonly commit: LogIndex;
}

/**
 * The voting configuration (joint consensus, Raft dissertation 4.3). Lists are sorted ascending.
 * `votersOutgoing` is empty unless a joint change is under way.
 */
export interface ConfState {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  /** Voters of the outgoing configuration that become learners when the joint state is left. */
  readonly learnersNext: readonly MemberId[];
  /** Whether the leader leaves the joint state by itself as soon as it is committed. */
  readonly autoLeave: boolean;
}

/** Where a snapshot stands: the state after applying `index`. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly conf: ConfState;
}
