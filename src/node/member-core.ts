// MemberCore: the parts of a member that move together in one turn. It feeds the raft driver,
// applies what is committed, answers proposals and reads, keeps the engine following, and puts a
// received state in place of its own. node.ts builds the member around it.

import { applyBacklogEntriesMax, idToHex, noMember, QuorateError } from "../base/index.ts";
import type { Caller, Entry, LogIndex, MemberId, SnapshotMeta } from "../base/index.ts";
import type { ApplyOutcome } from "../apply/index.ts";
import { RaftNode } from "../raft/index.ts";
import type { RaftStatus } from "../raft/index.ts";
import type { Engine, EngineView } from "../storage/engine.ts";
import { streamSnapshot } from "../storage/index.ts";
import { encodeCommand } from "../wire/index.ts";
import { Checkpointer } from "./checkpointer.ts";
import { decodeConfChange, toRaftChange } from "./conf-change.ts";
import type { NodeConfig, NodeDevices } from "./devices.ts";
import type { CommandKind, CommandResult, StateReader } from "./handle.ts";
import type { NodeMetrics } from "./node-metrics.ts";
import { keepFrom, logGrowthBytesMax } from "./log-cut.ts";
import { ParkedProposals } from "./parked-proposals.ts";
import type { PeerExchange } from "./peer-exchange.ts";
import { Proposals } from "./proposals.ts";
import { RaftDriver } from "./raft-driver.ts";
import { ReadRounds } from "./read-rounds.ts";
import { openState, stateReader, takeCheckpoint } from "./replicated-state.ts";
import type { OpenedState } from "./replicated-state.ts";
import type { SnapshotExchange } from "./snapshot-exchange.ts";
import { StateMachine } from "./state-machine.ts";
import { SteppedWork } from "./stepped-work.ts";

/** Log bytes that ask for a synced point and a cut, whatever --snapshot-count says. */
const walSizeBytesMax = 256 * 1024 * 1024;
/** Compaction rests between its steps, milliseconds: it is never in a hurry. */
const compactionRestMs = 2;
/** A ReadIndex round without an answer is asked again after this, milliseconds. */
const readRetryMs = 500;

/** What the core calls outside itself. */
export interface MemberCoreHooks {
  readonly metrics: NodeMetrics;
  peers(): PeerExchange;
  snapshots(): SnapshotExchange;
  /** Role, term or leader changed. */
  onRaftChange(before: RaftStatus, now: RaftStatus): void;
  onStateReplaced(): void;
  /** A change that was applied has taken this member out. */
  onRemoved(): void;
  onFatal(error: unknown): void;
}

export class MemberCore {
  readonly proposals: Proposals;
  readonly reads: ReadRounds;
  readonly driver: RaftDriver;
  readonly machine: StateMachine;
  readonly checkpointer: Checkpointer;
  readonly compaction: SteppedWork;
  readonly #config: NodeConfig;
  readonly #devices: NodeDevices;
  readonly #hooks: MemberCoreHooks;
  readonly #raft: RaftNode;
  readonly #parked: ParkedProposals;
  readonly #catchUp: SteppedWork;
  #opened: OpenedState;
  #reader: StateReader;
  #status: RaftStatus;
  #stopped = false;

