// HTTP/1.1 in front of a handler: a node:http server that never listens itself but is given
// connections by the client port.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Logger } from "../base/index.ts";
import type { HttpReply, HttpRequest } from "../grpc/contract.ts";
import { errorReply, type HttpHandler } from "./reply.ts";

/** Bounds against clients that are slow or never done, milliseconds and bytes. */
const limits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  connectionsCheckingIntervalMs: 5_000,
  headerBytesMax: 16 * 1024,
  headersMax: 100,
} as const;

export function createHttpServer(
  handler: HttpHandler,
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
  handler: HttpHandler,
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
  const reply = await handler(httpRequest(request, body));
  send(response, reply, request.method === "HEAD");
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

function httpRequest(request: IncomingMessage, body: Buffer): HttpRequest {
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
  };
}

function send(response: ServerResponse, { status, headers, body }: HttpReply, head: boolean): void {
  response.writeHead(status, [
    ...headers.flatMap(([name, value]) => [name, value]),
    "content-length",
    String(body.length),
  ]);
  response.end(head ? undefined : body);
}
