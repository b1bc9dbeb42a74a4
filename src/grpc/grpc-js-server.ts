// The contract on @grpc/grpc-js: the second implementation, kept to check the direct one against.
// Its limits: about 20,000 unary calls a second, no bound of its own on resets, pings or floods
// beyond node:http2's, and no answer to plain HTTP/2 requests.

import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { type GrpcStatus, grpcStatus } from "../base/index.ts";
import type {
  CallContext,
  GrpcServer,
  GrpcServerOptions,
  PeerInfo,
  ReplyBytes,
  RpcError,
  Service,
  StreamCall,
  StreamHandler,
  UnaryHandler,
} from "./contract.ts";
import { rpcErrorFrom } from "./handler-error.ts";
import { streamQueueBytesMax } from "./limits.ts";

type Surface = ServerUnaryCall<Uint8Array, Buffer> | ServerDuplexStream<Uint8Array, Buffer>;

function identity(bytes: Buffer): Buffer {
  return bytes;
}

function joined(reply: ReplyBytes): Buffer {
  if (reply instanceof Uint8Array) {
    return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength);
  }
  return Buffer.concat(reply);
}

function peerOf(call: Surface): PeerInfo {
  const name = call.getAuthContext().sslPeerCertificate?.subject.CN;
  return {
    address: call.getPeer(),
    certificateCommonName: Array.isArray(name) ? name[0] : name,
  };
}

/** Milliseconds from Date.now() time to performance.now() time. */
function toMonotonic(deadline: Date | number): number | undefined {
  const wallMs = deadline instanceof Date ? deadline.getTime() : deadline;
  return Number.isFinite(wallMs) ? performance.now() + wallMs - Date.now() : undefined;
}

class GrpcJsCall implements CallContext {
  readonly path: string;
  readonly deadlineMs: number | undefined;
  readonly #call: Surface;
  readonly #startedMs = performance.now();
  #peer: PeerInfo | undefined;
  #finished = false;
  #cancelled = false;
  #cancelCallbacks: (() => void)[] = [];
  readonly #onCallEnd: GrpcServerOptions["onCallEnd"];

  constructor(call: Surface, onCallEnd: GrpcServerOptions["onCallEnd"]) {
    this.#call = call;
    this.#onCallEnd = onCallEnd;
    this.path = call.getPath();
    this.deadlineMs = toMonotonic(call.getDeadline());
    call.on("cancelled", () => this.#cancel());
  }

  get peer(): PeerInfo {
    this.#peer ??= peerOf(this.#call);
    return this.#peer;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get finished(): boolean {
    return this.#finished;
  }

  metadata(name: string): string | undefined {
    const value = this.#call.metadata.get(name)[0];
    return typeof value === "object" ? value.toString("latin1") : value;
  }

  onCancel(callback: () => void): void {
    if (this.#cancelled) {
      callback();
    } else if (!this.#finished) {
      this.#cancelCallbacks.push(callback);
    }
  }

  /** Reports the end once; false when it was reported before. */
  finish(status: GrpcStatus): boolean {
    if (this.#finished) {
      return false;
    }
    this.#finished = true;
    this.#onCallEnd?.(this.path, status, performance.now() - this.#startedMs);
    return true;
  }

  #cancel(): void {
    const late = this.deadlineMs !== undefined && performance.now() >= this.deadlineMs;
    if (!this.finish(late ? grpcStatus.deadlineExceeded : grpcStatus.cancelled)) {
      return;
    }
    this.#cancelled = true;
    const callbacks = this.#cancelCallbacks;
    this.#cancelCallbacks = [];
    for (const callback of callbacks) {
      callback();
    }
  }
}

class GrpcJsStreamCall extends GrpcJsCall implements StreamCall {
  readonly #stream: ServerDuplexStream<Uint8Array, Buffer>;
  #queuedBytes = 0;
  #needDrain = false;
  #onDrain: (() => void) | undefined;

