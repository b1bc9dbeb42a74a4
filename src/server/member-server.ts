// Composes a server from a ServerConfig: disk, node, links to the peers, services and the client
// port. The only place that knows all of them.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Api, createApi } from "../api/index.ts";
import { MetricsRegistry, requestOverheadBytes, SeededRng } from "../base/index.ts";
import type { Clock, Logger, Rng, Timer } from "../base/index.ts";
import { createGrpcServer } from "../grpc/index.ts";
import type { GrpcServer, GrpcServerOptions } from "../grpc/index.ts";
import { createHttpDoor, createPeerHttpServer } from "../http/index.ts";
import type { HttpDoor, HttpVersions } from "../http/index.ts";
import { AutoCompaction, openMember, peerMetrics, QuorateNode, realClock } from "../node/index.ts";
import type { NodeConfig, NodeStatus, OpenedMember } from "../node/index.ts";
import { TcpPeerNetwork } from "../peer/index.ts";
import type { PeerTransport } from "../peer/index.ts";
import { diskAt, type MemberDisk, MemoryDisk } from "../storage/index.ts";
import { type HeldPeerPort, holdPeerPort, withBoundPorts } from "./bound-urls.ts";
import { ClientPorts, isSplit } from "./client-ports.ts";
import type { InitialMember, ServerConfig } from "./config.ts";
import { registerGates } from "./feature-gates.ts";
import { checkPorts } from "./port-check.ts";
import { openSecurity, type Security } from "./security.ts";
import { quorateVersion } from "./version.ts";

/** How long calls and connections may take to end when the server stops, milliseconds. */
const drainMs = 2_000;
/** How much of it the node waits for; streams do not end by themselves. */
const answerMs = 500;

/** What differs between the ways to run a server. */
export interface ServerParts {
  /** The configuration's directory, or new memory if it has none, unless given. */
  readonly disk?: MemberDisk | undefined;
  /** Stands between the member and its transport. */
  readonly wrapTransport?: ((transport: PeerTransport) => PeerTransport) | undefined;
  /** Finds the first members on a first start, when the configuration does not name them. */
  readonly findMembers?: (() => Promise<readonly InitialMember[]>) | undefined;
  /** Gives up starting. */
  readonly signal?: AbortSignal | undefined;
}

/** Opens the member, listens, and resolves once it serves clients. */
export async function startServer(
  given: ServerConfig,
  logger: Logger,
  parts: ServerParts = {},
): Promise<MemberServer> {
  await checkPorts(given);
  const own = given.dataDir === "" ? new MemoryDisk() : diskAt(given.dataDir, given.walDir);
  const disk = parts.disk ?? own;
  const security = await openSecurity(given, disk, logger);
  const wrap = parts.wrapTransport ?? ((transport) => transport);
  const held = await holdPeerPort(given, wrap(security.peerTransport));
  try {
    return await startHeld(held, disk, security, logger, parts);
  } finally {
    await held.release();
  }
}

async function startHeld(
  { config, transport, wasChosen }: HeldPeerPort,
  disk: MemberDisk,
  security: Security,
  logger: Logger,
  { findMembers, signal }: ServerParts,
): Promise<MemberServer> {
  const rng = new SeededRng(randomBytes(6).readUIntBE(0, 6));
  const { isFirstStart } = security;
  // A chosen port says nothing about whose data it is.
  const named = wasChosen && !isFirstStart ? [] : config.initialCluster;
  const members = findMembers !== undefined && isFirstStart ? await findMembers() : named;
  const member = await openMember(
    disk,
    config.name,
    {
      members,
      token: config.initialClusterToken,
      state: config.initialClusterState,
      forceNewCluster: config.forceNewCluster,
      transport,
    },
    rng,
    {
      memoryBudgetBytes: config.memoryBudgetBytes,
      progressNotifyIntervalMs: config.watchProgressNotifyIntervalMs,
      rng,
    },
  );
  const own = { ...security, peerTransport: transport };
  const server = new MemberServer(config, logger, member, rng, own);
  const giveUp = (): void => {
    // Whoever started it hears of a failure below.
    server.stop().catch(() => undefined);
  };
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    await server.start();
    if (wasChosen && !isFirstStart) {
      await server.publishPeerUrls();
    }
  } catch (error) {
    await server.stop();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
  return server;
}

/** The real clock until it is stopped; then nothing that waits is ever called. */
class StoppableClock implements Clock {
  #isStopped = false;

  monotonicMs(): number {
    return realClock.monotonicMs();
  }

