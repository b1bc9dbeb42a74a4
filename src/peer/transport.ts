// Where sockets come from: plain TCP for http URLs, TLS (tls-transport.ts) for https ones.

import { connect, createServer, Socket } from "node:net";
import type { Server } from "node:net";

export interface PeerListener {
  /** `host:port`, with the port that was given when 0 was asked for. */
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

export interface PeerTransport {
  /**
   * A socket that is connecting: `onConnected` is called once bytes may be written, or the socket
   * emits `error` and `close`.
   */
  connect(url: string, onConnected: () => void): Socket;
  listen(url: string, onSocket: (socket: Socket) => void): Promise<PeerListener>;
}

/** Host and port of `http://host:port` or `https://host:port`. Throws TypeError for nonsense. */
export function hostAndPort(url: string): { readonly host: string; readonly port: number } {
  const parsed = new URL(url);
  const port = Number(parsed.port || (parsed.protocol === "https:" ? 443 : 80));
  return { host: parsed.hostname.replace(/^\[(.*)\]$/, "$1"), port };
}

export const tcpTransport: PeerTransport = {
  connect(url, onConnected) {
    const { host, port } = hostAndPort(url);
    if (url.startsWith("https:")) {
      return new Socket().destroy(new Error("this member has no certificates for https"));
    }
    return connect({ host, port, noDelay: true, keepAlive: true }, onConnected);
  },
  listen(url, onSocket) {
    const server = createServer({ noDelay: true, keepAlive: true }, onSocket);
    return listenOn(server, url);
  },
};

export async function listenOn(server: Server, url: string): Promise<PeerListener> {
  const { host, port } = hostAndPort(url);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const bound = server.address();
  const boundPort = typeof bound === "object" && bound !== null ? bound.port : port;
  return {
    address: `${host}:${boundPort}`,
    port: boundPort,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
