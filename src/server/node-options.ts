// What an embedder says of a node, checked and made into a ServerConfig. Defaults are those of the
// `quorate` command, but for the addresses: loopback, on any free port.

import { ConfigError, memoryBudgetBytesDefault, type Logger } from "../base/index.ts";
import { isTlsConfigured, readTlsShape, type TlsRole, type TlsSettings } from "../tls/index.ts";
import {
  type AutoCompaction,
  checkTimes,
  type ClusterConfig,
  type InitialMember,
  memoryBudgetBytesMin,
  quotaBytesDefault,
  type ServerConfig,
} from "./config.ts";
import { featureGates } from "./feature-gates.ts";
import { checkAdvertisedUrls, parseUrls, type ServerUrl, toListenUrls } from "./urls.ts";

/** Paths of PEM files. They are read again when they change. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Whose certificates are trusted; given, callers must show one. */
  readonly trustedCaFile?: string | undefined;
}

/** The members that a cluster begins with, or that it has when one joins. */
export interface ClusterOptions {
  /** Peer URLs by name; this member's too. */
  readonly members: Readonly<Record<string, string | readonly string[]>>;
  /** "new" unless told; "existing" for a member that was added to a running cluster. */
  readonly state?: "new" | "existing" | undefined;
  /** Keeps clusters apart whose members have the same addresses. */
  readonly token?: string | undefined;
}

/** Exactly one of `dataDir` and `memory` must be given. */
export interface NodeOptions {
  /** "default" unless told. */
  readonly name?: string | undefined;
  /** A directory, made when it is not there. */
  readonly dataDir?: string | undefined;
  /** Keep everything in memory; it goes with the process. */
  readonly memory?: boolean | undefined;
  /** Where clients connect; "http://127.0.0.1:0" unless told. Port 0 takes any free one. */
  readonly clientUrls?: string | readonly string[] | undefined;
  /** What clients are told instead of `clientUrls`. */
  readonly advertiseClientUrls?: string | readonly string[] | undefined;
  /** Where members connect; "http://127.0.0.1:0" unless told. In a cluster not with port 0. */
  readonly peerUrls?: string | readonly string[] | undefined;
  /** What members are told instead of `peerUrls`. */
  readonly advertisePeerUrls?: string | readonly string[] | undefined;
  /** A cluster of this member alone unless told. */
  readonly cluster?: ClusterOptions | undefined;
  /** For https URLs, of each kind of port. */
  readonly tls?:
    | { readonly client?: TlsFiles | undefined; readonly peer?: TlsFiles | undefined }
    | undefined;
  /** Bytes at which writes are refused (NOSPACE); 2 GiB unless told, Infinity for no limit. */
  readonly quotaBytes?: number | undefined;
  /** Bytes for caches; 256 MiB unless told. */
  readonly memoryBudgetBytes?: number | undefined;
  /** 100 unless told. */
  readonly heartbeatIntervalMs?: number | undefined;
  /** 1,000 unless told; at least five heartbeats. */
  readonly electionTimeoutMs?: number | undefined;
  /** Which history is kept; all of it unless told. */
  readonly autoCompaction?:
    | { readonly retentionMs: number }
    | { readonly retentionRevisions: number }
    | undefined;
  /** In pino's shape; silent unless given. */
  readonly logger?: Logger | undefined;
  /** Gives up starting: a member of a cluster waits for a quorum. Of no effect later. */
  readonly signal?: AbortSignal | undefined;
}

const known: ReadonlySet<string> = new Set<keyof NodeOptions>([
  "name",
  "dataDir",
  "memory",
  "clientUrls",
  "advertiseClientUrls",
  "peerUrls",
  "advertisePeerUrls",
  "cluster",
  "tls",
  "quotaBytes",
  "memoryBudgetBytes",
  "heartbeatIntervalMs",
  "electionTimeoutMs",
  "autoCompaction",
  "logger",
  "signal",
]);

const anyLoopbackPort = "http://127.0.0.1:0";

