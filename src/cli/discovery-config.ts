// The part of the configuration about finding the first members. Only one way may be given.

import { ConfigError } from "./config-error.ts";
import type { SettingReader } from "./setting-reader.ts";

/** Where SRV records name the first members. */
export interface SrvDiscovery {
  readonly domain: string;
  /** Put behind the name of the service, with a dash; may be empty. */
  readonly serviceSuffix: string;
}

/** Another cluster in which the first members find each other. */
export interface ServiceDiscovery {
  readonly endpoints: readonly string[];
  readonly token: string;
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
  /** Paths; empty for none. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  /** Empty for nobody. */
  readonly user: string;
  readonly password: string;
}

export interface DiscoveryConfig {
  readonly discoverySrv: SrvDiscovery | undefined;
  readonly discoveryService: ServiceDiscovery | undefined;
}

/** Throws ConfigError. */
export function readDiscovery(read: SettingReader): DiscoveryConfig {
  const service = readService(read);
  const domain = read.text("discovery-srv");
  const ways = [read.isSet("initial-cluster"), service !== undefined, domain !== ""];
  if (ways.filter((isGiven) => isGiven).length > 1) {
    throw new ConfigError(
      "multiple discovery or bootstrap flags are set. " +
        'Choose one of "initial-cluster", "discovery", "discovery-endpoints" or "discovery-srv"',
    );
  }
  return {
    discoverySrv:
      domain === "" ? undefined : { domain, serviceSuffix: read.text("discovery-srv-name") },
    discoveryService: service,
  };
}

function readService(read: SettingReader): ServiceDiscovery | undefined {
  const endpoints = read.list("discovery-endpoints");
  const token = read.text("discovery-token");
  if (endpoints.length === 0 && token === "") {
    return undefined;
  }
  if (endpoints.length === 0 || token === "") {
    throw new ConfigError("both --discovery-endpoints and --discovery-token must be set");
  }
  const [user = "", ofUser] = read.text("discovery-user").split(/:(.*)/s);
  return {
    endpoints,
    token,
    dialTimeoutMs: read.durationMs("discovery-dial-timeout"),
    requestTimeoutMs: read.durationMs("discovery-request-timeout"),
    keepAliveMs: read.durationMs("discovery-keepalive-time"),
    keepAliveTimeoutMs: read.durationMs("discovery-keepalive-timeout"),
    insecureTransport: read.bool("discovery-insecure-transport"),
    insecureSkipVerify: read.bool("discovery-insecure-skip-tls-verify"),
    certFile: read.text("discovery-cert"),
    keyFile: read.text("discovery-key"),
    caFile: read.text("discovery-cacert"),
    user,
    password: ofUser ?? read.text("discovery-password"),
  };
}
