// One client port for everything: gRPC and plain HTTP/2, HTTP/1.1, each plain or over TLS.
//
// The first bytes tell: an HTTP/2 preface goes to the GrpcServer, a capital letter to the given
// node:http server, 0x16 to TLS, whose inside is sniffed the same way. Anything else is closed,
// and so is whoever says nothing within the preface timeout.

import type { Server as HttpServer } from "node:http";
import {
  type AddressInfo,
  createServer,
  type ListenOptions,
  type Server as NetServer,
  type Socket,
} from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import type { GrpcServer } from "./contract.ts";
import { clearStaleSocket } from "./stale-socket.ts";
import { sniff } from "./sniff.ts";

export interface ClientPortOptions {
  readonly grpc: GrpcServer;
  /** Serves HTTP/1.1; never listens itself. Without it such connections are closed. */
  readonly http: HttpServer | undefined;
  /** Key, certificate and client authority; without it TLS connections are closed. */
  readonly tls: TlsOptions | TlsDoor | undefined;
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** For the first bytes and for the TLS handshake, each, milliseconds. */
  readonly prefaceTimeoutMs: number;
}

/** Certificates that may change, and rules beyond those of TLS. */
export interface TlsDoor {
  /** Asked before each handshake: another object whenever the certificates have changed. */
  serverOptions(): TlsOptions;
  /** Why a connection is closed although its handshake succeeded; undefined to take it. */
  refusal(socket: TLSSocket): string | undefined;
  /** A connection was refused, or its handshake failed. */
  onRefused(remoteAddress: string, reason: string): void;
}

/** reliability.md 4.3. A load test from one address needs `connectionsPerAddressMax` raised. */
export const clientPortLimits = {
  connectionsMax: 4_096,
  connectionsPerAddressMax: 1_024,
  prefaceTimeoutMs: 10_000,
} as const satisfies Partial<ClientPortOptions>;

const farewellMs = 100;

/** What one listening address takes. */
export interface ListenAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Of a unix socket, instead of host and port. */
  readonly path?: string | undefined;
  readonly plaintext: boolean;
  readonly tls: boolean;
}

/** A listen that failed, in words for the operator. */
export class ListenError extends Error {
  override name = "ListenError";
  /** Node's error code, e.g. "EADDRINUSE". */
  readonly code: string;

  constructor(code: string, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

const listenReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use by another process",
  EACCES: "not permitted (ports below 1024 need privilege)",
  EADDRNOTAVAIL: "no interface of this machine has that address",
  ENOTFOUND: "the host name does not resolve",
};

function listenError(error: NodeJS.ErrnoException, address: ListenAddress): ListenError {
  const code = error.code ?? "UNKNOWN";
  const reason = listenReasons[code] ?? error.message;
  const place = address.path ?? `${address.host}:${address.port}`;
  const text = `cannot listen on ${place}: ${reason}`;
  return new ListenError(code, text, error);
}

/** OpenSSL's reason alone, where there is one. */
function handshakeFailure(error: Error & { readonly reason?: string }): string {
  return `TLS handshake failed: ${error.reason ?? error.message}`;
}

/**
 * The TCP socket below, which still knows its address when a failed handshake has taken the TLS
 * socket's own. Node.js keeps it in a field that is not documented; without it no address is told.
 */
function transportOf(socket: TLSSocket & { readonly _parent?: Socket | null }): Socket {
  return socket._parent ?? socket;
}

export class ClientPort {
  readonly #options: ClientPortOptions;
  readonly #servers = new Set<NetServer>();
  readonly #tls: TlsServer | undefined;
  readonly #door: TlsDoor | undefined;
  #tlsOptions: TlsOptions | undefined;
  readonly #sockets = new Set<Socket>();
  /** Sockets that have not shown yet what they speak. */
  readonly #undecided = new Set<Socket>();
  readonly #perAddress = new Map<string, number>();
  #refusedConnections = 0;
  #closing: Promise<void> | undefined;

