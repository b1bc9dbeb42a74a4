// Requests that wait for their answer on one connection.

import { fromUtf8 } from "../base/index.ts";
import type { Clock, Timer } from "../base/index.ts";
import { PeerError } from "./peer-error.ts";

interface PendingCall {
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: PeerError) => void;
  readonly timer: Timer;
}

export class PendingCalls {
  readonly #clock: Clock;
  readonly #calls = new Map<number, PendingCall>();
  #nextId = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Makes a call with `send`, which gets its id, and waits for the answer. */
  call(timeoutMs: number, send: (id: number) => void): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId;
      this.#nextId = (id + 1) >>> 0;
      const timer = this.#clock.after(timeoutMs, () => {
        this.#calls.delete(id);
        reject(new PeerError("timeout", `no answer within ${timeoutMs} ms`));
      });
      this.#calls.set(id, { resolve, reject, timer });
      send(id);
    });
  }

  /** An answer; one that nobody waits for any more is ignored. */
  answer(id: number, body: Uint8Array, isError: boolean): void {
    const call = this.#calls.get(id);
    if (call === undefined) {
      return;
    }
    this.#calls.delete(id);
    call.timer.cancel();
    if (isError) {
      call.reject(new PeerError("failed", fromUtf8(body)));
    } else {
      call.resolve(body);
    }
  }

  failAll(error: PeerError): void {
    for (const call of this.#calls.values()) {
      call.timer.cancel();
      call.reject(error);
    }
    this.#calls.clear();
  }
}
