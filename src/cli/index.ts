// cli: the two commands.
//
// `quorate` is the server: quorate.cts (thread pool) -> quorate.ts (main) -> settings.ts (flags,
// variables, file) -> build-config.ts (a ServerConfig that is checked) -> serve.ts (a server of
// src/server, systemd told) inside lifecycle.ts (signals, exit). `quoratectl` is the client: ctl/,
// which sees nothing of the server.
//
// Rules: only this folder reads process arguments and environment, and only it ends the process.
// The flag table in flags/ is the authority on every flag; docs/compatibility.md shows it.

export { buildConfig } from "./build-config.ts";
export type { LogConfig, ServerConfig } from "./config.ts";
export { ConfigError } from "./config-error.ts";
export type { RunningServer, Serve } from "./lifecycle.ts";
export { createLogger } from "./logger.ts";
export { collectSettings, parseArguments } from "./settings.ts";
