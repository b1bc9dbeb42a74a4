// One WebSocket connection (RFC 6455) on a socket that a node:http server has let go of.

import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { utf8 } from "../base/index.ts";
import {
  closeCode,
  encodeFrame,
  opcode,
  WebSocketError,
  type WebSocketEvent,
  WebSocketReader,
} from "./websocket-frames.ts";

/** Appended to the client's key (section 1.3). */
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** The server pings this often; a client that stays silent until the next time is gone. */
const pingIntervalMs = 30_000;
/** For the client's answer to a close. */
const closeTimeoutMs = 2_000;
/** Pings of a client that does not read are not answered beyond this. */
const pongQueueBytesMax = 64 * 1024;

export interface WebSocketHandlers {
  onMessage(text: string): void;
  /** Once; the connection is no longer of use. */
  onClosed(): void;
}

/** The head of the answer that turns an HTTP/1.1 connection into a WebSocket. */
export function acceptHead(key: string, protocol: string | undefined): string {
  const accept = createHash("sha1")
    .update(key + acceptSuffix)
    .digest("base64");
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    "\r\n",
  ].join("\r\n");
}

export class WebSocket {
  readonly #socket: Duplex;
  readonly #reader: WebSocketReader;
  readonly #pings: NodeJS.Timeout;
  #handlers: WebSocketHandlers | undefined;
  #hasSpoken = true;
  #isClosing = false;

  constructor(socket: Duplex, messageBytesMax: number) {
    this.#socket = socket;
    this.#reader = new WebSocketReader(messageBytesMax);
    this.#pings = setInterval(() => this.#ping(), pingIntervalMs);
    this.#pings.unref();
  }

  /** Begins to read; `head` is what had come in already. */
  start(head: Buffer, handlers: WebSocketHandlers): void {
    this.#handlers = handlers;
    const socket = this.#socket;
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.end());
    socket.once("close", () => {
      clearInterval(this.#pings);
      handlers.onClosed();
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    if (head.length > 0) {
      this.#receive(head);
    }
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** False asks to wait for `onDrain`. */
  send(text: string): boolean {
    return this.#isClosing || this.#socket.write(encodeFrame(opcode.text, utf8(text)));
  }

  onDrain(callback: () => void): void {
    this.#socket.on("drain", callback);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says goodbye, waits a little for the answer, and ends. Idempotent. */
  close(code: number = closeCode.normal, reason = ""): void {
    if (this.#isClosing) {
      return;
    }
    this.#isClosing = true;
    const body = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), utf8(reason)]);
    this.#socket.write(encodeFrame(opcode.close, body));
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), closeTimeoutMs).unref();
  }

  #receive(chunk: Buffer): void {
    this.#hasSpoken = true;
    let events: WebSocketEvent[];
    try {
      events = this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof WebSocketError)) {
        throw error;
      }
      this.#socket.removeAllListeners("data");
      this.close(error.code, error.message);
      this.#socket.end();
      return;
    }
    for (const event of events) {
      this.#handle(event);
    }
  }

  #handle(event: WebSocketEvent): void {
    switch (event.kind) {
      case "message":
        if (!this.#isClosing) {
          this.#handlers?.onMessage(event.text);
        }
        return;
      case "ping":
        if (!this.#isClosing && this.queuedBytes < pongQueueBytesMax) {
          this.#socket.write(encodeFrame(opcode.pong, event.body));
        }
        return;
      case "pong":
        return;
      case "close":
        this.close();
        this.#socket.end();
        return;
    }
  }

  #ping(): void {
    if (!this.#hasSpoken) {
      this.#socket.destroy();
    } else if (!this.#isClosing) {
      this.#hasSpoken = false;
      this.#socket.write(encodeFrame(opcode.ping, new Uint8Array(0)));
    }
  }
}
