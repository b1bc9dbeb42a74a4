// The core itself: turns every input into a change of state and a list of work. Terms and votes
// are judged here, alike for every role; the rest is the role's.

import { assert, must, noMember, unreachable } from "../base/index.ts";
import type { ConfState, Entry, LogIndex, MemberId, Term } from "../base/index.ts";
import { CandidateRole } from "./candidate.ts";
import { changeConf, membersOf } from "./confchange.ts";
import type { RaftConfig } from "./config.ts";
import { CoreState } from "./core-state.ts";
import type { Transitions } from "./core-state.ts";
import { FollowerRole } from "./follower.ts";
import { LeaderRole } from "./leader.ts";
import type { Message, VoteRequest, VoteResponse } from "./message.ts";
import type {
  ConfChange,
  ProposeOutcome,
  RaftCore,
  RaftCounters,
  RaftStatus,
  Ready,
} from "./ready.ts";
import { statusOf } from "./status.ts";
import { isValidMessage } from "./validate.ts";

type RoleState = FollowerRole | CandidateRole | LeaderRole;

const none: readonly never[] = [];

export class RaftNode implements RaftCore {
  readonly #core: CoreState;
  readonly #transitions: Transitions;
  #role: RoleState;

  constructor(config: RaftConfig) {
    const core = new CoreState(config);
    this.#core = core;
    this.#transitions = {
      becomeFollower: (term, leader) => this.#becomeFollower(term, leader),
      campaign: (transfer) => this.#campaign(transfer),
      becomeCandidate: (transfer) => this.#becomeCandidate(transfer),
      becomeLeader: () => this.#becomeLeader(),
    };
    this.#role = new FollowerRole(core, this.#transitions);
  }

  tick(): void {
    const core = this.#core;
    // The role first: a leader whose handover ends now takes back what it held meanwhile.
    this.#role.tick();
    const { electionTicks } = core.limits;
    core.counters.proposalsDropped += core.forwards.tick(electionTicks, core.readsDropped);
  }

  /**
   * Lets `ticks` pass at once for a member that has just started, so that it need not wait a whole
   * timeout for a leader that is not there. Never beyond the least election timeout: the rest stays
   * random.
   */
  advanceElection(ticks: number): void {
    const core = this.#core;
    if (this.#role.kind === "follower" && core.leader === noMember) {
      core.electionElapsed = Math.min(core.electionElapsed + ticks, core.limits.electionTicks - 1);
    }
  }

  /** Stands for election now, unless this member leads already or may not stand. */
  campaign(): void {
    if (this.#role.kind !== "leader") {
      this.#campaign(false);
    }
  }

  step(message: Message): void {
    const core = this.#core;
    if (!isValidMessage(message, core.self)) {
      core.counters.messagesInvalid++;
      return;
    }
    switch (message.kind) {
      case "voteRequest":
        this.#onVoteRequest(message);
        return;
      case "proposeForward":
      case "transferForward":
      case "readIndexRequest":
        this.#stepForward(message);
        return;
      case "voteResponse":
        this.#learnCommit(message);
        // A granted pre-vote comes in the term that was asked about: nobody has entered it.
        if (message.preVote && message.granted) {
          this.#stepPreVoteGrant(message);
          return;
        }
        break;
      default:
        break;
    }
    if (message.term < core.term) {
      this.#stepStale(message);
      return;
    }
    const fromLeader = isFromLeader(message);
    if (message.term > core.term) {
      this.#becomeFollower(message.term, fromLeader ? message.from : noMember);
    } else if (fromLeader && isCandidate(this.#role)) {
      this.#becomeFollower(core.term, message.from);
    }
    this.#role.step(message);
  }

  propose(data: Uint8Array): ProposeOutcome {
    const core = this.#core;
    if (this.#role.kind === "leader") {
      return this.#role.propose(data);
    }
    if (core.leader === noMember) {
      const isMember = membersOf(core.conf).includes(core.self);
      return { kind: "refused", reason: isMember ? "noLeader" : "notMember" };
    }
    if (!core.forwards.addProposal(data, core.limits.uncommittedBytesMax)) {
      return { kind: "refused", reason: "backlog" };
    }
    return { kind: "forwarded" };
  }

  proposeConfChange(change: ConfChange, data: Uint8Array): ProposeOutcome {
    assert(data.length > 0, "an empty confChange entry means leaving the joint state");
    if (this.#role.kind !== "leader") {
      return { kind: "refused", reason: "noLeader" };
    }
    return this.#role.proposeConfChange(change, data);
  }

  applyConfChange(change: ConfChange | undefined): ConfState {
    const core = this.#core;
    const index = core.confChangesOut.shift();
    assert(index !== undefined, "no committed confChange entry was handed out");
    core.confIndex = index;
    const conf = changeConf(core.conf, change);
    if (conf !== undefined) {
      core.conf = conf;
      if (this.#role.kind === "leader") {
        this.#role.reconfigure();
      }
    }
    return core.conf;
  }

  readIndex(context: number): void {
    if (this.#role.kind === "leader") {
      this.#role.readIndex(context);
    } else {
      this.#core.forwards.reads.add(context);
    }
  }

  transferLeadership(to: MemberId): void {
    const core = this.#core;
    if (this.#role.kind === "leader") {
      this.#role.transferTo(to);
    } else if (core.leader !== noMember) {
      core.sendNow.push({
        kind: "transferForward",
        from: core.self,
        to: core.leader,
        term: core.term,
        transferee: to,
      });
    }
  }

  hasReady(canPersist: boolean, tellCommit = true): boolean {
    const core = this.#core;
    return (
      core.sendNow.length > 0 ||
      core.reads.length > 0 ||
      core.readsDropped.length > 0 ||
      this.#hasCommitted ||
      (canPersist && core.persistence.isDue(core)) ||
      (this.#role.kind === "leader"
        ? this.#role.hasWork(tellCommit)
        : core.leader !== noMember && core.forwards.isDue)
    );
  }

  ready(canPersist: boolean, tellCommit = true): Ready {
    const core = this.#core;
    if (this.#role.kind === "leader") {
      this.#role.flush(tellCommit);
    } else if (core.leader !== noMember && core.forwards.isDue) {
      core.forwards.flush(core);
    }
    const persist = canPersist ? core.persistence.take(core) : undefined;
    const committed = this.#hasCommitted ? this.#takeCommitted() : none;
    const { sendNow, reads, readsDropped } = core;
    core.sendNow = sendNow.length === 0 ? sendNow : [];
    core.reads = reads.length === 0 ? reads : [];
    core.readsDropped = readsDropped.length === 0 ? readsDropped : [];
    return {
      persist,
      sendNow: sendNow.length === 0 ? none : sendNow,
      committed,
      reads: reads.length === 0 ? none : reads,
      readsDropped: readsDropped.length === 0 ? none : readsDropped,
    };
  }

  persisted(): void {
    const core = this.#core;
    core.persistence.saved(core);
    if (this.#role.kind === "leader") {
      this.#role.persisted();
    } else if (this.#role.kind === "candidate" && core.persistence.ownVoteIsDurable(core)) {
      this.#role.countOwnVote();
    } else {
      this.#installHeldSnapshot();
    }
  }

  appliedTo(index: LogIndex): void {
    const core = this.#core;
    const unreported = core.confChangesOut[0];
    assert(
      unreported === undefined || unreported > index,
      "a confChange entry was applied without applyConfChange",
    );
    core.log.appliedTo(index);
    if (this.#role.kind === "leader") {
      this.#role.applied();
    } else {
      this.#installHeldSnapshot();
    }
  }

  compactTo(keepFrom: LogIndex): void {
    this.#core.log.compactTo(keepFrom);
  }

  get logSizeBytes(): number {
    return this.#core.log.sizeBytes;
  }

  firstWithin(bytesMax: number): LogIndex {
    return this.#core.log.firstWithin(bytesMax);
  }

  reportSnapshot(to: MemberId, delivered: boolean): void {
    if (this.#role.kind === "leader") {
      this.#role.reportSnapshot(to, delivered);
    }
  }

  reportUnreachable(to: MemberId): void {
    if (this.#role.kind === "leader") {
      this.#role.reportUnreachable(to);
    }
  }

  status(): RaftStatus {
    const leader = this.#role.kind === "leader" ? this.#role : undefined;
    return statusOf(this.#core, this.#role.kind, leader);
  }

  counters(): RaftCounters {
    return { ...this.#core.counters };
  }

  /** Judges both kinds of vote request, whatever the role. */
  #onVoteRequest(message: VoteRequest): void {
    const core = this.#core;
    // Whoever hears a leader keeps it (dissertation 4.2.3), unless that leader asked for this.
    if (message.term > core.term && core.hearsLeader && !message.transfer) {
      core.counters.messagesIgnored++;
      return;
    }
    const upToDate =
      message.lastTerm > core.log.lastTerm ||
      (message.lastTerm === core.log.lastTerm && message.lastIndex >= core.log.lastIndex);
    if (message.preVote) {
      const granted = message.term > core.term && upToDate;
      this.#answerVote(message, granted, granted ? message.term : core.term);
      return;
    }
    if (message.term > core.term) {
      this.#becomeFollower(message.term, noMember);
    }
    const free = core.vote === message.from || (core.vote === noMember && core.leader === noMember);
    const granted = message.term === core.term && free && upToDate;
    if (granted) {
      core.vote = message.from;
      core.electionElapsed = 0;
    }
    this.#answerVote(message, granted, core.term);
  }

  #answerVote(message: VoteRequest, granted: boolean, term: Term): void {
    const core = this.#core;
    const response: Message = {
      kind: "voteResponse",
      from: core.self,
      to: message.from,
      term,
      preVote: message.preVote,
      granted,
      commit: core.log.commit,
      commitTerm: must(core.log.termAt(core.log.commit)),
    };
    // Only a vote given is a promise, and waits for the disk.
    if (granted && !message.preVote) {
      core.persistence.sendAfter(response);
    } else {
      core.sendNow.push(response);
    }
  }

  /** What is committed is so for all and for ever, whatever the term of the answer that says it. */
  #learnCommit(message: VoteResponse): void {
    const { log } = this.#core;
    if (this.#role.kind !== "leader" && log.termAt(message.commit) === message.commitTerm) {
      log.commitTo(message.commit);
    }
  }

  #stepPreVoteGrant(message: Message): void {
    const core = this.#core;
    if (this.#role.kind === "preCandidate" && message.term === core.term + 1) {
      this.#role.step(message);
    } else {
      core.counters.messagesIgnored++;
    }
  }

  /** Requests to whoever leads. They prove nothing about terms, so they change none. */
  #stepForward(message: Message): void {
    const core = this.#core;
    const leads = this.#role.kind === "leader" && message.term <= core.term;
    // A read asked of an earlier leadership was given up by its sender.
    if (leads && (message.kind !== "readIndexRequest" || message.term === core.term)) {
      this.#role.step(message);
    } else if (message.kind === "proposeForward") {
      // Whoever leads by now gets them from here.
      for (const data of message.proposals) {
        if (!core.forwards.addProposal(data, core.limits.uncommittedBytesMax)) {
          core.counters.proposalsDropped++;
        }
      }
    } else {
      core.counters.messagesIgnored++;
    }
  }

  /** An earlier term's message. Its sender, if it believes to lead, is told the present term. */
  #stepStale(message: Message): void {
    const core = this.#core;
    core.counters.messagesIgnored++;
    if (isFromLeader(message)) {
      core.sendNow.push({
        kind: "heartbeatResponse",
        from: core.self,
        to: message.from,
        term: core.term,
        readRound: 0,
      });
    }
  }

  #becomeFollower(term: Term, leader: MemberId): void {
    const core = this.#core;
    assert(term >= core.term, "a term must not fall");
    const old = this.#role;
    if (term > core.term) {
      core.enterTerm(term);
    }
    this.#role = new FollowerRole(core, this.#transitions);
    if (old.kind === "leader") {
      old.retire();
    }
    core.setLeader(leader);
    core.resetElectionTimer();
  }

  #campaign(transfer: boolean): void {
    const core = this.#core;
    if (!core.isPromotable) {
      if (this.#role.kind !== "follower") {
        this.#becomeFollower(core.term, noMember);
      }
      return;
    }
    core.resetElectionTimer();
    // With a membership change committed but not applied, this member would count the wrong voters.
    if (core.log.hasUnappliedConfChange()) {
      core.setLeader(noMember);
      return;
    }
    if (transfer || core.hasSoleVote) {
      this.#becomeCandidate(transfer);
      return;
    }
    core.setLeader(noMember);
    const role = new CandidateRole(core, this.#transitions, "preCandidate");
    this.#role = role;
    role.askForVotes(false);
    role.countOwnVote();
  }

  #becomeCandidate(transfer: boolean): void {
    const core = this.#core;
    core.enterTerm((core.term + 1) as Term);
    core.setLeader(noMember);
    core.vote = core.self;
    core.resetElectionTimer();
    const role = new CandidateRole(core, this.#transitions, "candidate");
    this.#role = role;
    role.askForVotes(transfer);
  }

  #becomeLeader(): void {
    const core = this.#core;
    assert(core.persistence.ownVoteIsDurable(core), "a leader's own vote must be durable");
    const waiting = core.forwards.reads.takeWaiting();
    const proposals = core.forwards.takeProposals();
    core.setLeader(core.self);
    core.electionElapsed = 0;
    const role = new LeaderRole(core, this.#transitions);
    this.#role = role;
    for (const context of waiting) {
      role.readIndex(context);
    }
    role.takeOver(proposals);
  }

  #installHeldSnapshot(): void {
    const { log, heldSnapshot } = this.#core;
    if (heldSnapshot !== undefined && log.applied === log.handedOut) {
      // A member that holds a snapshot does not stand for election.
      assert(this.#role.kind === "follower", "only a follower holds a snapshot");
      this.#role.installHeldSnapshot();
    }
  }

  get #hasCommitted(): boolean {
    return this.#core.log.hasCommitted && this.#core.heldSnapshot === undefined;
  }

  #takeCommitted(): readonly Entry[] {
    const core = this.#core;
    const entries = core.log.takeCommitted(core.limits.committedBytesMax);
    for (const entry of entries) {
      if (entry.kind === "confChange") {
        core.confChangesOut.push(entry.index);
      }
    }
    return entries;
  }
}

function isCandidate(role: RoleState): role is CandidateRole {
  return role.kind === "candidate" || role.kind === "preCandidate";
}

function isFromLeader(message: Message): boolean {
  switch (message.kind) {
    case "appendRequest":
    case "heartbeatRequest":
    case "snapshotRequest":
      return true;
    case "appendResponse":
    case "heartbeatResponse":
    case "voteRequest":
    case "voteResponse":
    case "timeoutNow":
    case "proposeForward":
    case "readIndexRequest":
    case "readIndexResponse":
    case "transferForward":
      return false;
    default:
      return unreachable(message);
  }
}
