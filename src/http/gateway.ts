// The JSON gateway: POST /v3/... with a request as JSON, answered as JSON, as etcd's gateway does.
//
// It calls the services as the gRPC transport does, so every check and error is theirs. A streaming
// method answers with lines of {"result": ...} for as long as it lives; its requests are the JSON
// texts of the body. What begins with /v3beta/ means the same.
//
// Limits: a request's body is read whole before anything is done, so a client cannot keep adding
// requests to a stream; streams need HTTP/1.1; no websockets.

import { concatBytes, grpcStatus, type GrpcStatus, utf8 } from "../base/index.ts";
import type {
  CallContext,
  HttpReply,
  MethodHandler,
  ReplyBytes,
  RpcError,
  Service,
  StreamCall,
  StreamHandler,
  UnaryHandler,
} from "../grpc/contract.ts";
import { type MethodDescriptor, serviceDescriptors } from "../wire/index.ts";
import { gatewayRoutes } from "./gateway-routes.ts";
import { JsonError, jsonToMessage, messageToJson, splitJson } from "./json.ts";
import type { DoorRequest, DoorReply, StreamingReply, StreamSink } from "./reply.ts";

export interface GatewayOptions {
  /** The services of the API. */
  readonly services: readonly Service[];
  /** Told of each call's end, as the gRPC server tells. */
  readonly onCallEnd: (path: string, status: GrpcStatus, elapsedMs: number) => void;
}

interface Failure {
  readonly status: GrpcStatus;
  readonly message: string;
}

/** HTTP's status for each code, as grpc-gateway has it. */
const httpStatuses: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];
const prefixes = ["/v3/", "/v3beta/"];
const jsonType = ["content-type", "application/json"] as const;

export class Gateway {
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** Answers a path below /v3/, or undefined for any other. */
  handle(path: string, request: DoorRequest): DoorReply | Promise<DoorReply> | undefined {
    const prefix = prefixes.find((each) => path.startsWith(each));
    if (prefix === undefined) {
      return undefined;
    }
    const [service, method] = gatewayRoutes[path.slice(prefix.length)] ?? [];
    const handler = this.#options.services.find(({ name }) => name === service)?.methods[
      method ?? ""
    ];
    const descriptor = serviceDescriptors[service ?? ""]?.[method ?? ""];
    if (handler === undefined || descriptor === undefined) {
      return failureReply({ status: grpcStatus.notFound, message: "Not Found" });
    }
    if (request.method !== "POST") {
      return failureReply({ status: grpcStatus.unimplemented, message: "Method Not Allowed" });
    }
    return this.#call(`/${service}/${method}`, handler, descriptor, request);
  }

  #call(
    path: string,
    handler: MethodHandler,
    descriptor: MethodDescriptor,
    request: DoorRequest,
  ): DoorReply | Promise<DoorReply> {
    let messages: Uint8Array[];
    try {
      messages = requestMessages(descriptor, request);
    } catch (error) {
      return failureReply(failureOf(error));
    }
    const call = new GatewayCall(path, request);
    if (handler.kind === "unary") {
      return this.#unary(call, handler.handle, messages, descriptor.response);
    }
    return new GatewayStream(call, handler.handle, messages, descriptor.response, (status) =>
      this.#options.onCallEnd(path, status, call.elapsedMs),
    ).reply();
  }

  async #unary(
    call: GatewayCall,
    handle: UnaryHandler,
    messages: readonly Uint8Array[],
    responseType: string,
  ): Promise<HttpReply> {
    try {
      const reply = await handle(messages[0] ?? new Uint8Array(0), call);
      const json = JSON.stringify(messageToJson(responseType, joined(reply)));
      this.#options.onCallEnd(call.path, grpcStatus.ok, call.elapsedMs);
      return { status: 200, headers: [jsonType], body: utf8(json) };
    } catch (error) {
      const failure = failureOf(error);
      this.#options.onCallEnd(call.path, failure.status, call.elapsedMs);
      return failureReply(failure);
    }
  }
}

