// The leader: takes proposals, replicates, commits, answers reads, hands over.

import { assert, emptyBytes, noMember } from "../base/index.ts";
import type { Entry, LogIndex, MemberId } from "../base/index.ts";
import { changeConf, isVoter } from "./confchange.ts";
import type { CoreState, Transitions } from "./core-state.ts";
import type { AppendResponse, HeartbeatResponse, Message, ReadIndexRequest } from "./message.ts";
import type { Progress } from "./progress.ts";
import { ReadRounds } from "./read-index.ts";
import type { ConfChange, ProposeOutcome } from "./ready.ts";
import { Replication } from "./replication.ts";
import { Tracker } from "./tracker.ts";

export class LeaderRole {
  readonly kind = "leader";
  readonly tracker: Tracker;
  readonly #core: CoreState;
  readonly #transitions: Transitions;
  readonly #replication: Replication;
  readonly #rounds = new ReadRounds();
  /** No membership change may be proposed before this index is applied. */
  #pendingConfIndex: LogIndex;
  #uncommittedBytes: number;
  #transferee = noMember;
  #timeoutNowSent = false;
  #transferElapsed = 0;
  #heartbeatElapsed = 0;
  /** Some member may be due an append. */
  #flushDue = true;
  /** The commit index rose and not everybody was told. */
  #commitNewsDue = false;

  /** Opens the term with an empty entry: only what follows may be committed by counting (5.4.2). */
  constructor(core: CoreState, transitions: Transitions) {
    const { log } = core;
    this.#core = core;
    this.#transitions = transitions;
    const next = (log.lastIndex + 1) as LogIndex;
    this.tracker = new Tracker(core.self, core.limits, core.conf, next);
    this.#replication = new Replication(core, this.tracker);
    this.#uncommittedBytes = log.dataBytes(log.commit + 1, log.lastIndex);
    // The log may hold a change of an earlier leader; the empty entry stands behind all of it.
    this.#pendingConfIndex = log.append(core.term, "noop", emptyBytes).index;
    this.#noteOwnMatch();
  }

  get transferee(): MemberId {
    return this.#transferee;
  }

