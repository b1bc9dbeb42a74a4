// The link on which another member sends us messages and calls.

import { DecodeError, idToHex, readU32, utf8, writeU32 } from "../base/index.ts";
import type { MemberId, Timer } from "../base/index.ts";
import type { OutgoingFrame } from "./contract.ts";
import { FrameSocket } from "./frame-socket.ts";
import { frameHead, frameHeadBytes, frameKinds, messageHead, readMessage } from "./framing.ts";
import type { OpenSocket } from "./handshake.ts";
import type { LinkContext } from "./link-context.ts";

/** The peer pings each second; one that is silent for this long is gone. */
const silenceMsMax = 10_000;
const silenceCheckMs = 2_000;
/** Calls of one peer answered at the same time. */
const callsMax = 1024;

export class IncomingLink {
  readonly #context: LinkContext;
  readonly #from: MemberId;
  readonly #frames: FrameSocket;
  #callsUnderWay = 0;
  #heardAtMs: number;
  #silenceTimer: Timer | undefined;

  constructor(from: MemberId, open: OpenSocket, context: LinkContext, onClosed: () => void) {
    this.#context = context;
    this.#from = from;
    this.#heardAtMs = context.clock.monotonicMs();
    this.#frames = new FrameSocket(open.socket, open.received, {
      onFrame: (kind, body) => this.#onFrame(kind, body),
      onReceived: (bytes) => {
        this.#heardAtMs = context.clock.monotonicMs();
        context.metrics.received(from, bytes);
        context.heardFrom(from);
      },
      onSent: (bytes) => context.metrics.sent(from, bytes),
      onDropped: (frames) => context.metrics.sendFailed(from, frames),
      onClosed: (error) => {
        this.#silenceTimer?.cancel();
        if (error instanceof DecodeError) {
          context.metrics.receiveFailed(from);
          context.logger.warn(
            { peer: idToHex(from), reason: error.message },
            "dropped a link for what came over it",
          );
        }
        onClosed();
      },
    });
    this.#watchSilence();
  }

  begin(): void {
    this.#frames.begin();
  }

  /** Sends back on the caller's own link: the way to a member that has no link of ours. */
  send(frame: OutgoingFrame): void {
    this.#frames.send(messageHead(frame.type), frame.parts, frame.droppable);
  }

  close(): void {
    this.#frames.destroy();
  }

  #watchSilence(): void {
    this.#silenceTimer = this.#context.clock.after(silenceCheckMs, () => {
      if (this.#context.clock.monotonicMs() - this.#heardAtMs > silenceMsMax) {
        this.#frames.destroy(new Error(`nothing heard for ${silenceMsMax} ms`));
      } else {
        this.#watchSilence();
      }
    });
  }

  #onFrame(kind: number, body: Uint8Array): void {
    switch (kind) {
      case frameKinds.message:
        this.#context.handlers.onFrame(this.#from, readMessage(body));
        return;
      case frameKinds.request:
        this.#onRequest(body);
        return;
      case frameKinds.ping:
        // Refused when it calls again: a link made before the removal must not outlive it.
        if (this.#context.handlers.isRemoved(this.#from)) {
          this.#frames.destroy();
          return;
        }
        this.#frames.send(frameHead(frameKinds.pong), [body.subarray(0, 4)], false);
        return;
      default:
        throw new DecodeError(`frame of kind ${kind} where it does not belong`);
    }
  }

  #onRequest(body: Uint8Array): void {
    if (body.length < 5) {
      throw new DecodeError("a call without number and kind");
    }
    const id = readU32(body, 0);
    if (this.#callsUnderWay >= callsMax) {
      this.#answer(frameKinds.responseError, id, utf8("too many calls at once"));
      return;
    }
    this.#callsUnderWay++;
    this.#context.handlers.onRequest(this.#from, body[4] as number, body.subarray(5)).then(
      (answer) => this.#answered(frameKinds.response, id, answer),
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#answered(frameKinds.responseError, id, utf8(text));
      },
    );
  }

  #answered(
    kind: typeof frameKinds.response | typeof frameKinds.responseError,
    id: number,
    body: Uint8Array,
  ): void {
    this.#callsUnderWay--;
    this.#answer(kind, id, body);
  }

  #answer(
    kind: typeof frameKinds.response | typeof frameKinds.responseError,
    id: number,
    body: Uint8Array,
  ): void {
    const head = frameHead(kind, 4);
    writeU32(head, frameHeadBytes, id);
    this.#frames.send(head, [body], false);
  }
}