  wallMs(): number {
    return realClock.wallMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    return realClock.after(delayMs, () => this.#run(callback));
  }

  soon(callback: () => void): void {
    realClock.soon(() => this.#run(callback));
  }

  stop(): void {
    this.#isStopped = true;
  }

  #run(callback: () => void): void {
    if (!this.#isStopped) {
      callback();
    }
  }
}

export class MemberServer {
  /** Resolves when the node has stopped by itself, with the reason. */
  readonly failed: Promise<Error>;
  readonly #config: ServerConfig;
  readonly #logger: Logger;
  readonly #clock = new StoppableClock();
  readonly #node: QuorateNode;
  readonly #network: TcpPeerNetwork;
  readonly #api: Api;
  readonly #http: HttpDoor;
  readonly #grpc: GrpcServer;
  readonly #ports: ClientPorts;
  readonly #versions: HttpVersions;
  readonly #compaction: AutoCompaction | undefined;
  #clientUrls: readonly string[];
  #stopping: Promise<void> | undefined;

  constructor(
    config: ServerConfig,
    logger: Logger,
    member: OpenedMember,
    rng: Rng,
    security: Security,
  ) {
    this.#config = config;
    this.#logger = logger;
    this.#clientUrls = config.advertiseClientUrls;
    this.#versions = {
      etcdServer: config.emulatedVersion,
      etcdCluster: storageVersionOf(config.emulatedVersion),
      storage: storageVersionOf(config.emulatedVersion),
      quorate: quorateVersion(),
    };
    const registry = new MetricsRegistry();
    registerGates(registry, config.featureGates);
    let fail = (_error: Error): void => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    this.#network = this.#makeNetwork(member, rng, registry, security);
    this.#node = this.#makeNode(member, rng, registry, fail);
    this.#api = this.#makeApi(rng, registry, security);
    this.#http = createHttpDoor({
      handle: this.#node,
      metrics: registry,
      logger,
      versions: this.#versions,
      bodyBytesMax: config.requestSizeBytesMax + requestOverheadBytes,
      gateway: config.jsonGateway
        ? { services: this.#api.services, onCallEnd: this.#api.onCallEnd }
        : undefined,
      access: { corsOrigins: config.corsOrigins, hostNames: config.hostNamesAllowed },
    });
    const grpcOptions = this.#grpcOptions();
    this.#grpc = createGrpcServer(config.grpcServer, grpcOptions);
    this.#api.registerOn(this.#grpc);
    const { clientTls: tls } = security;
    this.#ports = new ClientPorts(config, { grpc: this.#grpc, grpcOptions, http: this.#http, tls });
    this.#compaction =
      config.autoCompaction === undefined
        ? undefined
        : new AutoCompaction(config.autoCompaction, this.#node, this.#clock, logger);
  }

  async start(): Promise<void> {
    const { advertiseClientUrls, listenClientUrls, featureGates: gates } = this.#config;
    // Clients come only when the check, if one is asked for, is over.
    const isChecked = gates.get("InitialCorruptCheck") === true;
    const early = isChecked ? undefined : await this.#ports.listen();
    if (early !== undefined) {
      this.#clientUrls = withBoundPorts(advertiseClientUrls, listenClientUrls, early);
    }
    await this.#node.start();
    this.#compaction?.start();
    await this.#node.untilReady();
    if (isChecked) {
      await this.#node.checkAgainstOthers();
    }
    const got = early ?? (await this.#ports.listen());
    this.#clientUrls = withBoundPorts(advertiseClientUrls, listenClientUrls, got);
    const listened = listenClientUrls.map((url) => url.text);
    this.#logger.info(
      { clients: withBoundPorts(listened, listenClientUrls, got) },
      "ready to serve client requests",
    );
  }

  /** As advertised, with the ports that were got. */
  get clientUrls(): readonly string[] {
    return this.#clientUrls;
  }

  get peerUrls(): readonly string[] {
    return this.#config.advertisePeerUrls;
  }

  status(): NodeStatus {
    return this.#node.status();
  }

  /** Hands leadership over, finishes what is under way and closes everything. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /**
   * Ends at once, as if the process had been killed: nothing is finished, handed over or told. The
   * disk must have been severed (MemoryDisk.sever), or what is under way could still write.
   */
  kill(): Promise<void> {
    this.#stopping ??= this.#kill();
    return this.#stopping;
  }

  /** The member list gets the peer URLs of this start, if this member is alone on it. */
  async publishPeerUrls(): Promise<void> {
    const { memberId } = this.#node.status();
    const members = await this.#node.read(true, (state) => state.members());
    const [self] = members;
    const isAlone = members.length === 1 && self?.id === memberId;
    if (isAlone && self.peerUrls.join(",") !== this.peerUrls.join(",")) {
      await this.#node.memberUpdate(memberId, this.peerUrls);
    }
  }

