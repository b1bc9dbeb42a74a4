// What each frame of the client does to its connection (RFC 9113 sections 5 and 6).

import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import {
  ConnectionError,
  errorCode,
  frameFlag,
  frameSizeMax,
  frameType,
  settingId,
  windowSizeMax,
} from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { HeadReader } from "./head-reader.ts";
import { HpackError } from "./hpack-decoder.ts";

function protocolError(message: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, message);
}

function sizeError(message: string): ConnectionError {
  return new ConnectionError(errorCode.frameSizeError, message);
}

/** Frames of a stream that never was opened. */
const idleStream = "frame on an idle stream";

export class FrameHandler implements FrameSink {
  readonly #connection: Connection;
  readonly #reader: FrameReader;
  readonly #heads: HeadReader;
  #settingsSeen = false;
  #settingsAcknowledged = false;
  /** The stream whose header block is incomplete, 0 for none. */
  #blockStream = 0;
  #blockEndsStream = false;
  /** Its HEADERS frame depends on itself: the block is read, then the stream refused. */
  #blockSelfDependent = false;
  #block: Uint8Array = new Uint8Array(0);
  #blockLength = 0;
  #continuations = 0;
  /** The stream of the DATA frame under way; undefined when its data is to be ignored. */
  #dataCall: Call | undefined;
  #dataFlags = 0;
  /** Data bytes of the frame under way so far; the rest of its length is padding. */
  #dataSeen = 0;
  #dataLength = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#reader = new FrameReader(this);
    this.#heads = new HeadReader(connection.shared);
  }

  /** The client's preface and SETTINGS have come. */
  get settingsSeen(): boolean {
    return this.#settingsSeen;
  }

  /** The client acknowledged our SETTINGS. */
  get settingsAcknowledged(): boolean {
    return this.#settingsAcknowledged;
  }

  /** A frame or a header block has begun and not ended. */
  get partial(): boolean {
    return this.#reader.partial || this.#blockStream !== 0;
  }

  /**
   * Takes the next bytes of the client; the caller flushes afterwards. Never throws for what a
   * client sends: that ends the connection.
   */
  receive(chunk: Uint8Array, nowMs: number): void {
    const connection = this.#connection;
    if (connection.closing) {
      return;
    }
    connection.nowMs = nowMs;
    connection.receiving = true;
    try {
      this.#reader.receive(chunk);
    } catch (error) {
      if (error instanceof ConnectionError) {
        connection.fail(error);
      } else if (error instanceof HpackError) {
        connection.fail(new ConnectionError(errorCode.compressionError, error.message));
      } else {
        throw error;
      }
    } finally {
      connection.receiving = false;
    }
  }

  onPreface(): void {}

  onFrame(
    type: number,
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (this.#connection.closing) {
      return;
    }
    if (this.#blockStream !== 0 && (type !== frameType.continuation || streamId === 0)) {
      throw protocolError("header block interrupted");
    }
    if (!this.#settingsSeen && type !== frameType.settings) {
      throw protocolError("the first frame is not SETTINGS");
    }
    switch (type) {
      case frameType.headers:
        this.#onHeaders(flags, streamId, bytes, start, end);
        break;
      case frameType.continuation:
        this.#onContinuation(flags, streamId, bytes, start, end);
        break;
      case frameType.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, start, end);
        break;
      case frameType.rstStream:
        this.#onReset(streamId, end - start);
        break;
      case frameType.settings:
        this.#onSettings(flags, streamId, bytes, start, end);
        break;
      case frameType.ping:
        this.#onPing(flags, streamId, bytes, start, end);
        break;
      case frameType.priority:
        this.#onPriority(streamId, bytes, start, end);
        break;
      case frameType.goaway:
        this.#onGoaway(streamId, end - start);
        break;
      case frameType.pushPromise:
        throw protocolError("PUSH_PROMISE from a client");
      default:
        this.#connection.guard.noise(this.#connection.nowMs);
    }
  }

  // DATA

  onDataStart(streamId: number, flags: number, length: number): void {
    const connection = this.#connection;
    this.#dataCall = undefined;
    this.#dataFlags = flags;
    this.#dataSeen = 0;
    this.#dataLength = length;
    if (connection.closing) {
      return;
    }
    if (this.#blockStream !== 0) {
      throw protocolError("header block interrupted");
    }
    if (streamId === 0 || streamId > connection.lastStreamId) {
      throw protocolError(streamId === 0 ? "DATA on stream 0" : idleStream);
    }
    if (connection.credit.received(length)) {
      connection.controlFrameWritten();
    }
    const call = connection.find(streamId);
    if (call === undefined) {
      this.#onClosedStream(streamId);
    } else if (call.remoteClosed) {
      connection.streamError(streamId, errorCode.streamClosed);
    } else if (!connection.credit.receivedOnStream(call, length)) {
      connection.streamError(streamId, errorCode.flowControlError);
    } else {
      this.#dataCall = call;
    }
  }

  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    const call = this.#dataCall;
    const length = end - start;
    this.#dataSeen += length;
    if (call === undefined || this.#connection.closing) {
      return;
    }
    if (last && (this.#dataFlags & frameFlag.endStream) !== 0) {
      // Known before the handler runs, so that an answer at once needs no RST_STREAM behind it.
      call.remoteClosed = true;
    }
    if (length > 0) {
      call.dataBytes += length;
      call.data(bytes, start, end);
    }
    if (last) {
      this.#dataCall = undefined;
      this.#onDataEnd(call);
    }
  }

  #onDataEnd(call: Call): void {
    const connection = this.#connection;
    const padding = this.#dataLength - this.#dataSeen;
    const endsStream = (this.#dataFlags & frameFlag.endStream) !== 0;
    if (this.#dataSeen === 0 && !endsStream) {
      call.emptyFrames++;
      connection.guard.emptyData(call.emptyFrames);
    }
    if (endsStream) {
      this.#endStream(call);
    } else if (padding > 0 && !call.sendClosed) {
      connection.credit.padding(call, padding);
      connection.controlFrameWritten();
    }
  }

  #endStream(call: Call): void {
    const { contentLength } = call.head;
    if (contentLength >= 0 && contentLength !== call.dataBytes) {
      this.#connection.streamError(call.id, errorCode.protocolError);
    } else {
      call.halfClosed();
    }
  }

  /** DATA or HEADERS on a stream that was open once. */
  #onClosedStream(streamId: number): void {
    const connection = this.#connection;
    if (connection.closedHere(streamId)) {
      return;
    }
    if (connection.closedByPeerReset(streamId)) {
      connection.streamError(streamId, errorCode.streamClosed);
      return;
    }
    if (connection.skipped(streamId)) {
      throw protocolError("frame on a stream that was left out");
    }
    throw new ConnectionError(errorCode.streamClosed, "frame on a closed stream");
  }

  // Header blocks

  #onHeaders(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0 || streamId % 2 === 0) {
      throw protocolError("HEADERS on a stream id that is not a client's");
    }
    let from = start;
    let to = end;
    if ((flags & frameFlag.padded) !== 0) {
      if (from === to) {
        throw sizeError("padded HEADERS without pad length");
      }
      to -= bytes[from++]!;
    }
    let selfDependent = false;
    if ((flags & frameFlag.priority) !== 0) {
      if (end - from < 5) {
        throw sizeError("HEADERS without its priority");
      }
      selfDependent = (readU32(bytes, from) & 0x7fff_ffff) === streamId;
      from += 5;
    }
    if (to < from) {
      throw protocolError("padding longer than its frame");
    }
    this.#blockEndsStream = (flags & frameFlag.endStream) !== 0;
    this.#blockSelfDependent = selfDependent;
    if ((flags & frameFlag.endHeaders) !== 0) {
      this.#onBlock(streamId, bytes, from, to);
      return;
    }
    this.#blockStream = streamId;
    this.#blockLength = 0;
    this.#continuations = 0;
    this.#gather(bytes, from, to);
  }

  #onContinuation(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { limits } = this.#connection.shared;
    if (this.#blockStream === 0 || streamId !== this.#blockStream) {
      throw protocolError("CONTINUATION without its HEADERS");
    }
    if (++this.#continuations > limits.continuationFramesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "too many CONTINUATION frames");
    }
    this.#gather(bytes, start, end);
    if ((flags & frameFlag.endHeaders) !== 0) {
      this.#blockStream = 0;
      this.#onBlock(streamId, this.#block, 0, this.#blockLength);
      this.#block = new Uint8Array(0);
    }
  }

  #gather(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#blockLength + end - start;
    if (length > this.#connection.shared.limits.headerBlockBytesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, "header block too large");
    }
    if (this.#block.length < length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#block.length));
      larger.set(this.#block.subarray(0, this.#blockLength));
      this.#block = larger;
    }
    this.#block.set(bytes.subarray(start, end), this.#blockLength);
    this.#blockLength = length;
  }

  /** A complete header block: a request, or the trailers of one. */
  #onBlock(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (streamId > connection.lastStreamId) {
      this.#onRequest(streamId, bytes, start, end);
      return;
    }
    const valid = this.#heads.readTrailers(bytes, start, end);
    const call = connection.find(streamId);
    if (call === undefined) {
      this.#onClosedStream(streamId);
    } else if (call.remoteClosed) {
      connection.streamError(streamId, errorCode.streamClosed);
    } else if (!valid || !this.#blockEndsStream || this.#blockSelfDependent) {
      connection.streamError(streamId, errorCode.protocolError);
    } else {
      this.#endStream(call);
    }
  }

  #onRequest(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    const head = this.#heads.readRequest(bytes, start, end);
    if (head === "tooLarge") {
      connection.refuseStream(streamId, errorCode.enhanceYourCalm);
      return;
    }
    const malformed = head === "malformed" || this.#blockSelfDependent;
    const call = connection.openStream(
      streamId,
      malformed ? undefined : head,
      this.#blockEndsStream,
    );
    if (call !== undefined && this.#blockEndsStream) {
      this.#endStream(call);
    }
  }

  // The rest

  #onWindowUpdate(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (end - start !== 4) {
      throw sizeError("WINDOW_UPDATE that is not 4 bytes long");
    }
    connection.guard.windowUpdate(connection.sender.dataFrames);
    const increment = readU32(bytes, start) & windowSizeMax;
    if (streamId === 0) {
      if (increment === 0) {
        throw protocolError("WINDOW_UPDATE of zero");
      }
      connection.sender.widen(increment);
      return;
    }
    if (streamId > connection.lastStreamId) {
      throw protocolError(idleStream);
    }
    const call = connection.find(streamId);
    if (call === undefined) {
      return;
    }
    if (increment === 0) {
      connection.streamError(streamId, errorCode.protocolError);
    } else if (!connection.sender.widenStream(call, increment)) {
      connection.streamError(streamId, errorCode.flowControlError);
    }
  }

  #onReset(streamId: number, length: number): void {
    if (length !== 4) {
      throw sizeError("RST_STREAM that is not 4 bytes long");
    }
    if (streamId === 0 || streamId > this.#connection.lastStreamId) {
      throw protocolError(idleStream);
    }
    this.#connection.peerReset(streamId);
  }

  #onSettings(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const connection = this.#connection;
    const length = end - start;
    if (streamId !== 0) {
      throw protocolError("SETTINGS on a stream");
    }
    if ((flags & frameFlag.ack) !== 0) {
      if (length !== 0) {
        throw sizeError("SETTINGS acknowledgement with a payload");
      }
      connection.guard.settings(connection.nowMs, 0);
      this.#settingsAcknowledged = true;
      return;
    }
    if (length % 6 !== 0) {
      throw sizeError("SETTINGS that is not a multiple of 6 bytes long");
    }
    connection.guard.settings(connection.nowMs, length / 6);
    this.#settingsSeen = true;
    for (let at = start; at < end; at += 6) {
      this.#onSetting((bytes[at]! << 8) | bytes[at + 1]!, readU32(bytes, at + 2));
    }
    connection.sender.writer.settingsAck();
    connection.controlFrameWritten();
  }

  #onSetting(id: number, value: number): void {
    const { sender, streams } = this.#connection;
    switch (id) {
      case settingId.headerTableSize:
        sender.encoder.setTableSize(value);
        break;
      case settingId.enablePush:
        if (value > 1) {
          throw protocolError("SETTINGS_ENABLE_PUSH that is not 0 or 1");
        }
        break;
      case settingId.initialWindowSize:
        if (value > windowSizeMax) {
          throw new ConnectionError(errorCode.flowControlError, "initial window too large");
        }
        sender.setStreamWindow(value, streams);
        break;
      case settingId.maxFrameSize:
        if (value < frameSizeMax || value > 0xff_ffff) {
          throw protocolError("SETTINGS_MAX_FRAME_SIZE out of range");
        }
        sender.setFrameSize(value);
        break;
      default:
    }
  }

  #onPing(flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (streamId !== 0) {
      throw protocolError("PING on a stream");
    }
    if (end - start !== 8) {
      throw sizeError("PING that is not 8 bytes long");
    }
    const payload = bytes.subarray(start, end);
    if ((flags & frameFlag.ack) !== 0) {
      connection.pingAcknowledged(payload);
      return;
    }
    connection.guard.ping(connection.nowMs, connection.sender.answers);
    connection.sender.writer.ping(payload, true);
    connection.controlFrameWritten();
  }

  #onPriority(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (streamId === 0) {
      throw protocolError("PRIORITY on stream 0");
    }
    connection.guard.noise(connection.nowMs);
    if (end - start !== 5) {
      connection.streamError(streamId, errorCode.frameSizeError);
    } else if ((readU32(bytes, start) & 0x7fff_ffff) === streamId) {
      connection.streamError(streamId, errorCode.protocolError);
    }
  }

  /** The client will open no more streams; it closes when it has its answers. */
  #onGoaway(streamId: number, length: number): void {
    if (streamId !== 0) {
      throw protocolError("GOAWAY on a stream");
    }
    if (length < 8) {
      throw sizeError("GOAWAY shorter than 8 bytes");
    }
    this.#connection.guard.noise(this.#connection.nowMs);
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}
