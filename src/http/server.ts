// HTTP/1.1 in front of a handler: a node:http server that never listens itself but is given
// connections by the client port.

import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
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

/** A socket that has left HTTP, and what it had received beyond the request's head. */
export type RawConnection = readonly [Duplex, Buffer];

export interface DoorHandlers {
  readonly handle: (request: DoorRequest) => DoorReply | Promise<DoorReply>;
  /** Takes the connection of a request for a WebSocket, or gives the reply to it. */
  readonly openWebSocket?: (
    request: DoorRequest,
    connection: RawConnection,
  ) => HttpReply | undefined;
}

export function createHttpServer(
  { handle, openWebSocket }: DoorHandlers,
  bodyBytesMax: number,
  logger: Logger,
): Server {
  const answer = (
    body: Promise<Buffer | undefined>,
    request: IncomingMessage,
    response: ServerResponse,
  ): void => {
    serve(handle, body, request, response).catch((error: unknown) => {
      logger.error({ err: error, path: request.url }, "an HTTP request failed unexpectedly");
      if (response.headersSent) {
        response.destroy();
      } else {
        send(response, errorReply(500, "Internal Server Error"), request.method === "HEAD");
      }
    });
  };
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.connectionsCheckingIntervalMs,
      maxHeaderSize: limits.headerBytesMax,
    },
    (request, response) => answer(readBody(request, bodyBytesMax), request, response),
  );
  server.maxHeadersCount = limits.headersMax;
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const response = lastResponse(request, socket);
    if (openWebSocket === undefined || !asksForWebSocket(request)) {
      // Other protocols (h2c, which curl offers) are declined by answering as if not offered.
      response.assignSocket(request.socket);
      answer(readRawBody(request, [socket, head], bodyBytesMax), request, response);
      return;
    }
    const asked = doorRequest(request, Buffer.alloc(0), response);
    const reply = openWebSocket(asked, [socket, head]);
    if (reply !== undefined) {
      response.assignSocket(request.socket);
      send(response, reply, false);
    }
  });
  return server;
}

function asksForWebSocket({ headers, method }: IncomingMessage): boolean {
  return (
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    headers["sec-websocket-key"] !== undefined
  );
}

/** A response on a connection that node:http has let go of: the last one on it. */
function lastResponse(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  socket.on("error", () => socket.destroy());
  response.once("finish", () => socket.end());
  return response;
}

async function serve(
  handler: DoorHandlers["handle"],
  wholeBody: Promise<Buffer | undefined>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await wholeBody;
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

/** The same where node:http no longer reads; a body without a length is taken for none. */
async function readRawBody(
  request: IncomingMessage,
  [socket, head]: RawConnection,
  bytesMax: number,
): Promise<Buffer | undefined> {
  const length = Number(request.headers["content-length"] ?? 0);
  if (!(length <= bytesMax)) {
    return undefined;
  }
  const chunks = [head];
  let received = head.length;
  if (received < length) {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk as Buffer);
      received += (chunk as Buffer).length;
      if (received >= length) {
        break;
      }
    }
  }
  return Buffer.concat(chunks).subarray(0, length);
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
      isEncrypted: socket instanceof TLSSocket,
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