  constructor(
    config: NodeConfig,
    devices: NodeDevices,
    opened: OpenedState,
    hooks: MemberCoreHooks,
  ) {
    this.#config = config;
    this.#devices = devices;
    this.#hooks = hooks;
    this.#opened = opened;
    const { clock, rng, disk } = devices;
    const raft = makeRaft(config, devices, opened);
    this.#raft = raft;
    this.#status = raft.status();
    this.proposals = new Proposals(rng.next64());
    this.reads = new ReadRounds(1 + rng.below(0x1000_0000) * 0x1_0000);
    this.driver = this.#makeDriver(raft);
    this.#parked = new ParkedProposals(this.driver, this.proposals);
    this.machine = new StateMachine(opened.state, disk.engine, opened.applied, clock, {
      onApplied: (outcome, elapsedMs, nowMs) => this.#onApplied(outcome, elapsedMs, nowMs),
      onConfChange: (entry) => this.#onConfChange(entry),
      onProgress: (index) => this.#onProgress(index),
      onFatal: (error) => hooks.onFatal(error),
    });
    this.#reader = stateReader(opened.state, () => this.#devices.clock.monotonicMs());
    this.checkpointer = this.#makeCheckpointer();
    this.compaction = this.steppedWork(compactionRestMs, () => {
      const { store } = this.machine.state;
      return hooks.metrics.work.compactionStep(
        clock,
        () => store.compactStep(),
        () => store.compactionPending,
      );
    });
    this.#catchUp = this.steppedWork(0, () => this.machine.state.hub.catchUp());
    opened.state.hub.onCatchUp(() => this.#catchUp.wake());
  }

  /** The core's state after the last pump. */
  get status(): RaftStatus {
    return this.#status;
  }

  get engine(): Engine {
    return this.#opened.engine;
  }

  /**
   * Bytes that the store takes. Files are measured now and then and written in the background, so
   * they lag behind a fast writer; what the state holds is known at once.
   */
  get sizeBytes(): number {
    return Math.max(this.#opened.engine.sizeBytes(), this.machine.state.store.sizeInUseBytes);
  }

  /** Begins to take part; the links must be open. */
  start(): void {
    this.compaction.wake();
    this.#hastenElection();
    this.driver.schedule();
  }

  /**
   * A sole voter need not wait for anybody. Others leave a leader that lives two heartbeats to
   * show itself, instead of a whole election timeout, as etcd does; the pre-vote keeps that safe.
   */
  #hastenElection(): void {
    const { conf } = this.#opened;
    if (conf.voters.length === 1 && conf.votersOutgoing.length === 0) {
      this.#raft.campaign();
    } else if (this.#config.electionTickAdvance) {
      this.#raft.advanceElection(electionTicksOf(this.#config) - 2);
    }
  }

  propose(kind: CommandKind, encoded: Uint8Array, caller: Caller): Promise<CommandResult> {
    if (encoded.length > this.#config.requestSizeBytesMax) {
      throw new QuorateError("requestTooLarge");
    }
    if (this.#status.commit - this.machine.applied > applyBacklogEntriesMax) {
      throw new QuorateError("tooManyRequests");
    }
    const sequence = this.proposals.nextSequence();
    const data = encodeCommand(kind, encoded, {
      origin: this.proposals.origin,
      sequence,
      user: caller.user,
      authRevision: caller.authRevision,
    });
    const answer = this.proposals.wait(sequence, this.deadlineMs());
    this.#parked.propose(sequence, data);
    return answer;
  }

  read<T>(read: (state: StateReader) => T): T | Promise<T> {
    return this.machine.read(() => read(this.#reader));
  }

  /** Resolves when the state applied here includes everything acknowledged before this call. */
  linearize(): Promise<void> {
    const done = this.reads.wait(this.deadlineMs());
    this.driver.schedule();
    return done;
  }

  /**
   * Compaction stops where a checkpoint must be written first, which nothing else may ask for;
   * called some times a second.
   */
  pursueCompaction(): void {
    if (this.machine.state.store.compactionPending) {
      this.compaction.wake();
      this.checkpointer.nudge();
    }
  }

  /** Resolves when what is compacted so far takes no more space in this member's state. */
  async compactionDone(): Promise<void> {
    while (this.machine.state.store.compactionPending && !this.#stopped) {
      this.compaction.wake();
      await this.compaction.whenIdle();
      await this.checkpointer.flush({ sync: false });
    }
  }

  /** Gives up on those who have waited too long; called some times a second. */
  expireWaiters(nowMs: number): void {
    const isLeaderless = this.#status.leader === noMember;
    const overdue = isLeaderless ? "timeoutLeaderFailure" : "timeout";
    this.#hooks.metrics.proposalsFailed.inc(this.proposals.expire(nowMs, overdue));
    const { readIndexesFailed } = this.#hooks.metrics;
    readIndexesFailed.inc(this.reads.expire(nowMs, isLeaderless ? "noLeader" : "timeout"));
    this.#hooks.metrics.slowReadIndexes.inc(this.reads.retryStale(nowMs - readRetryMs));
  }

  /** The other members' addresses, as the member list has them. */
  followMembership(): void {
    this.#devices.network.setPeers(
      this.machine.state.membership
        .members()
        .filter((member) => member.id !== this.#config.memberId)
        .map((member) => ({ id: member.id, urls: member.peerUrls })),
    );
  }

  /** Whether `id` was removed by a change that this member cannot forget any more. */
  isRemovedForGood(id: MemberId): boolean {
    return this.machine.state.membership.isRemoved(id) && this.driver.raft.status().confIsDurable;
  }

  steppedWork(restMs: number, step: () => boolean): SteppedWork {
    return new SteppedWork({
      step,
      load: (missing) => this.machine.load(missing),
      clock: this.#devices.clock,
      restMs,
      onFatal: (error) => this.#hooks.onFatal(error),
    });
  }

  /** The state as it is now, for another member. */
  streamState(): Promise<{ meta: SnapshotMeta; chunks: AsyncIterable<Uint8Array> }> {
    const { clusterId } = this.#config;
    return this.checkpointer.atPoint({ sync: false }, (meta, engine) => ({
      meta,
      chunks: streamSnapshot(engine, { clusterId, meta }),
    }));
  }

  /** The engine with everything applied so far in it. */
  async engineView(): Promise<EngineView> {
    return (await this.viewAtPoint()).view;
  }

  /** That, and where it stands in the log. */
  viewAtPoint(): Promise<{ readonly meta: SnapshotMeta; readonly view: EngineView }> {
    return this.checkpointer.atPoint({ sync: false }, (meta, engine) => ({
      meta,
      view: engine.view(),
    }));
  }

  /** Ends the turns and fails those who wait; the engine may still be written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.compaction.stop();
    this.#catchUp.stop();
    this.machine.state.hub.close();
    await this.driver.stop();
    this.proposals.failAll("stopped");
    this.reads.failAll("stopped");
    this.machine.stop();
    await this.checkpointer.stop();
  }

  /** When a request that comes in now is given up; etcd's: 5 s and two election timeouts. */
  deadlineMs(): number {
    return this.#devices.clock.monotonicMs() + 5_000 + 2 * this.#config.electionTimeoutMs;
  }

  #makeDriver(raft: RaftNode): RaftDriver {
    const { disk, clock } = this.#devices;
    return new RaftDriver(raft, disk.wal, clock, {
      send: (messages) => this.#hooks.peers().send(messages),
      onCommitted: (entries) => this.machine.enqueue(entries),
      onReads: (reads) => {
        for (const read of reads) {
          this.reads.confirmed(read.context, read.index, this.machine.applied);
        }
      },
      onReadsDropped: (contexts) => {
        for (const context of contexts) {
          this.reads.dropped(context);
        }
      },
      installSnapshot: (meta) => this.#installState(meta),
      beforePump: () => this.#beforePump(),
      afterPump: () => this.#afterPump(),
      onWalWrite: (elapsedMs) => this.#hooks.metrics.walWrite(elapsedMs),
      onFatal: (error) => this.#hooks.onFatal(error),
    });
  }

  #makeCheckpointer(): Checkpointer {
    const { disk, clock } = this.#devices;
    const source = {
      take: () =>
        takeCheckpoint(this.machine.state, this.machine.applied, this.machine.appliedTerm),
      done: () => this.machine.state.store.checkpointDone(),
      pendingBytes: () => this.machine.state.store.pendingBytes,
      applied: () => this.machine.applied,
      logBytes: () => this.driver.raft.logSizeBytes,
      keepFrom: (index: LogIndex) => keepFrom(this.driver.raft, index, this.#config.catchUpEntries),
    };
    const synced = disk.recovered.snapshot?.index ?? (0 as LogIndex);
    const config = {
      snapshotCount: this.#config.snapshotCount,
      logGrowthBytesMax,
      walSizeBytesMax,
    };
    return new Checkpointer(disk.engine, disk.wal, clock, source, synced, config, {
      onCut: (keep) => this.driver.compactTo(keep),
      onWrite: (elapsedMs, synced) => this.#hooks.metrics.checkpoint(elapsedMs, synced),
      onFatal: (error) => this.#hooks.onFatal(error),
    });
  }

  #beforePump(): void {
    if (this.#status.leader === noMember) {
      return;
    }
    this.#parked.retry();
    if (this.reads.hasGathering) {
      this.driver.readIndex(this.reads.ask(this.#devices.clock.monotonicMs()));
    }
  }

  #afterPump(): void {
    const before = this.#status;
    const now = this.driver.raft.status();
    this.#status = now;
    if (before.leader !== now.leader || before.term !== now.term || before.role !== now.role) {
      this.#hooks.onRaftChange(before, now);
      // What waited for a leader waits for the next pump.
      this.driver.schedule();
    }
  }

  #onApplied(outcome: ApplyOutcome, elapsedMs: number, nowMs: number): void {
    for (const commit of outcome.commits) {
      this.machine.state.hub.publish(commit);
    }
    this.#hooks.metrics.applied(outcome, elapsedMs, nowMs);
    this.proposals.applied(outcome.origin, outcome.sequence, outcome.result);
    if (outcome.result.kind === "compaction") {
      this.compaction.wake();
    }
  }

  #onConfChange(entry: Entry): void {
    const { membership } = this.machine.state;
    const change = decodeConfChange(entry.data);
    // Checked again here, where every member sees the same: what was proposed may not fit any more.
    const code = change && membership.check(change, { learnersMax: Number.POSITIVE_INFINITY });
    if (change !== undefined && code !== undefined) {
      this.driver.applyConfChange({ steps: [] });
      this.proposals.applied(change.origin, change.sequence, { kind: "error", code });
      return;
    }
    const conf = this.driver.applyConfChange(change && toRaftChange(change));
    membership.applyConfChange(change, conf);
    this.followMembership();
    if (change !== undefined) {
      const { revision } = this.machine.state.store;
      this.proposals.applied(change.origin, change.sequence, { kind: "done", revision });
      this.#devices.logger.info(
        { members: membership.members().map((member) => idToHex(member.id)) },
        "the members have changed",
      );
    }
    if (membership.isRemoved(this.#config.memberId)) {
      this.#hooks.onRemoved();
    }
  }