  /** Whether `flush` would produce something. */
  /** Without `tellCommit` a new commit index waits for entries to go along with. */
  hasWork(tellCommit: boolean): boolean {
    return (
      (this.#isFlushDue(tellCommit) && this.tracker.others.length > 0) ||
      (this.#rounds.isDue && this.#mayAnswerReads)
    );
  }

  tick(): void {
    const { limits } = this.#core;
    this.tracker.tick();
    if (!this.tracker.hearsQuorum()) {
      this.#transitions.becomeFollower(this.#core.term, noMember);
      return;
    }
    if (this.#transferee !== noMember && ++this.#transferElapsed >= limits.electionTicks) {
      this.#endTransfer();
    }
    this.#heartbeatElapsed++;
    if (this.#heartbeatElapsed >= limits.heartbeatTicks) {
      this.#heartbeatElapsed = 0;
      for (const progress of this.tracker.others) {
        progress.noteHeartbeat();
        this.#sendHeartbeat(progress);
      }
    }
  }

  step(message: Message): void {
    switch (message.kind) {
      case "appendResponse":
        this.#onAppendResponse(message);
        return;
      case "heartbeatResponse":
        this.#onHeartbeatResponse(message);
        return;
      case "proposeForward":
        this.takeOver(message.proposals);
        return;
      case "readIndexRequest":
        this.#onReadIndexRequest(message);
        return;
      case "transferForward":
        this.transferTo(message.transferee);
        return;
      case "appendRequest":
      case "heartbeatRequest":
      case "snapshotRequest":
        // Nobody else leads this term.
        this.#core.counters.messagesInvalid++;
        return;
      default:
        this.#core.counters.messagesIgnored++;
    }
  }

  propose(data: Uint8Array): ProposeOutcome {
    if (this.#transferee !== noMember) {
      return { kind: "refused", reason: "transferring" };
    }
    const bytes = this.#uncommittedBytes + data.length;
    // One proposal is always taken, however large, or it could never be.
    if (bytes > this.#core.limits.uncommittedBytesMax && this.#uncommittedBytes > 0) {
      return { kind: "refused", reason: "backlog" };
    }
    this.#uncommittedBytes = bytes;
    this.#flushDue = true;
    const { index, term } = this.#core.log.append(this.#core.term, "command", data);
    return { kind: "appended", index, term };
  }

  proposeConfChange(change: ConfChange, data: Uint8Array): ProposeOutcome {
    const core = this.#core;
    if (this.#transferee !== noMember) {
      return { kind: "refused", reason: "transferring" };
    }
    if (this.#pendingConfIndex > core.log.applied || core.conf.votersOutgoing.length > 0) {
      return { kind: "refused", reason: "pendingChange" };
    }
    // Without steps it changes what the caller keeps beside the configuration: addresses, say.
    if (change.steps.length > 0 && changeConf(core.conf, change) === undefined) {
      return { kind: "refused", reason: "invalidChange" };
    }
    const { index, term } = this.#appendConfChange(data);
    return { kind: "appended", index, term };
  }

  readIndex(context: number): void {
    this.#rounds.add({ context, from: noMember });
  }

  /** Hands leadership to a voter, once it holds the whole log. */
  transferTo(to: MemberId): void {
    const progress = this.tracker.get(to);
    if (
      progress === undefined ||
      progress.isLearner ||
      !this.#core.conf.voters.includes(to) ||
      to === this.#core.self ||
      to === this.#transferee
    ) {
      return;
    }
    this.#transferee = to;
    this.#transferElapsed = 0;
    this.#timeoutNowSent = false;
    this.#continueTransfer(progress);
  }

  /** Produces the appends and the read round that are due. */
  flush(tellCommit: boolean): void {
    if (this.#rounds.isDue && this.#mayAnswerReads) {
      const round = this.#rounds.start(this.#core.log.commit);
      for (const progress of this.tracker.others) {
        if (!progress.isLearner) {
          this.#sendHeartbeat(progress);
        }
      }
      this.#finishRoundIfReached(round);
    }
    if (this.#isFlushDue(tellCommit)) {
      this.#flushDue = false;
      this.#commitNewsDue = false;
      this.#replication.flush();
    }
  }

  #isFlushDue(tellCommit: boolean): boolean {
    return this.#flushDue || (tellCommit && this.#commitNewsDue);
  }

  /** This member's write is durable. */
  persisted(): void {
    this.#noteOwnMatch();
    this.#advanceCommit();
  }

  /** Entries were applied: a joint configuration that came into force is left again. */
  applied(): void {
    const { conf, log } = this.#core;
    if (conf.autoLeave && log.applied >= this.#pendingConfIndex) {
      this.#appendConfChange(emptyBytes);
    }
  }

  /** Takes over `core.conf`, already changed. Steps down when it leaves this member no vote. */
  reconfigure(): void {
    const core = this.#core;
    // Members on their way out learn here that the change is committed; afterwards nobody tells.
    this.#replication.flush();
    this.tracker.reconfigure(core.conf, (core.log.lastIndex + 1) as LogIndex);
    if (!isVoter(core.conf, core.self)) {
      this.#stepDownForSuccessor();
      return;
    }
    if (this.#transferee !== noMember && !core.conf.voters.includes(this.#transferee)) {
      this.#endTransfer();
    }
    this.#flushDue = true;
    this.#advanceCommit();
    this.#finishRoundIfReached(this.#rounds.current);
  }

  /** Called when the role ends: reads that wait here will not be answered. */
  retire(): void {
    this.#rounds.dropOwn(this.#core.readsDropped);
  }

  reportSnapshot(to: MemberId, delivered: boolean): void {
    const progress = this.tracker.get(to);
    if (progress?.state !== "snapshot") {
      return;
    }
    if (!delivered) {
      progress.snapshotIndex = 0 as LogIndex;
    }
    progress.becomeProbe();
    // Wait for its acknowledgement or a heartbeat's answer rather than ask at once.
    progress.probeSent = true;
  }

  reportUnreachable(to: MemberId): void {
    const progress = this.tracker.get(to);
    if (progress?.state === "replicate") {
      progress.becomeProbe();
      this.#flushDue = true;
    }
  }

  #onAppendResponse(message: AppendResponse): void {
    const { log, counters } = this.#core;
    const progress = this.tracker.get(message.from);
    if (progress === undefined) {
      counters.messagesIgnored++;
      return;
    }
    if (message.index > log.lastIndex) {
      counters.messagesInvalid++;
      return;
    }
    progress.silentTicks = 0;
    if (message.rejected) {
      // Both sides skip whole terms: the member named the last entry that it could agree on, this
      // log names the last entry of that term or an earlier one.
      const hint = log.lastIndexAtTerm(message.hintIndex, message.hintTerm);
      if (progress.refused(message.index, hint)) {
        this.#flushDue = true;
      }
      return;
    }
    this.#onAccepted(progress, message.index);
  }

