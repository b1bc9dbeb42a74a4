// One request and its answer: what unary calls, streaming calls and plain HTTP exchanges share.
//
// The life of a call: open -> input -> its handler ends it, or it is cancelled. `ended` is set
// once, by whichever comes first; after that nothing is delivered and nothing sent. A handler that
// still runs after its call was cancelled keeps its place among the concurrent calls until it is
// done, so that a client cannot pile up work by resetting and asking again.

import { type GrpcStatus, grpcStatus } from "../base/index.ts";
import {
  type CallContext,
  type HttpAnswer,
  type HttpRequest,
  type PeerInfo,
  RpcError,
} from "./contract.ts";
import { CompressionError } from "./grpc-frame.ts";
import { rpcErrorFrom } from "./handler-error.ts";
import type { ReceiveWindow } from "./receive-credit.ts";
import { headerValue, type RequestHead } from "./request-head.ts";
import { OutgoingStream, type Sender } from "./sender.ts";

/** What a call needs of its connection. */
export interface CallOwner {
  readonly peer: PeerInfo;
  readonly messageBytesMax: number;
  readonly sender: Sender;
  readonly answerHttp: ((request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>) | undefined;
  /** So much waits for the client that no further reply may join it. */
  readonly overfull: boolean;
  /** True when the call was taken to be run later, because too much waits for the client. */
  hold(call: HeldCall): boolean;
  watchDeadline(call: Call): void;
  forgetDeadline(call: Call): void;
  /** The call has its status; reported once. */
  callEnded(call: Call, status: GrpcStatus): void;
  /** The handler is done; called once. */
  handlerEnded(): void;
  /** Bytes of complete messages that wait for their handler changed by so much. */
  buffered(bytes: number): void;
  /** Bytes of incomplete requests changed by so much. */
  assembling(bytes: number): void;
  /** Bytes of a stream's data need no memory any more. */
  consumed(call: Call, bytes: number): void;
  /** A message has begun of which `missing` bytes are still to come; and has come. */
  messageBegun(call: Call, missing: number): void;
  messageComplete(call: Call): void;
  /** END_STREAM was written. */
  sendClosed(call: Call): void;
  /** Ends the stream without trailers. */
  abort(call: Call): void;
}

/** A call whose handler may be made to wait. */
export interface HeldCall {
  run(): void;
}

const identityOnly = [["grpc-accept-encoding", "identity"]] as const;

export abstract class Call extends OutgoingStream implements CallContext, ReceiveWindow {
  protected readonly owner: CallOwner;
  readonly head: RequestHead;
  readonly startedMs: number;
  readonly deadlineMs: number | undefined;
  /** Place in the deadline wheel: a slot, -1 for none, and the neighbours in it. */
  deadlineSlot = -1;
  deadlineNext: Call | undefined = undefined;
  deadlinePrevious: Call | undefined = undefined;

  receiveWindow: number;
  creditDue = 0;
  granted = 0;
  wanted = 0;
  remoteClosed = false;
  /** Bytes of DATA so far, for content-length. */
  dataBytes = 0;
  emptyFrames = 0;

  /** Has its status. */
  ended = false;
  cancelled = false;
  /** The handler has not settled its promise. */
  protected handlerPending = false;
  #slotHeld = true;
  #cancelCallbacks: (() => void)[] | undefined = undefined;

  constructor(
    owner: CallOwner,
    id: number,
    head: RequestHead,
    receiveWindow: number,
    nowMs: number,
  ) {
    super(id, owner.sender.streamWindow);
    this.owner = owner;
    this.head = head;
    this.startedMs = nowMs;
    this.deadlineMs = head.timeoutMs < 0 ? undefined : nowMs + head.timeoutMs;
    this.receiveWindow = receiveWindow;
  }

  /** The request's headers are in. */
  abstract open(): void;
  /** A piece of DATA, not empty. */
  protected abstract input(bytes: Uint8Array, start: number, end: number): void;
  /** END_STREAM has come. */
  protected abstract inputEnded(): void;
  /** Nothing that came in will be looked at any more: drops it and says so to the owner. */
  protected abstract dropInput(): void;

