// ServerConfig: everything a server is told, validated, in the units of the code. Made from the
// settings of every source (settings.ts); what it promises is what the checks below hold.

import { memoryBudgetBytesDefault } from "../base/index.ts";
import { ConfigError } from "./config-error.ts";
import type { AuthConfig } from "./auth-config.ts";
import type { SecurityConfig } from "./security-config.ts";
import type { ServerUrl } from "./urls.ts";

/** One of the first members, as --initial-cluster names them. */
export interface InitialMember {
  readonly name: string;
  /** Sorted. */
  readonly peerUrls: readonly string[];
}

/** What history automatic compaction keeps; undefined where it is off. */
export type AutoCompaction =
  | { readonly kind: "periodic"; readonly retentionMs: number }
  | { readonly kind: "revision"; readonly retentionRevisions: number };

export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: "json" | "console";
  /** "stderr", "stdout", or paths of files to append to. */
  readonly outputs: readonly string[];
}

/** Where SRV records name the first members. */
export interface SrvDiscovery {
  readonly domain: string;
  /** Put behind the name of the service, with a dash; may be empty. */
  readonly serviceSuffix: string;
}

export interface ServerConfig extends AuthConfig, SecurityConfig {
  readonly name: string;
  readonly dataDir: string;
  readonly listenClientUrls: readonly ServerUrl[];
  /** When there are any, they alone serve HTTP and the client URLs gRPC alone. */
  readonly listenClientHttpUrls: readonly ServerUrl[];
  readonly listenMetricsUrls: readonly ServerUrl[];
  readonly listenPeerUrls: readonly ServerUrl[];
  /** Sorted; empty only if it was set so. */
  readonly advertiseClientUrls: readonly string[];
  /** Sorted; equal to this member's addresses in `initialCluster` when the cluster is new. */
  readonly advertisePeerUrls: readonly string[];
  /** Sorted by name; holds this member; no address stands twice. Empty with `discoverySrv`. */
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterState: "new" | "existing";
  readonly initialClusterToken: string;
  readonly discoverySrv: SrvDiscovery | undefined;

  /** 5 * heartbeatIntervalMs <= electionTimeoutMs <= 50,000. */
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  readonly initialElectionTickAdvance: boolean;
  readonly snapshotCountEntries: number;
  readonly snapshotCatchUpEntries: number;

  /** Infinity for no limit. */
  readonly quotaBytes: number;
  readonly memoryBudgetBytes: number;
  readonly txnOpsMax: number;
  readonly requestSizeBytesMax: number;
  readonly concurrentStreamsMax: number;
  readonly keepAliveMinTimeMs: number;
  /** Infinity for never. */
  readonly keepAliveIntervalMs: number;
  /** Infinity for never. */
  readonly keepAliveTimeoutMs: number;
  readonly watchProgressNotifyIntervalMs: number;
  readonly learnersMax: number;
  readonly strictReconfiguration: boolean;
  /** How often the members' stores are compared; 0 for never. */
  readonly corruptCheckMs: number;
  /** How often, if they were compacted since; 0 for never. */
  readonly compactHashCheckMs: number;
  /** Start as a cluster of this member alone, whoever else the data names. */
  readonly forceNewCluster: boolean;
  readonly autoCompaction: AutoCompaction | undefined;

  readonly jsonGateway: boolean;
  readonly grpcServer: "direct" | "grpc-js";
  /** The etcd version that clients are told, bare x.y.z. */
  readonly emulatedVersion: string;
  readonly log: LogConfig;
}

/** Smallest budget that the caches work with, bytes. */
export const memoryBudgetBytesMin = memoryBudgetBytesDefault / 16;
/** Longest --election-timeout, milliseconds (etcd's maxElectionMs). */
export const electionTimeoutMsMax = 50_000;
/** The quota when --quota-backend-bytes is 0, bytes (etcd's DefaultQuotaBytes). */
export const quotaBytesDefault = 2 * 1024 * 1024 * 1024;

/** Holds the relation of heartbeat and election timeout; the texts are etcd's. */
export function checkTimes(heartbeatIntervalMs: number, electionTimeoutMs: number): void {
  if (heartbeatIntervalMs === 0) {
    throw new ConfigError("--heartbeat-interval must be >0 (set to 0ms)");
  }
  if (electionTimeoutMs === 0) {
    throw new ConfigError("--election-timeout must be >0 (set to 0ms)");
  }
  if (5 * heartbeatIntervalMs > electionTimeoutMs) {
    throw new ConfigError(
      `--election-timeout[${electionTimeoutMs}ms] should be at least as 5 times as ` +
        `--heartbeat-interval[${heartbeatIntervalMs}ms]`,
    );
  }
  if (electionTimeoutMs > electionTimeoutMsMax) {
    throw new ConfigError(
      `--election-timeout[${electionTimeoutMs}ms] is too long, ` +
        `and should be set less than ${electionTimeoutMsMax}ms`,
    );
  }
}
