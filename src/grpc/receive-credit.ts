// The receiving side of flow control: what the client may still send, and when to allow more.
//
// The connection's window is returned as data comes in, so it never blocks one stream for another.
// A stream's window is returned as its messages are handed to their handler. A message larger than
// the window needs more before it can be complete: it gets all it needs at once, if the budget for
// such messages allows, else it waits its turn, first come first served.

import { ConnectionError, errorCode, initialWindowBytes } from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** Window of the connection, bytes. */
export const connectionWindowBytes = 8 * 1024 * 1024;
/** Window of each stream, bytes: SETTINGS_INITIAL_WINDOW_SIZE. */
export const streamWindowBytes = 256 * 1024;
const connectionCreditStep = 1024 * 1024;
const streamCreditStep = streamWindowBytes / 2;

/** The receiving half of a stream's window. */
export interface ReceiveWindow {
  readonly id: number;
  /** What the client may still send. */
  receiveWindow: number;
  /** Consumed and not returned yet; negative when more was granted in advance. */
  creditDue: number;
  /** Bytes allowed beyond the window for the large message in progress; 0 for none. */
  granted: number;
  /** Bytes beyond the window that the message in progress waits for; 0 for none. */
  wanted: number;
  /** The client will send no more: nothing needs returning. */
  remoteClosed: boolean;
}

export class ReceiveCredit {
  readonly #writer: FrameWriter;
  readonly #budgetMax: number;
  #window = initialWindowBytes;
  #creditDue = 0;
  #grantedBytes = 0;
  #waiting: ReceiveWindow[] = [];

  /** `budgetMax` bounds the bytes of large messages in progress. */
  constructor(writer: FrameWriter, budgetMax: number) {
    this.#writer = writer;
    this.#budgetMax = budgetMax;
  }

  /** Widens the connection's window from HTTP/2's default; sent right after SETTINGS. */
  open(): void {
    this.#credit(connectionWindowBytes - initialWindowBytes);
  }

  /** A DATA frame of `length` bytes, padding included, came in; true when a frame was written. */
  received(length: number): boolean {
    this.#window -= length;
    if (this.#window < 0) {
      throw new ConnectionError(errorCode.flowControlError, "connection window exceeded");
    }
    this.#creditDue += length;
    if (this.#creditDue < connectionCreditStep) {
      return false;
    }
    this.#credit(this.#creditDue);
    this.#creditDue = 0;
    return true;
  }

  #credit(bytes: number): void {
    this.#window += bytes;
    this.#writer.windowUpdate(0, bytes);
  }

  /** The same for its stream; false when the stream's window is exceeded, a stream error. */
  receivedOnStream(stream: ReceiveWindow, length: number): boolean {
    stream.receiveWindow -= length;
    return stream.receiveWindow >= 0;
  }

  /** `bytes` of a stream need no memory here any more; true when a frame was written. */
  consumed(stream: ReceiveWindow, bytes: number): boolean {
    stream.creditDue += bytes;
    if (stream.creditDue < streamCreditStep || stream.remoteClosed) {
      return false;
    }
    stream.receiveWindow += stream.creditDue;
    this.#writer.windowUpdate(stream.id, stream.creditDue);
    stream.creditDue = 0;
    return true;
  }

  /** The same for padding, returned at once: a message in progress may be in need of it. */
  padding(stream: ReceiveWindow, bytes: number): void {
    stream.receiveWindow += bytes;
    this.#writer.windowUpdate(stream.id, bytes);
  }

  /**
   * A message of which `missing` bytes have not come yet has begun. When the window does not cover
   * it, asks for more; true when a frame was written.
   */
  begin(stream: ReceiveWindow, missing: number): boolean {
    if (missing <= stream.receiveWindow) {
      return false;
    }
    stream.wanted = missing - stream.receiveWindow;
    this.#waiting.push(stream);
    return this.#grant();
  }

  /** The large message is complete, or its stream gone; true when a frame was written. */
  finish(stream: ReceiveWindow): boolean {
    this.#grantedBytes -= stream.granted;
    stream.granted = 0;
    stream.wanted = 0;
    return this.#waiting.length > 0 && this.#grant();
  }

  #grant(): boolean {
    let written = false;
    let index = 0;
    for (const stream of this.#waiting) {
      const bytes = stream.wanted;
      if (bytes === 0 || stream.remoteClosed) {
        index++;
        continue;
      }
      // One message is always let through, even one larger than the whole budget.
      if (this.#grantedBytes > 0 && this.#grantedBytes + bytes > this.#budgetMax) {
        break;
      }
      index++;
      this.#grantedBytes += bytes;
      stream.granted = bytes;
      stream.wanted = 0;
      stream.receiveWindow += bytes;
      stream.creditDue -= bytes;
      this.#writer.windowUpdate(stream.id, bytes);
      written = true;
    }
    this.#waiting.splice(0, index);
    return written;
  }
}
