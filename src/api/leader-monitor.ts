// Streams whose client asked for a member that has a leader (metadata `hasleader: true`).
//
// A new call is refused at once while there is no leader. A stream that is open is worth more
// patience: it is ended when three election timeouts in a row found none, so that its client looks
// for another member (etcd's rule and numbers).

import { noMember, QuorateError, type Timer } from "../base/index.ts";
import { RpcError, type ReplyBytes, type StreamCall } from "../grpc/index.ts";
import type { PeerInfo } from "../grpc/index.ts";
import type { ApiContext } from "./context.ts";

const roundsWithoutLeaderMax = 3;

export class LeaderMonitor {
  readonly #api: ApiContext;
  readonly #streams = new Set<MonitoredStream>();
  #roundsWithoutLeader = 0;
  #timer: Timer | undefined;

  constructor(api: ApiContext) {
    this.#api = api;
  }

  get hasLeader(): boolean {
    return this.#api.handle.status().leader !== noMember;
  }

  /** The stream to give to the handler in place of `call`. */
  watch(call: StreamCall): StreamCall {
    const stream = new MonitoredStream(call, () => {
      this.#streams.delete(stream);
      this.#stopWhenIdle();
    });
    this.#streams.add(stream);
    this.#timer ??= this.#nextRound();
    return stream;
  }

  close(): void {
    this.#streams.clear();
    this.#stopWhenIdle();
  }

  #nextRound(): Timer {
    return this.#api.clock.after(this.#api.options.electionTimeoutMs, () => this.#round());
  }

  #round(): void {
    this.#roundsWithoutLeader = this.hasLeader ? 0 : this.#roundsWithoutLeader + 1;
    if (this.#roundsWithoutLeader >= roundsWithoutLeaderMax) {
      const error = new QuorateError("noLeader");
      for (const stream of [...this.#streams]) {
        stream.abort(new RpcError(error.status, error.message));
      }
    }
    this.#timer = this.#streams.size > 0 ? this.#nextRound() : undefined;
  }

  #stopWhenIdle(): void {
    if (this.#streams.size === 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#roundsWithoutLeader = 0;
    }
  }
}

/** A stream that the server can cancel: its handler sees what it sees when a client goes. */
class MonitoredStream implements StreamCall {
  readonly #call: StreamCall;
  readonly #onOver: () => void;
  readonly #cancelCallbacks: (() => void)[] = [];
  #over = false;
  #aborted = false;

  constructor(call: StreamCall, onOver: () => void) {
    this.#call = call;
    this.#onOver = onOver;
    call.onCancel(() => this.#cancel());
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
    return this.#aborted || this.#call.cancelled;
  }
  get queuedBytes(): number {
    return this.#call.queuedBytes;
  }
  metadata(name: string): string | undefined {
    return this.#call.metadata(name);
  }
  onMessage(callback: (message: Uint8Array) => void): void {
    this.#call.onMessage((message) => {
      if (!this.#over) {
        callback(message);
      }
    });
  }
  onHalfClose(callback: () => void): void {
    this.#call.onHalfClose(callback);
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

  onCancel(callback: () => void): void {
    if (this.cancelled) {
      callback();
    } else {
      this.#cancelCallbacks.push(callback);
    }
  }

  end(error?: RpcError): void {
    this.#finish();
    this.#call.end(error);
  }

  /** Ends the call with `error`, its handler none the wiser than of a client that went. */
  abort(error: RpcError): void {
    this.#aborted = true;
    this.#call.end(error);
    this.#cancel();
  }

  #cancel(): void {
    if (this.#finish()) {
      for (const callback of this.#cancelCallbacks) {
        callback();
      }
    }
  }

  #finish(): boolean {
    if (this.#over) {
      return false;
    }
    this.#over = true;
    this.#onOver();
    return true;
  }
}
