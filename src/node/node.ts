// QuorateNode: one member, assembled, and the NodeHandle that the front doors get. The turn itself
// is in member-core.ts; here are the member's life (start, ticks, stop) and the services around
// the core. Everything outside comes in as devices, so the simulator runs this same class.

import { CorruptionError, nobody, noMember, QuorateError, system } from "../base/index.ts";
import type { Caller, LeaseId, MemberId, MetricsRegistry, Revision, Timer } from "../base/index.ts";
import type { RaftStatus } from "../raft/index.ts";
import { ApplyMetrics } from "./apply-metrics.ts";
import { makeBackup } from "./backup.ts";
import { CatchUp } from "./catch-up.ts";
import type { CorruptionCheck } from "./corruption-check.ts";
import type { NodeConfig, NodeDevices } from "./devices.ts";
import type {
  AuthReader,
  Backup,
  CommandKind,
  CommandResult,
  HashResult,
  LeaseTimeToLive,
  Member,
  NodeHandle,
  NodeStatus,
  StateReader,
  WatchStream,
  WatchStreamSink,
} from "./handle.ts";
import { forwardedCall } from "./forwarding.ts";
import type { HashExchange } from "./hash-exchange.ts";
import { Hasher } from "./hasher.ts";
import { Leadership } from "./leadership.ts";
import type { LearnerPromotion } from "./learner-promotion.ts";
import { LeaseService } from "./lease-service.ts";
import { MemberCore } from "./member-core.ts";
import {
  checkAgainstOthers,
  makeCorruptionCheck,
  makeHashExchange,
  makeLearnerPromotion,
  makeMembership,
  makeSpaceWatch,
} from "./member-services.ts";
import type { ServiceParts } from "./member-services.ts";
import type { MembershipService } from "./membership-service.ts";
import { NodeMetrics } from "./node-metrics.ts";
import { timed } from "./work-metrics.ts";
import { PeerExchange } from "./peer-exchange.ts";
import { publishAttributes } from "./publish.ts";
import type { OpenedState } from "./replicated-state.ts";
import { Scrubber } from "./scrubber.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";
import type { SpaceWatch } from "./space-watch.ts";

/** Housekeeping (time-outs, leases) runs about this often, milliseconds. */
const housekeepingMs = 250;
/** A removed member that nobody refuses stops after this many election timeouts. */
const removedStayElections = 30;

/** How long a simple token lives unused, milliseconds (etcd's --auth-token-ttl). */
const authTokenTtlMsDefault = 300_000;

/** This member is no longer part of the cluster, and its data is of no use to it any more. */
export class RemovedError extends Error {
  override name = "RemovedError";

  constructor() {
    super(
      "this member has been removed from the cluster; to have it back, delete its data " +
        "directory, add it anew and start it empty",
    );
  }
}