  constructor(
    stream: ServerDuplexStream<Uint8Array, Buffer>,
    onCallEnd: GrpcServerOptions["onCallEnd"],
  ) {
    super(stream, onCallEnd);
    this.#stream = stream;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  onMessage(callback: (message: Uint8Array) => void): void {
    this.#stream.on("data", (message: Uint8Array) => {
      if (!this.finished) {
        callback(message);
      }
    });
  }

  onHalfClose(callback: () => void): void {
    this.#stream.on("end", () => {
      if (!this.finished) {
        callback();
      }
    });
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  write(message: ReplyBytes): boolean {
    if (this.finished) {
      return true;
    }
    const bytes = joined(message);
    this.#queuedBytes += bytes.length;
    this.#stream.write(bytes, () => this.#written(bytes.length));
    this.#needDrain ||= this.#queuedBytes > streamQueueBytesMax;
    return !this.#needDrain;
  }

  #written(length: number): void {
    this.#queuedBytes -= length;
    if (this.#needDrain && this.#queuedBytes <= streamQueueBytesMax / 2) {
      this.#needDrain = false;
      if (!this.finished) {
        this.#onDrain?.();
      }
    }
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(error?: RpcError): void {
    if (!this.finish(error?.status ?? grpcStatus.ok)) {
      return;
    }
    if (error === undefined) {
      this.#stream.end();
    } else {
      this.#stream.emit("error", { code: error.status, details: error.message });
    }
  }
}

export class GrpcJsServer implements GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Server;
  readonly #inject: (connection: Duplex) => void;
  readonly #sockets = new Set<Socket>();
  #closing: Promise<void> | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#server = new Server({
      "grpc.max_receive_message_length": options.receiveMessageBytesMax,
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": options.concurrentStreamsMax,
      "grpc.keepalive_time_ms": options.keepAliveIntervalMs,
      "grpc.keepalive_timeout_ms": options.keepAliveTimeoutMs,
      "grpc.enable_channelz": 0,
    });
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#inject = (connection) => injector.injectConnection(connection);
  }

  register(service: Service): void {
    for (const [name, method] of Object.entries(service.methods)) {
      const path = `/${service.name}/${name}`;
      if (method.kind === "unary") {
        const handler = this.#unary(method.handle);
        this.#server.register(path, handler, identity, identity, "unary");
      } else {
        this.#server.register(path, this.#stream(method.handle), identity, identity, "bidi");
      }
    }
  }

  accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#options.onTraffic?.(socket.bytesRead, socket.bytesWritten);
    });
    socket.on("error", () => socket.destroy());
    this.#inject(socket);
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const force = setTimeout(() => {
        this.#server.forceShutdown();
        for (const socket of this.#sockets) {
          socket.destroy();
        }
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
    return this.#closing;
  }

  #unary(handle: UnaryHandler) {
    return (call: ServerUnaryCall<Uint8Array, Buffer>, callback: sendUnaryData<Buffer>): void => {
      const context = new GrpcJsCall(call, this.#options.onCallEnd);
      const fail = (thrown: unknown): void => {
        const error = rpcErrorFrom(thrown);
        if (context.finish(error.status)) {
          callback({ code: error.status, details: error.message });
        }
      };
      const reply = (bytes: ReplyBytes): void => {
        if (context.finish(grpcStatus.ok)) {
          callback(null, joined(bytes));
        }
      };
      try {
        const result = handle(call.request, context);
        if (result instanceof Promise) {
          result.then(reply, fail);
        } else {
          reply(result);
        }
      } catch (error) {
        fail(error);
      }
    };
  }

  #stream(handle: StreamHandler) {
    return (stream: ServerDuplexStream<Uint8Array, Buffer>): void => {
      const call = new GrpcJsStreamCall(stream, this.#options.onCallEnd);
      try {
        handle(call);
      } catch (error) {
        call.end(rpcErrorFrom(error));
      }
    };
  }
}
