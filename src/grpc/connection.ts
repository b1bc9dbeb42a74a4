// The HTTP/2 connection as a state machine: bytes in, calls run, frames out. No input or output
// here: whoever drives it hands it chunks and the time, and takes frames from `sender.writer`.
// frame-handler.ts reads the frames; this file keeps the streams and their calls.

import { equalBytes, type GrpcStatus } from "../base/index.ts";
import { type Call, type CallOwner, type HeldCall, RefusedCall } from "./call.ts";
import type { GrpcServerOptions, HttpAnswer, HttpRequest, PeerInfo } from "./contract.ts";
import { FloodGuard } from "./flood-guard.ts";
import { type ConnectionError, type ErrorCode, errorCode } from "./frame.ts";
import { serverSettings } from "./frame-writer.ts";
import { StreamingCall, UnaryCall } from "./grpc-call.ts";
import { HttpExchange } from "./http-exchange.ts";
import type { ConnectionLimits } from "./limits.ts";
import { ReceiveCredit, streamWindowBytes } from "./receive-credit.ts";
import type { RequestHead, Router } from "./request-head.ts";
import { Sender } from "./sender.ts";

/** What drives a connection: sockets and timers, or a test. */
export interface ConnectionHost {
  readonly peer: PeerInfo;
  /** Frames wait in the writer; called once until `flushed`. */
  wantFlush(): void;
  /** Nothing more will come; close once the writer is empty. */
  wantClose(): void;
  watchDeadline(call: Call): void;
  forgetDeadline(call: Call): void;
}

/** What all connections of a server share. */
export interface ConnectionShared {
  readonly options: GrpcServerOptions;
  readonly limits: ConnectionLimits;
  readonly router: Router;
}

/** Ids of streams that this side reset, remembered so that frames under way are not an error. */
const rememberedResets = 1_024;
const rememberedGaps = 32;
const drainPing = Uint8Array.of(0x64, 0x72, 0x61, 0x69, 0x6e, 0, 0, 0);

