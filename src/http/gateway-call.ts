// Calls that came as JSON, as the services see them.

import { concatBytes, grpcStatus, type GrpcStatus, utf8 } from "../base/index.ts";
import type {
  CallContext,
  HttpReply,
  ReplyBytes,
  RpcError,
  StreamCall,
  StreamHandler,
} from "../grpc/contract.ts";
import type { MethodDescriptor } from "../wire/index.ts";
import { JsonError, jsonToMessage, messageToJson } from "./json.ts";
import type { DoorRequest, StreamSink } from "./reply.ts";

/** An error as the gateway answers it. */
export interface Failure {
  readonly status: GrpcStatus;
  readonly message: string;
}

/** HTTP's status for each code, as grpc-gateway has it. */
const httpStatuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];
export const jsonType = ["content-type", "application/json"] as const;

/** One request message from its JSON text. Throws JsonError. */
export function messageFrom(text: string, { request }: MethodDescriptor): Uint8Array {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new JsonError(error instanceof Error ? error.message : "not JSON");
  }
  return jsonToMessage(request, value);
}

/** A reply message as JSON. */
export function jsonOf(reply: ReplyBytes, { response }: MethodDescriptor): object {
  return messageToJson(response, reply instanceof Uint8Array ? reply : concatBytes(reply));
}

/** Errors that are answers carry a gRPC status; any other goes on to the server's log. */
export function failureOf(error: unknown): Failure {
  if (error instanceof JsonError) {
    return { status: grpcStatus.invalidArgument, message: error.message };
  }
  if (error instanceof Error && "status" in error && typeof error.status === "number") {
    return { status: error.status as GrpcStatus, message: error.message };
  }
  throw error;
}

export function failureBody({ status, message }: Failure): object {
  return { code: status, message, details: [] };
}

export function failureReply(failure: Failure): HttpReply {
  return {
    status: httpStatuses[failure.status] ?? 500,
    headers: [jsonType],
    body: utf8(JSON.stringify(failureBody(failure))),
  };
}

/** What a service sees of a call that came as JSON. */
export class GatewayCall implements CallContext {
  readonly path: string;
  readonly deadlineMs = undefined;
  readonly #request: DoorRequest;
  readonly #startedMs = performance.now();
  readonly #cancelCallbacks: (() => void)[] = [];
  #cancelled = false;

  constructor(path: string, request: DoorRequest) {
    this.path = path;
    this.#request = request;
    request.onClosed?.(() => {
      this.#cancelled = true;
      for (const callback of this.#cancelCallbacks) {
        callback();
      }
    });
  }

  /** The name in a client's certificate is not taken for a user here, as in etcd. */
  get peer(): CallContext["peer"] {
    return { ...this.#request.peer, certificateCommonName: undefined };
  }
  get cancelled(): boolean {
    return this.#cancelled;
  }
  get elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** The token's header passes as it is; others by grpc-gateway's prefix. */
  metadata(name: string): string | undefined {
    return name === "authorization"
      ? this.#request.header(name)
      : this.#request.header(`grpc-metadata-${name}`);
  }

  onCancel(callback: () => void): void {
    if (this.#cancelled) {
      callback();
    } else {
      this.#cancelCallbacks.push(callback);
    }
  }
}

/** Where a stream's requests come from, as far as it can be told to wait. */
export interface RequestSource {
  pause(): void;
  resume(): void;
}

/** A streaming call whose requests and answers are JSON; every answer is one line. */
export class GatewayStream implements StreamCall {
  readonly #call: GatewayCall;
  readonly #handle: StreamHandler;
  readonly #descriptor: MethodDescriptor;
  readonly #source: RequestSource;
  readonly #sink: StreamSink;
  readonly #onEnd: (status: GrpcStatus) => void;
  #started = false;
  #ended = false;
  #onMessage: (message: Uint8Array) => void = () => {};
  #onHalfClose: () => void = () => {};
  #onDrain: () => void = () => {};

  /** `onEnd` is told of the call's end, once. */
  constructor(
    call: GatewayCall,
    handle: StreamHandler,
    descriptor: MethodDescriptor,
    [source, sink]: readonly [RequestSource, StreamSink],
    onEnd: (status: GrpcStatus) => void,
  ) {
    this.#call = call;
    this.#handle = handle;
    this.#descriptor = descriptor;
    this.#source = source;
    this.#sink = sink;
    this.#onEnd = onEnd;
  }

  /** Begins the call: once, before any message. */
  begin(): void {
    this.#sink.onDrain(() => this.#onDrain());
    this.#call.onCancel(() => this.#finish(grpcStatus.cancelled));
    this.#handle(this);
  }

  receive(message: Uint8Array): void {
    if (!this.#ended) {
      this.#onMessage(message);
    }
  }

  halfClose(): void {
    if (!this.#ended) {
      this.#onHalfClose();
    }
  }

  get path(): string {
    return this.#call.path;
  }
  get peer(): CallContext["peer"] {
    return this.#call.peer;
  }
  get deadlineMs(): undefined {
    return undefined;
  }
  get cancelled(): boolean {
    return this.#call.cancelled;
  }
  get queuedBytes(): number {
    return this.#sink.queuedBytes;
  }
  metadata(name: string): string | undefined {
    return this.#call.metadata(name);
  }
  onCancel(callback: () => void): void {
    this.#call.onCancel(callback);
  }
  onMessage(callback: (message: Uint8Array) => void): void {
    this.#onMessage = callback;
  }
  onHalfClose(callback: () => void): void {
    this.#onHalfClose = callback;
  }
  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }
  pause(): void {
    this.#source.pause();
  }
  resume(): void {
    this.#source.resume();
  }

  write(message: ReplyBytes): boolean {
    return this.#ended || this.#line({ result: jsonOf(message, this.#descriptor) });
  }

  end(error?: RpcError): void {
    this.fail(error);
  }

  /** Ends the call from this side, as the service does with `end`. */
  fail(failure: Failure | undefined): void {
    if (this.#ended) {
      return;
    }
    if (failure !== undefined && !this.#started) {
      this.#sink.replyInstead(failureReply(failure));
    } else {
      if (failure !== undefined) {
        this.#line({ error: failureBody(failure) });
      }
      this.#start();
      this.#sink.end();
    }
    this.#finish(failure?.status ?? grpcStatus.ok);
  }

  #line(value: object): boolean {
    this.#start();
    return this.#sink.write(`${JSON.stringify(value)}\n`);
  }

  #start(): void {
    if (!this.#started) {
      this.#started = true;
      this.#sink.start(200, [jsonType]);
    }
  }

  #finish(status: GrpcStatus): void {
    if (!this.#ended) {
      this.#ended = true;
      this.#onEnd(status);
    }
  }
}
