// Renewals of leases on one stream, which all leases of a client share. Renewals of different
// leases go out as they come; of one lease, one is under way at a time.

import { grpcStatus } from "../base/index.ts";
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from "../wire/index.ts";
import type { ByteStream, CallLimits, Channel } from "./channel.ts";
import type { Channels } from "./channels.ts";
import {
  CallAbortedError,
  ClientClosedError,
  ClientError,
  DeadlineExceededError,
  UnavailableError,
} from "./client-error.ts";
import { abortedBy } from "./failures.ts";
import { keepAlivePath } from "./methods.ts";
import { timerMs } from "./timers.ts";

interface Waiting {
  readonly resolve: (reply: LeaseKeepAliveResponse) => void;
  readonly reject: (error: ClientError) => void;
}

/** Milliseconds after which a stream that nothing waits for is closed. */
const idleMs = 5_000;

/** One stream to one member. */
class RenewalStream {
  readonly channel: Channel;
  readonly token: string | undefined;
  readonly #stream: ByteStream;
  readonly #waiting = new Map<bigint, Waiting[]>();
  #idle: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(channel: Channel, token: string | undefined) {
    this.channel = channel;
    this.token = token;
    this.#stream = channel.stream(keepAlivePath, { requireLeader: true, token });
    this.#stream.on("data", (bytes: Uint8Array) => this.#onReply(bytes));
    this.#stream.on("error", (error) => this.end(channel.error(error)));
    this.#stream.on("end", () =>
      this.end(new UnavailableError("the stream ended", { endpoint: channel.endpoint })),
    );
  }

  get ended(): boolean {
    return this.#ended;
  }

  #onReply(bytes: Uint8Array): void {
    let reply: LeaseKeepAliveResponse;
    try {
      reply = LeaseKeepAliveResponse.decode(bytes);
    } catch (error) {
      this.end(this.channel.error(error));
      return;
    }
    this.#waiting.get(reply.id)?.shift()?.resolve(reply);
  }

  send(id: bigint, waiting: Waiting): void {
    clearTimeout(this.#idle);
    const all = this.#waiting.get(id) ?? [];
    all.push(waiting);
    this.#waiting.set(id, all);
    this.#stream.write(LeaseKeepAliveRequest.encode({ id }));
  }

  /** Nobody waits for this reply any more. */
  forget(id: bigint, waiting: Waiting): void {
    const rest = (this.#waiting.get(id) ?? []).filter((other) => other !== waiting);
    if (rest.length > 0) {
      this.#waiting.set(id, rest);
      return;
    }
    this.#waiting.delete(id);
    if (this.#waiting.size === 0 && !this.#ended) {
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => this.end(new ClientClosedError()), idleMs);
    }
  }

  end(error: ClientError): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    clearTimeout(this.#idle);
    this.#stream.cancel();
    for (const waiting of [...this.#waiting.values()].flat()) {
      waiting.reject(error);
    }
    this.#waiting.clear();
  }
}

export class Renewals {
  readonly #channels: Channels;
  #stream: RenewalStream | undefined;
  #opening: Promise<RenewalStream> | undefined;

  constructor(channels: Channels) {
    this.#channels = channels;
  }

  /**
   * Renews once, at one member; a lease that is gone has a TTL of 0 in the reply. A member that
   * does not answer in time is left. Rejects with ClientError.
   */
  async renew(id: bigint, limits: CallLimits): Promise<LeaseKeepAliveResponse> {
    const stream = await this.#open();
    if (limits.signal?.aborted === true) {
      throw abortedBy(limits.signal);
    }
    try {
      const reply = await exchange(stream, id, limits);
      this.#channels.praise(stream.channel);
      return reply;
    } catch (error) {
      if (error instanceof ClientError && !(error instanceof CallAbortedError)) {
        this.#channels.renewsToken(error, stream.token);
        if (error.status === grpcStatus.unavailable || error instanceof DeadlineExceededError) {
          this.#channels.leave(stream.channel);
        }
        stream.end(error);
      }
      throw error;
    }
  }

  close(): void {
    this.#stream?.end(new ClientClosedError());
  }

  async #open(): Promise<RenewalStream> {
    if (this.#stream !== undefined && !this.#stream.ended) {
      return this.#stream;
    }
    this.#opening ??= this.#openNew().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async #openNew(): Promise<RenewalStream> {
    const token = await this.#channels.token();
    const channel = await this.#channels.forStream();
    if (this.#channels.closed) {
      throw new ClientClosedError();
    }
    this.#stream = new RenewalStream(channel, token);
    return this.#stream;
  }
}

/** One request and its reply. */
function exchange(
  stream: RenewalStream,
  id: bigint,
  limits: CallLimits,
): Promise<LeaseKeepAliveResponse> {
  const { endpoint } = stream.channel;
  return new Promise((resolve, reject) => {
    const { signal, deadline } = limits;
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      stream.forget(id, waiting);
    };
    const waiting: Waiting = {
      resolve: (reply) => {
        finish();
        resolve(reply);
      },
      reject: (error) => {
        finish();
        reject(error);
      },
    };
    // The place in the queue is kept: the reply that comes must not be taken for a later one's.
    const abort = (): void => {
      clearTimeout(timer);
      reject(abortedBy(signal as AbortSignal, endpoint));
    };
    const timer = setTimeout(
      () => waiting.reject(new DeadlineExceededError("context deadline exceeded", { endpoint })),
      timerMs((deadline ?? Number.POSITIVE_INFINITY) - Date.now()),
    );
    signal?.addEventListener("abort", abort, { once: true });
    stream.send(id, waiting);
  });
}
