// What every role shares: term, vote, log, configuration, clock and outbox. Roles reach each other
// only through `Transitions`, which the node implements, so no role file imports another.

import { noMember } from "../base/index.ts";
import type { ConfState, LogIndex, MemberId, Rng, Term } from "../base/index.ts";
import { isVoter } from "./confchange.ts";
import { resolveLimits } from "./config.ts";
import type { RaftConfig, RaftLimits } from "./config.ts";
import { Forwards } from "./forwards.ts";
import { RaftLog } from "./log.ts";
import type { Message, SnapshotRequest } from "./message.ts";
import { Persistence } from "./persistence.ts";
import type { RaftCounters, ReadReady } from "./ready.ts";

/** Changes of role; each replaces the role object, so a caller must return right after. */
export interface Transitions {
  becomeFollower(term: Term, leader: MemberId): void;
  /** Stands for election unless the member may not; `transfer` skips the pre-vote. */
  campaign(transfer: boolean): void;
  becomeCandidate(transfer: boolean): void;
  becomeLeader(): void;
}

/** RaftCounters while they are counted. */
export type MutableCounters = { -readonly [K in keyof RaftCounters]: RaftCounters[K] };

export class CoreState {
  readonly self: MemberId;
  readonly limits: RaftLimits;
  readonly rng: Rng;
  readonly log: RaftLog;
  readonly forwards: Forwards;
  readonly persistence: Persistence;
  readonly counters: MutableCounters = {
    messagesInvalid: 0,
    messagesIgnored: 0,
    proposalsDropped: 0,
    readsRefused: 0,
  };
  term: Term;
  vote: MemberId;
  leader: MemberId = noMember;
  conf: ConfState;
  /** Ticks since the leader was heard, a vote was given or a campaign began. */
  electionElapsed = 0;
  electionTimeout = 0;
  /** Messages that may leave at once. */
  sendNow: Message[] = [];
  reads: ReadReady[] = [];
  readsDropped: number[] = [];
  /** Indexes of `confChange` entries handed out and not yet reported as applied. */
  confChangesOut: LogIndex[] = [];
  /** The entry that gave `conf`, when that is after the applied index. */
  confIndex = 0 as LogIndex;
  /** A received snapshot that waits until everything handed out is applied. */
  heldSnapshot: SnapshotRequest | undefined;

  constructor(config: RaftConfig) {
    this.self = config.self;
    this.limits = resolveLimits(config);
    this.rng = config.rng;
    this.log = new RaftLog(config.initial);
    this.term = config.initial.hardState.term;
    this.vote = config.initial.hardState.vote;
    this.conf = config.initial.conf;
    this.forwards = new Forwards(config.rng);
    this.persistence = new Persistence(config.initial.hardState);
    this.resetElectionTimer();
  }

  /** Restarts the clock with a new random timeout: no two members keep colliding (section 5.2). */
  resetElectionTimer(): void {
    this.electionElapsed = 0;
    this.electionTimeout = this.limits.electionTicks + this.rng.below(this.limits.electionTicks);
  }

  /** Moves to a later term: no vote yet, and what was promised to the old one is pointless. */
  enterTerm(term: Term): void {
    this.term = term;
    this.vote = noMember;
    this.persistence.forgetWaiting();
  }

  /** Notes who leads. Reads sent to somebody else will not be answered. */
  setLeader(leader: MemberId): void {
    if (leader === this.leader) {
      return;
    }
    this.leader = leader;
    this.forwards.reads.dropSent(this.readsDropped);
  }

  /** A leader was heard within the least election timeout: votes are not for the asking. */
  get hearsLeader(): boolean {
    return this.leader !== noMember && this.electionElapsed < this.limits.electionTicks;
  }

  get isPromotable(): boolean {
    return (
      isVoter(this.conf, this.self) &&
      !this.log.hasPendingSnapshot &&
      this.heldSnapshot === undefined
    );
  }

  get hasSoleVote(): boolean {
    const { voters, votersOutgoing } = this.conf;
    return voters.length === 1 && voters[0] === this.self && votersOutgoing.length === 0;
  }
}