  /**
   * Leadership goes first, while everything still works: clients are sent away only when there is a
   * leader to go to, and what they have asked for by then is answered.
   */
  async #stop(): Promise<void> {
    this.#compaction?.stop();
    this.#api.shutdown();
    await this.#node.handOver();
    this.#http.close();
    const drained = this.#ports.close(drainMs);
    await Promise.race([drained, sleep(answerMs, undefined, { ref: false })]);
    await this.#node.stop();
    await drained;
  }

  async #kill(): Promise<void> {
    this.#clock.stop();
    this.#compaction?.stop();
    this.#http.close();
    const closed = Promise.all([this.#network.close(), this.#ports.abort()]);
    this.#api.shutdown();
    await closed;
  }

  #makeApi(rng: Rng, registry: MetricsRegistry, security: Security): Api {
    const config = this.#config;
    return createApi({
      handle: this.#node,
      clock: this.#clock,
      rng,
      logger: this.#logger,
      metrics: registry,
      etcdVersion: config.emulatedVersion,
      storageVersion: this.#versions.storage,
      requestBytesMax: config.requestSizeBytesMax,
      txnOpsMax: config.txnOpsMax,
      electionTimeoutMs: config.electionTimeoutMs,
      slowRequestMs: config.slowRequestMs,
      jwt: security.jwt,
      certificateUsers: config.clientTls?.clientCertAuth ?? false,
      bcryptCost: config.bcryptCost,
    });
  }

  #grpcOptions(): GrpcServerOptions {
    const config = this.#config;
    return {
      receiveMessageBytesMax: config.requestSizeBytesMax + requestOverheadBytes,
      concurrentStreamsMax: config.concurrentStreamsMax,
      keepAliveMinTimeMs: config.keepAliveMinTimeMs,
      keepAliveIntervalMs: config.keepAliveIntervalMs,
      keepAliveTimeoutMs: config.keepAliveTimeoutMs,
      onCallEnd: this.#api.onCallEnd,
      onTraffic: this.#api.onTraffic,
      onHttpRequest: isSplit(config) ? undefined : this.#http.handle,
    };
  }

  #makeNode(
    { clusterId, memberId, disk, opened }: OpenedMember,
    rng: Rng,
    registry: MetricsRegistry,
    fail: (error: Error) => void,
  ): QuorateNode {
    const config = this.#config;
    const clientUrls = (): readonly string[] => this.#clientUrls;
    const nodeConfig: NodeConfig = {
      name: config.name,
      clusterId,
      memberId,
      // Published once the node starts, when the ports are known.
      get clientUrls() {
        return clientUrls();
      },
      heartbeatIntervalMs: config.heartbeatIntervalMs,
      electionTimeoutMs: config.electionTimeoutMs,
      electionTickAdvance: config.initialElectionTickAdvance,
      snapshotCount: config.snapshotCountEntries,
      catchUpEntries: config.snapshotCatchUpEntries,
      requestSizeBytesMax: config.requestSizeBytesMax,
      quotaBytes: config.quotaBytes,
      authTokenTtlMs: config.authTokenTtlMs,
      memoryBudgetBytes: config.memoryBudgetBytes,
      progressNotifyIntervalMs: config.watchProgressNotifyIntervalMs,
      learnersMax: config.learnersMax,
      strictReconfiguration: config.strictReconfiguration,
      corruptionCheck: {
        everyMs: config.corruptCheckMs,
        afterCompactionMs: config.compactHashCheckMs,
      },
      scrub: true,
      promoteLearners: config.featureGates.get("AutoPromoteLearners") === true,
      slowApplyMs: config.slowApplyMs,
    };
    const network = this.#network;
    const devices = { clock: this.#clock, rng, logger: this.#logger, disk, network };
    return new QuorateNode(nodeConfig, devices, opened, registry, (error) =>
      fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  #makeNetwork(
    { clusterId, memberId }: OpenedMember,
    rng: Rng,
    registry: MetricsRegistry,
    security: Security,
  ): TcpPeerNetwork {
    return new TcpPeerNetwork({
      clusterId,
      memberId,
      listenUrls: this.#config.listenPeerUrls.map((url) => url.text),
      clock: this.#clock,
      rng,
      logger: this.#logger,
      metrics: peerMetrics(registry, memberId),
      http: createPeerHttpServer(() => this.#node, this.#versions),
      transport: security.peerTransport,
    });
  }
}

/** "3.6.7" stores as "3.6.0". */
function storageVersionOf(version: string): string {
  return `${version.split(".").slice(0, 2).join(".")}.0`;
}
