// All endpoints of a client, and what it does when one fails. What may be sent again, and when, is
// decided here.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../base/index.ts";
import { AuthenticateRequest } from "../wire/index.ts";
import { type CallLimits, Channel, type ChannelOptions } from "./channel.ts";
import { ClientClosedError, ClientError, UnavailableError } from "./client-error.ts";
import { type Balancing, Endpoints } from "./endpoints.ts";
import { abortedBy, neverSent } from "./failures.ts";
import { methods, type UnaryMethod } from "./methods.ts";
import { orAborted, takeManyListeners, timerMs } from "./timers.ts";
import { isStaleToken, Tokens, type UserOptions } from "./tokens.ts";

export interface CallOptions {
  /** Milliseconds until the call gives up, instead of the client's `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call, which then rejects with CallAbortedError. */
  readonly signal?: AbortSignal | undefined;
}

export interface ChannelsOptions extends ChannelOptions {
  readonly endpoints: readonly string[];
  readonly balancing: Balancing;
  /** Milliseconds until a call gives up. */
  readonly callTimeoutMs: number;
  /** Milliseconds for which a call goes on when no endpoint takes a connection. */
  readonly dialTimeoutMs: number;
  readonly auth: UserOptions | undefined;
  /** In place of `auth`. */
  readonly token: string | undefined;
}

/** Wait between two rounds over all endpoints, milliseconds. */
const roundPauseMs = 100;
/** How often in a row a call may be refused for its token. */
const staleTokensMax = 3;

interface Attempt<Request, Response> {
  readonly method: UnaryMethod<Request, Response>;
  readonly request: Request;
  readonly limits: CallLimits;
  readonly channel: Channel;
  readonly token: string | undefined;
}

export class Channels {
  readonly #options: ChannelsOptions;
  readonly #endpoints: Endpoints;
  readonly #tokens: Tokens | undefined;
  #closed = false;

  /** Throws RangeError for endpoints, TypeError for certificates that are not any. */
  constructor(options: ChannelsOptions) {
    if (options.endpoints.length === 0) {
      throw new RangeError("a client needs at least one endpoint");
    }
    this.#options = options;
    const channels = options.endpoints.map((endpoint) => new Channel(endpoint, options));
    this.#endpoints = new Endpoints(channels, options.balancing);
    const { auth, token } = options;
    if (token !== undefined) {
      this.#tokens = new Tokens(() => Promise.resolve(token));
    } else if (auth !== undefined) {
      this.#tokens = new Tokens(() => this.#logIn(auth));
    }
  }

