// A WebSocket client for tests, by hand: what it sends can be as wrong as a test wants.

import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { opcode } from "../../src/http/websocket-frames.ts";
import { until } from "../grpc/harness.ts";

export interface ServerFrame {
  readonly code: number;
  readonly body: Buffer;
}

export interface FrameOptions {
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
}

/** A frame as a client sends it. */
export function clientFrame(
  code: number,
  body: Buffer,
  { isFinal = true, isMasked = true }: FrameOptions = {},
): Buffer {
  const mask = isMasked ? randomBytes(4) : Buffer.alloc(0);
  const long = body.length > 125;
  const head = Buffer.alloc(long ? 10 : 2);
  head.writeUInt8((isFinal ? 0x80 : 0) | code, 0);
  head.writeUInt8((isMasked ? 0x80 : 0) | (long ? 127 : body.length), 1);
  if (long) {
    head.writeBigUInt64BE(BigInt(body.length), 2);
  }
  const masked = body.map((byte, i) => byte ^ (mask[i & 3] ?? 0));
  return Buffer.concat([head, mask, masked]);
}

export class WebSocketClient {
  readonly frames: ServerFrame[] = [];
  closed = false;
  /** The head of the answer. */
  head = "";
  readonly #socket: Socket;
  readonly #key = randomBytes(16).toString("base64");
  #received = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#read();
    });
  }

  /** Resolves when the answer's head is there, whatever it says. */
  static async open(
    port: number,
    path: string,
    headers: readonly string[] = [],
  ): Promise<WebSocketClient> {
    const client = new WebSocketClient(connect(port, "127.0.0.1"));
    client.#socket.write(
      [
        `GET ${path} HTTP/1.1`,
        `Host: 127.0.0.1:${port}`,
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        `Sec-WebSocket-Key: ${client.#key}`,
        ...headers,
        "\r\n",
      ].join("\r\n"),
    );
    await until(() => client.head !== "" || client.closed);
    return client;
  }

  get status(): number {
    return Number(this.head.split(" ")[1]);
  }

  /** What the server must answer to the key (RFC 6455, section 4.2.2). */
  get expectedAccept(): string {
    const text = `${this.#key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    return createHash("sha1").update(text).digest("base64");
  }

  /** Text messages as JSON. */
  get messages(): unknown[] {
    return this.frames
      .filter(({ code }) => code === opcode.text)
      .map(({ body }) => JSON.parse(body.toString()) as unknown);
  }

  /** The code of the server's close frame. */
  get closeCode(): number | undefined {
    return this.frames.find(({ code }) => code === opcode.close)?.body.readUInt16BE(0);
  }

  send(value: unknown): void {
    this.write(clientFrame(opcode.text, Buffer.from(JSON.stringify(value))));
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(): void {
    if (this.head === "") {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) {
        return;
      }
      this.head = this.#received.subarray(0, end).toString();
      this.#received = this.#received.subarray(end + 4);
    }
    while (this.status === 101 && this.#received.length >= 2) {
      const short = this.#received.readUInt8(1);
      const head = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (this.#received.length < head) {
        return;
      }
      const length =
        short === 127
          ? Number(this.#received.readBigUInt64BE(2))
          : short === 126
            ? this.#received.readUInt16BE(2)
            : short;
      if (this.#received.length < head + length) {
        return;
      }
      const body = this.#received.subarray(head, head + length);
      const code = this.#received.readUInt8(0) & 0x0f;
      this.frames.push({ code, body });
      if (code === opcode.close) {
        this.write(clientFrame(opcode.close, body));
      }
      this.#received = this.#received.subarray(head + length);
    }
  }
}
