// Ready: the list of work that the core hands to its caller. Durability order is in the shape:
// what must wait for the disk stands inside `persist`.

import type {
  ConfState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
  Term,
} from "../base/index.ts";
import type { Message } from "./message.ts";

/** One durable write. At most one is out at a time; `RaftNode.persisted()` ends it. */
export interface Persist {
  /** Present when term, vote or commit changed since the last write. */
  readonly hardState: HardState | undefined;
  /** Contiguous; the first may overwrite an older, conflicting entry of the log on disk. */
  readonly entries: readonly Entry[];
  /** Present when a received snapshot replaces the log; write it before `entries`. */
  readonly snapshot: SnapshotMeta | undefined;
  /** Leave only after everything above is durable (votes, append acknowledgements). */
  readonly thenSend: readonly Message[];
}

/** A read may be served once applied >= index. */
export interface ReadReady {
  readonly context: number;
  readonly index: LogIndex;
}

export interface Ready {
  /** Undefined when there is nothing to write or `canPersist` was false. */
  readonly persist: Persist | undefined;
  /** May leave at once, in parallel with the write. */
  readonly sendNow: readonly Message[];
  /** Committed, durable here, in order, each handed out exactly once. */
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadReady[];
  /** Contexts of reads that will never be answered (leader lost or changed): fail or retry them. */
  readonly readsDropped: readonly number[];
}

/** A membership change (dissertation 4.3): several steps go through a joint configuration. */
export interface ConfChange {
  readonly steps: readonly ConfChangeStep[];
}

export interface ConfChangeStep {
  readonly kind: "addVoter" | "addLearner" | "remove";
  readonly member: MemberId;
}

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** What an observer may know of the core. */
export interface RaftStatus {
  readonly self: MemberId;
  readonly role: Role;
  readonly term: Term;
  /** 0n when no leader is known. */
  readonly leader: MemberId;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  /** The log in memory, and what its entries weigh. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly logSizeBytes: number;
  readonly conf: ConfState;
  /**
   * Whether this member would still know after a crash that `conf` is committed. Until then it may
   * need the vote of whoever `conf` left out.
   */
  readonly confIsDurable: boolean;
  readonly isLearner: boolean;
  /** Who is being handed the leadership by this leader; 0n for nobody. */
  readonly transferee: MemberId;
  /** Leader only: match index and state of each other member. Made when read, as of then. */
  readonly progress: ReadonlyMap<
    MemberId,
    {
      readonly match: LogIndex;
      readonly next: LogIndex;
      readonly state: "probe" | "replicate" | "snapshot";
      readonly recentlyActive: boolean;
      readonly isLearner: boolean;
    }
  >;
}

export type ProposeOutcome =
  | { readonly kind: "appended"; readonly index: LogIndex; readonly term: Term }
  | { readonly kind: "forwarded" }
  | {
      readonly kind: "refused";
      readonly reason:
        | "noLeader"
        | "transferring"
        | "backlog"
        | "notMember"
        | "pendingChange"
        /** The change would be void: it leaves no voter, or has no step. */
        | "invalidChange";
    };

/** What the core put aside without failing; for metrics and logs. Each only rises. */
export interface RaftCounters {
  /** Messages that break the protocol's rules: a faulty or foreign peer. */
  readonly messagesInvalid: number;
  /** Messages without meaning here and now: stale terms, votes asked while a leader is heard. */
  readonly messagesIgnored: number;
  /** Forwarded proposals that found no leader to take them, or found too many before them. */
  readonly proposalsDropped: number;
  /** Other members' reads turned away because too many waited. */
  readonly readsRefused: number;
}

/**
 * The core's door; `RaftNode` implements it.
 *
 * The caller's loop: feed `tick`, `step`, `propose`, `readIndex`; then, while `hasReady()`, take
 * `ready()`, send `sendNow`, start the write, apply `committed` and tell `appliedTo`. When the
 * write is durable call `persisted()`, send its `thenSend`, and look again.
 */
export interface RaftCore {
  tick(): void;
  /** Takes a peer's message. A bad one is counted and ignored, it never throws. */
  step(message: Message): void;
  /** `data` is owned by the core from here on. A forwarded proposal may still be lost. */
  propose(data: Uint8Array): ProposeOutcome;
  /**
   * Appends a membership change as a `confChange` entry holding `data`, the caller's encoding of
   * `change` (not empty: an empty one leaves a joint state). Leader only; refused while another
   * is not applied.
   */
  proposeConfChange(change: ConfChange, data: Uint8Array): ProposeOutcome;
  /**
   * Tells that the next committed `confChange` entry is being applied, before `appliedTo` covers
   * it; empty entry data means "leave the joint state", passed as undefined. A change that the
   * state machine vetoes is passed with no steps. Returns the configuration now in force.
   */
  applyConfChange(change: ConfChange | undefined): ConfState;
  /** Asks for a read index; the answer comes in `Ready.reads` or `Ready.readsDropped`. */
  readIndex(context: number): void;
  /** Best effort: watch `status()` for the outcome. Given up after one election timeout. */
  transferLeadership(to: MemberId): void;
  /**
   * `canPersist`: no write is out. `tellCommit` (true unless said): a commit index that rose is
   * told at once; false lets it wait for entries to go along with, for a moment that the caller
   * bounds.
   */
  hasReady(canPersist: boolean, tellCommit?: boolean): boolean;
  ready(canPersist: boolean, tellCommit?: boolean): Ready;
  /**
   * The write handed out last is durable. If it carried a snapshot, the state machine stands at
   * that snapshot from now on.
   */
  persisted(): void;
  /** Everything up to `index` is applied. */
  appliedTo(index: LogIndex): void;
  /** Drops the entries before `keepFrom`, which is at most one beyond the applied index. */
  compactTo(keepFrom: LogIndex): void;
  /** What the entries in memory weigh. */
  readonly logSizeBytes: number;
  /** The least index from which on the entries in memory weigh at most `bytesMax`. */
  firstWithin(bytesMax: number): LogIndex;
  /** The snapshot for `to` was delivered whole, or failed: resume probing. */
  reportSnapshot(to: MemberId, delivered: boolean): void;
  /** The link to `to` broke: replication falls back to probing. */
  reportUnreachable(to: MemberId): void;
  status(): RaftStatus;
  counters(): RaftCounters;
}
