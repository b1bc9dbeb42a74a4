// From settings, as text by flag name, to a validated ServerConfig.

import {
  type AutoCompaction,
  checkAdvertisedUrls,
  checkTimes,
  type ClusterConfig,
  memoryBudgetBytesMin,
  quotaBytesDefault,
  isUnixSocket,
  type ServerUrl,
  toListenUrls,
} from "../server/index.ts";
import type { TlsRole } from "../tls/index.ts";
import type { LogConfig, ServerConfig } from "./config.ts";
import { readAuth } from "./auth-config.ts";
import { ConfigError, quoted } from "./config-error.ts";
import { type DiscoveryConfig, readDiscovery } from "./discovery-config.ts";
import { gatesInForce, ignoredGates } from "./feature-gates.ts";
import { checkInitialCluster, parseInitialCluster } from "./initial-cluster.ts";
import { checkListenSchemes, readSecurity, securityNotices } from "./security-config.ts";
import { type LogRotation, parseRotation } from "./rotating-file.ts";
import { SettingReader } from "./setting-reader.ts";
import type { Notice, Settings } from "./settings.ts";
import { parseDurationMs, parseList, parseSizeBytes, parseWhole } from "./values.ts";

/** The configuration and what is to be logged about it. Throws ConfigError. */
export function buildConfig(
  settings: Settings,
  isTerminal: boolean,
): { readonly config: ServerConfig; readonly notices: readonly Notice[] } {
  const read = new SettingReader(settings);
  const name = read.text("name");
  const cluster = readCluster(read, name);
  const heartbeatIntervalMs = read.whole("heartbeat-interval");
  const electionTimeoutMs = read.whole("election-timeout");
  checkTimes(heartbeatIntervalMs, electionTimeoutMs);
  const featureGates = gatesInForce(read.text("feature-gates"));
  const config: ServerConfig = {
    name,
    dataDir: read.text("data-dir") === "" ? `${name}.etcd` : read.text("data-dir"),
    walDir: read.text("wal-dir") === "" ? undefined : read.text("wal-dir"),
    ...cluster,
    ...readSecurity(read),
    heartbeatIntervalMs,
    electionTimeoutMs,
    initialElectionTickAdvance: read.text("initial-election-tick-advance") === "true",
    snapshotCountEntries: read.positive("snapshot-count"),
    snapshotCatchUpEntries: read.positive("snapshot-catchup-entries"),
    ...readLimits(read),
    keepAliveMinTimeMs: read.durationMs("grpc-keepalive-min-time"),
    keepAliveIntervalMs: orNever(read.durationMs("grpc-keepalive-interval")),
    keepAliveTimeoutMs: orNever(read.durationMs("grpc-keepalive-timeout")),
    watchProgressNotifyIntervalMs: readProgressInterval(read),
    learnersMax: read.positive("max-learners"),
    strictReconfiguration: read.bool("strict-reconfig-check"),
    corruptCheckMs: read.durationMs("corrupt-check-time"),
    compactHashCheckMs:
      featureGates.get("CompactHashCheck") === true
        ? read.durationMs("compact-hash-check-time")
        : 0,
    slowApplyMs: read.durationMs("warning-apply-duration"),
    slowRequestMs: read.durationMs("warning-unary-request-duration"),
    featureGates,
    forceNewCluster: read.bool("force-new-cluster"),
    autoCompaction: readAutoCompaction(read),
    ...readAuth(read),
    jsonGateway: read.bool("enable-grpc-gateway"),
    grpcServer: read.text("grpc-server") === "grpc-js" ? "grpc-js" : "direct",
    emulatedVersion: readVersion(read),
    log: readLog(read, isTerminal),
  };
  checkSchemes(config);
  return { config, notices: [...settings.notices, ...noticesOf(read, config)] };
}

function orNever(valueMs: number): number {
  return valueMs === 0 ? Number.POSITIVE_INFINITY : valueMs;
}

type ClusterPart = ClusterConfig & DiscoveryConfig;

