// The direct implementation's sockets and clocks: each accepted socket drives one Connection.
//
// Frames that a chunk caused leave at the end of that chunk, in one write. Frames that handlers
// cause later leave when the current turn's microtasks are done, again in one write for all of
// them. While the socket has not taken a write, the next one gathers.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Call } from "./call.ts";
import { Connection, type ConnectionHost, type ConnectionShared } from "./connection.ts";
import type { GrpcServer, GrpcServerOptions, PeerInfo, Service } from "./contract.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { ConnectionError, errorCode } from "./frame.ts";
import { FrameHandler } from "./frame-handler.ts";
import { type ConnectionLimits, connectionLimits } from "./limits.ts";
import { Router } from "./request-head.ts";
import { StallWatch } from "./stall-watch.ts";

/** How long a closing socket may take to deliver its last bytes. */
const lingerMs = 1_000;
/** How long a client may take to acknowledge that the server is going away. */
const drainAckMs = 1_000;
const tickMsMax = 1_000;
const tickMsMin = 10;

function peerOf(socket: Socket): PeerInfo {
  const address = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`;
  const isEncrypted = socket instanceof TLSSocket;
  if (!isEncrypted || !socket.authorized) {
    return { address, certificateCommonName: undefined, isEncrypted };
  }
  const name: string | string[] | undefined = socket.getPeerCertificate().subject?.CN;
  return { address, certificateCommonName: Array.isArray(name) ? name[0] : name, isEncrypted };
}

/** One socket and its connection. */
class SocketConnection implements ConnectionHost {
  readonly peer: PeerInfo;
  readonly connection: Connection;
  readonly stall: StallWatch;
  readonly #server: DirectServer;
  readonly #socket: Socket;
  readonly #frames: FrameHandler;
  /** A write is under way that the socket has not taken wholly. */
  #writing = false;
  #closeWanted = false;

  constructor(server: DirectServer, shared: ConnectionShared, socket: Socket) {
    this.#server = server;
    this.#socket = socket;
    this.peer = peerOf(socket);
    const nowMs = performance.now();
    this.connection = new Connection(shared, this, nowMs);
    this.#frames = new FrameHandler(this.connection);
    this.stall = new StallWatch(this.connection, this.#frames, nowMs);
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("end", () => this.#ended());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#gone());
    socket.resume();
  }

  #receive(chunk: Uint8Array): void {
    const { onTraffic } = this.#server.options;
    onTraffic?.(chunk.length, 0);
    const nowMs = performance.now();
    this.stall.heard(nowMs);
    this.#frames.receive(chunk, nowMs);
    // Whatever the chunk caused leaves now, without waiting for the turn to end.
    this.#flush();
  }

  wantFlush(): void {
    process.nextTick(this.#flushLater);
  }

  readonly #flushLater = (): void => this.#flush();

  #flush(): void {
    const { connection } = this;
    const { writer } = connection.sender;
    while (!this.#writing) {
      if (writer.length === 0) {
        connection.flushed(true);
        if (writer.length === 0) {
          break;
        }
      }
      this.#write(writer.take());
      connection.flushed(!this.#writing);
    }
    if (this.#closeWanted && !this.#writing) {
      this.#end();
    }
  }

  #write(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      return;
    }
    let bytes = 0;
    if (chunks.length > 1) {
      socket.cork();
    }
    let left = chunks.length;
    for (const chunk of chunks) {
      bytes += chunk.length;
      left--;
      if (left === 0) {
        socket.write(chunk, this.#written);
      } else {
        socket.write(chunk);
      }
    }
    if (chunks.length > 1) {
      socket.uncork();
    }
    this.#writing = socket.writableLength > 0;
    this.#server.options.onTraffic?.(0, bytes);
  }

  readonly #written = (): void => {
    if (this.#writing && this.#socket.writableLength === 0) {
      this.#writing = false;
      this.connection.nowMs = performance.now();
      this.connection.flushed(true);
      this.#flush();
    }
  };

  wantClose(): void {
    this.#closeWanted = true;
    this.wantFlush();
  }

  #end(): void {
    if (!this.#socket.writableEnded) {
      this.#socket.end();
      setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    }
  }

  /** The client has closed its side: there is nobody to answer. */
  #ended(): void {
    this.connection.gone();
    this.#end();
  }

  #gone(): void {
    this.connection.gone();
    this.#server.forget(this);
  }

  watchDeadline(call: Call): void {
    this.#server.deadlines.add(call);
  }

  forgetDeadline(call: Call): void {
    this.#server.deadlines.remove(call);
  }

  /** Time passes: ends a connection that has used it up. */
  tick(nowMs: number): void {
    const error = this.stall.check(nowMs, this.#writing);
    if (error === "drop") {
      this.drop();
    } else if (error !== undefined) {
      this.connection.nowMs = nowMs;
      this.connection.fail(error);
    }
  }

  /** Closes without a word. */
  drop(): void {
    this.connection.gone();
    this.#socket.destroy();
  }
}

export class DirectServer implements GrpcServer {
  readonly options: GrpcServerOptions;
  readonly deadlines = new DeadlineWheel();
  readonly #shared: ConnectionShared;
  readonly #connections = new Set<SocketConnection>();
  readonly #timer: ReturnType<typeof setInterval>;
  #closing: Promise<void> | undefined;
  #allClosed: (() => void) | undefined;

  constructor(options: GrpcServerOptions) {
    this.options = options;
    const limits = { ...connectionLimits, ...options.limits };
    this.#shared = { options, limits, router: new Router() };
    this.#timer = setInterval(() => this.#tick(), tickMs(options, limits));
    this.#timer.unref();
  }

  register(service: Service): void {
    this.#shared.router.register(service);
  }

  accept(socket: Socket): void {
    if (socket.destroyed || this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    this.#connections.add(new SocketConnection(this, this.#shared, socket));
  }

  forget(connection: SocketConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) {
      this.#allClosed?.();
    }
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    for (const { connection } of this.#connections) {
      connection.drain();
    }
    const finish = setTimeout(() => {
      for (const { connection } of this.#connections) {
        connection.finishDrain();
      }
    }, drainAckMs);
    const force = setTimeout(() => {
      for (const { connection } of this.#connections) {
        connection.fail(new ConnectionError(errorCode.noError, "server is stopping"));
      }
    }, graceMs);
    const cut = setTimeout(() => {
      for (const connection of this.#connections) {
        connection.drop();
      }
    }, graceMs + lingerMs);
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#allClosed = resolve;
      });
    }
    for (const timer of [finish, force, cut]) {
      clearTimeout(timer);
    }
    clearInterval(this.#timer);
    this.deadlines.stop();
  }

  #tick(): void {
    const nowMs = performance.now();
    let buffered = 0;
    for (const connection of this.#connections) {
      connection.tick(nowMs);
      buffered += connection.connection.bufferedBytes;
    }
    if (buffered > this.#shared.limits.serverBufferedBytesMax) {
      this.#shed(buffered);
    }
  }

  /** Too much is buffered in all: closes those that have stalled longest, until it is not. */
  #shed(buffered: number): void {
    let left = buffered;
    const holding = [...this.#connections].filter((one) => one.connection.bufferedBytes > 0);
    holding.sort((a, b) => a.stall.progressMs - b.stall.progressMs);
    for (const one of holding) {
      if (left <= this.#shared.limits.serverBufferedBytesMax) {
        return;
      }
      left -= one.connection.bufferedBytes;
      one.drop();
    }
  }
}

/** Often enough for the shortest of the timeouts. */
function tickMs(options: GrpcServerOptions, limits: ConnectionLimits): number {
  const shortest = Math.min(
    options.keepAliveIntervalMs,
    options.keepAliveTimeoutMs,
    limits.prefaceTimeoutMs,
    limits.idleTimeoutMs,
    limits.settingsAckTimeoutMs,
    limits.partialFrameTimeoutMs,
    limits.stalledTimeoutMs,
    limits.stalledAnyTimeoutMs,
  );
  return Math.max(tickMsMin, Math.min(tickMsMax, shortest / 5));
}
