// Composes a server from a ServerConfig: data directory, node, links to the peers, services and
// the client port. The only place that knows all of them.

import { randomBytes } from "node:crypto";
import { type Api, createApi } from "../api/index.ts";
import { MetricsRegistry, requestOverheadBytes, SeededRng } from "../base/index.ts";
import type { Logger, Rng } from "../base/index.ts";
import { createGrpcServer } from "../grpc/index.ts";
import type { GrpcServer, GrpcServerOptions } from "../grpc/index.ts";
import { createHttpDoor, createPeerHttpServer } from "../http/index.ts";
import type { HttpDoor, HttpVersions } from "../http/index.ts";
import { AutoCompaction, openMember, peerMetrics, QuorateNode, realClock } from "../node/index.ts";
import type { NodeConfig, OpenedMember } from "../node/index.ts";
import { TcpPeerNetwork } from "../peer/index.ts";
import { ClientPorts, isSplit } from "./client-ports.ts";
import type { InitialMember, ServerConfig } from "./config.ts";
import type { RunningServer, Serve } from "./lifecycle.ts";
import { checkPorts } from "./port-check.ts";
import { openSecurity, type Security } from "./security.ts";
import { notifyReady } from "./service-notify.ts";
import { discoverMembers, systemSrvResolver } from "./srv-discovery.ts";
import { quorateVersion } from "./version.ts";

/** How long calls and connections may take to end when the server stops, milliseconds. */
const drainMs = 2_000;

/** Opens the member, listens, and resolves once it serves clients. */
export const serve: Serve = async (config, logger) => {
  await checkPorts(config);
  const security = await openSecurity(config, logger);
  const rng = new SeededRng(randomBytes(6).readUIntBE(0, 6));
  const member = await openMember(
    config.dataDir,
    config.name,
    {
      members: await firstMembers(config, security),
      token: config.initialClusterToken,
      state: config.initialClusterState,
      forceNewCluster: config.forceNewCluster,
      transport: security.peerTransport,
    },
    rng,
    {
      memoryBudgetBytes: config.memoryBudgetBytes,
      progressNotifyIntervalMs: config.watchProgressNotifyIntervalMs,
      rng,
    },
  );
  const server = new Server(config, logger, member, rng, security);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
};

/** Members found in DNS are only asked for once: afterwards the data names them. */
async function firstMembers(
  { discoverySrv, name, advertisePeerUrls, initialCluster }: ServerConfig,
  { isFirstStart }: Security,
): Promise<readonly InitialMember[]> {
  return discoverySrv === undefined || !isFirstStart
    ? initialCluster
    : discoverMembers(discoverySrv, name, advertisePeerUrls, systemSrvResolver);
}

class Server implements RunningServer {
  readonly failed: Promise<Error>;
  readonly #config: ServerConfig;
  readonly #logger: Logger;
  readonly #node: QuorateNode;
  readonly #api: Api;
  readonly #http: HttpDoor;
  readonly #grpc: GrpcServer;
  readonly #ports: ClientPorts;
  readonly #versions: HttpVersions;
  readonly #compaction: AutoCompaction | undefined;
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
    this.#versions = {
      etcdServer: config.emulatedVersion,
      etcdCluster: storageVersionOf(config.emulatedVersion),
      storage: storageVersionOf(config.emulatedVersion),
      quorate: quorateVersion(),
    };
    const registry = new MetricsRegistry();
    let fail = (_error: Error): void => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    this.#node = this.#makeNode(member, rng, registry, security, fail);
    this.#api = createApi({
      handle: this.#node,
      clock: realClock,
      rng,
      logger,
      metrics: registry,
      etcdVersion: config.emulatedVersion,
      storageVersion: this.#versions.storage,
      requestBytesMax: config.requestSizeBytesMax,
      txnOpsMax: config.txnOpsMax,
      electionTimeoutMs: config.electionTimeoutMs,
      jwt: security.jwt,
      certificateUsers: config.clientTls?.clientCertAuth ?? false,
      bcryptCost: config.bcryptCost,
    });
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
    const grpcOptions: GrpcServerOptions = {
      receiveMessageBytesMax: config.requestSizeBytesMax + requestOverheadBytes,
      concurrentStreamsMax: config.concurrentStreamsMax,
      keepAliveMinTimeMs: config.keepAliveMinTimeMs,
      keepAliveIntervalMs: config.keepAliveIntervalMs,
      keepAliveTimeoutMs: config.keepAliveTimeoutMs,
      onCallEnd: this.#api.onCallEnd,
      onTraffic: this.#api.onTraffic,
      onHttpRequest: isSplit(config) ? undefined : this.#http.handle,
    };
    this.#grpc = createGrpcServer(config.grpcServer, grpcOptions);
    this.#api.registerOn(this.#grpc);
    const { clientTls: tls } = security;
    this.#ports = new ClientPorts(config, { grpc: this.#grpc, grpcOptions, http: this.#http, tls });
    this.#compaction =
      config.autoCompaction === undefined
        ? undefined
        : new AutoCompaction(config.autoCompaction, this.#node, realClock, logger);
  }

  async start(): Promise<void> {
    await this.#ports.listen();
    await this.#node.start();
    this.#compaction?.start();
    await this.#node.untilReady();
    this.#logger.info(
      { clients: this.#config.listenClientUrls.map((url) => url.text) },
      "ready to serve client requests",
    );
    notifyReady(this.#logger);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The node goes first: it hands leadership over while calls still drain. */
  async #stop(): Promise<void> {
    this.#compaction?.stop();
    this.#api.shutdown();
    this.#http.close();
    const drained = this.#ports.close(drainMs);
    await this.#node.stop();
    await drained;
  }

  #makeNode(
    member: OpenedMember,
    rng: Rng,
    registry: MetricsRegistry,
    security: Security,
    fail: (error: Error) => void,
  ): QuorateNode {
    const config = this.#config;
    const { clusterId, memberId, disk, opened } = member;
    const nodeConfig: NodeConfig = {
      name: config.name,
      clusterId,
      memberId,
      clientUrls: config.advertiseClientUrls,
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
    };
    const network = new TcpPeerNetwork({
      clusterId,
      memberId,
      listenUrls: config.listenPeerUrls.map((url) => url.text),
      clock: realClock,
      rng,
      logger: this.#logger,
      metrics: peerMetrics(registry),
      http: createPeerHttpServer(() => this.#node, this.#versions),
      transport: security.peerTransport,
    });
    const devices = { clock: realClock, rng, logger: this.#logger, disk, network };
    return new QuorateNode(nodeConfig, devices, opened, registry, (error) =>
      fail(error instanceof Error ? error : new Error(String(error))),
    );
  }
}

/** "3.6.7" stores as "3.6.0". */
function storageVersionOf(version: string): string {
  return `${version.split(".").slice(0, 2).join(".")}.0`;
}