export class Connection implements CallOwner {
  readonly shared: ConnectionShared;
  readonly host: ConnectionHost;
  readonly guard: FloodGuard;
  readonly credit: ReceiveCredit;
  readonly sender: Sender;
  readonly messageBytesMax: number;
  readonly answerHttp: ((request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>) | undefined;
  nowMs: number;
  /** Within a chunk nobody is asked to flush: whoever handed it in does so at its end. */
  receiving = false;
  readonly #streams = new Map<number, Call>();
  /** The last stream looked up: HEADERS and DATA of a call come together. */
  #recent: Call | undefined;
  /** Odd, so that the first stream of an ordinary client is the next one. */
  #lastStreamId = -1;
  /** Ranges of ids that the client left out. */
  readonly #skipped: { readonly from: number; readonly to: number }[] = [];
  /** Streams above it are not served: what the GOAWAY said. */
  #lastServedId = 0x7fff_ffff;
  readonly #resetHere = new Set<number>();
  readonly #resetByPeer = new Set<number>();
  #runningHandlers = 0;
  #held: HeldCall[] = [];
  #bufferedBytes = 0;
  #assemblingBytes = 0;
  #messagesAssembled = 0;
  #flushWanted = false;
  #closing = false;
  #draining = false;
  #drained = false;
  #idleSinceMs: number;

  constructor(shared: ConnectionShared, host: ConnectionHost, nowMs: number) {
    const { options, limits } = shared;
    this.shared = shared;
    this.host = host;
    this.nowMs = nowMs;
    this.#idleSinceMs = nowMs;
    this.messageBytesMax = options.receiveMessageBytesMax;
    this.answerHttp = options.onHttpRequest;
    this.guard = new FloodGuard(limits, options.keepAliveMinTimeMs);
    this.sender = new Sender(() => this.wake());
    this.credit = new ReceiveCredit(this.sender.writer, limits.assemblyBytesMax);
    const settings = serverSettings(
      options.concurrentStreamsMax,
      streamWindowBytes,
      limits.headerListBytesMax,
    );
    this.sender.writer.settings(settings);
    this.credit.open();
    this.wake();
  }

  get peer(): PeerInfo {
    return this.host.peer;
  }

  get closing(): boolean {
    return this.#closing;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get lastStreamId(): number {
    return Math.max(0, this.#lastStreamId);
  }

  get streams(): IterableIterator<Call> {
    return this.#streams.values();
  }

  /** Since when no stream is open. */
  get idleSinceMs(): number {
    return this.#idleSinceMs;
  }

  /** Bytes of replies and of incomplete or waiting requests held for this client. */
  get bufferedBytes(): number {
    return this.#bufferedBytes + this.#assemblingBytes + this.sender.queuedBytes;
  }

  /** Bytes of requests that are not complete. */
  get assemblingBytes(): number {
    return this.#assemblingBytes;
  }

  /** Messages that came in more than one piece, ever. */
  get messagesAssembled(): number {
    return this.#messagesAssembled;
  }

  get overfull(): boolean {
    return this.sender.queuedBytes > this.shared.limits.queuedBytesMax;
  }

  // For calls.

  hold(call: HeldCall): boolean {
    if (this.sender.queuedBytes <= this.shared.limits.queuedBytesHold) {
      return false;
    }
    this.#held.push(call);
    return true;
  }

  watchDeadline(call: Call): void {
    this.host.watchDeadline(call);
  }

  forgetDeadline(call: Call): void {
    this.host.forgetDeadline(call);
  }

  callEnded(call: Call, status: GrpcStatus): void {
    const { onCallEnd } = this.shared.options;
    if (onCallEnd !== undefined && call.head.target.kind !== "http") {
      onCallEnd(call.path, status, performance.now() - call.startedMs);
    }
  }

  handlerEnded(): void {
    this.#runningHandlers--;
  }

  buffered(bytes: number): void {
    this.#bufferedBytes += bytes;
  }

  assembling(bytes: number): void {
    this.#assemblingBytes += bytes;
  }

  consumed(call: Call, bytes: number): void {
    if (!call.sendClosed && this.credit.consumed(call, bytes)) {
      this.controlFrameWritten();
    }
  }

  messageBegun(call: Call, missing: number): void {
    if (this.credit.begin(call, missing)) {
      this.controlFrameWritten();
    }
  }

  messageComplete(call: Call): void {
    this.#messagesAssembled++;
    if (this.credit.finish(call)) {
      this.controlFrameWritten();
    }
  }

  sendClosed(call: Call): void {
    if (!call.remoteClosed) {
      // The answer is complete: the client need not send the rest of its request.
      this.sender.writer.rstStream(call.id, errorCode.noError);
      this.#remember(this.#resetHere, call.id);
    }
    this.#remove(call);
  }

  abort(call: Call): void {
    this.sender.discard(call);
    this.sender.writer.rstStream(call.id, errorCode.cancel);
    this.#remember(this.#resetHere, call.id);
    this.wake();
    this.#remove(call);
    call.cancel();
  }

  // For the frame handler.

  find(streamId: number): Call | undefined {
    if (this.#recent?.id === streamId) {
      return this.#recent;
    }
    const call = this.#streams.get(streamId);
    if (call !== undefined) {
      this.#recent = call;
    }
    return call;
  }

  /** Whether frames of a closed stream may still come in because this side closed it. */
  closedHere(streamId: number): boolean {
    return this.#resetHere.has(streamId) || streamId > this.#lastServedId;
  }

  closedByPeerReset(streamId: number): boolean {
    return this.#resetByPeer.has(streamId);
  }

  /** Whether a stream was never opened, though later ones were (RFC 9113 section 5.1.1). */
  skipped(streamId: number): boolean {
    return this.#skipped.some(({ from, to }) => from <= streamId && streamId <= to);
  }

  #advanceTo(streamId: number): void {
    if (streamId !== this.#lastStreamId + 2) {
      this.#skipped.push({ from: this.#lastStreamId + 1, to: streamId - 1 });
      if (this.#skipped.length > rememberedGaps) {
        this.#skipped.shift();
      }
    }
    this.#lastStreamId = streamId;
  }

  /** A request's headers are complete. Undefined when it is refused or malformed. */
  openStream(
    streamId: number,
    head: RequestHead | undefined,
    endsStream: boolean,
  ): Call | undefined {
    this.#advanceTo(streamId);
    if (streamId > this.#lastServedId) {
      return undefined;
    }
    if (head === undefined) {
      this.streamError(streamId, errorCode.protocolError);
      return undefined;
    }
    const most = this.shared.options.concurrentStreamsMax;
    if (this.#runningHandlers >= most || this.#streams.size >= most) {
      this.resetStream(streamId, errorCode.refusedStream);
      return undefined;
    }
    const call = this.#makeCall(streamId, head);
    this.#runningHandlers++;
    this.#streams.set(streamId, call);
    this.#recent = call;
    call.remoteClosed = endsStream;
    call.open();
    return call;
  }

  /** A request that is too costly to look at. */
  refuseStream(streamId: number, code: ErrorCode): void {
    this.#advanceTo(streamId);
    this.streamError(streamId, code);
  }

  #makeCall(streamId: number, head: RequestHead): Call {
    switch (head.target.kind) {
      case "unary":
        return new UnaryCall(this, streamId, head, streamWindowBytes, this.nowMs);
      case "stream":
        return new StreamingCall(this, streamId, head, streamWindowBytes, this.nowMs);
      case "http":
        return new HttpExchange(this, streamId, head, streamWindowBytes, this.nowMs);
      case "refused":
        return new RefusedCall(this, streamId, head, streamWindowBytes, this.nowMs);
    }
  }

