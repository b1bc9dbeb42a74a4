// What the command line adds to the configuration of a server: the log, and members found in DNS.

import type { ServerConfig as BareServerConfig } from "../server/index.ts";

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

/** With `discoverySrv` the initial cluster is empty: the records name it. */
export interface ServerConfig extends BareServerConfig {
  readonly discoverySrv: SrvDiscovery | undefined;
  readonly log: LogConfig;
}