/** The messages of a body; an empty body is an empty request. */
function requestMessages(descriptor: MethodDescriptor, { body }: DoorRequest): Uint8Array[] {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8").trim();
  const texts = descriptor.requestStream ? splitJson(text) : [text === "" ? "{}" : text];
  return texts.map((each) => jsonToMessage(descriptor.request, parsed(each)));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new JsonError(error instanceof Error ? error.message : "not JSON");
  }
}

function joined(reply: ReplyBytes): Uint8Array {
  return reply instanceof Uint8Array ? reply : concatBytes(reply);
}

/** Errors that are answers carry a gRPC status; any other goes on to the server's log. */
function failureOf(error: unknown): Failure {
  if (error instanceof JsonError) {
    return { status: grpcStatus.invalidArgument, message: error.message };
  }
  if (error instanceof Error && "status" in error && typeof error.status === "number") {
    return { status: error.status as GrpcStatus, message: error.message };
  }
  throw error;
}

function failureBody({ status, message }: Failure): object {
  return { code: status, message, details: [] };
}

function failureReply(failure: Failure): HttpReply {
  return {
    status: httpStatuses[failure.status] ?? 500,
    headers: [jsonType],
    body: utf8(JSON.stringify(failureBody(failure))),
  };
}

/** What a service sees of a call that came as JSON. */
class GatewayCall implements CallContext {
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

  get peer(): CallContext["peer"] {
    return this.#request.peer;
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

/** A streaming call whose answers are lines of JSON. */
class GatewayStream implements StreamCall {
  readonly #call: GatewayCall;
  readonly #handle: StreamHandler;
  readonly #messages: readonly Uint8Array[];
  readonly #responseType: string;
  readonly #onEnd: (status: GrpcStatus) => void;
  #sink: StreamSink | undefined;
  #started = false;
  #ended = false;
  #onMessage: (message: Uint8Array) => void = () => {};
  #onHalfClose: () => void = () => {};
  #onDrain: () => void = () => {};

  constructor(
    call: GatewayCall,
    handle: StreamHandler,
    messages: readonly Uint8Array[],
    responseType: string,
    onEnd: (status: GrpcStatus) => void,
  ) {
    this.#call = call;
    this.#handle = handle;
    this.#messages = messages;
    this.#responseType = responseType;
    this.#onEnd = onEnd;
  }

  reply(): StreamingReply {
    return { stream: (sink) => this.#run(sink) };
  }

  #run(sink: StreamSink): void {
    this.#sink = sink;
    sink.onDrain(() => this.#onDrain());
    this.#call.onCancel(() => this.#finish(grpcStatus.cancelled));
    this.#handle(this);
    for (const message of this.#messages) {
      if (!this.#ended) {
        this.#onMessage(message);
      }
    }
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
    return this.#sink?.queuedBytes ?? 0;
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
  /** The requests are all here already: there is nothing to hold back. */
  pause(): void {}
  resume(): void {}

  write(message: ReplyBytes): boolean {
    if (this.#ended || this.#sink === undefined) {
      return true;
    }
    const result = messageToJson(this.#responseType, joined(message));
    return this.#line(this.#sink, { result });
  }

  end(error?: RpcError): void {
    if (this.#ended || this.#sink === undefined) {
      return;
    }
    const sink = this.#sink;
    if (error !== undefined && !this.#started) {
      sink.replyInstead(failureReply(error));
    } else {
      if (error !== undefined) {
        this.#line(sink, { error: failureBody(error) });
      }
      this.#start(sink);
      sink.end();
    }
    this.#finish(error?.status ?? grpcStatus.ok);
  }

  #line(sink: StreamSink, value: object): boolean {
    this.#start(sink);
    return sink.write(`${JSON.stringify(value)}\n`);
  }

  #start(sink: StreamSink): void {
    if (!this.#started) {
      this.#started = true;
      sink.start(200, [jsonType]);
    }
  }

  #finish(status: GrpcStatus): void {
    if (!this.#ended) {
      this.#ended = true;
      this.#onEnd(status);
    }
  }
}
