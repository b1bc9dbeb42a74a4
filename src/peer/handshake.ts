// Both sides of the handshake. A socket leaves here paused, with what it had already received.

import type { Socket } from "node:net";
import { DecodeError } from "../base/index.ts";
import type { Clock } from "../base/index.ts";
import type { RefusalReason } from "./contract.ts";
import {
  ByteQueue,
  decodeHello,
  decodeReply,
  encodeHello,
  encodeReply,
  helloBytes,
  replyBytes,
} from "./framing.ts";
import type { Hello } from "./framing.ts";
import { PeerError } from "./peer-error.ts";
import type { PeerTransport } from "./transport.ts";

/** Connecting and shaking hands may take this long, milliseconds. */
const handshakeMsMax = 3000;

export interface OpenSocket {
  readonly socket: Socket;
  readonly received: ByteQueue;
}

/** The other side answered, and will not have us. */
export class RefusedError extends PeerError {
  override name = "RefusedError";
  readonly refusal: RefusalReason;

  constructor(url: string, refusal: RefusalReason) {
    super("unreachable", `${url} refused the link: ${refusal}`);
    this.refusal = refusal;
  }
}

/** Connects to `url` and introduces us. Rejects with PeerError. */
export async function dial(
  transport: PeerTransport,
  url: string,
  hello: Hello,
  clock: Clock,
  signal: AbortSignal,
): Promise<OpenSocket> {
  const socket: Socket = transport.connect(url, () => socket.write(encodeHello(hello)));
  const received = new ByteQueue();
  const abort = (): void => {
    socket.destroy(new PeerError("aborted", "the link was given up"));
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) {
    abort();
  }
  try {
    const reply = await readExactly(socket, received, replyBytes, clock);
    const refusal = decodeReply(reply);
    if (refusal !== undefined) {
      throw new RefusedError(url, refusal);
    }
    return { socket, received };
  } catch (error) {
    socket.destroy();
    if (error instanceof PeerError) {
      throw error;
    }
    const text = error instanceof Error ? error.message : String(error);
    throw new PeerError("unreachable", `${url}: ${text}`, { cause: error });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Hears who is calling and lets `judge` decide. Undefined when the caller was refused or said
 * nothing of sense; then the socket is on its way out.
 */
export async function welcome(
  socket: Socket,
  clock: Clock,
  judge: (hello: Hello) => RefusalReason | undefined,
  onRefused: (reason: RefusalReason, hello: Hello | undefined) => void,
): Promise<(OpenSocket & { readonly hello: Hello }) | undefined> {
  const received = new ByteQueue();
  let hello: Hello | undefined;
  let refusal: RefusalReason | undefined;
  try {
    hello = decodeHello(await readExactly(socket, received, helloBytes, clock));
    refusal = judge(hello);
  } catch (error) {
    if (!(error instanceof DecodeError)) {
      socket.destroy();
      return undefined;
    }
    refusal = "malformed";
  }
  if (refusal === undefined && hello !== undefined) {
    socket.write(encodeReply(undefined));
    return { socket, received, hello };
  }
  const reason = refusal ?? "malformed";
  socket.on("error", () => undefined);
  socket.end(encodeReply(reason));
  clock.after(handshakeMsMax, () => socket.destroy());
  onRefused(reason, hello);
  return undefined;
}

/** The first `length` bytes; what follows them stays in `received`, and the socket is paused. */
function readExactly(
  socket: Socket,
  received: ByteQueue,
  length: number,
  clock: Clock,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    const onError = (error: Error): void => {
      failure = error;
    };
    const onClose = (): void => finish(failure ?? new Error("the other side closed the link"));
    const onData = (chunk: Uint8Array): void => {
      received.push(chunk);
      const bytes = received.take(length);
      if (bytes !== undefined) {
        socket.pause();
        finish(bytes);
      }
    };
    const timer = clock.after(handshakeMsMax, () => finish(new Error("no handshake in time")));
    const finish = (outcome: Uint8Array | Error): void => {
      timer.cancel();
      socket.off("data", onData);
      socket.off("close", onClose);
      if (outcome instanceof Error) {
        socket.destroy();
        reject(outcome);
      } else {
        socket.off("error", onError);
        resolve(outcome);
      }
    };
    socket.on("error", onError);
    socket.on("close", onClose);
    socket.on("data", onData);
  });
}
