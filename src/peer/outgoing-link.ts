// The link on which this member sends messages and calls to one other. It is made again whenever
// it breaks, after a pause that grows; a peer that calls us ends the pause. Pings measure the
// round trip and find links that are dead without saying so.

import { DecodeError, idToHex, readU32, writeU32 } from "../base/index.ts";
import type { MemberId, Timer } from "../base/index.ts";
import type { OutgoingFrame, PeerAddress, PeerLinkStatus } from "./contract.ts";
import { FrameSocket } from "./frame-socket.ts";
import { frameHead, frameHeadBytes, frameKinds, messageHead, readMessage } from "./framing.ts";
import { RefusedError, dial } from "./handshake.ts";
import type { OpenSocket } from "./handshake.ts";
import { helloTo } from "./link-context.ts";
import type { LinkContext } from "./link-context.ts";
import { PeerError } from "./peer-error.ts";
import { PendingCalls } from "./pending-calls.ts";

const pauseMsMin = 20;
const pauseMsMax = 1000;
const pingIntervalMs = 1000;
/** A link on which nothing came back for this long is dead. */
const silenceMsMax = 4000;
/** Frames kept while the first attempt, or the one after a pause, is under way. */
const earlyFramesMax = 256;

interface EarlyFrame {
  readonly head: Uint8Array;
  readonly parts: readonly Uint8Array[];
  readonly droppable: boolean;
}

type LinkState =
  | { readonly kind: "dialing"; readonly abort: AbortController; readonly early: EarlyFrame[] }
  | { readonly kind: "connected"; readonly frames: FrameSocket }
  | { readonly kind: "pausing"; readonly timer: Timer }
  | { readonly kind: "closed" };

export class OutgoingLink {
  readonly #context: LinkContext;
  readonly #to: MemberId;
  #urls: readonly string[];
  #nextUrl = 0;
  #state: LinkState;
  #pauseMs = pauseMsMin;
  #lostScheduled = false;
  readonly #calls: PendingCalls;
  #pingTimer: Timer | undefined;
  #pingSentAtMs: number | undefined;
  #pingNumber = 0;
  #heardAtMs = 0;
  #roundTripMs: number | undefined;
  /** The failure told last, so that a peer that stays away fills no log. */
  #toldFailure = "";

  constructor(peer: PeerAddress, context: LinkContext) {
    this.#context = context;
    this.#to = peer.id;
    this.#urls = peer.urls;
    this.#calls = new PendingCalls(context.clock);
    this.#state = this.#dial();
  }

  setUrls(urls: readonly string[]): void {
    this.#urls = urls;
  }

  send(frame: OutgoingFrame): void {
    if (!this.#sendFrame(messageHead(frame.type), frame.parts, frame.droppable)) {
      this.#lost(1);
    }
  }

  request(kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (this.#state.kind === "closed" || this.#state.kind === "pausing") {
      return Promise.reject(unreachable(this.#to));
    }
    return this.#calls.call(timeoutMs, (id) => {
      const head = frameHead(frameKinds.request, 5);
      writeU32(head, frameHeadBytes, id);
      head[frameHeadBytes + 4] = kind;
      this.#sendFrame(head, [body], false);
    });
  }

  /** The peer is there: it has just called us. */
  retryNow(): void {
    if (this.#state.kind === "pausing") {
      this.#state.timer.cancel();
      this.#pauseMs = pauseMsMin;
      this.#state = this.#dial();
    }
  }

