// HTTP/1.1 in front of a handler: a node:http server that never listens itself but is given
// connections by the client port.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Logger } from "../base/index.ts";
import type { HttpReply } from "../grpc/contract.ts";
import { type DoorReply, type DoorRequest, errorReply, type StreamSink } from "./reply.ts";

/** Bounds against clients that are slow or never done, milliseconds and bytes. */
const limits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  connectionsCheckingIntervalMs: 5_000,
  headerBytesMax: 16 * 1024,
  headersMax: 100,
} as const;

type DoorHandler = (request: DoorRequest) => DoorReply | Promise<DoorReply>;

export function createHttpServer(
  handler: DoorHandler,
  bodyBytesMax: number,
  logger: Logger,
): Server {
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.connectionsCheckingIntervalMs,
      maxHeaderSize: limits.headerBytesMax,
    },
    (request, response) => {
      serve(handler, bodyBytesMax, request, response).catch((error: unknown) => {
        logger.error({ err: error, path: request.url }, "an HTTP request failed unexpectedly");
        if (response.headersSent) {
          response.destroy();
        } else {
          send(response, errorReply(500, "Internal Server Error"), request.method === "HEAD");
        }
      });
    },
  );
  server.maxHeadersCount = limits.headersMax;
  return server;
}

async function serve(
  handler: DoorHandler,
  bodyBytesMax: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request, bodyBytesMax);
  if (body === undefined) {
    response.shouldKeepAlive = false;
    send(response, errorReply(413, "Request Entity Too Large"), false);
    return;
  }
  const reply = await handler(doorRequest(request, body, response));
  if ("stream" in reply) {
    reply.stream(new ResponseSink(response));
  } else {
    send(response, reply, request.method === "HEAD");
  }
}

/** The whole body, or undefined when it is larger than allowed. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bytesMax) {
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function doorRequest(
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
): DoorRequest {
  const { headers, socket } = request;
  return {
    method: request.method ?? "",
    path: request.url ?? "/",
    authority: headers.host ?? "",
    header: (name) => {
      const value = headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body,
    peer: {
      address: `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`,
      certificateCommonName: undefined,
    },
    onClosed: (callback) => {
      response.once("close", () => {
        if (!response.writableFinished) {
          callback();
        }
      });
    },
  };
}

class ResponseSink implements StreamSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get queuedBytes(): number {
    return this.#response.writableLength;
  }
  start(status: number, headers: HttpReply["headers"]): void {
    this.#response.writeHead(status, flat(headers));
  }
  write(text: string): boolean {
    return this.#response.write(text);
  }
  end(): void {
    this.#response.end();
  }
  replyInstead(reply: HttpReply): void {
    send(this.#response, reply, false);
  }
  onDrain(callback: () => void): void {
    this.#response.on("drain", callback);
  }
}

function flat(headers: HttpReply["headers"]): string[] {
  return headers.flatMap(([name, value]) => [name, value]);
}

function send(response: ServerResponse, { status, headers, body }: HttpReply, head: boolean): void {
  response.writeHead(status, [...flat(headers), "content-length", String(body.length)]);
  response.end(head ? undefined : body);
}
