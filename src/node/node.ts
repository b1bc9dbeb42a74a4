// QuorateNode: one member, assembled. It owns the raft driver, the state machine, the
// checkpointer and those who wait (proposals, reads, leases), and is the NodeHandle that the
// front doors get. Everything outside comes in as devices, so the simulator runs this same class.

import { QuorateError, applyBacklogEntriesMax, noMember } from "../base/index.ts";
import type {
  Entry,
  LeaseId,
  LogIndex,
  MemberId,
  MetricsRegistry,
  Revision,
  SnapshotMeta,
  Timer,
} from "../base/index.ts";
import type { ApplyOutcome } from "../apply/index.ts";
import { RaftNode } from "../raft/index.ts";
import type { RaftStatus } from "../raft/index.ts";
import { streamSnapshot } from "../storage/index.ts";
import { encodeCommand } from "../wire/index.ts";
import { Checkpointer } from "./checkpointer.ts";
import { decodeConfChange, toRaftChange } from "./conf-change.ts";
import type { NodeConfig, NodeDevices } from "./devices.ts";
import type {
  CommandKind,
  CommandResult,
  HashResult,
  LeaseTimeToLive,
  NodeHandle,
  NodeStatus,
  StateReader,
  WatchStream,
  WatchStreamSink,
} from "./handle.ts";
import { Hasher } from "./hasher.ts";
import { Leadership } from "./leadership.ts";
import { LeaseService } from "./lease-service.ts";
import { NodeMetrics } from "./node-metrics.ts";
import { ParkedProposals } from "./parked-proposals.ts";
import { PeerExchange } from "./peer-exchange.ts";
import { Proposals } from "./proposals.ts";
import { publishAttributes } from "./publish.ts";
import { RaftDriver } from "./raft-driver.ts";
import { ReadRounds } from "./read-rounds.ts";
import { openState, stateReader, takeCheckpoint } from "./replicated-state.ts";
import type { OpenedState, ReplicatedState } from "./replicated-state.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";
import { StateMachine } from "./state-machine.ts";
import { SteppedWork } from "./stepped-work.ts";

/** Log bytes that ask for a synced point and a cut, whatever --snapshot-count says. */
const walSizeBytesMax = 256 * 1024 * 1024;
/** Compaction rests between its steps, milliseconds: it is never in a hurry. */
const compactionRestMs = 2;
/** Housekeeping (time-outs, leases) runs about this often, milliseconds. */
const housekeepingMs = 250;

export class QuorateNode implements NodeHandle {
  readonly #config: NodeConfig;
  readonly #devices: NodeDevices;
  readonly #onStopped: (error: unknown) => void;
  readonly #proposals: Proposals;
  readonly #parked: ParkedProposals;
  readonly #reads: ReadRounds;
  readonly #driver: RaftDriver;
  readonly #machine: StateMachine;
  readonly #checkpointer: Checkpointer;
  readonly #leases: LeaseService;
  readonly #snapshots: SnapshotExchange;
  readonly #peers: PeerExchange;
  readonly #metrics: NodeMetrics;
  readonly #compaction: SteppedWork;
  readonly #catchUp: SteppedWork;
  readonly #hasher: Hasher;
  readonly #leadership: Leadership;
  #opened: OpenedState;
  #reader: StateReader;
  #status: RaftStatus;
  #tickTimer: Timer | undefined;
  #lastHousekeepingMs: number;
  #stopping: Promise<void> | undefined;
  #failed = false;

