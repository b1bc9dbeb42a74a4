// The JSON gateway: POST /v3/... with a request as JSON, answered as JSON, as etcd's gateway does.
//
// It calls the services as the gRPC transport does, so every check and error is theirs. A streaming
// method answers with lines of {"result": ...} for as long as it lives; its requests are the JSON
// texts of the body. What begins with /v3beta/ or /v3alpha/ means the same, as in older etcds. Over
// a WebSocket (gateway-socket.ts) requests can be added to a stream while it lives.
//
// Limits: a request's body is read whole before anything is done.

import { grpcStatus, type GrpcStatus, utf8 } from "../base/index.ts";
import type { HttpReply, MethodHandler, Service, UnaryHandler } from "../grpc/contract.ts";
import { type MethodDescriptor, serviceDescriptors } from "../wire/index.ts";
import {
  failureOf,
  failureReply,
  GatewayCall,
  GatewayStream,
  jsonOf,
  jsonType,
  messageFrom,
  type RequestSource,
} from "./gateway-call.ts";
import { gatewayRoutes } from "./gateway-routes.ts";
import { splitJson } from "./json.ts";
import type { DoorReply, DoorRequest } from "./reply.ts";

export interface GatewayOptions {
  /** The services of the API. */
  readonly services: readonly Service[];
  /** Told of each call's end, as the gRPC server tells. */
  readonly onCallEnd: (path: string, status: GrpcStatus, elapsedMs: number) => void;
}

/** What a path of the gateway calls. */
export interface GatewayTarget {
  /** "/package.Service/Method". */
  readonly path: string;
  readonly handler: MethodHandler;
  readonly descriptor: MethodDescriptor;
}

const prefixes = ["/v3/", "/v3beta/", "/v3alpha/"];
/** The requests of a body are all here already: there is nothing to hold back. */
const wholeBody: RequestSource = { pause() {}, resume() {} };

export class Gateway {
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** Answers a path below /v3/, or undefined for any other. */
  handle(path: string, request: DoorRequest): DoorReply | Promise<DoorReply> | undefined {
    if (!prefixes.some((prefix) => path.startsWith(prefix))) {
      return undefined;
    }
    const target = this.find(path);
    if (target === undefined) {
      return failureReply({ status: grpcStatus.notFound, message: "Not Found" });
    }
    if (request.method !== "POST") {
      return failureReply({ status: grpcStatus.unimplemented, message: "Method Not Allowed" });
    }
    return this.#call(target, request);
  }

  /** The method behind a path, if there is one. */
  find(path: string): GatewayTarget | undefined {
    const prefix = prefixes.find((each) => path.startsWith(each)) ?? path;
    const [service = "", method = ""] = gatewayRoutes[path.slice(prefix.length)] ?? [];
    const handler = this.#options.services.find(({ name }) => name === service)?.methods[method];
    const descriptor = serviceDescriptors[service]?.[method];
    return handler === undefined || descriptor === undefined
      ? undefined
      : { path: `/${service}/${method}`, handler, descriptor };
  }

  /** Calls a method with one request and one reply; the reply is a failure's when it fails. */
  async unary(
    call: GatewayCall,
    handle: UnaryHandler,
    descriptor: MethodDescriptor,
    message: Uint8Array,
  ): Promise<HttpReply> {
    try {
      const json = JSON.stringify(jsonOf(await handle(message, call), descriptor));
      this.ended(call, grpcStatus.ok);
      return { status: 200, headers: [jsonType], body: utf8(json) };
    } catch (error) {
      const failure = failureOf(error);
      this.ended(call, failure.status);
      return failureReply(failure);
    }
  }

  ended(call: GatewayCall, status: GrpcStatus): void {
    this.#options.onCallEnd(call.path, status, call.elapsedMs);
  }

  #call(target: GatewayTarget, request: DoorRequest): DoorReply | Promise<DoorReply> {
    const { path, handler, descriptor } = target;
    let messages: Uint8Array[];
    try {
      messages = requestMessages(descriptor, request);
    } catch (error) {
      return failureReply(failureOf(error));
    }
    const call = new GatewayCall(path, request);
    if (handler.kind === "unary") {
      return this.unary(call, handler.handle, descriptor, messages[0] ?? new Uint8Array(0));
    }
    const { handle } = handler;
    return {
      stream: (sink) => {
        const ends = [wholeBody, sink] as const;
        const stream = new GatewayStream(call, handle, descriptor, ends, (status) =>
          this.ended(call, status),
        );
        stream.begin();
        for (const message of messages) {
          stream.receive(message);
        }
        stream.halfClose();
      },
    };
  }
}

/** The messages of a body; an empty body is an empty request. */
function requestMessages(descriptor: MethodDescriptor, { body }: DoorRequest): Uint8Array[] {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8").trim();
  const texts = descriptor.requestStream ? splitJson(text) : [text === "" ? "{}" : text];
  return texts.map((each) => messageFrom(each, descriptor));
}