  status(lastReceivedAtMs: number | undefined): PeerLinkStatus {
    const { kind } = this.#state;
    return {
      id: this.#to,
      connected: kind === "connected",
      roundTripMs: this.#roundTripMs,
      lastReceivedAtMs,
      queuedBytes: this.#state.kind === "connected" ? this.#state.frames.queuedBytes : 0,
    };
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "dialing") {
      state.abort.abort();
    } else if (state.kind === "pausing") {
      state.timer.cancel();
    } else if (state.kind === "connected") {
      state.frames.destroy();
      this.#context.metrics.connected(this.#to, false);
    }
    this.#pingTimer?.cancel();
    this.#calls.failAll(new PeerError("aborted", "the link was closed"));
  }

  #sendFrame(head: Uint8Array, parts: readonly Uint8Array[], droppable: boolean): boolean {
    const state = this.#state;
    if (state.kind === "connected") {
      state.frames.send(head, parts, droppable);
      return true;
    }
    if (state.kind === "dialing") {
      state.early.push({ head, parts, droppable });
      if (state.early.length > earlyFramesMax) {
        state.early.shift();
        this.#lost(1);
      }
      return true;
    }
    return false;
  }

  /** Tells of lost frames once a turn, and never from within `send`. */
  #lost(frames: number): void {
    if (frames > 0) {
      this.#context.metrics.sendFailed(this.#to, frames);
    }
    if (!this.#lostScheduled) {
      this.#lostScheduled = true;
      queueMicrotask(() => {
        this.#lostScheduled = false;
        if (this.#state.kind !== "closed") {
          this.#context.handlers.onUnreachable(this.#to);
        }
      });
    }
  }

  #dial(): LinkState {
    const abort = new AbortController();
    const state: LinkState = { kind: "dialing", abort, early: [] };
    const { transport, clock } = this.#context;
    const url = this.#urls[this.#nextUrl++ % this.#urls.length];
    const dialed =
      url === undefined
        ? Promise.reject(new PeerError("unreachable", "the peer has no URL"))
        : dial(transport, url, helloTo(this.#context, this.#to, "messages"), clock, abort.signal);
    dialed.then(
      (open) => {
        if (this.#state === state) {
          this.#connected(open, state.early);
        } else {
          open.socket.destroy();
        }
      },
      (error: unknown) => {
        if (this.#state === state) {
          this.#failed(error, state.early.length);
        }
      },
    );
    return state;
  }

  #connected(open: OpenSocket, early: readonly EarlyFrame[]): void {
    const { clock, metrics, logger } = this.#context;
    const frames = new FrameSocket(open.socket, open.received, {
      onFrame: (kind, body) => this.#onFrame(kind, body),
      onReceived: (bytes) => {
        this.#heardAtMs = clock.monotonicMs();
        metrics.received(this.#to, bytes);
        this.#context.heardFrom(this.#to);
      },
      onSent: (bytes) => metrics.sent(this.#to, bytes),
      onDropped: (count) => this.#lost(count),
      onClosed: (error) => {
        if (this.#state.kind === "connected" && this.#state.frames === frames) {
          this.#pingTimer?.cancel();
          metrics.connected(this.#to, false);
          this.#failed(error ?? new Error("the other side closed the link"), 0);
        }
      },
    });
    this.#state = { kind: "connected", frames };
    this.#pauseMs = pauseMsMin;
    this.#toldFailure = "";
    this.#heardAtMs = clock.monotonicMs();
    this.#pingSentAtMs = undefined;
    metrics.connected(this.#to, true);
    logger.info({ peer: idToHex(this.#to) }, "link to peer established");
    for (const { head, parts, droppable } of early) {
      frames.send(head, parts, droppable);
    }
    frames.begin();
    this.#ping(frames);
  }

  #failed(error: unknown, framesLost: number): void {
    const { clock, rng, handlers, logger, metrics } = this.#context;
    const text = error instanceof Error ? error.message : String(error);
    if (text !== this.#toldFailure) {
      this.#toldFailure = text;
      logger.warn({ peer: idToHex(this.#to), reason: text }, "no link to peer");
    }
    if (error instanceof DecodeError) {
      metrics.receiveFailed(this.#to);
    }
    // Half of the pause is by chance, so that members do not call each other in step.
    const delayMs = this.#pauseMs / 2 + (this.#pauseMs / 2) * (rng.below(1024) / 1024);
    this.#pauseMs = Math.min(pauseMsMax, this.#pauseMs * 2);
    const timer = clock.after(delayMs, () => {
      this.#state = this.#dial();
    });
    this.#state = { kind: "pausing", timer };
    this.#calls.failAll(unreachable(this.#to, error));
    this.#lost(framesLost);
    if (error instanceof RefusedError) {
      this.#pauseMs = pauseMsMax;
      handlers.onRefused(this.#to, error.refusal);
    }
  }

  #onFrame(kind: number, body: Uint8Array): void {
    switch (kind) {
      case frameKinds.response:
      case frameKinds.responseError:
        if (body.length < 4) {
          throw new DecodeError("an answer without a number");
        }
        this.#calls.answer(readU32(body, 0), body.subarray(4), kind === frameKinds.responseError);
        return;
      case frameKinds.pong:
        this.#onPong(body);
        return;
      // From a member that does not know us as one yet, and so has no link of its own.
      case frameKinds.message:
        this.#context.handlers.onFrame(this.#to, readMessage(body));
        return;
      default:
        throw new DecodeError(`frame of kind ${kind} where it does not belong`);
    }
  }

  #ping(frames: FrameSocket): void {
    const { clock } = this.#context;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#heardAtMs > silenceMsMax) {
      frames.destroy(new Error(`nothing heard for ${silenceMsMax} ms`));
      return;
    }
    if (this.#pingSentAtMs === undefined) {
      this.#pingSentAtMs = nowMs;
      this.#pingNumber = (this.#pingNumber + 1) >>> 0;
      const head = frameHead(frameKinds.ping, 4);
      writeU32(head, frameHeadBytes, this.#pingNumber);
      frames.send(head, [], false);
    }
    this.#pingTimer = clock.after(pingIntervalMs, () => this.#ping(frames));
  }

  #onPong(body: Uint8Array): void {
    const sentAtMs = this.#pingSentAtMs;
    if (body.length !== 4) {
      throw new DecodeError("a pong has 4 bytes");
    }
    if (sentAtMs !== undefined && readU32(body, 0) === this.#pingNumber) {
      const sampleMs = this.#context.clock.monotonicMs() - sentAtMs;
      this.#pingSentAtMs = undefined;
      this.#roundTripMs =
        this.#roundTripMs === undefined ? sampleMs : this.#roundTripMs * 0.875 + sampleMs * 0.125;
      this.#context.metrics.roundTrip(this.#to, sampleMs);
    }
  }
}

function unreachable(to: MemberId, cause?: unknown): PeerError {
  return new PeerError("unreachable", `no link to member ${idToHex(to)}`, { cause });
}
