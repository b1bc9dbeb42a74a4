// Replies as Go's net/http makes them, which probes and scripts written for etcd compare with.

import { utf8 } from "../base/index.ts";
import type { HttpAnswer, HttpReply, HttpRequest, HttpSink } from "../grpc/contract.ts";

export type HttpHandler = (request: DoorRequest) => HttpReply | Promise<HttpReply>;

export type DoorRequest = HttpRequest;
export type DoorReply = HttpAnswer;
export type StreamSink = HttpSink;

const plainText = "text/plain; charset=utf-8";

export function reply(status: number, contentType: string, body: string): HttpReply {
  return { status, headers: [["content-type", contentType]], body: utf8(body) };
}

export function textReply(body: string): HttpReply {
  return reply(200, plainText, body);
}

export function jsonReply(value: unknown): HttpReply {
  return reply(200, "application/json", JSON.stringify(value));
}

/** An error as Go's http.Error writes it, newline included. */
export function errorReply(status: number, message: string): HttpReply {
  return {
    status,
    headers: [
      ["content-type", plainText],
      ["x-content-type-options", "nosniff"],
    ],
    body: utf8(`${message}\n`),
  };
}

export function methodNotAllowed(allowed: string): HttpReply {
  const error = errorReply(405, "Method Not Allowed");
  return { ...error, headers: [["allow", allowed], ...error.headers] };
}

/** Only GET; anything else is told so. */
export function onlyGet(handler: HttpHandler): HttpHandler {
  return (request) => (request.method === "GET" ? handler(request) : methodNotAllowed("GET"));
}

/** The parameters after "?" of a request's path. */
export function queryOf(request: HttpRequest): URLSearchParams {
  const at = request.path.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : request.path.slice(at + 1));
}

export function pathOf(request: HttpRequest): string {
  const at = request.path.indexOf("?");
  return at < 0 ? request.path : request.path.slice(0, at);
}