export class QuorateNode implements NodeHandle {
  readonly #config: NodeConfig;
  readonly #devices: NodeDevices;
  readonly #onStopped: (error: unknown) => void;
  readonly #metrics: NodeMetrics;
  readonly #core: MemberCore;
  readonly #catchUp: CatchUp;
  readonly #leadership: Leadership;
  readonly #leases: LeaseService;
  readonly #membership: MembershipService;
  readonly #promotion: LearnerPromotion;
  readonly #snapshots: SnapshotExchange;
  readonly #peers: PeerExchange;
  readonly #hasher: Hasher;
  readonly #space: SpaceWatch;
  readonly #hashes: HashExchange;
  readonly #initialCheck: () => Promise<void>;
  readonly #corruption: CorruptionCheck;
  readonly #scrubber: Scrubber;
  #tickTimer: Timer | undefined;
  #lastTickMs: number;
  #lastHousekeepingMs: number;
  #published: Promise<void> = Promise.resolve();
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
    this.#onStopped = onStopped;
    this.#lastTickMs = devices.clock.monotonicMs();
    this.#lastHousekeepingMs = devices.clock.monotonicMs();
    this.#metrics = new NodeMetrics(
      registry,
      {
        status: () => this.status(),
        pendingProposals: () => this.#core.proposals.pending,
        store: () => this.#core.machine.state.store,
        watch: () => this.#core.machine.state.hub.stats(),
        alarms: () => this.#core.machine.state.alarms.list(),
        members: () => this.#core.machine.state.membership.members(),
        walWrittenBytes: () => devices.disk.wal.writtenBytes(),
      },
      new ApplyMetrics(registry, config.slowApplyMs, devices.logger),
    );
    this.#core = new MemberCore(config, devices, opened, {
      metrics: this.#metrics,
      peers: () => this.#peers,
      snapshots: () => this.#snapshots,
      onRaftChange: (before, now) => this.#onRaftChange(before, now),
      onStateReplaced: () => this.#leases.stateReplaced(),
      onRemoved: () => this.#leave(),
      onFatal: (error) => this.#fail(error),
    });
    const isOver = (): boolean => this.#stopping !== undefined || this.#failed;
    this.#catchUp = new CatchUp(this.#core, devices.logger, isOver);
    this.#leadership = this.#makeLeadership();
    this.#leases = this.#makeLeases();
    this.#snapshots = this.#makeSnapshots();
    this.#peers = this.#makePeers();
    this.#hasher = new Hasher(
      this.#core.machine,
      (restMs, step) => this.#core.steppedWork(restMs, step),
      () => this.#core.engineView(),
      devices.clock,
      this.#metrics.work,
    );
    const parts: ServiceParts = {
      config,
      devices,
      core: this.#core,
      metrics: this.#metrics,
      hasher: this.#hasher,
      propose: (kind, encoded) => this.propose(kind, encoded, system),
      onFatal: (error) => this.#fail(error),
    };
    this.#membership = makeMembership(parts);
    this.#promotion = makeLearnerPromotion(parts, this.#membership);
    this.#space = makeSpaceWatch(parts);
    this.#hashes = makeHashExchange(parts);
    this.#initialCheck = () => checkAgainstOthers(parts, this.#hashes);
    this.#corruption = makeCorruptionCheck(parts, this.#hashes);
    this.#scrubber = new Scrubber(
      () => (this.#core.checkpointer.suspended ? undefined : this.#core.engine),
      devices.clock,
      (error) => this.#fail(error),
    );
  }

  /** Opens the links and begins to take part. */
  async start(): Promise<void> {
    this.#core.followMembership();
    await this.#devices.network.start(this.#peers);
    this.#core.start();
    this.#tick();
    // The directory of a removed member: the others decide, for one may still need its vote.
    if (this.#core.machine.state.membership.isRemoved(this.#config.memberId)) {
      this.#leave();
    }
    if (this.#config.scrub === true) {
      this.#scrubber.start();
    }
    this.#catchUp.begin();
    this.#published = publishAttributes(
      this,
      this.#config,
      this.#devices.clock,
      () => this.#stopping !== undefined || this.#failed,
    );
  }

  /**
   * Resolves when this member knows a leader, its state is as current as the leader's, and the
   * member list knows its name: until then it does not count as started.
   */
  async untilReady(): Promise<void> {
    await this.#catchUp.done();
    this.#checkRunning();
    await this.#published;
  }

  /**
   * Compares this member's store with the others'; for before it serves. Throws CorruptionError
   * when it is the one that differs, or when nobody can tell which one is.
   */
  checkAgainstOthers(): Promise<void> {
    return this.#initialCheck();
  }

  status(): NodeStatus {
    const { store } = this.#core.machine.state;
    const raft = this.#core.status;
    return {
      clusterId: this.#config.clusterId,
      memberId: this.#config.memberId,
      name: this.#config.name,
      leader: raft.leader,
      isLeader: raft.role === "leader",
      isLearner: raft.isLearner,
      term: raft.term,
      commit: raft.commit,
      applied: this.#core.machine.applied,
      revision: store.revision,
      compactedRevision: store.compactedRevision,
      sizeBytes: this.#core.sizeBytes,
      sizeInUseBytes: store.sizeInUseBytes,
      quotaBytes: this.#config.quotaBytes,
    };
  }

  get auth(): AuthReader {
    return this.#core.machine.state.auth;
  }

  userOfToken(token: string): string | undefined {
    const { tokens } = this.#core.machine.state.auth;
    if (!this.#catchUp.isCurrent) {
      return undefined;
    }
    return tokens.use(token, this.#devices.clock.monotonicMs(), this.#tokenTtlMs);
  }

  async propose(
    kind: CommandKind,
    encoded: Uint8Array,
    caller: Caller = nobody,
  ): Promise<CommandResult> {
    this.#checkRunning();
    return this.#core.propose(kind, encoded, caller);
  }

  read<T>(linearizable: boolean, read: (state: StateReader) => T): T | Promise<T> {
    this.#checkRunning();
    return linearizable
      ? this.#core.linearize().then(() => this.#core.read(read))
      : this.#core.read(read);
  }

  openWatchStream(sink: WatchStreamSink): WatchStream {
    this.#checkRunning();
    return this.#core.machine.state.hub.openStream(sink);
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
    return this.#core.compactionDone();
  }

  backup(storageVersion: string): Promise<Backup> {
    this.#checkRunning();
    const source = {
      view: () => this.#core.viewAtPoint(),
      createFile: () => this.#devices.disk.createScratchFile?.(),
      clock: this.#devices.clock,
    };
    return timed(this.#devices.clock, this.#metrics.work.backupSeconds, () =>
      makeBackup(source, storageVersion),
    );
  }

  reclaimSpace(): void {
    this.#checkRunning();
    this.#space.reclaim();
  }

  async moveLeader(to: MemberId): Promise<void> {
    await this.#leases.handOver();
    return this.#leadership.move(to);
  }

  memberAdd(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    return this.#membership.add(peerUrls, isLearner);
  }

  memberRemove(id: MemberId): Promise<void> {
    return this.#membership.remove(id);
  }

  memberUpdate(id: MemberId, peerUrls: readonly string[]): Promise<void> {
    return this.#membership.update(id, peerUrls);
  }

  memberPromote(id: MemberId): Promise<void> {
    return this.#membership.promote(id);
  }

  /** Hands leadership over, writes out what is applied, and lets go of disk and network. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /**
   * Gives leadership to another member, if this one leads and there is one to take it; never
   * rejects. This member goes on meanwhile and after: what it is asked it passes on.
   */
  async handOver(): Promise<void> {
    if (!this.#failed) {
      await this.#leases.handOver();
      await this.#leadership.handOver();
    }
  }

  async #stop(): Promise<void> {
    await this.handOver();
    this.#tickTimer?.cancel();
    this.#scrubber.stop();
    this.#hashes.stop();
    await this.#core.stop();
    await this.#snapshots.close();
    await this.#devices.network.close();
    if (!this.#failed) {
      await this.#core.checkpointer.flush({ sync: true });
    }
    await this.#devices.disk.close();
  }

  #checkRunning(): void {
    if (this.#stopping !== undefined || this.#failed) {
      throw new QuorateError("stopped");
    }
  }

  #makeLeadership(): Leadership {
    return new Leadership(
      {
        self: this.#config.memberId,
        electionTimeoutMs: this.#config.electionTimeoutMs,
        status: () => this.#core.driver.raft.status(),
        transfer: (to) => this.#core.driver.transferLeadership(to),
      },
      this.#devices.clock,
      this.#devices.logger,
    );
  }

  #makeLeases(): LeaseService {
    return new LeaseService(
      {
        state: () => this.#core.machine.state,
        isLeader: () => this.#core.status.role === "leader",
        leader: () => this.#core.status.leader,
        term: () => this.#core.status.term,
        linearize: () => this.#core.linearize(),
        read: (linearizable, read) => this.read(linearizable, read),
        propose: (kind, encoded) => this.propose(kind, encoded, system),
      },
      this.#devices.network,
      this.#devices.clock,
      this.#config.electionTimeoutMs,
      this.#metrics.leases,
    );
  }

  #makeSnapshots(): SnapshotExchange {
    return new SnapshotExchange(
      {
        stream: () => this.#core.streamState(),
        receive: (meta, chunks) => this.#devices.disk.receive(meta, chunks),
        step: (message) => this.#core.driver.step(message),
        reportSnapshot: (to, delivered) => this.#core.driver.reportSnapshot(to, delivered),
      },
      this.#devices.network,
      this.#devices.logger,
    );
  }

  #makePeers(): PeerExchange {
    return new PeerExchange(
      {
        step: (message) => this.#core.driver.step(message),
        unreachable: (to) => this.#core.driver.reportUnreachable(to),
        isRemoved: (id) => this.#core.isRemovedForGood(id),
        answer: (kind, body) => this.#answer(kind, body),
        removed: () => this.#fail(new RemovedError()),
      },
      this.#devices.network,
      this.#snapshots,
      this.#devices.logger,
    );
  }

  get #tokenTtlMs(): number {
    return this.#config.authTokenTtlMs ?? authTokenTtlMsDefault;
  }

  async #answer(kind: number, body: Uint8Array): Promise<Uint8Array> {
    switch (kind) {
      case forwardedCall.memberChange:
        return this.#membership.answer(body);
      case forwardedCall.hashKv:
        return this.#hashes.answer(body);
      default:
        return this.#leases.answer(kind, body);
    }
  }

  #tick(): void {
    const { clock } = this.#devices;
    this.#tickTimer = clock.after(this.#config.heartbeatIntervalMs, () => this.#tick());
    this.#core.driver.tick();
    const nowMs = clock.monotonicMs();
    // As etcd counts: a heartbeat that left later than the next one was due.
    const isLate = nowMs - this.#lastTickMs > 2 * this.#config.heartbeatIntervalMs;
    if (isLate && this.#core.status.role === "leader") {
      this.#metrics.heartbeatSendFailures.inc();
    }
    this.#lastTickMs = nowMs;
    if (nowMs - this.#lastHousekeepingMs >= housekeepingMs) {
      this.#lastHousekeepingMs = nowMs;
      this.#housekeeping(nowMs);
    }
  }

  #housekeeping(nowMs: number): void {
    this.#core.expireWaiters(nowMs);
    this.#core.machine.state.auth.tokens.expire(nowMs, this.#tokenTtlMs);
    this.#leases.tick();
    this.#core.pursueCompaction();
    this.#space.tick(nowMs);
    this.#corruption.tick(nowMs);
    this.#promotion.tick(nowMs);
    this.#core.machine.state.hub.progress(nowMs);
    const isStuck = this.#core.driver.writeElapsedMs(nowMs) > this.#config.electionTimeoutMs;
    if (isStuck && this.#core.status.role === "leader") {
      this.#devices.logger.warn({}, "the log cannot be written in time: handing leadership over");
      void this.#leadership.handOver();
    }
  }

  #onRaftChange(before: RaftStatus, now: RaftStatus): void {
    if (this.#leadership.follow(before, now) && now.leader !== noMember) {
      this.#metrics.leaderChanges.inc();
    }
    this.#leases.followRole();
  }

  /**
   * Removed: stays until another member refuses it, which shows that the change is durable there.
   * Gone earlier, it might leave a survivor that was killed at the wrong moment without its vote.
   */
  #leave(): void {
    const stayMs = removedStayElections * this.#config.electionTimeoutMs;
    this.#devices.clock.after(stayMs, () => this.#fail(new RemovedError()));
  }

  #fail(error: unknown): void {
    if (this.#failed || this.#stopping !== undefined) {
      return;
    }
    this.#failed = true;
    const advice =
      error instanceof CorruptionError
        ? ": its data cannot be trusted. With the other members alive, remove this one from the " +
          "cluster, delete its data directory and add it anew; alone, restore a backup"
        : "";
    this.#devices.logger.error({ err: error }, `the node stops${advice}`);
    this.#onStopped(error);
  }
}