/** Throws ConfigError, which names the option. */
export function configOf(options: NodeOptions): ServerConfig {
  const stranger = Object.keys(options).find((key) => !known.has(key));
  if (stranger !== undefined) {
    throw new ConfigError(`startNode has no option "${stranger}"; it has ${[...known].join(", ")}`);
  }
  const name = options.name ?? "default";
  const heartbeatIntervalMs = whole("heartbeatIntervalMs", options.heartbeatIntervalMs ?? 100);
  const electionTimeoutMs = whole("electionTimeoutMs", options.electionTimeoutMs ?? 1000);
  inWords(() => checkTimes(heartbeatIntervalMs, electionTimeoutMs));
  const clientTls = tlsOf("client", options.tls?.client);
  const peerTls = tlsOf("peer", options.tls?.peer);
  const cluster = clusterOf(options, name);
  checkSchemes("clientUrls", cluster.listenClientUrls, clientTls);
  checkSchemes("peerUrls", cluster.listenPeerUrls, peerTls);
  return {
    name,
    dataDir: dataDirOf(options),
    ...cluster,
    clientTls,
    peerTls,
    heartbeatIntervalMs,
    electionTimeoutMs,
    quotaBytes: quotaOf(options.quotaBytes),
    memoryBudgetBytes: budgetOf(options.memoryBudgetBytes),
    autoCompaction: compactionOf(options.autoCompaction),
    ...fixed,
  };
}

/** What the `quorate` command takes unless it is told otherwise (a test compares). */
const fixed = {
  selfSignedValidityYears: 1,
  corsOrigins: ["*"],
  hostNamesAllowed: ["*"],
  jwt: undefined,
  authTokenTtlMs: 300_000,
  bcryptCost: 10,
  initialElectionTickAdvance: true,
  snapshotCountEntries: 10_000,
  snapshotCatchUpEntries: 5_000,
  txnOpsMax: 128,
  requestSizeBytesMax: 1_572_864,
  concurrentStreamsMax: 1_024,
  keepAliveMinTimeMs: 5_000,
  keepAliveIntervalMs: 7_200_000,
  keepAliveTimeoutMs: 20_000,
  watchProgressNotifyIntervalMs: 600_000,
  learnersMax: 1,
  strictReconfiguration: true,
  corruptCheckMs: 0,
  compactHashCheckMs: 60_000,
  walDir: undefined,
  slowApplyMs: 100,
  slowRequestMs: 300,
  featureGates: new Map(featureGates.map((gate) => [gate.name, gate.default])),
  forceNewCluster: false,
  jsonGateway: true,
  grpcServer: "direct",
  emulatedVersion: "3.6.14",
} as const satisfies Partial<ServerConfig>;

function dataDirOf({ dataDir, memory = false }: NodeOptions): string {
  if (memory === (dataDir !== undefined)) {
    throw new ConfigError("startNode needs one of dataDir and memory: true, and not both");
  }
  if (dataDir === "") {
    throw new ConfigError("dataDir must not be empty");
  }
  return dataDir ?? "";
}

function clusterOf(options: NodeOptions, name: string): ClusterConfig {
  const listenClientUrls = listenUrls("clientUrls", options.clientUrls ?? anyLoopbackPort);
  const listenPeerUrls = listenUrls("peerUrls", options.peerUrls ?? anyLoopbackPort);
  const advertisePeerUrls = advertised(
    "advertisePeerUrls",
    options.advertisePeerUrls ?? listenPeerUrls.map((url) => url.text),
  );
  const initialCluster = membersOf(options.cluster, name, advertisePeerUrls);
  if (initialCluster.length > 1 && listenPeerUrls.some(({ port }) => port === 0)) {
    throw new ConfigError("peerUrls must name the port of a member that has others beside it");
  }
  return {
    listenClientUrls,
    listenClientHttpUrls: [],
    listenMetricsUrls: [],
    listenPeerUrls,
    advertiseClientUrls: advertised(
      "advertiseClientUrls",
      options.advertiseClientUrls ?? listenClientUrls.map((url) => url.text),
    ),
    advertisePeerUrls,
    initialCluster,
    initialClusterState: options.cluster?.state ?? "new",
    initialClusterToken: options.cluster?.token ?? "etcd-cluster",
  };
}

