// Frames of the WebSocket protocol (RFC 6455), the server's side: bytes in, messages out. No
// extensions, so no compression.

export const opcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

/** Status codes of section 7.4.1. */
export const closeCode = {
  normal: 1000,
  protocolError: 1002,
  notText: 1007,
  tooBig: 1009,
  internalError: 1011,
} as const;

/** A breach of the protocol; the connection is closed with `code`. */
export class WebSocketError extends Error {
  override name = "WebSocketError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export type WebSocketEvent =
  | { readonly kind: "message"; readonly text: string }
  | { readonly kind: "ping"; readonly body: Buffer }
  | { readonly kind: "pong" }
  | { readonly kind: "close" };

/** Bytes of a frame's head: two, an extended length, and the mask. */
const headBytesMax = 14;
const controlBytesMax = 125;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** What a client sends, put together into messages. */
export class WebSocketReader {
  readonly #messageBytesMax: number;
  #received: Buffer = Buffer.alloc(0);
  /** Of a message in several frames, those that came. */
  #parts: Buffer[] | undefined;
  #partsBytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Throws WebSocketError; nothing that comes afterwards means anything. */
  push(chunk: Buffer): WebSocketEvent[] {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const events: WebSocketEvent[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) {
      const event = this.#event(frame);
      if (event !== undefined) {
        events.push(event);
      }
    }
    return events;
  }

  #take(): Frame | undefined {
    const bytes = this.#received;
    const head = headOf(bytes);
    if (head === undefined) {
      return undefined;
    }
    const isControl = head.code >= opcode.close;
    if (head.length > (isControl ? controlBytesMax : this.#messageBytesMax - this.#partsBytes)) {
      throw new WebSocketError(closeCode.tooBig, "the message is too long");
    }
    const end = head.bytes + head.length;
    if (bytes.length < end) {
      return undefined;
    }
    const body = Buffer.from(bytes.subarray(head.bytes, end));
    const mask = bytes.subarray(head.bytes - 4, head.bytes);
    for (let i = 0; i < body.length; i++) {
      body[i] = (body[i] ?? 0) ^ (mask[i & 3] ?? 0);
    }
    this.#received = bytes.subarray(end);
    return { code: head.code, isFinal: head.isFinal, body };
  }

  #event({ code, isFinal, body }: Frame): WebSocketEvent | undefined {
    switch (code) {
      case opcode.close:
        return { kind: "close" };
      case opcode.ping:
        return { kind: "ping", body };
      case opcode.pong:
        return { kind: "pong" };
      case opcode.continuation:
        return this.#part(body, isFinal);
      case opcode.text:
      case opcode.binary:
        if (this.#parts !== undefined) {
          throw new WebSocketError(closeCode.protocolError, "a message within another one");
        }
        this.#parts = [];
        return this.#part(body, isFinal);
      default:
        throw new WebSocketError(closeCode.protocolError, "a frame of an unknown kind");
    }
  }

  #part(body: Buffer, isFinal: boolean): WebSocketEvent | undefined {
    if (this.#parts === undefined) {
      throw new WebSocketError(closeCode.protocolError, "a continuation of nothing");
    }
    this.#parts.push(body);
    this.#partsBytes += body.length;
    if (!isFinal) {
      return undefined;
    }
    const whole = Buffer.concat(this.#parts);
    this.#parts = undefined;
    this.#partsBytes = 0;
    try {
      return { kind: "message", text: strictUtf8.decode(whole) };
    } catch {
      throw new WebSocketError(closeCode.notText, "the message is not UTF-8");
    }
  }
}

interface Frame {
  readonly code: number;
  readonly isFinal: boolean;
  readonly body: Buffer;
}

interface FrameHead {
  readonly code: number;
  readonly isFinal: boolean;
  readonly length: number;
  /** Of the head itself. */
  readonly bytes: number;
}

/** The head of the frame that `bytes` begin with, or undefined when more are needed. */
function headOf(bytes: Buffer): FrameHead | undefined {
  if (bytes.length < 2) {
    return undefined;
  }
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const code = first & 0x0f;
  const isFinal = (first & 0x80) !== 0;
  if ((first & 0x70) !== 0 || (second & 0x80) === 0 || (code >= opcode.close && !isFinal)) {
    throw new WebSocketError(closeCode.protocolError, "a frame that breaks the protocol");
  }
  const short = second & 0x7f;
  const head = short === 127 ? headBytesMax : short === 126 ? 8 : 6;
  if (bytes.length < head) {
    return undefined;
  }
  const length =
    short === 127
      ? Number(bytes.readBigUInt64BE(2))
      : short === 126
        ? bytes.readUInt16BE(2)
        : short;
  return { code, isFinal, length, bytes: head };
}

/** One frame from the server: whole, without a mask. */
export function encodeFrame(code: number, body: Uint8Array): Buffer {
  const { length } = body;
  const head = Buffer.alloc(length > 0xffff ? 10 : length > controlBytesMax ? 4 : 2);
  head.writeUInt8(0x80 | code, 0);
  if (length > 0xffff) {
    head.writeUInt8(127, 1);
    head.writeBigUInt64BE(BigInt(length), 2);
  } else if (length > controlBytesMax) {
    head.writeUInt8(126, 1);
    head.writeUInt16BE(length, 2);
  } else {
    head.writeUInt8(length, 1);
  }
  return Buffer.concat([head, body]);
}
