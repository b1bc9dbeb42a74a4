// The sending side of a connection: what streams want to send -> frames, within the peer's
// windows (RFC 9113 section 5.2) and within what the socket has taken so far.
//
// An answer that fits goes into the writer at once. What does not fit waits in its stream, and the
// streams that may send take turns, a frame each. Header blocks are encoded when they are written,
// never before, because the peer's table changes in that order.

import { emptyBytes, must } from "../base/index.ts";
import type { ReplyBytes } from "./contract.ts";
import { ConnectionError, errorCode, initialWindowBytes, windowSizeMax } from "./frame.ts";
import { FrameWriter } from "./frame-writer.ts";
import { encodeMessage } from "./grpc-text.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { streamQueueBytesMax } from "./limits.ts";

/** Bytes framed ahead of a socket that does not take them. */
const framedBytesMax = 256 * 1024;
/** Longer DATA frames than this gain nothing, whatever the peer allows. */
const frameBytesUseful = 64 * 1024;
const grpcPrefixBytes = 5;
/** Parts that may wait as they are. */
const partsWaitingMax = 64;
/** Pieces that more are put together to: larger ones would cost a mapping of memory each. */
const pieceBytesMax = 64 * 1024;

/** How a stream ends once its queue is empty. A gRPC status, or one of these. */
const notEnding = -1;
/** END_STREAM on the last DATA frame, no trailers. */
const endsPlain = -2;

/** The sending half of a stream. */
export abstract class OutgoingStream {
  readonly id: number;
  /** What the peer's window still allows; negative after a SETTINGS change. */
  sendWindow: number;
  headersSent = false;
  /** END_STREAM or RST_STREAM was sent, or the peer reset the stream. */
  sendClosed = false;
  endStatus = notEnding;
  endMessage = "";
  /** Bytes waiting, in parts; the first `partOffset` bytes of the first part have gone. */
  parts: Uint8Array[] | undefined = undefined;
  partOffset = 0;
  partsBytes = 0;
  /** In the sender's ready list. */
  ready = false;
  /** `write` said false and `onQueueDrained` has not been called since. */
  drainDue = false;

  constructor(id: number, sendWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
  }

  /** The queue has fallen to half its bound after it was above. */
  abstract onQueueDrained(): void;
  /** END_STREAM was written. */
  abstract onSendClosed(): void;
}

export function replyLength(reply: ReplyBytes): number {
  if (reply instanceof Uint8Array) {
    return reply.length;
  }
  let length = 0;
  for (const part of reply) {
    length += part.length;
  }
  return length;
}

export class Sender {
  readonly writer = new FrameWriter();
  readonly encoder = new HpackEncoder();
  /** The connection's window. */
  #window = initialWindowBytes;
  /** What new streams get: the peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  #streamWindow = initialWindowBytes;
  #frameBytesMax = 16_384;
  #queuedBytes = 0;
  #dataFrames = 0;
  /** HEADERS and DATA frames written. */
  #answers = 0;
  /** Streams with something to send and a window for it, in turn. */
  #ready: OutgoingStream[] = [];
  #pumping = false;
  readonly #wake: () => void;

  /** `wake` is called whenever frames were written that somebody should flush. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get streamWindow(): number {
    return this.#streamWindow;
  }

  /** Bytes of messages that wait in streams. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get dataFrames(): number {
    return this.#dataFrames;
  }

  get answers(): number {
    return this.#answers;
  }

  /** Sends a whole unary answer. */
  unary(stream: OutgoingStream, reply: ReplyBytes): void {
    const length = replyLength(reply);
    const framed = length + grpcPrefixBytes;
    if (!this.#fits(stream, framed) || stream.headersSent) {
      this.message(stream, reply);
      this.end(stream, 0, "");
      return;
    }
    this.#window -= framed;
    this.#dataFrames++;
    this.#answers++;
    stream.headersSent = true;
    const headers = this.encoder.okHeaders();
    const trailers = this.encoder.okTrailers();
    this.writer.unary(stream.id, headers, reply, length, trailers);
    this.#wake();
    this.#closed(stream);
  }