  constructor(options: ClientPortOptions) {
    this.#options = options;
    if (options.tls !== undefined) {
      this.#door = "refusal" in options.tls ? options.tls : undefined;
      this.#tlsOptions = "refusal" in options.tls ? options.tls.serverOptions() : options.tls;
      this.#tls = createTlsServer({
        minVersion: "TLSv1.2",
        ALPNProtocols: ["h2", "http/1.1"],
        handshakeTimeout: options.prefaceTimeoutMs,
        ...this.#tlsOptions,
      });
      this.#tls.on("secureConnection", (socket) => this.#secured(socket));
      this.#tls.on("tlsClientError", (error, socket) => {
        this.#refused(socket, handshakeFailure(error));
      });
    }
    // A node:http server starts its header and request timeouts when it listens. This one never
    // does, so it is told; without that a slow client would hold its connection for ever.
    options.http?.emit("listening");
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Connections closed at once because of a limit, since the start. */
  get refusedConnections(): number {
    return this.#refusedConnections;
  }

  /**
   * Listens on one more address; rejects with ListenError. Resolves to the address bound, port 0
   * for a unix socket. What a dead process has left of its socket is removed.
   */
  async listen(address: ListenAddress): Promise<AddressInfo> {
    const { host, port, path } = address;
    if (path !== undefined) {
      await clearStaleSocket(path);
    }
    const server = createServer({ noDelay: true }, (socket) => {
      this.#connected(socket, address);
    });
    const options: ListenOptions = path === undefined ? { host, port } : { path };
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(listenError(error, address)));
      server.listen(options, () => {
        if (this.#closing !== undefined) {
          server.close();
          reject(new ListenError("ECANCELED", "the port is closing", undefined));
          return;
        }
        this.#servers.add(server);
        const bound = server.address();
        const isTcp = typeof bound === "object" && bound !== null;
        resolve(isTcp ? bound : { address: path ?? "", family: "unix", port: 0 });
      });
    });
  }

  /** Takes a new certificate for handshakes from now on; throws what tls throws when it is bad. */
  reloadTls(options: TlsOptions): void {
    this.#tls?.setSecureContext(options);
  }

  /**
   * Stops listening at once, drains calls and requests for `graceMs`, then closes what is left.
   * Idempotent.
   */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /** Closes everything at once and says nothing, as the end of the process would. */
  abort(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    return this.close(0);
  }

  async #close(graceMs: number): Promise<void> {
    const stopped = [...this.#servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const socket of this.#undecided) {
      socket.destroy();
    }
    this.#options.http?.close();
    // A kept-alive connection becomes idle when its request is answered: ask again and again.
    const idle = setInterval(() => this.#options.http?.closeIdleConnections(), 20);
    // A little after the GrpcServer's own end, so that its last words are read.
    const force = setTimeout(() => {
      for (const socket of this.#sockets) {
        socket.destroy();
      }
    }, graceMs + farewellMs);
    await Promise.all([this.#options.grpc.close(graceMs), ...stopped]);
    clearTimeout(force);
    clearInterval(idle);
  }

  #connected(socket: Socket, address: ListenAddress): void {
    const remote = socket.remoteAddress ?? "";
    const count = this.#perAddress.get(remote) ?? 0;
    const full = this.#sockets.size >= this.#options.connectionsMax;
    if (full || count >= this.#options.connectionsPerAddressMax || this.#closing !== undefined) {
      this.#refusedConnections++;
      socket.destroy();
      return;
    }
    this.#perAddress.set(remote, count + 1);
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#disconnected(socket, remote));
    this.#sniff(socket, address.tls && this.#tls !== undefined, address.plaintext);
  }

  #shakeHands(tls: TlsServer, socket: Socket): void {
    const options = this.#door?.serverOptions() ?? this.#tlsOptions;
    if (options !== undefined && options !== this.#tlsOptions) {
      this.#tlsOptions = options;
      tls.setSecureContext(options);
    }
    tls.emit("connection", socket);
  }

  #secured(socket: TLSSocket): void {
    const reason = this.#door?.refusal(socket);
    if (reason === undefined) {
      this.#sniff(socket, false, true);
    } else {
      this.#refused(socket, reason);
    }
  }

  #refused(socket: TLSSocket, reason: string): void {
    const { remoteAddress, remotePort } = transportOf(socket);
    this.#door?.onRefused(`${remoteAddress ?? ""}:${remotePort ?? 0}`, reason);
    socket.on("error", () => undefined);
    socket.destroy();
  }

  #disconnected(socket: Socket, remote: string): void {
    this.#sockets.delete(socket);
    const left = (this.#perAddress.get(remote) ?? 1) - 1;
    if (left === 0) {
      this.#perAddress.delete(remote);
    } else {
      this.#perAddress.set(remote, left);
    }
  }

  /** Reads until the protocol is known, puts the bytes back and hands the socket over. */
  #sniff(socket: Socket, allowTls: boolean, allowPlaintext: boolean): void {
    let head: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), this.#options.prefaceTimeoutMs);
    const onEnd = (): void => {
      socket.destroy();
    };
    const onClose = (): void => {
      clearTimeout(timer);
      this.#undecided.delete(socket);
    };
    const onData = (chunk: Buffer): void => {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const protocol = sniff(head);
      if (protocol === "more") {
        return;
      }
      onClose();
      socket.off("data", onData).off("end", onEnd).off("close", onClose);
      socket.pause();
      socket.unshift(head);
      const http = this.#options.http;
      if (protocol === "tls" && allowTls && this.#tls !== undefined) {
        this.#shakeHands(this.#tls, socket);
      } else if (protocol === "http2" && allowPlaintext) {
        this.#options.grpc.accept(socket);
      } else if (protocol === "http1" && allowPlaintext && http !== undefined) {
        http.emit("connection", socket);
        socket.resume();
      } else {
        socket.destroy();
      }
    };
    this.#undecided.add(socket);
    socket.on("data", onData).on("end", onEnd).on("close", onClose);
    socket.on("error", () => socket.destroy());
  }
}
