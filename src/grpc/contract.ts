// The narrow interface between the front door and the services: gRPC semantics, raw bytes.
// Both implementations (grpc-js and the direct HTTP/2 one) serve it, and one conformance suite
// runs on both. Transport only: nothing here knows of the store.

import type { Socket } from "node:net";
import type { GrpcStatus } from "../base/index.ts";
import type { ConnectionLimits } from "./limits.ts";

/**
 * Thrown or passed by a handler; becomes grpc-status and grpc-message. A handler may also throw
 * QuorateError (its own status and text) or DecodeError (INTERNAL, as grpc-go answers a request
 * that does not parse). Anything else is a programmer's error: the call is answered INTERNAL and
 * the error is thrown again outside of any call, where the process entry sees it.
 */
export class RpcError extends Error {
  override name = "RpcError";
  readonly status: GrpcStatus;

  constructor(status: GrpcStatus, message: string) {
    super(message);
    this.status = status;
  }
}

/** What every call knows. */
export interface CallContext {
  /** "/package.Service/Method". */
  readonly path: string;
  /**
   * First value of a request header (lower-case name), or undefined. A "-bin" value comes decoded
   * from base64, one character a byte (latin1).
   */
  metadata(name: string): string | undefined;
  readonly peer: PeerInfo;
  /** performance.now() by which the client wants its answer, milliseconds; undefined for none. */
  readonly deadlineMs: number | undefined;
  /** True once the client has gone or the deadline passed. */
  readonly cancelled: boolean;
  /** Runs once when the call is cancelled; at once if it already was. */
  onCancel(callback: () => void): void;
}

export interface PeerInfo {
  readonly address: string;
  /** Common name of a verified client certificate. */
  readonly certificateCommonName: string | undefined;
  /** The connection is TLS. Only known for requests that are not gRPC. */
  readonly isEncrypted?: boolean | undefined;
}

/**
 * A reply message. An array is sent as one message, its parts joined by the transport, so that
 * stored bytes can be spliced in without a copy of our own. Parts must not change afterwards.
 */
export type ReplyBytes = Uint8Array | readonly Uint8Array[];

/**
 * One request, one reply. May answer at once (the hot path makes no promise).
 *
 * A request is a view of the bytes as they came in: it stays valid, but pins up to 64 KiB, so what
 * is kept for long is copied. The same holds for the messages of streams.
 */
export type UnaryHandler = (
  request: Uint8Array,
  call: CallContext,
) => ReplyBytes | Promise<ReplyBytes>;

/** The server's end of a streaming call. */
export interface StreamCall extends CallContext {
  /** Set once, synchronously, by the handler. */
  onMessage(callback: (message: Uint8Array) => void): void;
  /** The client will send no more. */
  onHalfClose(callback: () => void): void;
  /** Queues one message; false asks to wait for `onDrain` (the message is taken all the same). */
  write(message: ReplyBytes): boolean;
  onDrain(callback: () => void): void;
  /** Bytes queued and not yet taken by the connection. */
  readonly queuedBytes: number;
  /** Stop and resume taking messages from the client. */
  pause(): void;
  resume(): void;
  /** Ends the call; without an error the status is OK. Later calls do nothing. */
  end(error?: RpcError): void;
}

/** Client, server and bidi streaming alike; a server-streaming request arrives by onMessage. */
export type StreamHandler = (call: StreamCall) => void;

export type MethodHandler =
  | { readonly kind: "unary"; readonly handle: UnaryHandler }
  | { readonly kind: "stream"; readonly handle: StreamHandler };

/** Full service name, e.g. "etcdserverpb.KV", and its methods by name. */
export interface Service {
  readonly name: string;
  readonly methods: Readonly<Record<string, MethodHandler>>;
}

/** A request over HTTP/2 that is not gRPC (GET /health), its body complete. */
export interface HttpRequest {
  readonly method: string;
  /** ":path", with its query. */
  readonly path: string;
  readonly authority: string;
  /** First value of a header (lower-case name), or undefined. */
  header(name: string): string | undefined;
  readonly body: Uint8Array;
  readonly peer: PeerInfo;
  /** Calls back once when the client has gone before the reply was complete. */
  readonly onClosed?: (callback: () => void) => void;
}

export interface HttpReply {
  readonly status: number;
  /** Lower-case names; content-length is added. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

/** A reply that is written piece by piece. */
export interface HttpStreamingReply {
  readonly stream: (sink: HttpSink) => void;
}

/** Where a streaming reply goes: `start` and then pieces and `end`, or one reply in its place. */
export interface HttpSink {
  start(status: number, headers: HttpReply["headers"]): void;
  /** False asks to wait for `onDrain`. */
  write(text: string): boolean;
  end(): void;
  replyInstead(reply: HttpReply): void;
  onDrain(callback: () => void): void;
  /** Bytes written that the connection has not taken. */
  readonly queuedBytes: number;
}

export type HttpAnswer = HttpReply | HttpStreamingReply;

export interface GrpcServerOptions {
  /** Largest request message, bytes. */
  readonly receiveMessageBytesMax: number;
  readonly concurrentStreamsMax: number;
  /** Client pings faster than this are answered with GOAWAY too_many_pings, milliseconds. */
  readonly keepAliveMinTimeMs: number;
  /** Idle time before the server pings, and how long it waits for the answer, milliseconds. */
  readonly keepAliveIntervalMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Called for each finished call, for metrics. */
  readonly onCallEnd?: ((path: string, status: GrpcStatus, elapsedMs: number) => void) | undefined;
  /** Called with byte counts read from and written to clients, for metrics. */
  readonly onTraffic?: ((receivedBytes: number, sentBytes: number) => void) | undefined;
  /** Bounds of a connection other than the defaults. Only the direct implementation has them. */
  readonly limits?: Partial<ConnectionLimits> | undefined;
  /**
   * Answers requests whose content-type is not gRPC's; without it they get 415, as from grpc-go.
   * Only the direct implementation has it.
   */
  readonly onHttpRequest?: ((request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>) | undefined;
}

/** A server that is given connections, already known to speak HTTP/2. */
export interface GrpcServer {
  register(service: Service): void;
  /** Takes over a connected socket (plain or TLS) whose first bytes are an HTTP/2 preface. */
  accept(socket: Socket): void;
  /** Sends GOAWAY, lets calls finish for `graceMs`, then closes what is left. Idempotent. */
  close(graceMs: number): Promise<void>;
}
