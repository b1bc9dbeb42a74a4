// ServerConfig: everything a server is told, validated, in the units of the code. The command line
// makes it from flags, an embedder's options are made into it by node-options.ts; what it promises
// is what both have checked.

import type { JwtOptions } from "../api/index.ts";
import { ConfigError, memoryBudgetBytesDefault } from "../base/index.ts";
import type { TlsSettings } from "../tls/index.ts";
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

/** What tokens are and how long they live. */
export interface AuthConfig {
  /** Signed tokens; undefined for simple ones. */
  readonly jwt: JwtOptions | undefined;
  readonly authTokenTtlMs: number;
  readonly bcryptCost: number;
}

/** TLS, and who may call over HTTP. */
export interface SecurityConfig {
  /** Of the ports of clients; undefined when no certificate was asked for. */
  readonly clientTls: TlsSettings | undefined;
  /** Of the ports between members. */
  readonly peerTls: TlsSettings | undefined;
  readonly selfSignedValidityYears: number;
  /** Origins whose pages may call over HTTP; `*` for all. */
  readonly corsOrigins: readonly string[];
  /** Host names that plain HTTP requests may be for; `*` for all. */
  readonly hostNamesAllowed: readonly string[];
}

/** Where a server is reached, and its cluster's beginning. */
export interface ClusterConfig {
  readonly listenClientUrls: readonly ServerUrl[];
  /** When there are any, they alone serve HTTP and the client URLs gRPC alone. */
  readonly listenClientHttpUrls: readonly ServerUrl[];
  readonly listenMetricsUrls: readonly ServerUrl[];
  readonly listenPeerUrls: readonly ServerUrl[];
  /**
   * Sorted; empty only if it was set so. Port 0 stands for the one that was got where the same
   * address is listened on with port 0.
   */
  readonly advertiseClientUrls: readonly string[];
  /** Sorted; equal to this member's addresses in `initialCluster` when the cluster is new. */
  readonly advertisePeerUrls: readonly string[];
  /** Sorted by name; holds this member; no address stands twice. */
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterState: "new" | "existing";
  readonly initialClusterToken: string;
}

export interface ServerConfig extends AuthConfig, SecurityConfig, ClusterConfig {
  readonly name: string;
  /** Empty for a member in memory. */
  readonly dataDir: string;
  /** Where the write-ahead log is, when it is not in the data directory; else undefined. */
  readonly walDir: string | undefined;

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

  /** A command that takes longer to apply, and a unary call to answer, is logged. */
  readonly slowApplyMs: number;
  readonly slowRequestMs: number;
  /** Every feature gate as it is in force. */
  readonly featureGates: ReadonlyMap<string, boolean>;

  readonly jsonGateway: boolean;
  readonly grpcServer: "direct" | "grpc-js";
  /** The etcd version that clients are told, bare x.y.z. */
  readonly emulatedVersion: string;
}

/** Smallest budget that the caches work with, bytes. */
export const memoryBudgetBytesMin = memoryBudgetBytesDefault / 16;
/** Longest election timeout, milliseconds (etcd's maxElectionMs). */
export const electionTimeoutMsMax = 50_000;
/** The quota when none is given, bytes (etcd's DefaultQuotaBytes). */
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
