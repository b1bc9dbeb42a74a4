// The bounds of the direct HTTP/2 server, by name, with the attack or accident each one answers.
// All are per connection unless the name says otherwise. A client that respects HTTP/2 and gRPC
// meets none of them.

/** Bytes queued on one stream beyond which `write` asks its handler to wait for `onDrain`. */
export const streamQueueBytesMax = 256 * 1024;

export interface ConnectionLimits {
  /** From the first byte to the end of the client's preface and SETTINGS (slow starts). */
  readonly prefaceTimeoutMs: number;
  /** Without any stream. */
  readonly idleTimeoutMs: number;
  /** For the client to acknowledge SETTINGS. */
  readonly settingsAckTimeoutMs: number;
  /** For the rest of a frame, or of a header block, once begun (slow headers). */
  readonly partialFrameTimeoutMs: number;

  /** Compressed size of one header block (CONTINUATION flood). */
  readonly headerBlockBytesMax: number;
  /** Decoded size of one header block, 32 bytes a field included (HPACK bomb). */
  readonly headerListBytesMax: number;
  readonly headerFieldsMax: number;
  readonly continuationFramesMax: number;

  /** Resets of running calls by the client, and resets it provokes (Rapid Reset). */
  readonly resetsBurst: number;
  readonly resetsPerSecond: number;
  /** Frames that broke a stream, ever. */
  readonly streamErrorsMax: number;

  readonly settingsEntriesMax: number;
  readonly settingsFramesPerMinute: number;
  readonly pingFramesPerMinute: number;
  /** PING acknowledgements that the client has not read yet. */
  readonly pingAcksQueuedMax: number;
  /** PRIORITY and unknown frames. */
  readonly noiseFramesPerMinute: number;
  /** DATA frames without data on one stream. */
  readonly emptyDataFramesMax: number;
  /** WINDOW_UPDATE frames: so many at first, and more for each DATA frame sent. */
  readonly windowUpdatesBurst: number;
  readonly windowUpdatesPerDataFrame: number;

  /** Control frames that the client has not read yet. */
  readonly controlFramesQueuedMax: number;
  /** Reply bytes waiting for the client beyond which its further unary calls wait too. */
  readonly queuedBytesHold: number;
  /** Reply bytes waiting beyond which another reply becomes RESOURCE_EXHAUSTED. */
  readonly queuedBytesMax: number;
  /** Bytes of incomplete large requests; further large ones wait for their window. */
  readonly assemblyBytesMax: number;
  /** No progress for so long with so much queued closes (a reader that stalls). */
  readonly stalledTimeoutMs: number;
  readonly stalledBytes: number;
  /** No progress for so long with anything queued, in or out, closes (data dribble). */
  readonly stalledAnyTimeoutMs: number;

  /** All connections: bytes buffered, in and out; the longest stalled is closed first. */
  readonly serverBufferedBytesMax: number;
}

/** reliability.md 4.3. */
export const connectionLimits: ConnectionLimits = {
  prefaceTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  settingsAckTimeoutMs: 10_000,
  partialFrameTimeoutMs: 5_000,

  headerBlockBytesMax: 16 * 1024,
  headerListBytesMax: 16 * 1024,
  headerFieldsMax: 128,
  continuationFramesMax: 8,

  resetsBurst: 1_000,
  resetsPerSecond: 33,
  streamErrorsMax: 100,

  settingsEntriesMax: 32,
  settingsFramesPerMinute: 100,
  pingFramesPerMinute: 1_000,
  pingAcksQueuedMax: 10,
  noiseFramesPerMinute: 1_000,
  emptyDataFramesMax: 100,
  windowUpdatesBurst: 1_000,
  windowUpdatesPerDataFrame: 10,

  controlFramesQueuedMax: 1_000,
  queuedBytesHold: 8 * 1024 * 1024,
  queuedBytesMax: 64 * 1024 * 1024,
  assemblyBytesMax: 32 * 1024 * 1024,
  stalledTimeoutMs: 20_000,
  stalledBytes: 1024 * 1024,
  stalledAnyTimeoutMs: 120_000,

  serverBufferedBytesMax: 256 * 1024 * 1024,
};

/** A bucket that holds `burst` tokens and gains `perSecond` of them; empty means a flood. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #filledMs = 0;

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#tokens = burst;
  }

  /** Takes one; false when there is none. */
  take(nowMs: number): boolean {
    if (nowMs > this.#filledMs) {
      const gained = (nowMs - this.#filledMs) * this.#perMs;
      this.#tokens = Math.min(this.#burst, this.#tokens + gained);
      this.#filledMs = nowMs;
    }
    if (this.#tokens < 1) {
      return false;
    }
    this.#tokens--;
    return true;
  }
}
