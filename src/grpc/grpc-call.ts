// gRPC calls: one request and one reply, or streams of messages.

import { grpcStatus } from "../base/index.ts";
import { Call, type HeldCall } from "./call.ts";
import { type ReplyBytes, RpcError, type StreamCall } from "./contract.ts";
import { rpcErrorFrom } from "./handler-error.ts";
import { MessageAssembler, type MessageSink, takeWholeMessages } from "./grpc-frame.ts";

const prefixBytes = 5;

/** A call whose input is messages. */
abstract class MessageCall extends Call implements MessageSink {
  #assembler: MessageAssembler | undefined = undefined;
  /** What the owner was told that the assembler holds. */
  #heldBytes = 0;

  get messageBytesMax(): number {
    return this.owner.messageBytesMax;
  }

  get encoding(): string {
    return this.head.encoding;
  }

  abstract takeMessage(message: Uint8Array): boolean;

  messageBegun(missing: number): void {
    this.owner.messageBegun(this, missing);
  }

  messageComplete(): void {
    this.owner.messageComplete(this);
  }

  protected input(bytes: Uint8Array, start: number, end: number): void {
    let position = start;
    if (this.#assembler === undefined) {
      position = takeWholeMessages(bytes, start, end, this);
      if (position === end) {
        return;
      }
      this.#assembler = new MessageAssembler(this);
    }
    const assembler = this.#assembler;
    assembler.receive(bytes, position, end);
    // A handler that ended the call on the way has had all input dropped.
    if (this.#assembler === assembler) {
      this.owner.assembling(assembler.heldBytes - this.#heldBytes);
      this.#heldBytes = assembler.heldBytes;
    }
  }

  protected inputEnded(): void {
    if (this.#assembler !== undefined && this.#assembler.heldBytes > 0) {
      this.cancelWith(new RpcError(grpcStatus.internal, "unexpected EOF"));
    } else {
      this.messagesEnded();
    }
  }

  protected abstract messagesEnded(): void;

  protected dropInput(): void {
    if (this.#assembler !== undefined) {
      this.owner.assembling(-this.#heldBytes);
      this.#heldBytes = 0;
      this.#assembler = undefined;
    }
  }
}

export class UnaryCall extends MessageCall implements HeldCall {
  #request: Uint8Array | undefined = undefined;

  open(): void {}

  takeMessage(message: Uint8Array): boolean {
    if (this.#request !== undefined) {
      throw new RpcError(grpcStatus.internal, "a unary call got a second message");
    }
    this.#request = message;
    return true;
  }

  protected messagesEnded(): void {
    if (this.#request === undefined) {
      this.fail(new RpcError(grpcStatus.internal, "EOF"));
    } else if (!this.owner.hold(this)) {
      this.run();
    }
  }

  /** The handler's turn. */
  run(): void {
    const { target } = this.head;
    const request = this.#request;
    if (this.ended || target.kind !== "unary" || request === undefined) {
      return;
    }
    this.#request = undefined;
    try {
      const result = target.handle(request, this);
      if (result instanceof Promise) {
        this.#wait(result);
      } else {
        this.#reply(result);
      }
    } catch (error) {
      this.fail(rpcErrorFrom(error));
    }
  }

  #wait(result: Promise<ReplyBytes>): void {
    this.handlerPending = true;
    if (this.deadlineMs !== undefined) {
      this.owner.watchDeadline(this);
    }
    result.then(
      (reply) => {
        this.#reply(reply);
        this.handlerSettled();
      },
      (error) => {
        this.fail(rpcErrorFrom(error));
        this.handlerSettled();
      },
    );
  }

  #reply(reply: ReplyBytes): void {
    if (this.ended) {
      return;
    }
    if (this.owner.overfull) {
      this.refuseOverfull();
      return;
    }
    this.finish(grpcStatus.ok);
    this.owner.sender.unary(this, reply);
  }
}

export class StreamingCall extends MessageCall implements StreamCall {
  /** Messages that wait because the handler paused, or has not asked for them. */
  #inbox: Uint8Array[] | undefined = undefined;
  #paused = false;
  #delivering = false;
  #halfCloseDue = false;
  #messageCallback: ((message: Uint8Array) => void) | undefined = undefined;
  #halfCloseCallback: (() => void) | undefined = undefined;
  #drainCallback: (() => void) | undefined = undefined;

  get queuedBytes(): number {
    return this.partsBytes;
  }

  onMessage(callback: (message: Uint8Array) => void): void {
    this.#messageCallback = callback;
    this.#deliverLater();
  }

  onHalfClose(callback: () => void): void {
    this.#halfCloseCallback = callback;
    this.#deliverLater();
  }

  onDrain(callback: () => void): void {
    this.#drainCallback = callback;
  }

  write(message: ReplyBytes): boolean {
    if (this.ended) {
      return true;
    }
    if (this.owner.overfull) {
      this.refuseOverfull();
      return true;
    }
    return this.owner.sender.message(this, message);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliverLater();
  }

  end(error?: RpcError): void {
    if (!this.ended) {
      const status = error?.status ?? grpcStatus.ok;
      this.finish(status);
      this.owner.sender.end(this, status, error?.message ?? "");
    }
  }

  open(): void {
    const { target } = this.head;
    if (target.kind !== "stream") {
      return;
    }
    if (this.deadlineMs !== undefined) {
      this.owner.watchDeadline(this);
    }
    this.#guard(() => target.handle(this));
  }

  override onQueueDrained(): void {
    if (!this.ended && this.#drainCallback !== undefined) {
      this.#guard(this.#drainCallback);
    }
  }

  takeMessage(message: Uint8Array): boolean {
    if (this.#takes() && this.#inbox === undefined) {
      this.#hand(message);
    } else {
      this.#inbox ??= [];
      this.#inbox.push(message);
      this.owner.buffered(message.length);
    }
    return !this.ended;
  }

  protected messagesEnded(): void {
    this.#halfCloseDue = true;
    this.#deliver();
  }

  protected override dropInput(): void {
    super.dropInput();
    for (const message of this.#inbox ?? []) {
      this.owner.buffered(-message.length);
    }
    this.#inbox = undefined;
  }

  #takes(): boolean {
    return !this.ended && !this.#paused && this.#messageCallback !== undefined;
  }

  #hand(message: Uint8Array): void {
    const callback = this.#messageCallback;
    if (callback === undefined) {
      return;
    }
    try {
      callback(message);
    } catch (error) {
      this.end(rpcErrorFrom(error));
    }
    if (!this.ended) {
      this.owner.consumed(this, message.length + prefixBytes);
    }
  }

  #deliverLater(): void {
    if (this.#inbox !== undefined || this.#halfCloseDue) {
      queueMicrotask(() => this.#deliver());
    }
  }

  /** Hands over what waited, as long as the handler takes it, then the half-close. */
  #deliver(): void {
    if (this.#delivering) {
      return;
    }
    this.#delivering = true;
    while (this.#inbox !== undefined && this.#takes()) {
      const message = this.#inbox.shift();
      if (message === undefined) {
        this.#inbox = undefined;
        break;
      }
      this.owner.buffered(-message.length);
      this.#hand(message);
    }
    this.#delivering = false;
    const callback = this.#halfCloseCallback;
    const due = this.#halfCloseDue && (this.#inbox === undefined || this.#inbox.length === 0);
    if (due && !this.#paused && callback !== undefined) {
      this.#halfCloseDue = false;
      if (!this.ended) {
        this.#guard(callback);
      }
    }
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.end(rpcErrorFrom(error));
    }
  }
}
