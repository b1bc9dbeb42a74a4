// The bytes on a link: one fixed handshake in each direction, then frames.
//
//   hello := "QRATPEER" | version u16 | purpose u8 | cluster id | from | to     (ids 8 bytes)
//   reply := "QRATPEER" | version u16 | verdict u8                              (0 = welcome)
//   frame := length u32 of what follows | kind u8 | body                        (big endian)

import { DecodeError, concatBytes, readU32 } from "../base/index.ts";
import type { ClusterId, MemberId } from "../base/index.ts";
import type { IncomingFrame, RefusalReason } from "./contract.ts";

export const protocolVersion = 1;
export const helloBytes = 35;
export const replyBytes = 11;
/** Longest frame; an append holds at most some requests of 2 MiB. */
export const frameBytesMax = 64 * 1024 * 1024;
/** Length and kind. */
export const frameHeadBytes = 5;

const magic = new Uint8Array([0x51, 0x52, 0x41, 0x54, 0x50, 0x45, 0x45, 0x52]);

export const frameKinds = {
  /** Body: type u8, bytes. */
  message: 1,
  /** Body: id u32, kind u8, bytes. */
  request: 2,
  /** Body: id u32, bytes. */
  response: 3,
  /** Body: id u32, text. */
  responseError: 4,
  /** Body: 4 bytes that come back in the pong. */
  ping: 5,
  pong: 6,
  snapshotHeader: 7,
  snapshotChunk: 8,
  snapshotEnd: 9,
  snapshotTaken: 10,
  /** Body: text. */
  snapshotFailed: 11,
} as const;

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

const purposes = ["messages", "snapshot"] as const;
export type LinkPurpose = (typeof purposes)[number];

export interface Hello {
  readonly version: number;
  readonly purpose: LinkPurpose;
  readonly clusterId: ClusterId;
  readonly from: MemberId;
  readonly to: MemberId;
}

/** The verdict of a reply is an index into this list; 0 welcomes. */
const refusals: readonly (RefusalReason | undefined)[] = [
  undefined,
  "protocolVersion",
  "clusterId",
  "memberId",
  "removed",
  "malformed",
  "stopping",
];

export function encodeHello(hello: Hello): Uint8Array {
  const bytes = new Uint8Array(helloBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint16(8, hello.version);
  view.setUint8(10, purposes.indexOf(hello.purpose));
  view.setBigUint64(11, hello.clusterId);
  view.setBigUint64(19, hello.from);
  view.setBigUint64(27, hello.to);
  return bytes;
}

/** Throws DecodeError for bytes that are no hello of any version. */
export function decodeHello(bytes: Uint8Array): Hello {
  requireMagic(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const purpose = purposes[view.getUint8(10)];
  if (purpose === undefined) {
    throw new DecodeError("unknown purpose of a link");
  }
  return {
    version: view.getUint16(8),
    purpose,
    clusterId: view.getBigUint64(11) as ClusterId,
    from: view.getBigUint64(19) as MemberId,
    to: view.getBigUint64(27) as MemberId,
  };
}

export function encodeReply(refusal: RefusalReason | undefined): Uint8Array {
  const bytes = new Uint8Array(replyBytes);
  bytes.set(magic);
  new DataView(bytes.buffer).setUint16(8, protocolVersion);
  bytes[10] = refusals.indexOf(refusal);
  return bytes;
}

/** The reason of a refusal; undefined for a welcome. Throws DecodeError. */
export function decodeReply(bytes: Uint8Array): RefusalReason | undefined {
  requireMagic(bytes);
  const verdict = bytes[10] ?? 0;
  if (verdict >= refusals.length) {
    throw new DecodeError(`unknown verdict ${verdict}`);
  }
  return refusals[verdict];
}

function requireMagic(bytes: Uint8Array): void {
  if (!magic.every((byte, i) => bytes[i] === byte)) {
    throw new DecodeError("not a link between members");
  }
}

/** The head of a frame, with room behind it for the first `extraBytes` of its body. */
export function frameHead(kind: FrameKind, extraBytes = 0): Uint8Array {
  const head = new Uint8Array(frameHeadBytes + extraBytes);
  head[4] = kind;
  return head;
}

/** The head of a message frame; its parts follow. */
export function messageHead(type: number): Uint8Array {
  const head = frameHead(frameKinds.message, 1);
  head[frameHeadBytes] = type;
  return head;
}

/** What the body of a message frame holds. Throws DecodeError. */
export function readMessage(body: Uint8Array): IncomingFrame {
  const type = body[0];
  if (type === undefined) {
    throw new DecodeError("a message without a type");
  }
  return { type, bytes: body.subarray(1) };
}

/** Bytes as they arrive, taken out in pieces of the reader's choice. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #offset = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length > 0) {
      this.#chunks.push(chunk);
      this.#size += chunk.length;
    }
  }

  /** The next `length` bytes, a view if they came together; undefined until they are there. */
  take(length: number): Uint8Array | undefined {
    const piece = this.#size < length ? undefined : this.#gather(length);
    if (piece !== undefined) {
      this.#size -= length;
    }
    return piece;
  }

  /** The next four bytes as a number, left in place; undefined until they are there. */
  peekU32(): number | undefined {
    if (this.#size < 4) {
      return undefined;
    }
    const first = this.#chunks[0];
    if (first !== undefined && first.length - this.#offset >= 4) {
      return readU32(first, this.#offset);
    }
    const four = this.#gather(4);
    this.#chunks.unshift(four);
    if (this.#offset > 0) {
      this.#chunks[1] = (this.#chunks[1] as Uint8Array).subarray(this.#offset);
      this.#offset = 0;
    }
    return readU32(four, 0);
  }

  #gather(length: number): Uint8Array {
    const pieces: Uint8Array[] = [];
    let missing = length;
    while (missing > 0) {
      const first = this.#chunks[0] as Uint8Array;
      const end = Math.min(first.length, this.#offset + missing);
      pieces.push(first.subarray(this.#offset, end));
      missing -= end - this.#offset;
      this.#offset = end;
      if (end === first.length) {
        this.#chunks.shift();
        this.#offset = 0;
      }
    }
    return pieces.length === 1 ? (pieces[0] as Uint8Array) : concatBytes(pieces);
  }
}

/** Takes the next whole frame out of `queue`. Throws DecodeError for a length out of bounds. */
export function takeFrame(
  queue: ByteQueue,
): { readonly kind: number; readonly body: Uint8Array } | undefined {
  const length = queue.peekU32();
  if (length === undefined) {
    return undefined;
  }
  if (length < 1 || length > frameBytesMax) {
    throw new DecodeError(`a frame of ${length} bytes`);
  }
  const frame = queue.size < 4 + length ? undefined : queue.take(4 + length);
  return frame === undefined ? undefined : { kind: frame[4] as number, body: frame.subarray(5) };
}
