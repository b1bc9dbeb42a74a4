// What the command line adds to the configuration of a server: the log, and how members are found.

import type { DiscoveryConfig } from "./discovery-config.ts";
import type { LogRotation } from "./rotating-file.ts";
import type { ServerConfig as BareServerConfig } from "../server/index.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: "json" | "console";
  /** "stderr", "stdout", or paths of files to append to. */
  readonly outputs: readonly string[];
  /** Of the one file among them; undefined where it only grows. */
  readonly rotation: LogRotation | undefined;
}

/** Where the first members are to be discovered the initial cluster is empty. */
export interface ServerConfig extends BareServerConfig, DiscoveryConfig {
  readonly log: LogConfig;
}
