// The receiver's side of a state transfer: chunks as an async iterable for whoever writes them.

import { DecodeError, utf8 } from "../base/index.ts";
import type { MemberId, Timer } from "../base/index.ts";
import { FrameSocket } from "./frame-socket.ts";
import { frameHead, frameKinds } from "./framing.ts";
import type { OpenSocket } from "./handshake.ts";
import type { LinkContext } from "./link-context.ts";
import { PeerError } from "./peer-error.ts";
import { StallWatch, stallMsMax } from "./stall-watch.ts";

/** Chunks that wait for the reader before the socket is paused. */
const waitingChunksMax = 4;
/** A sign of life to the sender, also while the disk is slow. */
const signOfLifeMs = 5_000;

export class IncomingTransfer implements AsyncIterable<Uint8Array> {
  readonly #context: LinkContext;
  readonly #from: MemberId;
  readonly #frames: FrameSocket;
  readonly #watch: StallWatch;
  readonly #startedAtMs: number;
  #lifeTimer: Timer | undefined;
  #stage: "opening" | "receiving" | "complete" | "answered" = "opening";
  #waiting: Uint8Array[] = [];
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #bytes = 0;
  #isClosed = false;

  constructor(from: MemberId, open: OpenSocket, context: LinkContext, onClosed: () => void) {
    this.#context = context;
    this.#from = from;
    this.#startedAtMs = context.clock.monotonicMs();
    this.#frames = new FrameSocket(open.socket, open.received, {
      onFrame: (kind, body) => this.#onFrame(kind, body),
      onReceived: (bytes) => {
        this.#watch.moved();
        context.metrics.received(from, bytes);
        context.heardFrom(from);
      },
      onSent: () => undefined,
      onDropped: () => undefined,
      onClosed: (error) => {
        if (error instanceof DecodeError) {
          context.metrics.receiveFailed(from);
        }
        this.#closed(error);
        onClosed();
      },
    });
    this.#watch = new StallWatch(context, () => {
      // A reader that is behind is not the sender's fault.
      const goesOn = this.#waiting.length > 0;
      if (!goesOn) {
        const text = `state transfer stood still for ${stallMsMax} ms`;
        this.#frames.destroy(new PeerError("timeout", text));
      }
      return goesOn;
    });
    this.#signOfLife();
  }

  begin(): void {
    this.#frames.begin();
  }

  close(): void {
    this.#frames.destroy(new PeerError("aborted", "the link was closed"));
  }

  /** May be iterated once; leaving early breaks the transfer off. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const chunk = await this.#next();
        return chunk === undefined
          ? { done: true, value: undefined }
          : { done: false, value: chunk };
      },
      return: () => {
        this.#waiting = [];
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.#watch.moved();
        if (this.#waiting.length < waitingChunksMax) {
          this.#frames.resumeReading();
        }
        return chunk;
      }
      if (this.#error !== undefined) {
        throw this.#error;
      }
      if (this.#stage === "complete") {
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #onFrame(kind: number, body: Uint8Array): void {
    if (this.#stage === "opening" && kind === frameKinds.snapshotHeader) {
      this.#stage = "receiving";
      this.#handle(body);
    } else if (this.#stage === "receiving" && kind === frameKinds.snapshotChunk) {
      this.#bytes += body.length;
      this.#waiting.push(body);
      if (this.#waiting.length >= waitingChunksMax) {
        this.#frames.pauseReading();
      }
      this.#wakeReader();
    } else if (this.#stage === "receiving" && kind === frameKinds.snapshotEnd) {
      this.#stage = "complete";
      this.#watch.stop();
      this.#wakeReader();
    } else if (this.#stage !== "answered") {
      throw new DecodeError(`frame of kind ${kind} where it does not belong`);
    }
  }

  #handle(header: Uint8Array): void {
    this.#context.handlers.onSnapshot(this.#from, header, this).then(
      () => this.#handled(undefined),
      (error: unknown) => this.#handled(error instanceof Error ? error.message : String(error)),
    );
  }

  #handled(failure: string | undefined): void {
    const { clock, metrics } = this.#context;
    const elapsedMs = clock.monotonicMs() - this.#startedAtMs;
    metrics.snapshotReceived(this.#from, this.#bytes, elapsedMs, failure === undefined);
    if (this.#isClosed) {
      return;
    }
    this.#watch.stop();
    this.#lifeTimer?.cancel();
    // What is still on its way is read and ignored, so that no reset overtakes the verdict.
    this.#stage = "answered";
    this.#waiting = [];
    if (failure === undefined) {
      this.#frames.send(frameHead(frameKinds.snapshotTaken), [], false);
    } else {
      this.#frames.send(frameHead(frameKinds.snapshotFailed), [utf8(failure)], false);
    }
    this.#frames.end();
    this.#frames.resumeReading();
  }

  #closed(error: Error | undefined): void {
    this.#isClosed = true;
    this.#watch.stop();
    this.#lifeTimer?.cancel();
    if (this.#stage === "opening" || this.#stage === "receiving") {
      this.#waiting = [];
      this.#error =
        error ?? new PeerError("unreachable", "the sender broke the state transfer off");
    }
    this.#wakeReader();
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #signOfLife(): void {
    this.#lifeTimer = this.#context.clock.after(signOfLifeMs, () => {
      this.#frames.send(frameHead(frameKinds.pong), [], false);
      this.#signOfLife();
    });
  }
}
