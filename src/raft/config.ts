// What a core is made from: identity, limits, and the state that a restart found.

import { assert, noMember } from "../base/index.ts";
import type {
  ConfState,
  Entry,
  HardState,
  LogIndex,
  MemberId,
  Rng,
  SnapshotMeta,
  Term,
} from "../base/index.ts";

/** What a start begins from. `bootstrapState` and `joinState` make it for a member without one. */
export interface RaftInitialState {
  readonly hardState: HardState;
  /** The log begins after it. Undefined only for a member that joins with nothing. */
  readonly snapshot: SnapshotMeta | undefined;
  /** Contiguous, after `snapshot.index`; all durable. */
  readonly entries: readonly Entry[];
  /** The state machine stands here; committed entries after it are handed out again. */
  readonly applied: LogIndex;
  /** The configuration in force at `applied` (not the newest in the log). */
  readonly conf: ConfState;
}

export interface RaftConfig {
  readonly self: MemberId;
  /** Seed it anew at every start: it also makes read contexts that outlive no restart. */
  readonly rng: Rng;
  readonly initial: RaftInitialState;
  /** Ticks without a leader before an election; the real timeout is drawn from [n, 2n). */
  readonly electionTicks?: number | undefined;
  readonly heartbeatTicks?: number | undefined;
  /** Entry bytes in one append; a single larger entry goes alone. */
  readonly messageSizeBytesMax?: number | undefined;
  /** Appends sent to one member and not yet acknowledged, in messages and in bytes. */
  readonly inflightMessagesMax?: number | undefined;
  readonly inflightBytesMax?: number | undefined;
  /** Proposed but uncommitted bytes beyond which a leader refuses proposals. */
  readonly uncommittedBytesMax?: number | undefined;
  /** Entry bytes in one `Ready.committed`; a single larger entry goes alone. */
  readonly committedBytesMax?: number | undefined;
}

/** RaftConfig with the defaults filled in. */
export interface RaftLimits {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly messageSizeBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly committedBytesMax: number;
}

export const raftLimitsDefault: RaftLimits = {
  electionTicks: 10,
  heartbeatTicks: 1,
  messageSizeBytesMax: 1024 * 1024,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  committedBytesMax: 4 * 1024 * 1024,
};

/** Reads from other members that a leader holds at once; more are dropped (they ask again). */
export const remoteReadsMax = 65_536;

/** Charged for an entry on top of its data, so that empty entries count as well. */
export const entryOverheadBytes = 32;

export function resolveLimits(config: RaftConfig): RaftLimits {
  const d = raftLimitsDefault;
  const limits: RaftLimits = {
    electionTicks: config.electionTicks ?? d.electionTicks,
    heartbeatTicks: config.heartbeatTicks ?? d.heartbeatTicks,
    messageSizeBytesMax: config.messageSizeBytesMax ?? d.messageSizeBytesMax,
    inflightMessagesMax: config.inflightMessagesMax ?? d.inflightMessagesMax,
    inflightBytesMax: config.inflightBytesMax ?? d.inflightBytesMax,
    uncommittedBytesMax: config.uncommittedBytesMax ?? d.uncommittedBytesMax,
    committedBytesMax: config.committedBytesMax ?? d.committedBytesMax,
  };
  for (const value of Object.values(limits) as number[]) {
    assert(Number.isSafeInteger(value) && value > 0, () => `raft limit out of range: ${value}`);
  }
  assert(limits.electionTicks > limits.heartbeatTicks, "electionTicks must exceed heartbeatTicks");
  assert(config.self !== noMember, "self must be a member id");
  return limits;
}

export const emptyConf: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/**
 * The first state of every founding member. It stands at index 1, not 0: a member that joins later
 * starts at 0, so it is always behind the log and gets the founding configuration by snapshot.
 */
export function bootstrapState(voters: readonly MemberId[]): RaftInitialState {
  const sorted = [...voters].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const one = 1 as LogIndex;
  const conf: ConfState = { ...emptyConf, voters: sorted };
  return {
    hardState: { term: 1 as Term, vote: noMember, commit: one },
    snapshot: { index: one, term: 1 as Term, conf },
    entries: [],
    applied: one,
    conf,
  };
}

/** The first state of a member that joins a running cluster: it knows nobody and waits. */
export function joinState(): RaftInitialState {
  const zero = 0 as LogIndex;
  return {
    hardState: { term: 0 as Term, vote: noMember, commit: zero },
    snapshot: undefined,
    entries: [],
    applied: zero,
    conf: emptyConf,
  };
}
