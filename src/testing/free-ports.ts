// Free TCP ports on loopback. Below the range that the system takes from for outgoing
// connections (32768 on Linux): a port from there may be gone again before a server listens.

import { createServer } from "node:net";
import type { Server } from "node:net";

const firstPort = 10_000;
const portsInAll = 22_000;
const attemptsMax = 200;

/** `count` ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  for (let attempt = 0; held.size < count; attempt++) {
    if (attempt === attemptsMax) {
      throw new Error(`found only ${held.size} of ${count} free ports`);
    }
    const port = firstPort + Math.floor(Math.random() * portsInAll);
    const server = held.has(port) ? undefined : await listen(port);
    if (server !== undefined) {
      held.set(port, server);
    }
  }
  const closed = [...held.values()].map(
    (server) => new Promise<void>((resolve) => server.close(() => resolve())),
  );
  await Promise.all(closed);
  return [...held.keys()];
}

/** Undefined when the port is taken. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
