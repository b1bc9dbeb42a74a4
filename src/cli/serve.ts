// Runs a server as a process: members found in DNS, and systemd told.

import { startServer } from "../server/index.ts";
import type { Serve } from "./lifecycle.ts";
import { notifyReady } from "./service-notify.ts";
import { discoverMembers, systemSrvResolver } from "./srv-discovery.ts";

/** Opens the member, listens, and resolves once it serves clients. */
export const serve: Serve = async (config, logger) => {
  const { discoverySrv, name, advertisePeerUrls } = config;
  // Only asked on a first start: afterwards the data names the members.
  const findMembers =
    discoverySrv &&
    (() => discoverMembers(discoverySrv, name, advertisePeerUrls, systemSrvResolver));
  const server = await startServer(config, logger, { findMembers });
  notifyReady(logger);
  return server;
};
