// Starts a node and its front doors from a ServerConfig.

import type { Serve } from "./lifecycle.ts";

/** Composes storage, node, peers and services, and listens. */
export const serve: Serve = (config) =>
  Promise.reject(new Error(`${config.name}: the node is not composed yet`));
