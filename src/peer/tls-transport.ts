// Sockets between members over TLS. Which certificates, and who is let in, is the caller's to say;
// this file makes sure that no socket comes out before that was asked.

import { createServer, isIP, type Server, type Socket } from "node:net";
import {
  connect,
  type ConnectionOptions,
  createServer as createTlsServer,
  type Server as TlsServer,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import { hostAndPort, listenOn, type PeerListener, type PeerTransport } from "./transport.ts";
import { tcpTransport } from "./transport.ts";

/** Certificates and rules. */
export interface PeerTls {
  /** For the next handshake: another object whenever the certificates have changed. */
  serverOptions(): TlsOptions;
  /** For connecting to `host`; says itself what is wrong with a server, when it is. */
  clientOptions(host: string): ConnectionOptions;
  /** Why the member at the other end of an accepted socket is refused; undefined to let it in. */
  refusal(socket: TLSSocket): Promise<string | undefined>;
  /** A socket was refused, or its handshake failed. */
  onRefused(from: string, reason: string): void;
}

const handshakeMsMax = 5_000;
/** Sockets in their handshake; more are turned away. */
const handshakesMax = 256;

/** TLS for https URLs, TCP for http ones: a cluster may change from one to the other. */
export function tlsTransport(tls: PeerTls): PeerTransport {
  return {
    connect(url, onConnected) {
      if (!url.startsWith("https:")) {
        return tcpTransport.connect(url, onConnected);
      }
      const { host, port } = hostAndPort(url);
      const socket = connect({ ...tls.clientOptions(host), host, port }, onConnected);
      socket.setNoDelay(true);
      socket.setKeepAlive(true);
      return socket;
    },
    listen(url, onSocket) {
      return url.startsWith("https:")
        ? new TlsListener(tls, onSocket).listen(url)
        : tcpTransport.listen(url, onSocket);
    },
  };
}

class TlsListener {
  readonly #tls: PeerTls;
  readonly #onSocket: (socket: Socket) => void;
  /** Accepts; the one of TLS is handed its sockets and never listens. */
  readonly #server: Server;
  readonly #handshakes: TlsServer;
  /** By the address they come from: sockets that have not been let in yet. */
  readonly #waiting = new Map<string, Socket>();
  #options: TlsOptions;

  constructor(tls: PeerTls, onSocket: (socket: Socket) => void) {
    this.#tls = tls;
    this.#onSocket = onSocket;
    this.#options = tls.serverOptions();
    this.#handshakes = createTlsServer({ ...this.#options, handshakeTimeout: handshakeMsMax });
    this.#handshakes.on("secureConnection", (socket) => this.#judge(socket));
    this.#handshakes.on("tlsClientError", (error, socket) => {
      const { reason = error.message } = error as Error & { readonly reason?: string };
      this.#refuse(socket, `TLS handshake failed: ${reason}`);
    });
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
      this.#accepted(socket);
    });
  }

  async listen(url: string): Promise<PeerListener> {
    const listener = await listenOn(this.#server, url);
    return {
      ...listener,
      close: () => {
        const closed = listener.close();
        for (const socket of this.#waiting.values()) {
          socket.destroy();
        }
        return closed;
      },
    };
  }

  #accepted(socket: Socket): void {
    if (this.#waiting.size >= handshakesMax) {
      socket.destroy();
      return;
    }
    const from = originOf(socket);
    this.#waiting.set(from, socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#waiting.delete(from));
    const options = this.#tls.serverOptions();
    if (options !== this.#options) {
      this.#options = options;
      this.#handshakes.setSecureContext(options);
    }
    this.#handshakes.emit("connection", socket);
  }

  #judge(socket: TLSSocket): void {
    const onError = (): void => {
      socket.destroy();
    };
    socket.on("error", onError);
    this.#tls.refusal(socket).then(
      (reason) => {
        if (reason !== undefined) {
          this.#refuse(socket, reason);
        } else if (!socket.destroyed) {
          this.#waiting.delete(originOf(socket));
          this.#onSocket(socket);
          socket.off("error", onError);
        }
      },
      (error: unknown) => {
        this.#refuse(socket, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #refuse(socket: TLSSocket, reason: string): void {
    // The TCP socket below still knows its address when the handshake has failed; the field is not
    // documented, and without it no address is told.
    const { _parent: below } = socket as TLSSocket & { readonly _parent?: Socket | null };
    this.#tls.onRefused(originOf(below ?? socket), reason);
    socket.destroy();
  }
}

function originOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${isIP(remoteAddress) === 6 ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
}