  /** Sends or queues one message of a stream; false when its queue is above its bound. */
  message(stream: OutgoingStream, reply: ReplyBytes): boolean {
    if (!stream.headersSent) {
      this.#answers++;
      stream.headersSent = true;
      this.writer.headers(stream.id, this.encoder.okHeaders(), false, this.#frameBytesMax);
    }
    const length = replyLength(reply);
    const framed = length + grpcPrefixBytes;
    if (this.#fits(stream, framed)) {
      this.#window -= framed;
      stream.sendWindow -= framed;
      this.#dataFrames++;
      this.#answers++;
      this.writer.dataHeader(stream.id, framed, false);
      this.writer.grpcPrefix(length);
      this.#payload(reply);
    } else {
      this.#enqueue(stream, prefixOf(length));
      if (reply instanceof Uint8Array) {
        this.#enqueue(stream, reply);
      } else {
        for (const part of reply) {
          this.#enqueue(stream, part);
        }
      }
      this.#makeReady(stream);
      this.pump();
      if (this.writer.length < framedBytesMax) {
        compact(stream);
      }
    }
    this.#wake();
    stream.drainDue ||= stream.partsBytes > streamQueueBytesMax;
    return !stream.drainDue;
  }

  /** Ends with a gRPC status once the queue is empty. */
  end(stream: OutgoingStream, status: number, message: string): void {
    stream.endStatus = status;
    stream.endMessage = message;
    if (stream.partsBytes === 0) {
      this.#writeEnd(stream);
      this.#wake();
    }
  }

  /** A failure before any message, or a refusal, in one frame. */
  trailersOnly(
    stream: OutgoingStream,
    httpStatus: number,
    status: number,
    message: string,
    extra: readonly (readonly [string, string])[],
  ): void {
    this.#answers++;
    stream.headersSent = true;
    const text = encodeMessage(message);
    const block = this.encoder.trailersOnly(httpStatus, status, text, extra);
    this.writer.headers(stream.id, block, true, this.#frameBytesMax);
    this.#wake();
    this.#closed(stream);
  }

  /** The head of an answer that is not gRPC; `isWhole` when no body follows. */
  httpHead(
    stream: OutgoingStream,
    status: number,
    headers: readonly (readonly [string, string])[],
    isWhole: boolean,
  ): void {
    this.#answers++;
    stream.headersSent = true;
    const block = this.encoder.httpHeaders(status, headers);
    this.writer.headers(stream.id, block, isWhole, this.#frameBytesMax);
    this.#wake();
    if (isWhole) {
      this.#closed(stream);
    }
  }

  /** A piece of its body, the last one or not; false when the queue is above its bound. */
  httpBody(stream: OutgoingStream, body: Uint8Array, isLast: boolean): boolean {
    if (isLast) {
      stream.endStatus = endsPlain;
    }
    this.#enqueue(stream, body);
    if (stream.partsBytes > 0) {
      this.#makeReady(stream);
      this.pump();
    } else if (isLast) {
      this.#answers++;
      this.writer.dataHeader(stream.id, 0, true);
      this.#wake();
      this.#closed(stream);
    }
    stream.drainDue ||= stream.partsBytes > streamQueueBytesMax;
    return !stream.drainDue;
  }

  /** Drops what a stream still wants to send. */
  discard(stream: OutgoingStream): void {
    this.#queuedBytes -= stream.partsBytes;
    stream.partsBytes = 0;
    stream.parts = undefined;
    stream.sendClosed = true;
  }

  /** Frames what windows and socket allow. */
  pump(): void {
    // A handler that is told to go on writes from inside the loop; the loop then finds its stream.
    if (this.#pumping) {
      return;
    }
    this.#pumping = true;
    let index = 0;
    while (index < this.#ready.length && this.#window > 0 && this.writer.length < framedBytesMax) {
      const stream = must(this.#ready[index++]);
      stream.ready = false;
      if (!stream.sendClosed && this.#sendFrame(stream)) {
        this.#makeReady(stream);
      }
    }
    this.#pumping = false;
    if (index > 0) {
      this.#ready.splice(0, index);
      this.#wake();
    }
  }

  /** The socket is full: what waits may wait for long. */
  settle(): void {
    this.#ready.forEach(compact);
  }

  /** WINDOW_UPDATE for the connection. */
  widen(increment: number): void {
    this.#window += increment;
    if (this.#window > windowSizeMax) {
      throw new ConnectionError(errorCode.flowControlError, "connection window overflow");
    }
    this.pump();
  }

  /** WINDOW_UPDATE for a stream; false on overflow, a stream error. */
  widenStream(stream: OutgoingStream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > windowSizeMax) {
      return false;
    }
    if (stream.partsBytes > 0 && stream.sendWindow > 0) {
      this.#makeReady(stream);
      this.pump();
    }
    return true;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE changes the windows of all open streams by the difference. */
  setStreamWindow(bytes: number, streams: Iterable<OutgoingStream>): void {
    const difference = bytes - this.#streamWindow;
    this.#streamWindow = bytes;
    for (const stream of streams) {
      if (!this.widenStream(stream, difference)) {
        throw new ConnectionError(errorCode.flowControlError, "stream window overflow");
      }
    }
  }

  setFrameSize(bytes: number): void {
    this.#frameBytesMax = Math.min(bytes, frameBytesUseful);
  }

  #fits(stream: OutgoingStream, framed: number): boolean {
    return (
      stream.partsBytes === 0 &&
      framed <= this.#frameBytesMax &&
      framed <= this.#window &&
      framed <= stream.sendWindow &&
      this.writer.length < framedBytesMax
    );
  }

  #payload(reply: ReplyBytes): void {
    if (reply instanceof Uint8Array) {
      this.writer.payload(reply);
    } else {
      for (const part of reply) {
        this.writer.payload(part);
      }
    }
  }

  #enqueue(stream: OutgoingStream, bytes: Uint8Array): void {
    if (bytes.length > 0) {
      stream.parts ??= [];
      stream.parts.push(bytes);
      stream.partsBytes += bytes.length;
      this.#queuedBytes += bytes.length;
    }
  }

  #makeReady(stream: OutgoingStream): void {
    if (!stream.ready) {
      stream.ready = true;
      this.#ready.push(stream);
    }
  }

