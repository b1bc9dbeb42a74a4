// A socket that sends and receives frames.
//
// Frames of one turn leave in one write. What the socket does not take at once stays in a queue
// here, where it can still be given up; the queue is bounded by bytes.

import type { Socket } from "node:net";
import { DecodeError, writeU32 } from "../base/index.ts";
import { takeFrame } from "./framing.ts";
import type { ByteQueue } from "./framing.ts";

/** Beyond this many bytes the socket's own buffer gets no more, and frames wait here. */
const socketBytesMax = 1024 * 1024;
export const queueBytesMax = 64 * 1024 * 1024;
/** Smaller pieces are joined before they are written. */
const joinBytesMax = 16 * 1024;

export interface FrameSocketEvents {
  onFrame(kind: number, body: Uint8Array): void;
  onReceived(bytes: number): void;
  onSent(bytes: number): void;
  /** Frames were given up because the queue was full. */
  onDropped(frames: number): void;
  /** Once; nothing happens after it. DecodeError when the other side sent nonsense. */
  onClosed(error: Error | undefined): void;
}

interface QueuedFrame {
  readonly head: Uint8Array;
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly droppable: boolean;
}

export class FrameSocket {
  readonly #socket: Socket;
  readonly #events: FrameSocketEvents;
  readonly #received: ByteQueue;
  #queue: QueuedFrame[] = [];
  #queuedBytes = 0;
  #flushScheduled = false;
  #error: Error | undefined;
  #isClosed = false;

  /** `received`: what arrived behind the handshake, and where later bytes go. */
  constructor(socket: Socket, received: ByteQueue, events: FrameSocketEvents) {
    this.#socket = socket;
    this.#received = received;
    this.#events = events;
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("drain", () => this.#flush());
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.on("close", () => this.#onClose());
  }

  /** Reads from now on, beginning with what came behind the handshake. */
  begin(): void {
    this.#readFrames();
    this.#socket.resume();
  }

  get queuedBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  /** Queues a frame; `head` is from `frameHead`, the rest of the body follows in `parts`. */
  send(head: Uint8Array, parts: readonly Uint8Array[], droppable: boolean): void {
    if (this.#isClosed) {
      return;
    }
    let sizeBytes = head.length;
    for (const part of parts) {
      sizeBytes += part.length;
    }
    writeU32(head, 0, sizeBytes - 4);
    const frame = { head, parts, sizeBytes, droppable };
    if (this.#queuedBytes + frame.sizeBytes > queueBytesMax && !this.#makeRoom(frame.sizeBytes)) {
      this.#events.onDropped(1);
      return;
    }
    this.#queue.push(frame);
    this.#queuedBytes += frame.sizeBytes;
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      queueMicrotask(() => {
        this.#flushScheduled = false;
        this.#flush();
      });
    }
  }

  /** Resolves when everything sent so far was handed to the system, or the socket is closed. */
  async drained(): Promise<void> {
    this.#flush();
    while (!this.#isClosed && (this.#queue.length > 0 || this.#socket.writableNeedDrain)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#socket.off("drain", done);
          this.#socket.off("close", done);
          resolve();
        };
        this.#socket.on("drain", done);
        this.#socket.on("close", done);
      });
    }
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Sends what is queued, then ends. */
  end(): void {
    this.#flush();
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  #makeRoom(sizeBytes: number): boolean {
    let dropped = 0;
    const kept: QueuedFrame[] = [];
    for (const frame of this.#queue) {
      if (frame.droppable && this.#queuedBytes + sizeBytes > queueBytesMax) {
        this.#queuedBytes -= frame.sizeBytes;
        dropped++;
      } else {
        kept.push(frame);
      }
    }
    this.#queue = kept;
    if (dropped > 0) {
      this.#events.onDropped(dropped);
    }
    return this.#queuedBytes + sizeBytes <= queueBytesMax;
  }

  #flush(): void {
    const socket = this.#socket;
    if (this.#queue.length === 0 || this.#isClosed || socket.writableLength >= socketBytesMax) {
      return;
    }
    let taken = 0;
    let bytes = 0;
    const parts: Uint8Array[] = [];
    for (const frame of this.#queue) {
      if (taken > 0 && socket.writableLength + bytes >= socketBytesMax) {
        break;
      }
      parts.push(frame.head, ...frame.parts);
      bytes += frame.sizeBytes;
      taken++;
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken);
    this.#queuedBytes -= bytes;
    writeTogether(socket, parts);
    this.#events.onSent(bytes);
  }

  #onData(chunk: Uint8Array): void {
    this.#events.onReceived(chunk.length);
    this.#received.push(chunk);
    this.#readFrames();
  }

  #readFrames(): void {
    try {
      while (!this.#isClosed && !this.#socket.destroyed) {
        const frame = takeFrame(this.#received);
        if (frame === undefined) {
          return;
        }
        this.#events.onFrame(frame.kind, frame.body);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) {
        throw error;
      }
      this.destroy(error);
    }
  }

  #onClose(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#queue = [];
      this.#queuedBytes = 0;
      this.#events.onClosed(this.#error);
    }
  }
}

/** Small pieces joined, large ones as they are, all in one system call. */
function writeTogether(socket: Socket, parts: readonly Uint8Array[]): void {
  socket.cork();
  let from = 0;
  while (from < parts.length) {
    let end = from;
    let size = 0;
    while (end < parts.length && (parts[end] as Uint8Array).length < joinBytesMax) {
      size += (parts[end] as Uint8Array).length;
      end++;
    }
    if (end > from) {
      const joined = Buffer.allocUnsafe(size);
      let offset = 0;
      for (let i = from; i < end; i++) {
        joined.set(parts[i] as Uint8Array, offset);
        offset += (parts[i] as Uint8Array).length;
      }
      socket.write(joined);
      from = end;
    } else {
      socket.write(parts[from] as Uint8Array);
      from++;
    }
  }
  socket.uncork();
}
