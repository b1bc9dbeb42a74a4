// All endpoints of a client, and what it does when one fails: calls go to one endpoint until it
// does not answer, then to the next. What may be sent again, and when, is decided here.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../base/index.ts";
import { type CallLimits, Channel, neverSent } from "./channel.ts";
import { ClientError } from "./client-error.ts";
import type { UnaryMethod } from "./methods.ts";

export interface CallOptions {
  /** Milliseconds until the call gives up, instead of the client's `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ChannelsOptions {
  readonly endpoints: readonly string[];
  /** Milliseconds until a call gives up. */
  readonly callTimeoutMs: number;
  /** Milliseconds for which a call goes on when no endpoint takes a connection. */
  readonly dialTimeoutMs: number;
}

/** Wait between two rounds over all endpoints, milliseconds. */
const roundPauseMs = 100;

export class Channels {
  readonly #options: ChannelsOptions;
  readonly #channels: readonly Channel[];
  #current = 0;

  constructor(options: ChannelsOptions) {
    if (options.endpoints.length === 0) {
      throw new RangeError("a client needs at least one endpoint");
    }
    this.#options = options;
    this.#channels = options.endpoints.map((endpoint) => new Channel(endpoint));
  }

  get endpoints(): readonly string[] {
    return this.#options.endpoints;
  }

  /** The endpoint that calls go to now. */
  current(): Channel {
    return this.#channels[this.#current] as Channel;
  }

  /** Moves on to the next endpoint, unless another call has already done so. */
  leave(failed: Channel): void {
    if (this.current() === failed) {
      this.#current = (this.#current + 1) % this.#channels.length;
    }
  }

  /** The channel to `endpoint`, or undefined when it is none of the client's. */
  channelTo(endpoint: string): Channel | undefined {
    return this.#channels.find((channel) => channel.endpoint === endpoint);
  }

  limitsOf(options: CallOptions): CallLimits {
    return {
      deadline: Date.now() + (options.timeoutMs ?? this.#options.callTimeoutMs),
      signal: options.signal,
    };
  }

  /**
   * A call to whichever endpoint answers. A read is repeated on the next endpoint when one is
   * unavailable; a write only when it was certainly not sent. Rejects with ClientError.
   */
  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    const limits = this.limitsOf(options);
    const dialEnd = Date.now() + this.#options.dialTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      const channel = this.current();
      try {
        return await channel.unary(method, request, limits);
      } catch (error) {
        if (!(error instanceof ClientError) || error.status !== grpcStatus.unavailable) {
          throw error;
        }
        const unsent = neverSent(error);
        const end = unsent ? Math.min(dialEnd, limits.deadline ?? dialEnd) : limits.deadline;
        const again = unsent || method.repeatable;
        if (!again || limits.signal?.aborted === true || Date.now() >= (end ?? 0)) {
          throw error;
        }
        this.leave(channel);
        if (attempt % this.#channels.length === 0) {
          await sleep(roundPauseMs);
        }
      }
    }
  }

  close(): void {
    for (const channel of this.#channels) {
      channel.close();
    }
  }
}
