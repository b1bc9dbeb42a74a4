// Counts what costs the server more than the client, and ends the connection when it is too much.
// Methods throw ConnectionError (ENHANCE_YOUR_CALM) naming what was too much.

import { ConnectionError, errorCode } from "./frame.ts";
import { type ConnectionLimits, TokenBucket } from "./limits.ts";

/** Pings too close together that are forgiven, as in grpc-go. */
const pingStrikesMax = 2;

function flood(what: string): ConnectionError {
  return new ConnectionError(errorCode.enhanceYourCalm, what);
}

export class FloodGuard {
  readonly #limits: ConnectionLimits;
  readonly #keepAliveMinTimeMs: number;
  readonly #resets: TokenBucket;
  readonly #settings: TokenBucket;
  readonly #pings: TokenBucket;
  readonly #noise: TokenBucket;
  #streamErrors = 0;
  #windowUpdates = 0;
  /** Control frames and PING acknowledgements written since the socket last took all. */
  #controlFramesQueued = 0;
  #pingAcksQueued = 0;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;
  /** Answers written when the last PING came. */
  #answersAtPing = 0;

  constructor(limits: ConnectionLimits, keepAliveMinTimeMs: number) {
    this.#limits = limits;
    this.#keepAliveMinTimeMs = keepAliveMinTimeMs;
    this.#resets = new TokenBucket(limits.resetsBurst, limits.resetsPerSecond);
    this.#settings = perMinute(limits.settingsFramesPerMinute);
    this.#pings = perMinute(limits.pingFramesPerMinute);
    this.#noise = perMinute(limits.noiseFramesPerMinute);
  }

  /** A running call was reset by the client, or had to be reset because of it. */
  reset(nowMs: number): void {
    if (!this.#resets.take(nowMs)) {
      throw flood("too many resets");
    }
  }

  streamError(): void {
    if (++this.#streamErrors > this.#limits.streamErrorsMax) {
      throw flood("too many stream errors");
    }
  }

  settings(nowMs: number, entries: number): void {
    if (entries > this.#limits.settingsEntriesMax || !this.#settings.take(nowMs)) {
      throw flood("too many settings");
    }
  }

  /**
   * A PING. Keep-alive pings closer together than the minimum are strikes; an answer sent in
   * between (`answers` counts them) clears the strikes, as grpc-go does, because bandwidth
   * probes come with traffic.
   */
  ping(nowMs: number, answers: number): void {
    if (!this.#pings.take(nowMs)) {
      throw flood("too many pings");
    }
    if (++this.#pingAcksQueued > this.#limits.pingAcksQueuedMax) {
      throw flood("too many pings unread");
    }
    if (answers !== this.#answersAtPing) {
      this.#pingStrikes = 0;
    } else if (nowMs - this.#lastPingMs < this.#keepAliveMinTimeMs) {
      this.#pingStrikes++;
      if (this.#pingStrikes > pingStrikesMax) {
        // The text by which gRPC clients know to slow their keep-alive down.
        throw flood("too_many_pings");
      }
    }
    this.#answersAtPing = answers;
    this.#lastPingMs = nowMs;
  }

  noise(nowMs: number): void {
    if (!this.#noise.take(nowMs)) {
      throw flood("too many frames without use");
    }
  }

  emptyData(countOnStream: number): void {
    if (countOnStream > this.#limits.emptyDataFramesMax) {
      throw flood("too many empty DATA frames");
    }
  }

  windowUpdate(dataFramesSent: number): void {
    const { windowUpdatesBurst, windowUpdatesPerDataFrame } = this.#limits;
    const allowed = windowUpdatesBurst + windowUpdatesPerDataFrame * dataFramesSent;
    if (++this.#windowUpdates > allowed) {
      throw flood("too many window updates");
    }
  }

  /**
   * A control frame was written for the client. Unlike the others this returns its verdict,
   * because handlers cause such frames too, and they must not be thrown at.
   */
  controlFrame(): ConnectionError | undefined {
    const tooMany = ++this.#controlFramesQueued > this.#limits.controlFramesQueuedMax;
    return tooMany ? flood("too many control frames unread") : undefined;
  }

  /** The socket took everything. */
  flushed(): void {
    this.#controlFramesQueued = 0;
    this.#pingAcksQueued = 0;
  }
}

function perMinute(count: number): TokenBucket {
  return new TokenBucket(count, count / 60);
}
