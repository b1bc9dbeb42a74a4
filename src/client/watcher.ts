// A watch that survives its connection. Events arrive in order, each once: after a break the watch
// is opened again, on the next endpoint if need be, at the revision after the last one seen.

import { grpcStatus } from "../base/index.ts";
import { type Event, WatchCreateRequest, WatchRequest, WatchResponse } from "../wire/index.ts";
import type { ByteStream, Channel } from "./channel.ts";
import type { Channels } from "./channels.ts";
import {
  ClientClosedError,
  type ClientError,
  CompactedError,
  WatchEndedError,
} from "./client-error.ts";
import { errorOf, toClientError } from "./failures.ts";
import { Inbox } from "./inbox.ts";
import { watchPath } from "./methods.ts";
import { takeManyListeners } from "./timers.ts";
import { isStaleToken } from "./tokens.ts";

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined;
  /** Also yield the reply that says the watch is open (each time it is opened). */
  readonly createdNotify?: boolean | undefined;
}

/** Replies taken from the network and not yet read, beyond which the stream is paused. */
const unreadMax = 128;
const unreadBytesMax = 8 * 1024 * 1024;
/** How often in a row a watch may be refused for its token. */
const staleTokensMax = 3;
const retryMsMin = 50;
const retryMsMax = 3_000;
/** Between two requests for progress while the first is not answered. */
const progressRetryMs = 500;

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
  #token: string | undefined;
  #staleTokens = 0;
  #closed = false;
  #isOpen = false;
  #streamIsOpen = false;
  /** Asked for and not answered. */
  #progressWanted = false;
  #progressTimer: NodeJS.Timeout | undefined;
  readonly #onAbort = (): void => this.close();
  readonly #opened: {
    readonly resolve: () => void;
    readonly reject: (error: Error) => void;
  }[] = [];

  constructor(channels: Channels, request: Partial<WatchCreateRequest>, options: WatchOptions) {
    this.#channels = channels;
    this.#request = WatchCreateRequest.create(request);
    this.#options = options;
    this.#nextRevision = this.#request.startRevision;
    this.#inbox = new Inbox({
      itemsMax: unreadMax,
      sizeBytesMax: unreadBytesMax,
      onFull: () => this.#stream?.pause(),
      onTaken: () => this.#stream?.resume(),
      onReturn: () => this.close(),
    });
    if (options.signal !== undefined) {
      takeManyListeners(options.signal);
      options.signal.addEventListener("abort", this.#onAbort, { once: true });
    }
    if (options.signal?.aborted === true) {
      this.close();
    } else {
      void this.#open();
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchResponse, undefined> {
    return this.#inbox;
  }

  /** The revision from which the watch would go on after a break; 0 while that is not known. */
  get nextRevision(): number {
    return this.#nextRevision;
  }

  /** Resolves once a server has said that it watches. Rejects when the watch ends before that. */
  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isOpen) {
        resolve();
      } else if (this.#closed) {
        reject(new WatchEndedError());
      } else {
        this.#opened.push({ resolve, reject });
      }
    });
  }

  /** Asks the server to tell how far this watch has come; the answer is a reply without events. */
  requestProgress(): void {
    this.#progressWanted = true;
    this.#askProgress();
  }

  close(): void {
    this.#finish(undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Asks until there is an answer: servers forget a request while a watch has not caught up. */
  #askProgress(): void {
    clearTimeout(this.#progressTimer);
    if (this.#progressWanted && this.#streamIsOpen) {
      this.#send({ requestUnion: { kind: "progressRequest", value: {} } });
      this.#progressTimer = setTimeout(() => this.#askProgress(), progressRetryMs);
    }
  }

  #send(request: WatchRequest): void {
    this.#stream?.write(WatchRequest.encode(request));
  }

  /** Opens the watch, on the endpoint of now. Never rejects. */
  async #open(): Promise<void> {
    let stream: ByteStream;
    let channel: Channel;
    let token: string | undefined;
    try {
      token = await this.#channels.token();
      channel = await this.#channels.forStream();
      if (this.#closed) {
        return;
      }
      stream = channel.stream(watchPath, { requireLeader: true, token });
    } catch (error) {
      this.#onBreak(toClientError(error), undefined, undefined);
      return;
    }
    this.#stream = stream;
    this.#streamIsOpen = false;
    this.#token = token;
    this.#fragments = [];
    const broken = (error: ClientError): void => {
      if (this.#stream === stream) {
        this.#onBreak(error, channel, token);
      }
    };
    stream.on("data", (bytes: Uint8Array) => {
      if (this.#stream === stream) {
        try {
          this.#onReply(WatchResponse.decode(bytes), channel, bytes.length);
        } catch (error) {
          stream.cancel();
          broken(channel.error(error));
        }
      }
    });
    stream.on("error", (error) => broken(channel.error(error)));
    stream.on("end", () => broken(errorOf(grpcStatus.unavailable, "the stream ended")));
    const value = { ...this.#request, startRevision: this.#nextRevision };
    this.#send({ requestUnion: { kind: "createRequest", value } });
  }

  #onBreak(error: ClientError, channel: Channel | undefined, token: string | undefined): void {
    if (this.#closed) {
      return;
    }
    this.#stream = undefined;
    this.#streamIsOpen = false;
    const stale = this.#channels.renewsToken(error, token) && ++this.#staleTokens < staleTokensMax;
    if ((!stale && !passing.has(error.status)) || this.#channels.closed) {
      this.#finish(this.#channels.closed ? new ClientClosedError() : error);
      return;
    }
    if (channel !== undefined && !stale) {
      this.#channels.leave(channel);
    }
    this.#timer = setTimeout(() => void this.#open(), this.#retryMs * (0.5 + Math.random() / 2));
    this.#retryMs = Math.min(2 * this.#retryMs, retryMsMax);
  }

  #onReply(reply: WatchResponse, channel: Channel, sizeBytes: number): void {
    const revision = reply.header?.revision ?? 0;
    if (reply.canceled) {
      this.#onCancel(reply, channel);
    } else if (reply.created) {
      this.#retryMs = retryMsMin;
      this.#staleTokens = 0;
      this.#channels.praise(channel);
      this.#isOpen = true;
      this.#streamIsOpen = true;
      this.#askProgress();
      for (const { resolve } of this.#opened.splice(0)) {
        resolve();
      }
      // A watch "from now" must not lose what happens while its connection is broken.
      this.#nextRevision ||= revision + 1;
      if (this.#options.createdNotify === true) {
        this.#inbox.push(reply, sizeBytes);
      }
    } else if (reply.events.length > 0) {
      this.#onEvents(reply, sizeBytes);
    } else {
      this.#progressWanted = false;
      clearTimeout(this.#progressTimer);
      // An answer to a request is for all watches of a stream, by an id that none has. etcd before
      // 3.5.8 gives it ahead of events that are still to come (its issue 15220): resuming behind it
      // would skip them.
      if (reply.watchId >= 0n) {
        this.#nextRevision = Math.max(this.#nextRevision, revision + 1);
      }
      this.#inbox.push(reply, sizeBytes);
    }
  }

  /** The server ended the watch, in words: there is no status in a reply. */
  #onCancel(reply: WatchResponse, channel: Channel): void {
    const { compactRevision, cancelReason, header } = reply;
    const { endpoint } = channel;
    const stream = this.#stream;
    // etcd puts its own client's words before the error where the refusal was one of a user.
    const text = (cancelReason || "the watch was cancelled").replace(/^rpc error: .* desc = /, "");
    const error =
      compactRevision > 0
        ? new CompactedError(compactRevision, { endpoint }, header)
        : errorOf(grpcStatus.cancelled, text, { endpoint });
    if (isStaleToken(error)) {
      this.#onBreak(error, channel, this.#token);
      stream?.cancel();
    } else {
      this.#finish(error);
    }
  }

  #onEvents(reply: WatchResponse, sizeBytes: number): void {
    if (reply.fragment || this.#fragments.length > 0) {
      this.#fragments.push(...reply.events);
      if (reply.fragment) {
        return;
      }
    }
    const events = this.#fragments.length > 0 ? this.#fragments : reply.events;
    this.#fragments = [];
    this.#nextRevision = (events.at(-1)?.kv?.modRevision ?? 0) + 1;
    this.#inbox.push({ ...reply, events }, sizeBytes);
  }

  #finish(error: Error | undefined): void {
    this.#closed = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    clearTimeout(this.#timer);
    clearTimeout(this.#progressTimer);
    this.#streamIsOpen = false;
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#inbox.end(error);
    for (const { reject } of this.#opened.splice(0)) {
      reject(error ?? new WatchEndedError());
    }
  }
}
