// The door to the composition, which is loaded only when a server is started: reading flags must
// not wait for it.

import type { Logger } from "../base/index.ts";
import type { ServerConfig } from "./config.ts";
import type { MemberServer, ServerParts } from "./member-server.ts";

/**
 * Opens the member, listens, and resolves once it serves clients. Rejects with ConfigError,
 * StorageError or ListenError, in words for the operator.
 */
export async function startServer(
  config: ServerConfig,
  logger: Logger,
  parts: ServerParts = {},
): Promise<MemberServer> {
  const composition = await import("./member-server.ts");
  return composition.startServer(config, logger, parts);
}