function readCluster(read: SettingReader, name: string): ClusterPart {
  const listenClientUrls = readListenUrls(read, "listen-client-urls");
  const listenPeerUrls = readListenUrls(read, "listen-peer-urls");
  requireAny("listen-client-urls", listenClientUrls);
  requireAny("listen-peer-urls", listenPeerUrls);
  if (read.isSet("listen-client-urls") && !read.isSet("advertise-client-urls")) {
    throw new ConfigError(
      "--advertise-client-urls is required when --listen-client-urls is set explicitly",
    );
  }
  const advertiseClientUrls = readAdvertisedUrls(read, "advertise-client-urls");
  const advertisePeerUrls = readAdvertisedUrls(read, "initial-advertise-peer-urls");
  const isNew = read.text("initial-cluster-state") === "new";
  const discovery = readDiscovery(read);
  const { discoveryService: service, discoverySrv } = discovery;
  const isDiscovered = service !== undefined || discoverySrv !== undefined;
  // As in etcd, a cluster that is not named is this member alone.
  const named = read.isSet("initial-cluster")
    ? parseInitialCluster(read.text("initial-cluster"))
    : [{ name, peerUrls: advertisePeerUrls }];
  const initialCluster = isDiscovered ? [] : named;
  if (!isDiscovered) {
    checkInitialCluster(initialCluster, name, advertisePeerUrls, isNew);
  }
  return {
    listenClientUrls,
    listenClientHttpUrls: readListenUrls(read, "listen-client-http-urls"),
    listenMetricsUrls: readListenUrls(read, "listen-metrics-urls"),
    listenPeerUrls,
    advertiseClientUrls,
    advertisePeerUrls,
    initialCluster,
    initialClusterState: isNew ? "new" : "existing",
    // As in etcd, so that ids are the same whichever of the two a member runs.
    initialClusterToken: service?.token ?? read.text("initial-cluster-token"),
    ...discovery,
  };
}

function readListenUrls(read: SettingReader, name: string): ServerUrl[] {
  const urls = toListenUrls(read.urls(name));
  const socket = urls.find(isUnixSocket);
  if (socket !== undefined && name === "listen-peer-urls") {
    throw new ConfigError(`--${name} cannot listen on ${socket.text}: members talk over TCP`);
  }
  return urls;
}

function requireAny(name: string, urls: readonly ServerUrl[]): void {
  if (urls.length === 0) {
    throw new ConfigError(`--${name} must name an address to listen on`);
  }
}

/** The addresses of each kind of port. */
function listenUrlsOf(config: ServerConfig): readonly (readonly [TlsRole, ServerUrl[]])[] {
  const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls, listenPeerUrls } = config;
  return [
    ["client", [...listenClientUrls, ...listenClientHttpUrls, ...listenMetricsUrls]],
    ["peer", [...listenPeerUrls]],
  ];
}

function checkSchemes(config: ServerConfig): void {
  for (const [role, urls] of listenUrlsOf(config)) {
    checkListenSchemes(urls, role, role === "client" ? config.clientTls : config.peerTls);
  }
}

function readAdvertisedUrls(read: SettingReader, name: string): string[] {
  const urls = read.urls(name);
  try {
    checkAdvertisedUrls(urls);
  } catch (error) {
    if (error instanceof ConfigError) {
      const given = quoted(urls.map((url) => url.text).join(","));
      throw new ConfigError(`--${name} ${given} must be "host:port" (${error.message})`);
    }
    throw error;
  }
  return urls.map((url) => url.text);
}

function readLimits(read: SettingReader) {
  const quota = read.whole("quota-backend-bytes");
  const memoryBudgetBytes = parseSizeBytes(read.text("memory-budget"));
  if (memoryBudgetBytes < memoryBudgetBytesMin) {
    throw new ConfigError(
      `--memory-budget must be at least ${memoryBudgetBytesMin / 2 ** 20}MiB ` +
        `(set to ${read.text("memory-budget")})`,
    );
  }
  return {
    quotaBytes: quota < 0 ? Number.POSITIVE_INFINITY : quota === 0 ? quotaBytesDefault : quota,
    memoryBudgetBytes,
    txnOpsMax: read.positive("max-txn-ops"),
    requestSizeBytesMax: read.positive("max-request-bytes"),
    concurrentStreamsMax: read.positive("max-concurrent-streams"),
  };
}