  /** One DATA frame of one stream; true when the stream could send more at once. */
  #sendFrame(stream: OutgoingStream): boolean {
    const allowed = Math.min(this.#window, stream.sendWindow, this.#frameBytesMax);
    const length = Math.min(allowed, stream.partsBytes);
    if (length <= 0) {
      return false;
    }
    const last = length === stream.partsBytes && stream.endStatus === endsPlain;
    this.writer.dataHeader(stream.id, length, last);
    this.#writeParts(stream, length);
    this.#window -= length;
    stream.sendWindow -= length;
    this.#queuedBytes -= length;
    this.#dataFrames++;
    this.#answers++;
    if (last) {
      this.#closed(stream);
      return false;
    }
    if (stream.partsBytes === 0 && stream.endStatus >= 0) {
      this.#writeEnd(stream);
      return false;
    }
    if (stream.drainDue && stream.partsBytes <= streamQueueBytesMax / 2) {
      stream.drainDue = false;
      stream.onQueueDrained();
    }
    return !stream.sendClosed && stream.partsBytes > 0 && stream.sendWindow > 0;
  }

  #writeParts(stream: OutgoingStream, length: number): void {
    const parts = must(stream.parts);
    let left = length;
    let done = 0;
    while (left > 0) {
      const part = must(parts[done]);
      const from = stream.partOffset;
      const to = Math.min(part.length, from + left);
      this.writer.payload(from === 0 && to === part.length ? part : part.subarray(from, to));
      left -= to - from;
      if (to === part.length) {
        done++;
        stream.partOffset = 0;
      } else {
        stream.partOffset = to;
      }
    }
    stream.partsBytes -= length;
    if (stream.partsBytes === 0) {
      stream.parts = undefined;
    } else {
      parts.splice(0, done);
    }
  }

  #writeEnd(stream: OutgoingStream): void {
    this.#answers++;
    if (!stream.headersSent && stream.endStatus !== 0) {
      this.trailersOnly(stream, 200, stream.endStatus, stream.endMessage, []);
      return;
    }
    if (!stream.headersSent) {
      stream.headersSent = true;
      this.writer.headers(stream.id, this.encoder.okHeaders(), false, this.#frameBytesMax);
    }
    const block =
      stream.endStatus === 0
        ? this.encoder.okTrailers()
        : this.encoder.errorTrailers(stream.endStatus, encodeMessage(stream.endMessage));
    this.writer.headers(stream.id, block, true, this.#frameBytesMax);
    this.#closed(stream);
  }

  #closed(stream: OutgoingStream): void {
    stream.sendClosed = true;
    stream.onSendClosed();
  }
}

/**
 * Many small parts that must wait become few, for each may keep something larger in memory. Few
 * stay as they are: events are shared by the streams that they wait in.
 */
function compact(stream: OutgoingStream): void {
  const { parts, partOffset, partsBytes } = stream;
  if (parts === undefined || parts.length <= partsWaitingMax) {
    return;
  }
  const pieces: Uint8Array[] = [];
  let piece: Uint8Array = emptyBytes;
  let at = 0;
  let left = partsBytes;
  for (const [i, part] of parts.entries()) {
    let rest = i === 0 && partOffset > 0 ? part.subarray(partOffset) : part;
    while (rest.length > 0) {
      if (at === piece.length) {
        piece = Buffer.allocUnsafeSlow(Math.min(left, pieceBytesMax));
        pieces.push(piece);
        at = 0;
      }
      const fits = rest.subarray(0, piece.length - at);
      piece.set(fits, at);
      at += fits.length;
      left -= fits.length;
      rest = rest.subarray(fits.length);
    }
  }
  stream.parts = pieces;
  stream.partOffset = 0;
}

function prefixOf(length: number): Uint8Array {
  return Uint8Array.of(0, length >>> 24, length >>> 16, length >>> 8, length);
}
