// A gRPC client light enough not to be the bottleneck: HTTP/2 frames written by hand, headers as
// indexes into the dynamic table after the first request, answers not decoded beyond what tells
// success. It serves the benchmarks only and trusts its server.

import { connect } from "node:net";
import type { Socket } from "node:net";
import { must } from "../../src/base/index.ts";

const frameData = 0;
const frameHeaders = 1;
const frameReset = 3;
const frameSettings = 4;
const framePing = 6;
const frameGoAway = 7;
const frameWindowUpdate = 8;

const flagEndStream = 1;
const flagAck = 1;
const flagEndHeaders = 4;

const windowBytes = 0x7fff_0000;
const frameHeaderBytes = 9;
/** What one read of the socket takes at most; one buffer for the life of the connection. */
const readBytes = 256 * 1024;
const someReply: readonly Buffer[] = [];

/**
 * What became of a unary call: its reply behind a prefix of 5 bytes, or undefined when it failed.
 * A connection that was opened without `keepsReplies` says only that there was one: keeping and
 * joining large replies would cost the client more than the server spent.
 */
export type ReplyCallback = (reply: readonly Buffer[] | undefined) => void;

/** Receives the messages of a stream. */
export interface StreamListener {
  onMessage(message: Buffer): void;
  onEnd(): void;
}

interface OpenCall {
  readonly onReply: ReplyCallback | undefined;
  readonly listener: StreamListener | undefined;
  /** What has come of the message under way, in pieces, if it is kept. */
  pieces: Buffer[];
  hasReply: boolean;
}