function membersOf(
  cluster: ClusterOptions | undefined,
  name: string,
  advertisePeerUrls: readonly string[],
): InitialMember[] {
  if (cluster === undefined) {
    return [{ name, peerUrls: advertisePeerUrls }];
  }
  const members = Object.entries(cluster.members)
    .map(([each, urls]) => ({
      name: each,
      peerUrls: advertised(`cluster.members.${each}`, urls),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const own = members.find((member) => member.name === name);
  if (own === undefined) {
    throw new ConfigError(`cluster.members must hold this member, "${name}"`);
  }
  if (own.peerUrls.join(",") !== advertisePeerUrls.join(",")) {
    throw new ConfigError(
      `cluster.members.${name} (${own.peerUrls.join(",")}) must be the peer URLs that this member ` +
        `advertises (${advertisePeerUrls.join(",")})`,
    );
  }
  const urls = members.flatMap((member) => member.peerUrls);
  if (new Set(urls).size < urls.length) {
    throw new ConfigError("cluster.members must not name an address twice");
  }
  return members;
}

function listenUrls(option: string, given: string | readonly string[]): ServerUrl[] {
  const urls = named(option, () => toListenUrls(parseUrls([given].flat().join(","))));
  const socket = urls.find(({ scheme }) => scheme !== "http" && scheme !== "https");
  if (socket !== undefined) {
    throw new ConfigError(`${option}: cannot listen on ${socket.text}: no unix sockets here`);
  }
  return urls;
}

function advertised(option: string, given: string | readonly string[]): string[] {
  return named(option, () => {
    const urls = parseUrls([given].flat().join(","));
    checkAdvertisedUrls(urls);
    return urls.map((url) => url.text);
  });
}

function named<T>(option: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(`${option}: ${error.message}`) : error;
  }
}

function checkSchemes(
  option: string,
  urls: readonly ServerUrl[],
  tls: TlsSettings | undefined,
): void {
  const secure = urls.find(({ scheme }) => scheme === "https");
  if (secure !== undefined && tls === undefined) {
    const role = option === "clientUrls" ? "client" : "peer";
    throw new ConfigError(`${option}: ${secure.text} needs tls.${role}`);
  }
}

function tlsOf(role: TlsRole, files: TlsFiles | undefined): TlsSettings | undefined {
  if (files === undefined) {
    return undefined;
  }
  const settings: TlsSettings = {
    role,
    certFile: files.certFile,
    keyFile: files.keyFile,
    clientCertFile: "",
    clientKeyFile: "",
    trustedCaFile: files.trustedCaFile ?? "",
    crlFile: "",
    clientCertAuth: files.trustedCaFile !== undefined,
    allowedCommonNames: [],
    allowedHostNames: [],
    auto: false,
    skipAddressCheck: false,
    serverName: "",
    shape: readTlsShape("", "", []),
  };
  if (!isTlsConfigured(settings)) {
    throw new ConfigError(`tls.${role} needs certFile and keyFile`);
  }
  return settings;
}

function whole(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ConfigError(`${option} must be a whole number that is not negative (is ${value})`);
  }
  return value;
}

function quotaOf(quotaBytes: number = quotaBytesDefault): number {
  if (quotaBytes !== Number.POSITIVE_INFINITY && whole("quotaBytes", quotaBytes) === 0) {
    throw new ConfigError("quotaBytes must be above 0; Infinity for no limit");
  }
  return quotaBytes;
}

function budgetOf(memoryBudgetBytes: number = memoryBudgetBytesDefault): number {
  if (whole("memoryBudgetBytes", memoryBudgetBytes) < memoryBudgetBytesMin) {
    throw new ConfigError(
      `memoryBudgetBytes must be at least ${memoryBudgetBytesMin} (is ${memoryBudgetBytes})`,
    );
  }
  return memoryBudgetBytes;
}

function compactionOf(given: NodeOptions["autoCompaction"]): AutoCompaction | undefined {
  if (given === undefined) {
    return undefined;
  }
  return "retentionMs" in given
    ? {
        kind: "periodic",
        retentionMs: whole("autoCompaction.retentionMs", given.retentionMs),
      }
    : {
        kind: "revision",
        retentionRevisions: whole("autoCompaction.retentionRevisions", given.retentionRevisions),
      };
}

/** Names of flags and what they are here. */
const optionOfFlag: readonly (readonly [string, string])[] = [
  ["--heartbeat-interval", "heartbeatIntervalMs"],
  ["--election-timeout", "electionTimeoutMs"],
  ["--peer-cert-file", "tls.peer.certFile"],
  ["--peer-key-file", "tls.peer.keyFile"],
  ["--peer-trusted-ca-file", "tls.peer.trustedCaFile"],
  ["--cert-file", "tls.client.certFile"],
  ["--key-file", "tls.client.keyFile"],
  ["--trusted-ca-file", "tls.client.trustedCaFile"],
  ["--initial-cluster", "cluster.members"],
];

/** The message in an embedder's words: what both share speaks of flags. */
export function inEmbeddersWords(error: unknown): unknown {
  return error instanceof ConfigError
    ? new ConfigError(
        optionOfFlag.reduce((text, [flag, option]) => text.replaceAll(flag, option), error.message),
      )
    : error;
}

function inWords(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw inEmbeddersWords(error);
  }
}
