// Bytes of a connection -> frames. Chunks may be cut anywhere.
//
// DATA is handed on in the pieces that arrive, as views, never gathered. Other frames are handed
// on whole: in place when the chunk holds them whole, else from a scratch buffer of one frame.

import {
  ConnectionError,
  errorCode,
  frameFlag,
  frameHeaderBytes,
  frameSizeMax,
  frameType,
  preface,
} from "./frame.ts";

export interface FrameSink {
  /** The client's preface is complete. */
  onPreface(): void;
  /** Any frame but DATA; `bytes[start, end)` is its payload, valid during the call only. */
  onFrame(
    type: number,
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** Before the pieces of a DATA frame; `length` is its payload with padding. */
  onDataStart(streamId: number, flags: number, length: number): void;
  /** A piece of its data; `last` once, on the last one, which may be empty. */
  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  #prefaceSeen = 0;
  #scratch: Uint8Array = new Uint8Array(64);
  /** Bytes of an incomplete frame in the scratch buffer. */
  #scratchLength = 0;
  /** Data and padding still to come of the DATA frame under way; -1 when there is none. */
  #dataLeft = -1;
  #paddingLeft = 0;
  /** The pad length byte of the DATA frame under way has not come yet. */
  #padLengthDue = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Whether a frame other than DATA, or the preface, has begun and not ended. */
  get partial(): boolean {
    return this.#scratchLength > 0 || this.#prefaceSeen < preface.length;
  }

  /** Reads a chunk; throws ConnectionError on what cannot be framed, and what the sink throws. */
  receive(chunk: Uint8Array): void {
    let position = 0;
    if (this.#prefaceSeen < preface.length) {
      position = this.#readPreface(chunk);
    }
    const end = chunk.length;
    while (position < end) {
      if (this.#dataLeft >= 0) {
        position = this.#readData(chunk, position);
      } else if (this.#scratchLength > 0 || end - position < frameHeaderBytes) {
        position = this.#readScratch(chunk, position);
      } else {
        position = this.#readFrame(chunk, position);
      }
    }
  }

  #readPreface(chunk: Uint8Array): number {
    let position = 0;
    while (position < chunk.length && this.#prefaceSeen < preface.length) {
      if (chunk[position] !== preface[this.#prefaceSeen]) {
        throw new ConnectionError(errorCode.protocolError, "bad preface");
      }
      position++;
      this.#prefaceSeen++;
    }
    if (this.#prefaceSeen === preface.length) {
      this.#sink.onPreface();
    }
    return position;
  }

  /** A frame whose header is whole in the chunk. Returns where reading goes on. */
  #readFrame(chunk: Uint8Array, position: number): number {
    const length = (chunk[position]! << 16) | (chunk[position + 1]! << 8) | chunk[position + 2]!;
    const type = chunk[position + 3]!;
    if (length > frameSizeMax) {
      throw new ConnectionError(errorCode.frameSizeError, `frame of ${length} bytes`);
    }
    const start = position + frameHeaderBytes;
    if (type === frameType.data) {
      this.#startData(chunk, position, length);
      return start;
    }
    const end = start + length;
    if (end > chunk.length) {
      return this.#readScratch(chunk, position);
    }
    this.#sink.onFrame(
      type,
      chunk[position + 4]!,
      streamIdAt(chunk, position + 5),
      chunk,
      start,
      end,
    );
    return end;
  }

  #startData(header: Uint8Array, position: number, length: number): void {
    const flags = header[position + 4]!;
    this.#sink.onDataStart(streamIdAt(header, position + 5), flags, length);
    this.#dataLeft = length;
    this.#paddingLeft = 0;
    this.#padLengthDue = (flags & frameFlag.padded) !== 0;
    if (length === 0) {
      if (this.#padLengthDue) {
        throw new ConnectionError(errorCode.frameSizeError, "padded DATA without pad length");
      }
      this.#dataLeft = -1;
      this.#sink.onData(header, 0, 0, true);
    }
  }

  #readData(chunk: Uint8Array, from: number): number {
    let position = from;
    if (this.#padLengthDue) {
      this.#padLengthDue = false;
      this.#paddingLeft = chunk[position++]!;
      this.#dataLeft -= 1 + this.#paddingLeft;
      if (this.#dataLeft < 0) {
        throw new ConnectionError(errorCode.protocolError, "padding longer than its frame");
      }
      if (this.#dataLeft > 0 && position === chunk.length) {
        return position;
      }
    }
    // The last piece of data ends the frame for the sink; padding after it is only skipped.
    const available = chunk.length - position;
    if (this.#dataLeft > 0 || this.#paddingLeft === 0) {
      const taken = Math.min(available, this.#dataLeft);
      this.#dataLeft -= taken;
      if (this.#dataLeft > 0 || this.#paddingLeft > 0) {
        this.#sink.onData(chunk, position, position + taken, false);
        return position + taken;
      }
      this.#dataLeft = -1;
      this.#sink.onData(chunk, position, position + taken, true);
      return position + taken;
    }
    const skipped = Math.min(available, this.#paddingLeft);
    this.#paddingLeft -= skipped;
    if (this.#paddingLeft === 0) {
      this.#dataLeft = -1;
      this.#sink.onData(chunk, position, position, true);
    }
    return position + skipped;
  }

  /** Gathers a frame that the chunk holds only a part of. */
  #readScratch(chunk: Uint8Array, from: number): number {
    let position = from;
    if (this.#scratchLength < frameHeaderBytes) {
      position = this.#fill(chunk, position, frameHeaderBytes);
      if (this.#scratchLength < frameHeaderBytes) {
        return position;
      }
    }
    const scratch = this.#scratch;
    const length = (scratch[0]! << 16) | (scratch[1]! << 8) | scratch[2]!;
    if (length > frameSizeMax) {
      throw new ConnectionError(errorCode.frameSizeError, `frame of ${length} bytes`);
    }
    if (scratch[3] === frameType.data) {
      this.#scratchLength = 0;
      this.#startData(scratch, 0, length);
      return position;
    }
    const total = frameHeaderBytes + length;
    position = this.#fill(chunk, position, total);
    if (this.#scratchLength === total) {
      this.#scratchLength = 0;
      this.#sink.onFrame(
        scratch[3]!,
        scratch[4]!,
        streamIdAt(scratch, 5),
        this.#scratch,
        frameHeaderBytes,
        total,
      );
    }
    return position;
  }

  /** Copies from the chunk until the scratch buffer holds `total` bytes or the chunk ends. */
  #fill(chunk: Uint8Array, position: number, total: number): number {
    const taken = Math.min(total - this.#scratchLength, chunk.length - position);
    if (this.#scratch.length < total) {
      const larger = new Uint8Array(frameHeaderBytes + frameSizeMax);
      larger.set(this.#scratch.subarray(0, this.#scratchLength));
      this.#scratch = larger;
    }
    this.#scratch.set(chunk.subarray(position, position + taken), this.#scratchLength);
    this.#scratchLength += taken;
    return position + taken;
  }
}

/** The 31 bits of a stream id; the reserved bit is ignored. */
function streamIdAt(bytes: Uint8Array, position: number): number {
  return (
    ((bytes[position]! & 0x7f) << 24) |
    (bytes[position + 1]! << 16) |
    (bytes[position + 2]! << 8) |
    bytes[position + 3]!
  );
}