  /** The client broke a rule of one stream (RFC 9113 section 5.4.2). */
  streamError(streamId: number, code: ErrorCode): void {
    this.guard.streamError();
    this.resetStream(streamId, code);
  }

  /** Resets a stream because of what the client did. */
  resetStream(streamId: number, code: ErrorCode): void {
    this.guard.reset(this.nowMs);
    this.sender.writer.rstStream(streamId, code);
    this.controlFrameWritten();
    this.#remember(this.#resetHere, streamId);
    this.#drop(streamId);
  }

  /** The client reset a stream. */
  peerReset(streamId: number): void {
    if (this.#streams.has(streamId)) {
      // A reset after the answer costs nothing; only calls that were under way are counted.
      this.guard.reset(this.nowMs);
      this.#remember(this.#resetByPeer, streamId);
      this.#drop(streamId);
    }
  }

  #drop(streamId: number): void {
    const call = this.#streams.get(streamId);
    if (call !== undefined) {
      this.sender.discard(call);
      this.#remove(call);
      call.cancel();
    }
  }

  #remove(call: Call): void {
    this.#streams.delete(call.id);
    if (this.#recent === call) {
      this.#recent = undefined;
    }
    if ((call.granted > 0 || call.wanted > 0) && this.credit.finish(call)) {
      this.controlFrameWritten();
    }
    if (this.#streams.size === 0) {
      this.#idleSinceMs = this.nowMs;
      this.#closeWhenDrained();
    }
  }

  #remember(ids: Set<number>, streamId: number): void {
    ids.add(streamId);
    if (ids.size > rememberedResets) {
      for (const oldest of ids) {
        ids.delete(oldest);
        break;
      }
    }
  }

  controlFrameWritten(): void {
    const flood = this.guard.controlFrame();
    if (flood !== undefined) {
      this.fail(flood);
    }
    this.wake();
  }

  /** Frames were written. */
  wake(): void {
    if (!this.#flushWanted && !this.receiving) {
      this.#flushWanted = true;
      this.host.wantFlush();
    }
  }

  // For the driver.

  /** The writer was emptied; `all` when the socket has taken everything. */
  flushed(all: boolean): void {
    this.#flushWanted = false;
    if (all) {
      this.sender.writer.rewind();
    }
    if (!all) {
      this.sender.settle();
    } else if (!this.#closing) {
      this.guard.flushed();
      this.sender.pump();
      this.#runHeld();
    }
  }

  #runHeld(): void {
    while (this.#held.length > 0 && this.sender.queuedBytes <= this.shared.limits.queuedBytesHold) {
      this.#held.shift()?.run();
    }
  }

  /**
   * Begins the end: the client is told to open no more streams, and the connection closes when
   * the present ones are done. Streams that it opened before it heard are still served: those that
   * come before it acknowledges the PING behind the GOAWAY (RFC 9113 section 6.8). Idempotent.
   */
  drain(): void {
    if (!this.#draining && !this.#closing) {
      this.#draining = true;
      this.sender.writer.goaway(this.#lastServedId, errorCode.noError, "");
      this.sender.writer.ping(drainPing, false);
      this.wake();
    }
  }

  /** The client acknowledged a PING. */
  pingAcknowledged(payload: Uint8Array): void {
    if (this.#draining && equalBytes(payload, drainPing)) {
      this.finishDrain();
    }
  }

  /** The second half of a drain: the client has heard, or has had time enough. */
  finishDrain(): void {
    if (!this.#drained && !this.#closing) {
      this.#drained = true;
      this.#lastServedId = this.lastStreamId;
      this.sender.writer.goaway(this.#lastServedId, errorCode.noError, "");
      this.wake();
      this.#closeWhenDrained();
    }
  }

  #closeWhenDrained(): void {
    if (this.#drained && this.#streams.size === 0 && !this.#closing) {
      this.#closing = true;
      this.host.wantClose();
    }
  }

  /** GOAWAY with an error, all calls cancelled, the socket to be closed. */
  fail(error: ConnectionError): void {
    if (this.#closing) {
      return;
    }
    this.#closing = true;
    this.sender.writer.goaway(this.lastStreamId, error.code, error.message);
    this.wake();
    this.gone();
    this.host.wantClose();
  }

  /** The client is gone: cancels all calls. */
  gone(): void {
    this.#closing = true;
    this.#held = [];
    for (const call of this.#streams.values()) {
      this.sender.discard(call);
      call.cancel();
    }
    this.#streams.clear();
    this.#recent = undefined;
  }
}
