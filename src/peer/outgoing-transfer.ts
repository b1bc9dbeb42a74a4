// The sender's side of a state transfer: a connection of its own, so that bulk never delays
// heartbeats. One chunk waits here at most; a receiver that is behind stops reading, and TCP
// stops the sender.

import { DecodeError, fromUtf8 } from "../base/index.ts";
import type { PeerAddress } from "./contract.ts";
import { FrameSocket } from "./frame-socket.ts";
import { frameHead, frameKinds } from "./framing.ts";
import type { FrameKind } from "./framing.ts";
import { dial } from "./handshake.ts";
import type { OpenSocket } from "./handshake.ts";
import { helloTo } from "./link-context.ts";
import type { LinkContext } from "./link-context.ts";
import { PeerError } from "./peer-error.ts";
import { StallWatch, stallMsMax } from "./stall-watch.ts";

/** See `PeerNetwork.sendSnapshot`. */
export async function sendSnapshot(
  context: LinkContext,
  peer: PeerAddress,
  header: Uint8Array,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  const startedAtMs = context.clock.monotonicMs();
  let bytes = 0;
  let delivered = false;
  try {
    const transfer = new OutgoingTransfer(context, await dialAny(context, peer, signal), signal);
    try {
      await transfer.send(frameKinds.snapshotHeader, header);
      for (;;) {
        const step = await Promise.race([iterator.next(), transfer.ended]);
        if (step === undefined || step.done === true) {
          break;
        }
        bytes += step.value.length;
        await transfer.send(frameKinds.snapshotChunk, step.value);
      }
      await transfer.finish();
      delivered = true;
    } finally {
      transfer.close();
    }
  } finally {
    const elapsedMs = context.clock.monotonicMs() - startedAtMs;
    context.metrics.snapshotSent(peer.id, bytes, elapsedMs, delivered);
    await iterator.return?.();
  }
}

async function dialAny(
  context: LinkContext,
  peer: PeerAddress,
  signal: AbortSignal,
): Promise<OpenSocket> {
  let last: unknown = new PeerError("unreachable", "the peer has no URL");
  for (const url of peer.urls) {
    try {
      const hello = helloTo(context, peer.id, "snapshot");
      return await dial(context.transport, url, hello, context.clock, signal);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

class OutgoingTransfer {
  readonly #frames: FrameSocket;
  readonly #watch: StallWatch;
  readonly #signal: AbortSignal;
  readonly #abort: () => void;
  /** Settles when the receiver has taken the state, or never will. */
  readonly ended: Promise<undefined>;
  #verdict: PeerError | "taken" | undefined;
  #wake: () => void = () => undefined;

  constructor(context: LinkContext, open: OpenSocket, signal: AbortSignal) {
    this.#signal = signal;
    this.ended = new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
    });
    this.#frames = new FrameSocket(open.socket, open.received, {
      onFrame: (kind, body) => this.#onFrame(kind, body),
      onReceived: () => this.#watch.moved(),
      onSent: () => this.#watch.moved(),
      onDropped: () => undefined,
      onClosed: (error) => {
        const text = error?.message ?? "the receiver closed the link";
        this.#end(new PeerError("unreachable", `state transfer broke off: ${text}`));
      },
    });
    this.#watch = new StallWatch(context, () => {
      this.#end(new PeerError("timeout", `state transfer stood still for ${stallMsMax} ms`));
      return false;
    });
    this.#abort = () => this.#end(new PeerError("aborted", "state transfer was given up"));
    signal.addEventListener("abort", this.#abort, { once: true });
    if (signal.aborted) {
      this.#abort();
    }
    this.#frames.begin();
  }

  /** Resolves when the frame has left, so that no more than one waits here. */
  async send(kind: FrameKind, body: Uint8Array): Promise<void> {
    this.#check();
    this.#frames.send(frameHead(kind), [body], false);
    await Promise.race([this.#frames.drained(), this.ended]);
    this.#check();
  }

  /** Resolves when the receiver has acknowledged the whole. */
  async finish(): Promise<void> {
    this.#check();
    this.#frames.send(frameHead(frameKinds.snapshotEnd), [], false);
    await this.ended;
    this.#check();
  }

  close(): void {
    this.#watch.stop();
    this.#signal.removeEventListener("abort", this.#abort);
    this.#frames.destroy();
  }

  #check(): void {
    if (this.#verdict instanceof PeerError) {
      throw this.#verdict;
    }
  }

  #onFrame(kind: number, body: Uint8Array): void {
    if (kind === frameKinds.snapshotTaken) {
      this.#end("taken");
    } else if (kind === frameKinds.snapshotFailed) {
      this.#end(new PeerError("failed", `the receiver refused the state: ${fromUtf8(body)}`));
    } else if (kind !== frameKinds.pong) {
      throw new DecodeError(`frame of kind ${kind} where it does not belong`);
    }
  }

  #end(verdict: PeerError | "taken"): void {
    this.#verdict ??= verdict;
    this.#wake();
  }
}