function readProgressInterval(read: SettingReader): number {
  const intervalMs = read.durationMs("watch-progress-notify-interval");
  // etcd never notifies more often than this (minWatchProgressInterval).
  return Math.max(intervalMs, 100);
}

function readAutoCompaction(read: SettingReader): AutoCompaction | undefined {
  const text = read.text("auto-compaction-retention");
  const isNumber = /^\d+$/.test(text);
  if (read.text("auto-compaction-mode") === "revision") {
    if (!isNumber) {
      throw new ConfigError(
        `--auto-compaction-retention must be a number of revisions (set to ${quoted(text)})`,
      );
    }
    const retentionRevisions = parseWhole(text, false);
    return retentionRevisions === 0 ? undefined : { kind: "revision", retentionRevisions };
  }
  let retentionMs: number;
  try {
    retentionMs = isNumber ? parseWhole(text, false) * 3_600_000 : parseDurationMs(text);
  } catch (error) {
    throw new ConfigError(`error parsing CompactionRetention: ${(error as Error).message}`);
  }
  if (retentionMs < 0) {
    throw new ConfigError(`--auto-compaction-retention must not be negative (set to ${text})`);
  }
  return retentionMs === 0 ? undefined : { kind: "periodic", retentionMs };
}

function readVersion(read: SettingReader): string {
  const version = read.text("emulate-version");
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new ConfigError(
      `--emulate-version must be a bare version such as 3.6.14 (set to ${quoted(version)})`,
    );
  }
  return version;
}

function readLog(read: SettingReader, isTerminal: boolean): LogConfig {
  const level = read.text("log-level");
  const format = read.text("log-format");
  const outputs = parseList(read.text("log-outputs")).map((output) =>
    output === "default" || output === "systemd/journal" ? "stderr" : output,
  );
  return {
    level:
      level === "debug" || level === "info" || level === "warn" || level === "error"
        ? level
        : "fatal",
    format: format === "console" || (format === "" && isTerminal) ? "console" : "json",
    outputs: outputs.length === 0 ? ["stderr"] : [...new Set(outputs)],
    rotation: readRotation(read, outputs),
  };
}

function readRotation(read: SettingReader, outputs: readonly string[]): LogRotation | undefined {
  if (!read.bool("enable-log-rotation")) {
    return undefined;
  }
  const files = outputs.filter((output) => output !== "stderr" && output !== "stdout");
  if (files.length !== 1) {
    throw new ConfigError(
      "--log-outputs requires a single file path when --log-rotate-config-json is defined",
    );
  }
  return parseRotation(read.text("log-rotation-config-json"));
}

function noticesOf(read: SettingReader, config: ServerConfig): Notice[] {
  const notices = listenUrlsOf(config).flatMap(([role, urls]) => securityNotices(read, role, urls));
  for (const { name, doc } of ignoredGates(read.text("feature-gates"))) {
    const fields = { gate: name, reason: doc };
    notices.push({ level: "warn", fields, message: "feature gate accepted and ignored" });
  }
  if (read.list("log-outputs").includes("systemd/journal")) {
    notices.push({
      level: "warn",
      fields: { flag: "log-outputs" },
      message: "there is no way to the journal but standard error, which systemd reads",
    });
  }
  if (!read.isSet("data-dir")) {
    notices.push({
      level: "info",
      fields: { "data-dir": config.dataDir },
      message: "'data-dir' was empty; using default",
    });
  }
  if (config.initialCluster.length > 1 && config.initialCluster.length % 2 === 0) {
    notices.push({
      level: "warn",
      fields: { members: config.initialCluster.length },
      message: "an even number of members tolerates no more failures than one member fewer",
    });
  }
  return notices;
}