export class LoadConnection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #calls = new Map<number, OpenCall>();
  /** Header blocks by path, once their fields stand in the server's dynamic table. */
  readonly #blocks = new Map<string, Buffer>();
  #tableSize = 0;
  readonly #tablePositions = new Map<string, number>();
  #nextStream = 1;
  readonly #keepsReplies: boolean;
  /** The header of the frame under way, as far as it has come, and what its payload lacks. */
  readonly #head = Buffer.alloc(frameHeaderBytes);
  #headLength = 0;
  #missing = 0;
  /** Payload of a frame that is not DATA. */
  #control: Buffer[] = [];
  #out: Buffer[] = [];
  #flushScheduled = false;
  #receivedSinceUpdate = 0;
  #failed = false;

  static open(host: string, port: number, keepsReplies = false): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      let receive = (_length: number, _bytes: Buffer): void => {};
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafeSlow(readBytes),
          callback: (length: number, bytes: Uint8Array) => {
            receive(length, bytes as Buffer);
            return true;
          },
        },
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        const connection = new LoadConnection(socket, `${host}:${port}`, keepsReplies);
        receive = (length, bytes) => connection.#receive(bytes, length);
        resolve(connection);
      });
    });
  }

  private constructor(socket: Socket, authority: string, keepsReplies: boolean) {
    this.#socket = socket;
    this.#authority = authority;
    this.#keepsReplies = keepsReplies;
    socket.on("error", () => this.#fail());
    socket.on("close", () => this.#fail());
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(windowBytes, 2);
    const update = Buffer.alloc(4);
    update.writeUInt32BE(windowBytes, 0);
    this.#write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    this.#write(frame(frameSettings, 0, 0, settings));
    this.#write(frame(frameWindowUpdate, 0, 0, update));
  }

  /** Sends a unary call; `message` must not change until the answer is there. */
  call(path: string, message: Uint8Array, onReply: ReplyCallback): void {
    if (this.#failed) {
      onReply(undefined);
      return;
    }
    const stream = this.#begin(path, { onReply, listener: undefined, pieces: [], hasReply: false });
    this.#sendMessage(stream, message, true);
  }

  /** Opens a stream and returns how to write to it. */
  openStream(path: string, listener: StreamListener): (message: Uint8Array) => void {
    const stream = this.#begin(path, { onReply: undefined, listener, pieces: [], hasReply: false });
    return (message) => this.#sendMessage(stream, message, false);
  }

  close(): void {
    this.#socket.destroy();
  }

  #begin(path: string, call: OpenCall): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#calls.set(stream, call);
    this.#write(frame(frameHeaders, flagEndHeaders, stream, this.#headerBlock(path)));
    return stream;
  }

  #sendMessage(stream: number, message: Uint8Array, end: boolean): void {
    const bytes = Buffer.allocUnsafe(14 + message.length);
    bytes.writeUIntBE(5 + message.length, 0, 3);
    bytes[3] = frameData;
    bytes[4] = end ? flagEndStream : 0;
    bytes.writeUInt32BE(stream, 5);
    bytes[9] = 0;
    bytes.writeUInt32BE(message.length, 10);
    bytes.set(message, 14);
    this.#write(bytes);
  }

  #headerBlock(path: string): Buffer {
    const known = this.#blocks.get(path);
    if (known !== undefined) {
      return known;
    }
    // Adding entries moves those before them: every remembered block is out of date.
    this.#blocks.clear();
    const parts: Buffer[] = [Buffer.from([0x83, 0x86])];
    const fields: [name: string, value: string][] = [
      [":path", path],
      [":authority", this.#authority],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ];
    const nameIndexes: Record<string, number> = { ":path": 4, ":authority": 1, "content-type": 31 };
    const fresh = fields.filter(([name, value]) => !this.#tablePositions.has(name + value));
    for (const [name, value] of fields) {
      const position = this.#tablePositions.get(name + value);
      if (position !== undefined) {
        parts.push(Buffer.from([0x80 | (62 + this.#tableSize - 1 - position)]));
        continue;
      }
      const index = nameIndexes[name];
      parts.push(index === undefined ? Buffer.from([0x40]) : Buffer.from([0x40 | index]));
      if (index === undefined) {
        parts.push(literal(name));
      }
      parts.push(literal(value));
      this.#tablePositions.set(name + value, this.#tableSize++);
    }
    const block = Buffer.concat(parts);
    if (fresh.length === 0) {
      this.#blocks.set(path, block);
    }
    return block;
  }

  #write(bytes: Buffer): void {
    this.#out.push(bytes);
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      setImmediate(() => {
        this.#flushScheduled = false;
        const out = this.#out;
        this.#out = [];
        if (!this.#failed) {
          this.#socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
        }
      });
    }
  }

  /** `bytes` is the buffer of the next read too: what is kept of it is copied. */
  #receive(bytes: Buffer, length: number): void {
    const head = this.#head;
    let at = 0;
    while (at < length) {
      if (this.#headLength < frameHeaderBytes) {
        while (this.#headLength < frameHeaderBytes && at < length) {
          head[this.#headLength++] = bytes[at++] as number;
        }
        if (this.#headLength < frameHeaderBytes) {
          return;
        }
        this.#missing = head.readUIntBE(0, 3);
      }
      const taken = Math.min(this.#missing, length - at);
      this.#missing -= taken;
      this.#onPayload(bytes, at, at + taken);
      at += taken;
      if (this.#missing === 0) {
        this.#headLength = 0;
        this.#onFrameEnd();
      }
    }
  }

  #onPayload(bytes: Buffer, from: number, to: number): void {
    if (this.#head[3] !== frameData) {
      this.#control.push(Buffer.from(bytes.subarray(from, to)));
      return;
    }
    this.#receivedSinceUpdate += to - from;
    const call = this.#calls.get(this.#head.readUInt32BE(5));
    if (call !== undefined && to > from) {
      call.hasReply = true;
      if (call.listener !== undefined || this.#keepsReplies) {
        call.pieces.push(Buffer.from(bytes.subarray(from, to)));
      }
    }
  }

  #onFrameEnd(): void {
    const type = this.#head[3] as number;
    const flags = this.#head[4] as number;
    const stream = this.#head.readUInt32BE(5) & 0x7fff_ffff;
    const payload = this.#control;
    this.#control = [];
    switch (type) {
      case frameData:
        this.#onData(stream, (flags & flagEndStream) !== 0);
        break;
      case frameHeaders:
        if ((flags & flagEndStream) !== 0) {
          this.#end(stream);
        }
        break;
      case frameReset:
        this.#end(stream, true);
        break;
      case frameSettings:
        if ((flags & flagAck) === 0) {
          this.#write(frame(frameSettings, flagAck, 0, Buffer.alloc(0)));
        }
        break;
      case framePing:
        if ((flags & flagAck) === 0) {
          this.#write(frame(framePing, flagAck, 0, Buffer.concat(payload)));
        }
        break;
      case frameGoAway:
        this.#fail();
        break;
      default:
    }
  }

  #onData(stream: number, end: boolean): void {
    if (this.#receivedSinceUpdate > 0x1000_0000) {
      const update = Buffer.alloc(4);
      update.writeUInt32BE(this.#receivedSinceUpdate, 0);
      this.#receivedSinceUpdate = 0;
      this.#write(frame(frameWindowUpdate, 0, 0, update));
    }
    const call = this.#calls.get(stream);
    if (call?.listener !== undefined) {
      let body = call.pieces.length === 1 ? must(call.pieces[0]) : Buffer.concat(call.pieces);
      while (body.length >= 5 && body.length >= 5 + body.readUInt32BE(1)) {
        const size = 5 + body.readUInt32BE(1);
        call.listener.onMessage(body.subarray(5, size));
        body = body.subarray(size);
      }
      call.pieces = body.length === 0 ? [] : [body];
    }
    if (end) {
      this.#end(stream);
    }
  }

  #end(stream: number, failed = false): void {
    const call = this.#calls.get(stream);
    if (call !== undefined) {
      this.#calls.delete(stream);
      call.listener?.onEnd();
      const reply = this.#keepsReplies ? call.pieces : someReply;
      call.onReply?.(failed || !call.hasReply ? undefined : reply);
    }
  }

  #fail(): void {
    this.#failed = true;
    for (const stream of [...this.#calls.keys()]) {
      this.#end(stream, true);
    }
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, 9);
  return bytes;
}

function literal(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}
