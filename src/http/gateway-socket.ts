// The gateway over a WebSocket, as etcd has it (grpc-websocket-proxy): every message of the client
// is a request as JSON, every answer a message: {"result": ...} or {"error": ...} for streams, the
// bare reply for calls with one, after which the connection is closed.
//
// Browsers cannot set headers here, so a token may come as the protocol "Bearer, <token>".

import type { Duplex } from "node:stream";
import { fromUtf8 } from "../base/index.ts";
import { failureOf, GatewayCall, GatewayStream, messageFrom } from "./gateway-call.ts";
import type { Gateway, GatewayTarget } from "./gateway.ts";
import { splitJson } from "./json.ts";
import type { DoorRequest, StreamSink } from "./reply.ts";
import { acceptHead, WebSocket } from "./websocket.ts";
import { closeCode } from "./websocket-frames.ts";

export interface GatewaySocketOptions {
  readonly messageBytesMax: number;
  /** Told of errors that are no answers. */
  readonly onUnexpected: (error: unknown) => void;
}

/** Answers the request with a WebSocket on `socket` and carries the calls of `target` on it. */
export function openGatewaySocket(
  gateway: Gateway,
  target: GatewayTarget,
  request: DoorRequest,
  [socket, head]: readonly [Duplex, Buffer],
  { messageBytesMax, onUnexpected }: GatewaySocketOptions,
): void {
  const [scheme = "", token] = (request.header("sec-websocket-protocol") ?? "")
    .split(",")
    .map((part) => part.trim());
  const hasToken = scheme === "Bearer" && token !== undefined;
  const key = request.header("sec-websocket-key") ?? "";
  socket.write(acceptHead(key, scheme === "" ? undefined : scheme));
  const websocket = new WebSocket(socket, messageBytesMax);
  const closed: (() => void)[] = [];
  const call = new GatewayCall(target.path, {
    ...request,
    header: (name) =>
      name === "authorization" && hasToken ? `Bearer ${token}` : request.header(name),
    onClosed: (callback) => closed.push(callback),
  });
  const onMessage =
    target.handler.kind === "stream"
      ? streamOn(websocket, gateway, target, call)
      : unaryOn(websocket, gateway, target, call);
  websocket.start(head, {
    onMessage: (text) => {
      onMessage(text).catch((error: unknown) => {
        onUnexpected(error);
        websocket.close(closeCode.internalError, "Internal Server Error");
      });
    },
    onClosed: () => {
      for (const callback of closed) {
        callback();
      }
    },
  });
}

type OnMessage = (text: string) => Promise<void>;

function unaryOn(
  websocket: WebSocket,
  gateway: Gateway,
  { handler, descriptor }: GatewayTarget,
  call: GatewayCall,
): OnMessage {
  let isCalled = false;
  return async (text) => {
    if (handler.kind !== "unary" || isCalled) {
      return;
    }
    isCalled = true;
    let message: Uint8Array;
    try {
      message = messageFrom(text, descriptor);
    } catch (error) {
      websocket.send(JSON.stringify({ error: failureOf(error).message }));
      websocket.close();
      return;
    }
    const reply = await gateway.unary(call, handler.handle, descriptor, message);
    websocket.send(fromUtf8(reply.body));
    websocket.close();
  };
}

function streamOn(
  websocket: WebSocket,
  gateway: Gateway,
  { handler, descriptor }: GatewayTarget,
  call: GatewayCall,
): OnMessage {
  if (handler.kind !== "stream") {
    return () => Promise.resolve();
  }
  const sink: StreamSink = {
    start: () => undefined,
    write: (text) => websocket.send(text.trimEnd()),
    end: () => websocket.close(),
    replyInstead: (reply) => {
      websocket.send(`{"error":${fromUtf8(reply.body)}}`);
      websocket.close();
    },
    onDrain: (callback) => websocket.onDrain(callback),
    get queuedBytes() {
      return websocket.queuedBytes;
    },
  };
  const stream = new GatewayStream(call, handler.handle, descriptor, [websocket, sink], (status) =>
    gateway.ended(call, status),
  );
  stream.begin();
  // Without a pause in it: messages reach the call in the order they came.
  return async (text) => {
    try {
      for (const each of splitJson(text)) {
        stream.receive(messageFrom(each, descriptor));
      }
    } catch (error) {
      stream.fail(failureOf(error));
    }
  };
}
