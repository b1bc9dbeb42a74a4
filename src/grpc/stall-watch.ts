// What a connection may not take its time for: the preface, the rest of a frame, reading what was
// asked for, answering a keep-alive ping. Looked at about once a second, never on the hot path.

import type { Connection } from "./connection.ts";
import { ConnectionError, type ErrorCode, errorCode } from "./frame.ts";
import type { FrameHandler } from "./frame-handler.ts";

const keepAlivePing = Uint8Array.of(0x6b, 0x65, 0x65, 0x70, 0, 0, 0, 0);

/** "drop" closes without a word, to a client that would not read it. */
export type Verdict = ConnectionError | "drop" | undefined;

function late(code: ErrorCode, message: string): ConnectionError {
  return new ConnectionError(code, message);
}

export class StallWatch {
  readonly #connection: Connection;
  readonly #frames: FrameHandler;
  readonly #openedMs: number;
  #heardMs: number;
  /** Since when a frame or header block has been incomplete at every look. */
  #partialSinceMs: number | undefined;
  /** When bytes last moved while some were waiting, in or out. */
  #progressMs: number;
  #dataFramesSeen = 0;
  #messagesSeen = 0;
  #pingedMs: number | undefined;

  constructor(connection: Connection, frames: FrameHandler, nowMs: number) {
    this.#connection = connection;
    this.#frames = frames;
    this.#openedMs = nowMs;
    this.#heardMs = nowMs;
    this.#progressMs = nowMs;
  }

  /** When the connection last made progress, or had nothing to make it with. */
  get progressMs(): number {
    return this.#progressMs;
  }

  /** Bytes of the client have come. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    this.#pingedMs = undefined;
  }

  /** What has taken too long, if anything. `writing`: the socket holds bytes not taken yet. */
  check(nowMs: number, writing: boolean): Verdict {
    if (this.#connection.closing) {
      return undefined;
    }
    return (
      this.#checkStart(nowMs) ??
      this.#checkPartial(nowMs) ??
      this.#checkProgress(nowMs, writing) ??
      this.#checkIdle(nowMs) ??
      this.#keepAlive(nowMs)
    );
  }

  #checkStart(nowMs: number): Verdict {
    const { limits } = this.#connection.shared;
    const age = nowMs - this.#openedMs;
    if (!this.#frames.settingsSeen) {
      return age > limits.prefaceTimeoutMs ? "drop" : undefined;
    }
    if (!this.#frames.settingsAcknowledged && age > limits.settingsAckTimeoutMs) {
      return late(errorCode.settingsTimeout, "SETTINGS not acknowledged");
    }
    return undefined;
  }

  #checkPartial(nowMs: number): Verdict {
    if (!this.#frames.partial) {
      this.#partialSinceMs = undefined;
      return undefined;
    }
    this.#partialSinceMs ??= nowMs;
    const { partialFrameTimeoutMs } = this.#connection.shared.limits;
    return nowMs - this.#partialSinceMs > partialFrameTimeoutMs
      ? late(errorCode.enhanceYourCalm, "frame or header block not finished")
      : undefined;
  }

  #checkProgress(nowMs: number, writing: boolean): Verdict {
    const connection = this.#connection;
    const { limits } = connection.shared;
    const queued = connection.sender.queuedBytes + connection.sender.writer.length;
    const { dataFrames } = connection.sender;
    const { messagesAssembled } = connection;
    const waiting = writing || queued > 0 || connection.assemblingBytes > 0;
    // Frames are made only as the socket and the windows take them, so they tell of progress.
    const moved = dataFrames !== this.#dataFramesSeen || messagesAssembled !== this.#messagesSeen;
    this.#dataFramesSeen = dataFrames;
    this.#messagesSeen = messagesAssembled;
    if (!waiting || moved) {
      this.#progressMs = nowMs;
      return undefined;
    }
    const stalled = nowMs - this.#progressMs;
    const many = queued >= limits.stalledBytes && stalled > limits.stalledTimeoutMs;
    return many || stalled > limits.stalledAnyTimeoutMs ? "drop" : undefined;
  }

  #checkIdle(nowMs: number): Verdict {
    const connection = this.#connection;
    const { idleTimeoutMs } = connection.shared.limits;
    if (connection.streamCount === 0 && nowMs - connection.idleSinceMs > idleTimeoutMs) {
      return late(errorCode.noError, "idle");
    }
    return undefined;
  }

  #keepAlive(nowMs: number): Verdict {
    const { keepAliveIntervalMs, keepAliveTimeoutMs } = this.#connection.shared.options;
    if (this.#pingedMs !== undefined) {
      return nowMs - this.#pingedMs > keepAliveTimeoutMs ? "drop" : undefined;
    }
    if (nowMs - this.#heardMs > keepAliveIntervalMs) {
      this.#pingedMs = nowMs;
      this.#connection.sender.writer.ping(keepAlivePing, false);
      this.#connection.wake();
    }
    return undefined;
  }
}
