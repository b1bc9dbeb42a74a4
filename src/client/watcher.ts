// A watch that survives its connection. Events arrive in order, each once: after a break the watch
// is opened again, on the next endpoint if need be, at the revision after the last one seen.

import type { ServiceError } from "@grpc/grpc-js";
import { grpcStatus } from "../base/index.ts";
import { type Event, WatchCreateRequest, WatchRequest, WatchResponse } from "../wire/index.ts";
import { type ByteStream, toClientError } from "./channel.ts";
import type { Channels } from "./channels.ts";
import { ClientError, CompactedError } from "./client-error.ts";
import { Inbox } from "./inbox.ts";
import { watchPath } from "./methods.ts";

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined;
  /** Also yield the reply that says the watch is open (each time it is opened). */
  readonly createdNotify?: boolean | undefined;
}

/** Replies taken from the network and not yet read, beyond which the stream is paused. */
const unreadMax = 128;
const retryMsMin = 50;
const retryMsMax = 3_000;

/** Failures after which the same request may succeed elsewhere or later. */
const passing: ReadonlySet<number> = new Set([
  grpcStatus.unavailable,
  grpcStatus.cancelled,
  grpcStatus.internal,
  grpcStatus.unknown,
]);

/** Iterate it for replies; closing it, or leaving the loop, ends the watch. */
export class Watcher implements AsyncIterable<WatchResponse>, AsyncDisposable {
  readonly #channels: Channels;
  readonly #request: WatchCreateRequest;
  readonly #options: WatchOptions;
  readonly #inbox: Inbox<WatchResponse>;
  #stream: ByteStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = retryMsMin;
  #nextRevision: number;
  #fragments: Event[] = [];
  #closed = false;

  constructor(channels: Channels, request: Partial<WatchCreateRequest>, options: WatchOptions) {
    this.#channels = channels;
    this.#request = WatchCreateRequest.create(request);
    this.#options = options;
    this.#nextRevision = this.#request.startRevision;
    this.#inbox = new Inbox({
      itemsMax: unreadMax,
      onFull: () => this.#stream?.pause(),
      onTaken: () => this.#stream?.resume(),
      onReturn: () => this.close(),
    });
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
    if (options.signal?.aborted === true) {
      this.close();
    } else {
      this.#open();
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchResponse, undefined> {
    return this.#inbox;
  }

  /** The revision from which the watch would go on after a break; 0 while that is not known. */
  get nextRevision(): number {
    return this.#nextRevision;
  }

  /** Asks the server to tell how far this watch has come; the answer is a reply without events. */
  requestProgress(): void {
    this.#send({ requestUnion: { kind: "progressRequest", value: {} } });
  }

  close(): void {
    this.#finish(undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #send(request: WatchRequest): void {
    this.#stream?.write(WatchRequest.encode(request));
  }

  #open(): void {
    const channel = this.#channels.current();
    const stream = channel.stream(watchPath, true);
    this.#stream = stream;
    this.#fragments = [];
    const onBreak = (error: ClientError): void => {
      if (this.#stream !== stream || this.#closed) {
        return;
      }
      this.#stream = undefined;
      if (!passing.has(error.status)) {
        this.#finish(error);
        return;
      }
      this.#channels.leave(channel);
      this.#timer = setTimeout(() => this.#open(), this.#retryMs * (0.5 + Math.random() / 2));
      this.#retryMs = Math.min(2 * this.#retryMs, retryMsMax);
    };
    stream.on("data", (bytes: Uint8Array) => {
      if (this.#stream === stream) {
        this.#onReply(WatchResponse.decode(bytes));
      }
    });
    stream.on("error", (error: ServiceError) => onBreak(toClientError(error)));
    stream.on("end", () => onBreak(new ClientError(grpcStatus.unavailable, "the stream ended")));
    const value = { ...this.#request, startRevision: this.#nextRevision };
    this.#send({ requestUnion: { kind: "createRequest", value } });
  }

  #onReply(reply: WatchResponse): void {
    const revision = reply.header?.revision ?? 0;
    if (reply.canceled) {
      this.#finish(
        reply.compactRevision > 0
          ? new CompactedError(reply.compactRevision)
          : new ClientError(grpcStatus.cancelled, reply.cancelReason || "the watch was cancelled"),
      );
    } else if (reply.created) {
      this.#retryMs = retryMsMin;
      // A watch "from now" must not lose what happens while its connection is broken.
      this.#nextRevision ||= revision + 1;
      if (this.#options.createdNotify === true) {
        this.#inbox.push(reply);
      }
    } else if (reply.events.length > 0) {
      this.#onEvents(reply);
    } else {
      this.#nextRevision = Math.max(this.#nextRevision, revision + 1);
      this.#inbox.push(reply);
    }
  }

  #onEvents(reply: WatchResponse): void {
    if (reply.fragment || this.#fragments.length > 0) {
      this.#fragments.push(...reply.events);
      if (reply.fragment) {
        return;
      }
    }
    const events = this.#fragments.length > 0 ? this.#fragments : reply.events;
    this.#fragments = [];
    this.#nextRevision = (events.at(-1)?.kv?.modRevision ?? 0) + 1;
    this.#inbox.push({ ...reply, events });
  }

  #finish(error: Error | undefined): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#inbox.end(error);
  }
}