  /**
   * `opened` is the state found in the engine. `onStopped` hears when the node stops by itself:
   * its disk failed, or it was removed from the cluster.
   */
  constructor(
    config: NodeConfig,
    devices: NodeDevices,
    opened: OpenedState,
    registry: MetricsRegistry,
    onStopped: (error: unknown) => void,
  ) {
    this.#config = config;
    this.#devices = devices;
    this.#opened = opened;
    this.#onStopped = onStopped;
    const { clock, rng, disk, network, logger } = devices;
    this.#lastHousekeepingMs = clock.monotonicMs();
    this.#proposals = new Proposals(rng.next64());
    this.#reads = new ReadRounds(1 + rng.below(0x1000_0000) * 0x1_0000);
    const raft = this.#makeRaft();
    this.#status = raft.status();
    this.#metrics = new NodeMetrics(registry, {
      status: () => this.status(),
      pendingProposals: () => this.#proposals.pending,
      keyCount: () => this.#opened.state.store.keyCount,
    });
    this.#driver = this.#makeDriver(raft);
    this.#parked = new ParkedProposals(this.#driver, this.#proposals);
    this.#machine = new StateMachine(opened.state, disk.engine, opened.applied, clock, {
      onApplied: (outcome) => this.#onApplied(outcome),
      onConfChange: (entry) => this.#onConfChange(entry),
      onProgress: (index) => this.#onProgress(index),
      onFatal: (error) => this.#fail(error),
    });
    this.#reader = stateReader(opened.state);
    this.#leadership = new Leadership(
      {
        self: config.memberId,
        electionTimeoutMs: config.electionTimeoutMs,
        status: () => this.#driver.raft.status(),
        transfer: (to) => this.#driver.transferLeadership(to),
      },
      clock,
      logger,
    );
    this.#checkpointer = this.#makeCheckpointer();
    this.#leases = new LeaseService(
      {
        state: () => this.#machine.state,
        isLeader: () => this.#status.role === "leader",
        leader: () => this.#status.leader,
        term: () => this.#status.term,
        linearize: () => this.#linearize(),
        read: (linearizable, read) => this.read(linearizable, read),
        propose: (kind, encoded) => this.propose(kind, encoded),
      },
      network,
      clock,
      config.electionTimeoutMs,
      this.#metrics,
    );
    this.#snapshots = new SnapshotExchange(
      {
        stream: () => this.#streamState(),
        receive: (meta, chunks) => disk.receive(meta, chunks),
        step: (message) => this.#driver.step(message),
        reportSnapshot: (to, delivered) => this.#driver.reportSnapshot(to, delivered),
      },
      network,
      logger,
    );
    this.#peers = new PeerExchange(
      {
        step: (message) => this.#driver.step(message),
        unreachable: (to) => this.#driver.reportUnreachable(to),
        isRemoved: (id) => this.#machine.state.membership.isRemoved(id),
        answer: (kind, body) => this.#leases.answer(kind, body),
        removed: () => this.#fail(new Error("this member has been removed from the cluster")),
      },
      network,
      this.#snapshots,
      logger,
    );
    this.#compaction = this.#steppedWork(compactionRestMs, () =>
      this.#machine.state.store.compactStep(),
    );
    this.#catchUp = this.#steppedWork(0, () => this.#machine.state.hub.catchUp());
    this.#machine.state.hub.onCatchUp(() => this.#catchUp.wake());
    this.#hasher = new Hasher(
      this.#machine,
      (step) => this.#steppedWork(0, step),
      () => this.#checkpointer.atPoint({ sync: false }, (_meta, engine) => engine.view()),
    );
  }

  /** Opens the links and begins to take part. */
  async start(): Promise<void> {
    this.#followMembership();
    await this.#devices.network.start(this.#peers);
    this.#compaction.wake();
    this.#tick();
    this.#driver.schedule();
    void publishAttributes(
      this,
      this.#config,
      this.#devices.clock,
      () => this.#stopping !== undefined || this.#failed,
    );
  }

  /** Resolves when this member knows a leader and its state is as current as the leader's. */
  async untilReady(): Promise<void> {
    for (;;) {
      try {
        await this.#linearize();
        return;
      } catch (error) {
        this.#checkRunning();
        this.#devices.logger.warn({ err: error }, "still waiting for a quorum of members");
      }
    }
  }

  status(): NodeStatus {
    const { store } = this.#machine.state;
    const raft = this.#status;
    return {
      clusterId: this.#config.clusterId,
      memberId: this.#config.memberId,
      name: this.#config.name,
      leader: raft.leader,
      isLeader: raft.role === "leader",
      isLearner: raft.isLearner,
      term: raft.term,
      commit: raft.commit,
      applied: this.#machine.applied,
      revision: store.revision,
      compactedRevision: store.compactedRevision,
      sizeBytes: this.#opened.engine.sizeBytes(),
      sizeInUseBytes: store.sizeInUseBytes,
      quotaBytes: this.#config.quotaBytes,
    };
  }

  async propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult> {
    this.#checkRunning();
    if (encoded.length > this.#config.requestSizeBytesMax) {
      throw new QuorateError("requestTooLarge");
    }
    if (this.#status.commit - this.#machine.applied > applyBacklogEntriesMax) {
      throw new QuorateError("tooManyRequests");
    }
    const sequence = this.#proposals.nextSequence();
    const data = encodeCommand(kind, encoded, {
      origin: this.#proposals.origin,
      sequence,
      user: "",
      authRevision: 0,
    });
    const answer = this.#proposals.wait(sequence, this.#deadlineMs());
    this.#parked.propose(sequence, data);
    return answer;
  }

  read<T>(linearizable: boolean, read: (state: StateReader) => T): T | Promise<T> {
    this.#checkRunning();
    if (!linearizable) {
      return this.#machine.read(() => read(this.#reader));
    }
    return this.#linearize().then(() => this.#machine.read(() => read(this.#reader)));
  }

  openWatchStream(sink: WatchStreamSink): WatchStream {
    this.#checkRunning();
    return this.#machine.state.hub.openStream(sink);
  }

  leaseKeepAlive(id: LeaseId): Promise<number> {
    return this.#leases.keepAlive(id);
  }

  leaseTimeToLive(id: LeaseId, wantKeys: boolean): Promise<LeaseTimeToLive> {
    return this.#leases.timeToLive(id, wantKeys);
  }

  async hashKv(revision: Revision | 0): Promise<HashResult> {
    await this.compactionDone();
    return this.#hasher.hashKv(revision);
  }

  hash(): Promise<number> {
    return this.#hasher.hash();
  }

  compactionDone(): Promise<void> {
    this.#compaction.wake();
    return this.#compaction.whenIdle();
  }

  moveLeader(to: MemberId): Promise<void> {
    return this.#leadership.move(to);
  }

  /** Hands leadership over, writes out what is applied, and lets go of disk and network. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (!this.#failed) {
      await this.#leadership.handOver();
    }
    this.#tickTimer?.cancel();
    this.#compaction.stop();
    this.#catchUp.stop();
    this.#machine.state.hub.close();
    await this.#driver.stop();
    this.#proposals.failAll("stopped");
    this.#reads.failAll("stopped");
    this.#machine.stop();
    await this.#checkpointer.stop();
    await this.#snapshots.close();
    await this.#devices.network.close();
    if (!this.#failed) {
      await this.#checkpointer.flush({ sync: true });
    }
    await this.#devices.disk.close();
  }

  #linearize(): Promise<void> {
    const done = this.#reads.wait(this.#deadlineMs());
    this.#driver.schedule();
    return done;
  }

  /** etcd's: 5 s and two election timeouts. */
  #deadlineMs(): number {
    return this.#devices.clock.monotonicMs() + 5_000 + 2 * this.#config.electionTimeoutMs;
  }

  #checkRunning(): void {
    if (this.#stopping !== undefined || this.#failed) {
      throw new QuorateError("stopped");
    }
  }

  // --- wiring -------------------------------------------------------------------------------

  #makeRaft(): RaftNode {
    const { recovered } = this.#devices.disk;
    const { applied, conf } = this.#opened;
    const electionTicks = Math.max(
      2,
      Math.round(this.#config.electionTimeoutMs / this.#config.heartbeatIntervalMs),
    );
    return new RaftNode({
      self: this.#config.memberId,
      rng: this.#devices.rng,
      electionTicks,
      heartbeatTicks: 1,
      initial: {
        hardState: recovered.hardState,
        snapshot: recovered.snapshot,
        entries: recovered.entries,
        applied: applied.index,
        conf,
      },
    });
  }

  #makeDriver(raft: RaftNode): RaftDriver {
    const { disk, clock } = this.#devices;
    return new RaftDriver(raft, disk.wal, clock, {
      send: (messages) => this.#peers.send(messages),
      onCommitted: (entries) => this.#machine.enqueue(entries),
      onReads: (reads) => {
        for (const read of reads) {
          this.#reads.confirmed(read.context, read.index, this.#machine.applied);
        }
      },
      onReadsDropped: (contexts) => {
        for (const context of contexts) {
          this.#reads.dropped(context);
        }
      },
      installSnapshot: (meta) => this.#installSnapshot(meta),
      beforePump: () => this.#beforePump(),
      afterPump: () => this.#afterPump(),
      onWalWrite: (elapsedMs) => this.#metrics.walWriteSeconds.observe(elapsedMs / 1000),
      onFatal: (error) => this.#fail(error),
    });
  }

  #makeCheckpointer(): Checkpointer {
    const { disk, clock } = this.#devices;
    const source = {
      take: () => takeCheckpoint(this.#machine.state, this.#machine.applied, this.#machine.appliedTerm),
      done: () => this.#machine.state.store.checkpointDone(),
      pendingBytes: () => this.#machine.state.store.pendingBytes,
      applied: () => this.#machine.applied,
    };
    const synced = disk.recovered.snapshot?.index ?? (0 as LogIndex);
    const config = {
      snapshotCount: this.#config.snapshotCount,
      catchUpEntries: this.#config.catchUpEntries,
      walSizeBytesMax,
    };
    return new Checkpointer(disk.engine, disk.wal, clock, source, synced, config, {
      onCut: (keep) => this.#driver.compactTo(keep),
      onWrite: (elapsedMs) => this.#metrics.checkpointSeconds.observe(elapsedMs / 1000),
      onFatal: (error) => this.#fail(error),
    });
  }

  #steppedWork(restMs: number, step: () => boolean): SteppedWork {
    return new SteppedWork({
      step,
      load: (missing) => this.#machine.load(missing),
      clock: this.#devices.clock,
      restMs,
      onFatal: (error) => this.#fail(error),
    });
  }

  // --- the turn -----------------------------------------------------------------------------

  #tick(): void {
    const { clock } = this.#devices;
    this.#tickTimer = clock.after(this.#config.heartbeatIntervalMs, () => this.#tick());
    this.#driver.tick();
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lastHousekeepingMs >= housekeepingMs) {
      this.#lastHousekeepingMs = nowMs;
      this.#housekeeping(nowMs);
    }
  }

  #housekeeping(nowMs: number): void {
    const code = this.#status.leader === noMember ? "timeoutLeaderFailure" : "timeout";
    this.#metrics.proposalsFailed.inc(this.#proposals.expire(nowMs, code));
    this.#reads.expire(nowMs, this.#status.leader === noMember ? "noLeader" : "timeout");
    this.#reads.retryStale(nowMs - 500);
    this.#leases.tick();
    this.#machine.state.hub.progress(nowMs);
    if (
      this.#status.role === "leader" &&
      this.#driver.writeElapsedMs(nowMs) > this.#config.electionTimeoutMs
    ) {
      this.#devices.logger.warn({}, "the log cannot be written in time: handing leadership over");
      void this.#leadership.handOver();
    }
  }

  #beforePump(): void {
    if (this.#status.leader === noMember) {
      return;
    }
    this.#parked.retry();
    if (this.#reads.hasGathering) {
      const context = this.#reads.ask(this.#devices.clock.monotonicMs());
      this.#driver.readIndex(context);
    }
  }

  #afterPump(): void {
    const before = this.#status;
    this.#status = this.#driver.raft.status();
    if (this.#leadership.follow(before, this.#status)) {
      this.#metrics.leaderChanges.inc();
    }
    if (before.role !== this.#status.role || before.term !== this.#status.term) {
      this.#leases.followRole();
    }
  }

  #onApplied(outcome: ApplyOutcome): void {
    for (const commit of outcome.commits) {
      this.#machine.state.hub.publish(commit);
    }
    this.#proposals.applied(outcome.origin, outcome.sequence, outcome.result);
    if (outcome.result.kind === "compaction") {
      this.#compaction.wake();
    }
  }

  #onConfChange(entry: Entry): void {
    const change = decodeConfChange(entry.data);
    const conf = this.#driver.applyConfChange(change && toRaftChange(change));
    this.#machine.state.membership.applyConfChange(change, conf);
    this.#followMembership();
  }

  #onProgress(index: LogIndex): void {
    this.#driver.appliedTo(index);
    this.#reads.applied(index);
    this.#checkpointer.nudge();
    if (this.#machine.state.hub.hasCatchUp) {
      this.#catchUp.wake();
    }
  }

  #followMembership(): void {
    this.#devices.network.setPeers(
      this.#machine.state.membership
        .members()
        .filter((member) => member.id !== this.#config.memberId)
        .map((member) => ({ id: member.id, urls: member.peerUrls })),
    );
  }

  // --- whole states -------------------------------------------------------------------------

  #streamState(): Promise<{ meta: SnapshotMeta; chunks: AsyncIterable<Uint8Array> }> {
    const { clusterId } = this.#config;
    return this.#checkpointer.atPoint({ sync: false }, (meta, engine) => ({
      meta,
      chunks: streamSnapshot(engine, { clusterId, meta }),
    }));
  }

  async #installSnapshot(meta: SnapshotMeta): Promise<void> {
    const received = this.#snapshots.take(meta);
    await this.#checkpointer.suspend();
    await this.#machine.quiesce();
    const engine = await received.install();
    const opened = await openState(engine, { ...this.#config, rng: this.#devices.rng });
    const old: ReplicatedState = this.#machine.state;
    this.#opened = opened;
    opened.state.hub.adopt(old.hub);
    this.#machine.replace(opened.state, engine, opened.applied);
    this.#reader = stateReader(opened.state);
    this.#leases.stateReplaced();
    this.#checkpointer.resume(engine, meta);
    this.#followMembership();
    this.#onProgress(meta.index);
    this.#devices.logger.info({ index: meta.index }, "installed a received snapshot");
  }

  #fail(error: unknown): void {
    if (this.#failed || this.#stopping !== undefined) {
      return;
    }
    this.#failed = true;
    this.#devices.logger.error({ err: error }, "the node stops");
    this.#onStopped(error);
  }
}
