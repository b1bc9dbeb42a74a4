// A stream whose handler comes later: what the client sends meanwhile is kept, in order, and the
// client is asked to wait.

import type { PeerInfo, ReplyBytes, RpcError, StreamCall } from "../grpc/index.ts";

export class HeldStream implements StreamCall {
  readonly #call: StreamCall;
  readonly #held: Uint8Array[] = [];
  #onMessage: ((message: Uint8Array) => void) | undefined;
  #onHalfClose: (() => void) | undefined;
  #isHalfClosed = false;

  constructor(call: StreamCall) {
    this.#call = call;
    call.onMessage((message) => {
      if (this.#onMessage === undefined) {
        this.#held.push(message);
        call.pause();
      } else {
        this.#onMessage(message);
      }
    });
    call.onHalfClose(() => {
      this.#isHalfClosed = true;
      this.#onHalfClose?.();
    });
  }

  get path(): string {
    return this.#call.path;
  }
  get peer(): PeerInfo {
    return this.#call.peer;
  }
  get deadlineMs(): number | undefined {
    return this.#call.deadlineMs;
  }
  get cancelled(): boolean {
    return this.#call.cancelled;
  }
  get queuedBytes(): number {
    return this.#call.queuedBytes;
  }
  metadata(name: string): string | undefined {
    return this.#call.metadata(name);
  }
  onCancel(callback: () => void): void {
    this.#call.onCancel(callback);
  }

  onMessage(callback: (message: Uint8Array) => void): void {
    this.#onMessage = callback;
    // The handler sets its other callbacks first.
    queueMicrotask(() => {
      const held = this.#held.splice(0);
      for (const message of held) {
        callback(message);
      }
      if (held.length > 0) {
        this.#call.resume();
      }
      if (this.#isHalfClosed) {
        this.#onHalfClose?.();
      }
    });
  }

  onHalfClose(callback: () => void): void {
    this.#onHalfClose = callback;
  }
  onDrain(callback: () => void): void {
    this.#call.onDrain(callback);
  }
  write(message: ReplyBytes): boolean {
    return this.#call.write(message);
  }
  pause(): void {
    this.#call.pause();
  }
  resume(): void {
    this.#call.resume();
  }
  end(error?: RpcError): void {
    this.#call.end(error);
  }
}