  #onAccepted(progress: Progress, index: LogIndex): void {
    const { log } = this.#core;
    const advanced = progress.accepted(index);
    if (!advanced && !(progress.state === "probe" && progress.match === index)) {
      return;
    }
    switch (progress.state) {
      case "probe":
        progress.becomeReplicate();
        break;
      case "replicate":
        progress.inflights.freeTo(index);
        break;
      case "snapshot":
        if (log.termAt(progress.match) !== undefined) {
          progress.becomeReplicate();
        }
        break;
    }
    if (advanced) {
      this.#advanceCommit();
    }
    this.#flushDue ||= progress.next <= log.lastIndex;
    this.#commitNewsDue ||= progress.commitSent < log.commit;
    if (progress.id === this.#transferee) {
      this.#continueTransfer(progress);
    }
  }

  #onHeartbeatResponse(message: HeartbeatResponse): void {
    const { log, counters } = this.#core;
    const progress = this.tracker.get(message.from);
    if (progress === undefined) {
      counters.messagesIgnored++;
      return;
    }
    if (message.readRound > this.#rounds.lastNumber) {
      counters.messagesInvalid++;
      return;
    }
    progress.silentTicks = 0;
    if (progress.takeStalled(log.lastIndex)) {
      this.#flushDue = true;
    }
    if (message.readRound > progress.readRound) {
      progress.readRound = message.readRound;
      this.#finishRoundIfReached(this.#rounds.current);
    }
  }

  /** Proposes what others wanted to, as far as the bounds allow. */
  takeOver(proposals: readonly Uint8Array[]): void {
    const { forwards, limits, counters } = this.#core;
    for (const data of proposals) {
      const isTaken =
        this.#transferee === noMember
          ? this.propose(data).kind === "appended"
          : forwards.addProposal(data, limits.uncommittedBytesMax);
      if (!isTaken) {
        counters.proposalsDropped++;
      }
    }
  }

  #onReadIndexRequest(message: ReadIndexRequest): void {
    if (!this.#rounds.add({ context: message.context, from: message.from })) {
      this.#core.counters.readsRefused++;
    }
  }

  /** Before an entry of its own term is committed, a leader's commit index may lag (6.4). */
  get #mayAnswerReads(): boolean {
    const { log, term } = this.#core;
    return log.termAt(log.commit) === term;
  }

  #finishRoundIfReached(round: number): void {
    if (round === 0 || !this.tracker.roundReached(round)) {
      return;
    }
    const core = this.#core;
    const { index, reads } = this.#rounds.finish();
    for (const { context, from } of reads) {
      if (from === noMember) {
        core.reads.push({ context, index });
      } else {
        core.sendNow.push({
          kind: "readIndexResponse",
          from: core.self,
          to: from,
          term: core.term,
          context,
          index,
        });
      }
    }
  }

  #sendHeartbeat(progress: Progress): void {
    const core = this.#core;
    core.sendNow.push({
      kind: "heartbeatRequest",
      from: core.self,
      to: progress.id,
      term: core.term,
      // A member may hold a conflicting entry beyond its match: it must not commit that.
      commit: Math.min(progress.match, core.log.commit) as LogIndex,
      readRound: this.#rounds.current,
    });
  }

  #noteOwnMatch(): void {
    this.tracker.get(this.#core.self)?.accepted(this.#core.log.durable);
  }

  /** Commits what a majority holds, if it is of this term; older entries follow along (5.4.2). */
  #advanceCommit(): void {
    const { log, term } = this.#core;
    const index = this.tracker.majorityMatch();
    const before = log.commit;
    if (index <= before || log.termAt(index) !== term) {
      return;
    }
    log.commitTo(index as LogIndex);
    this.#uncommittedBytes -= log.dataBytes(before + 1, index);
    assert(this.#uncommittedBytes >= 0, "uncommitted bytes below zero");
    this.#commitNewsDue = true;
  }

  #appendConfChange(data: Uint8Array): Entry {
    const entry = this.#core.log.append(this.#core.term, "confChange", data);
    this.#uncommittedBytes += data.length;
    this.#pendingConfIndex = entry.index;
    this.#flushDue = true;
    return entry;
  }

  #continueTransfer(progress: Progress): void {
    const core = this.#core;
    if (progress.match < core.log.lastIndex) {
      progress.emptyDue = true;
      this.#flushDue = true;
    } else if (!this.#timeoutNowSent) {
      this.#timeoutNowSent = true;
      this.#sendTimeoutNow(progress);
    }
  }

  #sendTimeoutNow(progress: Progress): void {
    const { self, term, sendNow } = this.#core;
    sendNow.push({ kind: "timeoutNow", from: self, to: progress.id, term });
  }

  #endTransfer(): void {
    this.#transferee = noMember;
    this.#transferElapsed = 0;
    this.#timeoutNowSent = false;
    this.takeOver(this.#core.forwards.takeProposals());
  }

  /** Leaves office after the change that removed this member: the best of the rest may start. */
  #stepDownForSuccessor(): void {
    const core = this.#core;
    this.#replication.flush();
    const successor = this.tracker.bestSuccessor();
    if (successor !== undefined && successor.match >= core.log.commit) {
      this.#sendTimeoutNow(successor);
    }
    this.#transitions.becomeFollower(core.term, noMember);
  }
}