  #onProgress(index: LogIndex): void {
    this.driver.appliedTo(index);
    this.reads.applied(index);
    this.checkpointer.nudge();
  }

  async #installState(meta: SnapshotMeta): Promise<void> {
    const received = this.#hooks.snapshots().take(meta);
    const { installing } = this.#hooks.metrics;
    installing.set(1);
    await this.checkpointer.suspend();
    await this.machine.quiesce();
    const engine = await received.install();
    const opened = await openState(engine, { ...this.#config, rng: this.#devices.rng });
    const { hub } = this.machine.state;
    this.#opened = opened;
    opened.state.hub.onCatchUp(() => this.#catchUp.wake());
    this.machine.replace(opened.state, engine, opened.applied);
    this.#reader = stateReader(opened.state, () => this.#devices.clock.monotonicMs());
    opened.state.hub.adopt(hub);
    this.checkpointer.resume(engine, meta);
    this.followMembership();
    this.#hooks.onStateReplaced();
    await this.#hooks.snapshots().discardUpTo(meta.index);
    this.reads.applied(meta.index);
    this.checkpointer.nudge();
    installing.set(0);
    this.#devices.logger.info({ index: meta.index }, "installed a received snapshot");
  }
}

function electionTicksOf(config: NodeConfig): number {
  return Math.max(2, Math.round(config.electionTimeoutMs / config.heartbeatIntervalMs));
}

function makeRaft(config: NodeConfig, devices: NodeDevices, opened: OpenedState): RaftNode {
  const { hardState, snapshot, entries } = devices.disk.recovered;
  return new RaftNode({
    self: config.memberId,
    rng: devices.rng,
    electionTicks: electionTicksOf(config),
    heartbeatTicks: 1,
    messageSizeBytesMax: config.messageSizeBytesMax,
    initial: { hardState, snapshot, entries, applied: opened.applied.index, conf: opened.conf },
  });
}
