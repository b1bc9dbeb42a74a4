// The messages of the protocol: a closed union, one variant per purpose. Every message carries
// `from`, `to` and the sender's `term` (a pre-vote request, and a grant of one, the term that the
// candidate would enter). What arrives from a peer is validated, never asserted.
// Numbers named round or context are whole and up to 2^53 - 1.

import type { Entry, LogIndex, MemberId, SnapshotMeta, Term } from "../base/index.ts";

interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
}

/** AppendEntries (Raft section 5.3). `previous*` name the entry before `entries`. */
export interface AppendRequest extends Envelope {
  readonly kind: "appendRequest";
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

/**
 * Accepts: everything up to `index` is durable. Or rejects the append whose `previousIndex` was
 * `index`; the logs may agree at `hintIndex`, where the sender has `hintTerm`, at the latest.
 */
export interface AppendResponse extends Envelope {
  readonly kind: "appendResponse";
  readonly index: LogIndex;
  readonly rejected: boolean;
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}

/** Liveness, what the receiver may commit, and the ReadIndex round `readRound` (0 for none). */
export interface HeartbeatRequest extends Envelope {
  readonly kind: "heartbeatRequest";
  readonly commit: LogIndex;
  readonly readRound: number;
}

export interface HeartbeatResponse extends Envelope {
  readonly kind: "heartbeatResponse";
  readonly readRound: number;
}

/** RequestVote; with `preVote` it asks only whether a vote would be given (dissertation 9.6). */
export interface VoteRequest extends Envelope {
  readonly kind: "voteRequest";
  readonly preVote: boolean;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** A leadership transfer: granted even while a leader is heard (dissertation 3.10). */
  readonly transfer: boolean;
}

/**
 * The answer to either. `commit` and `commitTerm` name the last entry that the voter knows to be
 * committed: a candidate that holds it learns so. It may be that this commits the very change by
 * which the voter ceased to be one, and that the candidate needs no vote of it any more.
 */
export interface VoteResponse extends Envelope {
  readonly kind: "voteResponse";
  readonly preVote: boolean;
  readonly granted: boolean;
  readonly commit: LogIndex;
  readonly commitTerm: Term;
}

/**
 * InstallSnapshot. The core deals only in `snapshot`, its position. As the leader's core makes it,
 * it is the least position that helps: the caller takes its view of the state there or later,
 * puts that view's true position in, streams the data beside it, and steps the message into the
 * receiver's core once the data is there whole.
 */
export interface SnapshotRequest extends Envelope {
  readonly kind: "snapshotRequest";
  readonly snapshot: SnapshotMeta;
}

/** Tells the best follower to campaign at once (leadership transfer). */
export interface TimeoutNow extends Envelope {
  readonly kind: "timeoutNow";
}

/** A follower's proposals on their way to the leader. */
export interface ProposeForward extends Envelope {
  readonly kind: "proposeForward";
  readonly proposals: readonly Uint8Array[];
}

/** A follower asks the leader for a read index; `context` comes back with the answer. */
export interface ReadIndexRequest extends Envelope {
  readonly kind: "readIndexRequest";
  readonly context: number;
}

export interface ReadIndexResponse extends Envelope {
  readonly kind: "readIndexResponse";
  readonly context: number;
  readonly index: LogIndex;
}

/** A member asks the leader to hand leadership to `transferee`. */
export interface TransferForward extends Envelope {
  readonly kind: "transferForward";
  readonly transferee: MemberId;
}

export type Message =
  | AppendRequest
  | AppendResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | VoteRequest
  | VoteResponse
  | SnapshotRequest
  | TimeoutNow
  | ProposeForward
  | ReadIndexRequest
  | ReadIndexResponse
  | TransferForward;