  get path(): string {
    return this.head.path;
  }

  get peer(): PeerInfo {
    return this.owner.peer;
  }

  metadata(name: string): string | undefined {
    return headerValue(this.head, name);
  }

  onCancel(callback: () => void): void {
    if (this.cancelled) {
      callback();
    } else if (!this.ended) {
      this.#cancelCallbacks ??= [];
      this.#cancelCallbacks.push(callback);
    }
  }

  /** DATA of the client; a call that ended takes none. */
  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.ended) {
      return;
    }
    try {
      this.input(bytes, start, end);
    } catch (error) {
      this.cancelWith(rpcErrorFrom(error));
    }
  }

  halfClosed(): void {
    this.remoteClosed = true;
    if (!this.ended) {
      this.inputEnded();
    }
  }

  /** The client has gone or reset the stream: tells the handler, sends nothing. */
  cancel(): void {
    if (!this.ended) {
      this.finish(grpcStatus.cancelled);
      this.#tellCancelled();
    }
    this.dropInput();
  }

  /** The deadline has passed. */
  expire(): void {
    this.cancelWith(new RpcError(grpcStatus.deadlineExceeded, "context deadline exceeded"));
  }

  override onQueueDrained(): void {}

  override onSendClosed(): void {
    this.dropInput();
    this.owner.sendClosed(this);
  }

  /** Sets the status. The answer is the caller's to send. */
  protected finish(status: GrpcStatus): void {
    this.ended = true;
    if (this.deadlineSlot >= 0) {
      this.owner.forgetDeadline(this);
    }
    this.owner.callEnded(this, status);
    if (!this.handlerPending) {
      this.#releaseSlot();
    }
  }

  /** The promise of the handler has settled. */
  protected handlerSettled(): void {
    this.handlerPending = false;
    if (this.ended) {
      this.#releaseSlot();
    }
  }

  #releaseSlot(): void {
    if (this.#slotHeld) {
      this.#slotHeld = false;
      this.owner.handlerEnded();
    }
  }

  /** The handler failed: answers its error. */
  protected fail(error: RpcError): void {
    if (!this.ended) {
      this.finish(error.status);
      this.#sendError(error);
    }
  }

  /** Ends a call that its handler did not end: answers the error and tells the handler. */
  protected cancelWith(error: RpcError): void {
    if (!this.ended) {
      this.finish(error.status);
      this.#tellCancelled();
      this.#sendError(error);
    }
  }

  /** The answer in place of one that would be too much. */
  protected refuseOverfull(): void {
    this.cancelWith(
      new RpcError(
        grpcStatus.resourceExhausted,
        "grpc: too many bytes of replies wait for the client to read them",
      ),
    );
  }

  #sendError(error: RpcError): void {
    if (this.partsBytes > 0) {
      // A message is half sent: trailers behind it would not be understood.
      this.owner.abort(this);
    } else if (error instanceof CompressionError && !this.headersSent) {
      const { status, message } = error;
      this.owner.sender.trailersOnly(this, 200, status, message, identityOnly);
    } else {
      this.owner.sender.end(this, error.status, error.message);
    }
  }

  #tellCancelled(): void {
    this.cancelled = true;
    const callbacks = this.#cancelCallbacks;
    this.#cancelCallbacks = undefined;
    for (const callback of callbacks ?? []) {
      try {
        callback();
      } catch (error) {
        // The call is over, so nobody is left to be answered; the error must still be seen.
        rpcErrorFrom(error);
      }
    }
  }
}

/** A request that is answered from its headers alone. */
export class RefusedCall extends Call {
  open(): void {
    const { target } = this.head;
    if (target.kind === "refused") {
      this.finish(target.status);
      const { httpStatus, status, message } = target;
      this.owner.sender.trailersOnly(this, httpStatus, status, message, []);
    }
  }

  protected input(): void {}

  protected inputEnded(): void {}

  protected dropInput(): void {}
}