  get endpoints(): readonly string[] {
    return this.#options.endpoints;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The endpoint for a stream that is opened now: one with a connection if there is any. A stream
   * that waits for a connection that does not come about would wait for long.
   */
  async forStream(): Promise<Channel> {
    const count = this.#endpoints.channels.length;
    let channel = this.#endpoints.pick();
    for (let i = 0; i < count; i++) {
      if (!channel.dialling || (await channel.connected(this.#options.dialTimeoutMs / count))) {
        break;
      }
      this.#endpoints.failed(channel);
      channel = this.#endpoints.pick();
    }
    return channel;
  }

  /** Nothing can be done at this endpoint now: the next calls go to others. */
  leave(failed: Channel): void {
    this.#endpoints.failed(failed);
  }

  /** This endpoint does what it is asked to. */
  praise(channel: Channel): void {
    this.#endpoints.answered(channel);
  }

  /** The channel to `endpoint`; a new one, to be closed, when it is none of the client's. */
  channelTo(endpoint: string): { readonly channel: Channel; readonly own: boolean } {
    const known = this.#endpoints.channels.find((channel) => channel.endpoint === endpoint);
    return { channel: known ?? new Channel(endpoint, this.#options), own: known === undefined };
  }

  limitsOf(options: CallOptions): CallLimits {
    if (options.signal !== undefined) {
      takeManyListeners(options.signal);
    }
    return {
      deadline: Date.now() + (options.timeoutMs ?? this.#options.callTimeoutMs),
      signal: options.signal,
    };
  }

  /** The token that a stream that is opened now carries. Rejects with ClientError. */
  token(): string | undefined | Promise<string | undefined> {
    return this.#tokens?.current();
  }

  /** Whether a new token may mend `error`; the old one is then not used again. */
  renewsToken(error: ClientError, token: string | undefined): boolean {
    if (this.#tokens === undefined || !isStaleToken(error)) {
      return false;
    }
    this.#tokens.refuse(token);
    return true;
  }

  /**
   * A call to whichever endpoint answers. A read is repeated on the next endpoint when one is
   * unavailable, and asked of a second one when the first is slow; a write is repeated only when it
   * was certainly not sent, or was refused for its token. Rejects with ClientError.
   */
  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    const limits = this.limitsOf(options);
    const dialEnd = Math.min(Date.now() + this.#options.dialTimeoutMs, limits.deadline ?? 0);
    let staleTokens = 0;
    for (let attempt = 1; ; attempt++) {
      this.#checkOpen(limits.signal);
      const channel = this.#endpoints.pick();
      let token: string | undefined;
      try {
        // Without an await where nothing is to be waited for: most calls go out at once.
        const current = this.#tokens?.current();
        token =
          typeof current === "object"
            ? await orAborted(current, limits.signal, abortedBy)
            : current;
        if (channel.dialling) {
          await this.#dial(channel, dialEnd, limits.signal);
        }
        const response = await this.#once({ method, request, limits, channel, token });
        this.#endpoints.answered(channel);
        return response;
      } catch (error) {
        if (!(error instanceof ClientError) || this.#closed) {
          throw this.#closed ? new ClientClosedError({ cause: error }) : error;
        }
        if (this.renewsToken(error, token) && ++staleTokens < staleTokensMax) {
          continue;
        }
        await this.#failed(channel, error, {
          attempt,
          dialEnd,
          limits,
          repeatable: method.repeatable,
        });
      }
    }
  }

  /** One call to one member, tried once but for its token. Rejects with ClientError. */
  async callTo<Request, Response>(
    endpoint: string,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    const { channel, own } = this.channelTo(endpoint);
    const limits = this.limitsOf(options);
    try {
      for (let staleTokens = 1; ; staleTokens++) {
        const token = await this.#tokens?.current();
        try {
          return await channel.unary(method, request, limits, token);
        } catch (error) {
          const again = error instanceof ClientError && this.renewsToken(error, token);
          if (!again || staleTokens >= staleTokensMax) {
            throw error;
          }
        }
      }
    } finally {
      if (own) {
        channel.close();
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#endpoints.channels) {
      channel.close();
    }
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (this.#closed) {
      throw new ClientClosedError();
    }
    if (signal?.aborted === true) {
      throw abortedBy(signal);
    }
  }

  /** Waits for a connection being made, so that what was never sent is known not to have been. */
  async #dial(channel: Channel, end: number, signal: AbortSignal | undefined): Promise<void> {
    const share = Math.max(1, end - Date.now()) / Math.min(2, this.#endpoints.channels.length);
    await channel.connected(share);
    this.#checkOpen(signal);
    if (channel.dialling) {
      throw new UnavailableError(`no connection to ${channel.endpoint} within ${share | 0} ms`, {
        endpoint: channel.endpoint,
        unsent: true,
      });
    }
  }

  /** Decides whether a call that failed is tried again, and waits until then; throws if not. */
  async #failed(
    channel: Channel,
    error: ClientError,
    call: {
      readonly attempt: number;
      readonly dialEnd: number;
      readonly limits: CallLimits;
      readonly repeatable: boolean;
    },
  ): Promise<void> {
    const { limits, attempt } = call;
    if (error.status === grpcStatus.unavailable || error.status === grpcStatus.deadlineExceeded) {
      this.#endpoints.failed(channel);
    }
    const unsent = neverSent(error);
    const end = unsent ? call.dialEnd : (limits.deadline ?? 0);
    const unavailable = error.status === grpcStatus.unavailable && (unsent || call.repeatable);
    const torn = call.repeatable && isTorn(error) && attempt <= this.#endpoints.channels.length;
    const again = (unavailable || torn) && Date.now() < end;
    if (!again || limits.signal?.aborted === true) {
      throw error;
    }
    if (attempt % this.#endpoints.channels.length === 0) {
      await sleep(roundPauseMs, undefined, { signal: limits.signal }).catch(() => {});
    }
  }

  /** One try. A read that has no answer after half its time is asked of another endpoint, too. */
  #once<Request, Response>(attempt: Attempt<Request, Response>): Promise<Response> {
    const { method, request, limits, channel, token } = attempt;
    if (!method.repeatable || this.#endpoints.channels.length < 2) {
      return channel.unary(method, request, limits, token);
    }
    return this.#hedged(attempt);
  }

  #hedged<Request, Response>(attempt: Attempt<Request, Response>): Promise<Response> {
    const { method, request, limits, channel, token } = attempt;
    return new Promise((resolve, reject) => {
      let second: AbortController | undefined;
      const timer = setTimeout(
        () => {
          const other = this.#endpoints.pick(channel);
          second = new AbortController();
          const signals = limits.signal === undefined ? [] : [limits.signal];
          const signal = AbortSignal.any([second.signal, ...signals]);
          // A failure of the second try is the first one's to report.
          other.unary(method, request, { deadline: limits.deadline, signal }, token).then(
            (response) => {
              this.#endpoints.failed(channel);
              resolve(response);
            },
            () => {},
          );
        },
        timerMs(((limits.deadline ?? Number.POSITIVE_INFINITY) - Date.now()) / 2),
      );
      channel
        .unary(method, request, limits, token)
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          second?.abort();
        });
    });
  }

  /** undefined while the store has no authentication. */
  async #logIn(auth: UserOptions): Promise<string | undefined> {
    const request = AuthenticateRequest.create({ name: auth.username, password: auth.password });
    const limits = this.limitsOf({});
    for (let attempt = 1; ; attempt++) {
      const channel = this.#endpoints.pick();
      try {
        const { token } = await channel.unary(methods.authenticate, request, limits);
        return token;
      } catch (error) {
        if (!(error instanceof ClientError) || this.#closed) {
          throw error;
        }
        if (error.code === "authNotEnabled") {
          return undefined;
        }
        const dialEnd = limits.deadline ?? 0;
        await this.#failed(channel, error, { attempt, dialEnd, limits, repeatable: true });
      }
    }
  }
}

/** How connections that end in the middle of a call look, other than as unavailable. */
function isTorn({ code, status }: ClientError): boolean {
  return code === undefined && (status === grpcStatus.internal || status === grpcStatus.cancelled);
}
