// Frames -> bytes to write. Frames of all streams of a connection gather here, and leave in one
// write when the socket takes them.
//
// Small pieces are copied into a slab; large ones are passed on as they are (they must not change
// afterwards). Slabs are used again only when the socket has taken everything.

import { frameFlag, frameHeaderBytes, frameType, settingId } from "./frame.ts";
import { giveSlab, slabBytes, takeSlab } from "./slab-pool.ts";

/** A slab starts small, because most connections are quiet, and doubles up to the pool's size. */
const slabBytesFirst = 2 * 1024;
/** From this size on a payload is passed on, not copied: copying costs more than a vector entry. */
const copyBytesMax = 8 * 1024;
/** Up to this size a loop copies faster than `set`. */
const loopBytesMax = 48;
const grpcPrefixBytes = 5;

export class FrameWriter {
  #slab: Uint8Array = Buffer.allocUnsafeSlow(slabBytesFirst);
  /** First byte of the slab not yet in `#chunks`. */
  #start = 0;
  #offset = 0;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  /** Full slabs of the pool's size, on their way to the socket. */
  #full: Uint8Array[] = [];

  /** Bytes waiting to be taken. */
  get length(): number {
    return this.#chunkBytes + this.#offset - this.#start;
  }

  /** Takes all that waits, in order. */
  take(): Uint8Array[] {
    const chunks = this.#chunks;
    if (this.#offset > this.#start) {
      chunks.push(this.#slab.subarray(this.#start, this.#offset));
    }
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#start = this.#offset;
    return chunks;
  }

  /** Everything taken has left the process; slabs are free unless something waits in them. */
  rewind(): void {
    if (this.length === 0) {
      this.#start = 0;
      this.#offset = 0;
      if (this.#full.length > 0) {
        this.#full.forEach(giveSlab);
        this.#full = [];
      }
    }
  }

  #reserve(bytes: number): void {
    if (this.#offset + bytes <= this.#slab.length) {
      return;
    }
    this.#closeRegion();
    if (this.#slab.length === slabBytes) {
      this.#full.push(this.#slab);
    }
    const wanted = Math.max(this.#slab.length * 2, bytes);
    this.#slab = wanted < slabBytes ? Buffer.allocUnsafeSlow(wanted) : takeSlab();
    this.#start = 0;
    this.#offset = 0;
  }

  #closeRegion(): void {
    if (this.#offset > this.#start) {
      this.#chunks.push(this.#slab.subarray(this.#start, this.#offset));
      this.#chunkBytes += this.#offset - this.#start;
      this.#start = this.#offset;
    }
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    const slab = this.#slab;
    const at = this.#offset;
    slab[at] = length >>> 16;
    slab[at + 1] = length >>> 8;
    slab[at + 2] = length;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    this.#offset = at + frameHeaderBytes;
  }

