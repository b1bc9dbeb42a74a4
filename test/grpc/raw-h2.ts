// HTTP/2 by hand: frames as bytes, to say what no client library would say.

import { connect, type Socket } from "node:net";
import { errorCode, frameFlag, frameSizeMax, frameType } from "../../src/grpc/frame.ts";
import { HpackDecoder } from "../../src/grpc/hpack-decoder.ts";
import { pushInteger } from "../../src/grpc/hpack-encoder.ts";
import { until } from "./harness.ts";

export const prefaceBytes = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | readonly number[] = [],
): Buffer {
  const body = Buffer.from(payload);
  const bytes = Buffer.alloc(9 + body.length);
  bytes.writeUIntBE(body.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  body.copy(bytes, 9);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Header fields as literals without indexing. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const bytes: number[] = [];
  for (const [name, value] of fields) {
    bytes.push(0);
    for (const text of [name, value]) {
      const octets = Buffer.from(text, "latin1");
      pushInteger(bytes, octets.length, 7, 0);
      bytes.push(...octets);
    }
  }
  return Buffer.from(bytes);
}

export function requestFields(
  path: string,
  extra: readonly (readonly [string, string])[] = [],
): readonly (readonly [string, string])[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...extra,
  ];
}

export function settings(...values: readonly (readonly [number, number])[]): Buffer {
  const payload = values.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), u32(value)]));
  return frame(frameType.settings, 0, 0, Buffer.concat(payload));
}

export const settingsAck = frame(frameType.settings, frameFlag.ack, 0);

export function headers(
  streamId: number,
  path: string,
  flags: number = frameFlag.endHeaders,
  extra: readonly (readonly [string, string])[] = [],
): Buffer {
  return frame(frameType.headers, flags, streamId, headerBlock(requestFields(path, extra)));
}

export function grpcMessage(body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0]), u32(body.length), body]);
}

/** DATA, in frames of the largest size allowed. */
export function data(streamId: number, payload: Uint8Array, endStream = true): Buffer {
  const frames: Buffer[] = [];
  let from = 0;
  do {
    const to = Math.min(payload.length, from + frameSizeMax);
    const flags = endStream && to === payload.length ? frameFlag.endStream : 0;
    frames.push(frame(frameType.data, flags, streamId, payload.subarray(from, to)));
    from = to;
  } while (from < payload.length);
  return Buffer.concat(frames);
}

/** A whole unary request of the test service. */
export function unaryRequest(streamId: number, method: string, body: Uint8Array): Buffer {
  return Buffer.concat([
    headers(streamId, `/test.Echo/${method}`),
    data(streamId, grpcMessage(body)),
  ]);
}

export function reset(streamId: number, code: number = errorCode.cancel): Buffer {
  return frame(frameType.rstStream, 0, streamId, u32(code));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(frameType.windowUpdate, 0, streamId, u32(increment));
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of HEADERS. */
  readonly fields: Readonly<Record<string, string>> | undefined;
}

/** Reads a server's frames. */
export class FrameParser {
  #pending: Buffer = Buffer.alloc(0);
  readonly #hpack = new HpackDecoder({ headerFieldsMax: 1_000, headerListBytesMax: 1 << 20 });
  readonly frames: Frame[] = [];

  push(chunk: Uint8Array): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const end = 9 + this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < end) {
        return;
      }
      const bytes = this.#pending.subarray(0, end);
      this.#pending = this.#pending.subarray(end);
      const type = bytes[3] ?? 0;
      const payload = Buffer.from(bytes.subarray(9));
      let fields: Record<string, string> | undefined;
      if (type === frameType.headers) {
        const decoded = this.#hpack.decode(payload, 0, payload.length);
        fields = Object.fromEntries(decoded.map((field) => [field.name, field.value]));
      }
      const streamId = bytes.readUInt32BE(5);
      this.frames.push({ type, flags: bytes[4] ?? 0, streamId, payload, fields });
    }
  }
}

/** Error code and text of a GOAWAY. */
export interface Goaway {
  readonly lastStreamId: number;
  readonly code: number;
  readonly text: string;
}

export function goawayOf(frames: readonly Frame[]): Goaway | undefined {
  const last = frames.findLast(({ type }) => type === frameType.goaway);
  return last === undefined
    ? undefined
    : {
        lastStreamId: last.payload.readUInt32BE(0),
        code: last.payload.readUInt32BE(4),
        text: last.payload.subarray(8).toString("latin1"),
      };
}

export function resetCode(frames: readonly Frame[], streamId: number): number | undefined {
  return frames
    .find((one) => one.type === frameType.rstStream && one.streamId === streamId)
    ?.payload.readUInt32BE(0);
}

/** All DATA of a stream. */
export function dataOf(frames: readonly Frame[], streamId: number): Buffer {
  const own = frames.filter((one) => one.type === frameType.data && one.streamId === streamId);
  return Buffer.concat(own.map(({ payload }) => payload));
}

/** Header fields of a stream's HEADERS frames, in order. */
export function headersOf(
  frames: readonly Frame[],
  streamId: number,
): readonly Readonly<Record<string, string>>[] {
  return frames.flatMap((one) =>
    one.streamId === streamId && one.fields !== undefined ? [one.fields] : [],
  );
}

/** A raw client over a socket. */
export class RawH2 {
  readonly socket: Socket;
  readonly parser = new FrameParser();
  closed = false;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setNoDelay(true);
    this.socket.on("data", (chunk) => this.parser.push(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Connects and exchanges SETTINGS. */
  static async open(
    port: number,
    ...values: readonly (readonly [number, number])[]
  ): Promise<RawH2> {
    const client = new RawH2(port);
    client.send(prefaceBytes, settings(...values), settingsAck);
    await until(() => client.frames.some(({ type, flags }) => type === 4 && flags === 1));
    return client;
  }

  get frames(): readonly Frame[] {
    return this.parser.frames;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Resolves when the server has closed; with its GOAWAY, if it sent one. */
  async end(): Promise<Goaway | undefined> {
    await until(() => this.closed, 10_000);
    return goawayOf(this.frames);
  }

  close(): void {
    this.socket.destroy();
  }
}
