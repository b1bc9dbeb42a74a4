// Whether the addresses of a server can be had, before it makes its data directory: a member that
// cannot listen must leave nothing behind. Another program may still come in between; then the
// listener itself fails, later.

import { createServer } from "node:net";
import { clearStaleSocket } from "../grpc/index.ts";
import type { ServerConfig } from "./config.ts";
import { isUnixSocket } from "./urls.ts";

/** Rejects with the system's error for the first address that cannot be listened on. */
export async function checkPorts(config: ServerConfig): Promise<void> {
  const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls, listenPeerUrls } = config;
  const places = new Map<string, { readonly host: string; readonly port: number }>();
  for (const urls of [listenPeerUrls, listenClientUrls, listenClientHttpUrls, listenMetricsUrls]) {
    for (const url of urls) {
      const { host, port } = url;
      if (isUnixSocket(url)) {
        await clearStaleSocket(host);
      } else if (port !== 0) {
        // Port 0 is any free one.
        places.set(`${host} ${port}`, { host, port });
      }
    }
  }
  for (const place of places.values()) {
    await new Promise<void>((resolve, reject) => {
      const server = createServer();
      server.once("error", reject);
      server.listen(place, () => server.close(() => resolve()));
    });
  }
}