  #u32(value: number): void {
    const slab = this.#slab;
    const at = this.#offset;
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
    this.#offset = at + 4;
  }

  /** Copies; the room must have been reserved. */
  #copy(bytes: Uint8Array): void {
    const length = bytes.length;
    if (length <= loopBytesMax) {
      const slab = this.#slab;
      const at = this.#offset;
      for (let i = 0; i < length; i++) {
        slab[at + i] = bytes[i]!;
      }
    } else {
      this.#slab.set(bytes, this.#offset);
    }
    this.#offset += length;
  }

  /** Appends payload: a copy when small, the bytes themselves when large. */
  payload(bytes: Uint8Array): void {
    if (bytes.length <= copyBytesMax) {
      this.#reserve(bytes.length);
      this.#copy(bytes);
    } else {
      this.#closeRegion();
      this.#chunks.push(bytes);
      this.#chunkBytes += bytes.length;
    }
  }

  /** A DATA frame's header; `length` bytes of payload must follow. */
  dataHeader(streamId: number, length: number, endStream: boolean): void {
    this.#reserve(frameHeaderBytes);
    this.#header(length, frameType.data, endStream ? frameFlag.endStream : 0, streamId);
  }

  /** The 5 bytes before a gRPC message: not compressed, its length. */
  grpcPrefix(messageBytes: number): void {
    this.#reserve(grpcPrefixBytes);
    this.#slab[this.#offset++] = 0;
    this.#u32(messageBytes);
  }

  /** A header block, split over CONTINUATION frames when it is longer than `frameBytesMax`. */
  headers(streamId: number, block: Uint8Array, endStream: boolean, frameBytesMax: number): void {
    let from = 0;
    let type: number = frameType.headers;
    let flags: number = endStream ? frameFlag.endStream : 0;
    do {
      const to = Math.min(block.length, from + frameBytesMax);
      if (to === block.length) {
        flags |= frameFlag.endHeaders;
      }
      this.#reserve(frameHeaderBytes + to - from);
      this.#header(to - from, type, flags, streamId);
      this.#copy(block.subarray(from, to));
      from = to;
      type = frameType.continuation;
      flags = 0;
    } while (from < block.length);
  }

  /**
   * A whole unary answer: headers, one message in one DATA frame, trailers. The caller has checked
   * windows and frame size.
   */
  unary(
    streamId: number,
    headers: Uint8Array,
    message: Uint8Array | readonly Uint8Array[],
    messageBytes: number,
    trailers: Uint8Array,
  ): void {
    this.#reserve(2 * frameHeaderBytes + grpcPrefixBytes + headers.length);
    this.#header(headers.length, frameType.headers, frameFlag.endHeaders, streamId);
    this.#copy(headers);
    this.#header(messageBytes + grpcPrefixBytes, frameType.data, 0, streamId);
    this.#slab[this.#offset++] = 0;
    this.#u32(messageBytes);
    if (message instanceof Uint8Array) {
      this.payload(message);
    } else {
      for (const part of message) {
        this.payload(part);
      }
    }
    this.#reserve(frameHeaderBytes + trailers.length);
    const flags = frameFlag.endHeaders | frameFlag.endStream;
    this.#header(trailers.length, frameType.headers, flags, streamId);
    this.#copy(trailers);
  }

  rstStream(streamId: number, code: number): void {
    this.#reserve(frameHeaderBytes + 4);
    this.#header(4, frameType.rstStream, 0, streamId);
    this.#u32(code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#reserve(frameHeaderBytes + 4);
    this.#header(4, frameType.windowUpdate, 0, streamId);
    this.#u32(increment);
  }

  settings(values: readonly (readonly [number, number])[]): void {
    this.#reserve(frameHeaderBytes + 6 * values.length);
    this.#header(6 * values.length, frameType.settings, 0, 0);
    for (const [id, value] of values) {
      this.#slab[this.#offset++] = id >>> 8;
      this.#slab[this.#offset++] = id;
      this.#u32(value);
    }
  }

  settingsAck(): void {
    this.#reserve(frameHeaderBytes);
    this.#header(0, frameType.settings, frameFlag.ack, 0);
  }

  /** `payload` is 8 bytes. */
  ping(payload: Uint8Array, ack: boolean): void {
    this.#reserve(frameHeaderBytes + payload.length);
    this.#header(payload.length, frameType.ping, ack ? frameFlag.ack : 0, 0);
    this.#copy(payload);
  }

  goaway(lastStreamId: number, code: number, text: string): void {
    const debug = Buffer.from(text, "latin1");
    this.#reserve(frameHeaderBytes + 8 + debug.length);
    this.#header(8 + debug.length, frameType.goaway, 0, 0);
    this.#u32(lastStreamId);
    this.#u32(code);
    this.#copy(debug);
  }
}

/** The settings that this server announces, ready for `FrameWriter.settings`. */
export function serverSettings(
  concurrentStreamsMax: number,
  streamWindowBytes: number,
  headerListBytesMax: number,
): readonly (readonly [number, number])[] {
  return [
    [settingId.maxConcurrentStreams, concurrentStreamsMax],
    [settingId.initialWindowSize, streamWindowBytes],
    [settingId.maxHeaderListSize, headerListBytesMax],
  ];
}
