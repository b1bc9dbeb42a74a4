// Runs a server as a process: members found in DNS or by a discovery service, and systemd told.

import type { Logger } from "../base/index.ts";
import type { InitialMember } from "../server/index.ts";
import { startServer } from "../server/index.ts";
import type { ServerConfig } from "./config.ts";
import type { Serve } from "./lifecycle.ts";
import { notifyReady } from "./service-notify.ts";
import { discoverMembers, systemSrvResolver } from "./srv-discovery.ts";

/** Opens the member, listens, and resolves once it serves clients. */
export const serve: Serve = async (config, logger) => {
  const server = await startServer(config, logger, { findMembers: finderOf(config, logger) });
  notifyReady(logger);
  return server;
};

/** Only asked on a first start: afterwards the data names the members. */
function finderOf(
  config: ServerConfig,
  logger: Logger,
): (() => Promise<readonly InitialMember[]>) | undefined {
  const { discoveryService, discoverySrv, name, advertisePeerUrls: peerUrls } = config;
  if (discoveryService !== undefined) {
    return async () => {
      const { joinByDiscovery } = await import("./service-discovery.ts");
      return joinByDiscovery(discoveryService, { name, peerUrls }, logger);
    };
  }
  return discoverySrv && (() => discoverMembers(discoverySrv, name, peerUrls, systemSrvResolver));
}
