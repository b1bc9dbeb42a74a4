// A lease that is kept alive, and says when it is over.
//
// The servers let a lease end when its time to live has passed since they last heard of it. What
// matters here is to know of it no later than they do. So time is counted from before a renewal is
// sent, which is earlier than the server counts from; by two clocks, the monotonic and the wall's,
// whichever says more has passed: the one does not count while a machine sleeps, the other may be
// set. `alive` looks at the clocks when it is asked, so it is right even in a process that was
// stopped and goes on, before any timer has fired.

import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallOptions,
  type Client,
  ClientClosedError,
  ClientError,
  LeaseExistsError,
  LeaseNotFoundError,
  takeManyListeners,
  timerMs,
} from "../client/index.ts";
import { LeaseLostError, type LeaseEnd } from "./errors.ts";
import type { Connection } from "./scope.ts";

export interface LeaseOptions extends CallOptions {
  /** Seconds until the lease ends by itself when it is not renewed. Servers may grant more. */
  readonly ttlSeconds: number;
}

const timeoutMsDefault = 5_000;
const retryPauseMs = 100;
/** A renewal is due after this part of the time to live. */
const renewalPart = 1 / 3;

/** A moment by both clocks. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

function now(): Moment {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}

/** Milliseconds since `then`, by the clock that says more. */
function since(then: Moment): number {
  return Math.max(performance.now() - then.monotonicMs, Date.now() - then.wallMs);
}

/** `await using` gives it back, which deletes the keys that are attached to it. */
export class Lease implements AsyncDisposable {
  readonly id: bigint;
  /** What the servers granted. */
  readonly ttlSeconds: number;
  /**
   * Resolves when the lease is over, for whatever reason; never rejects. An error because that is
   * what it is to those whose keys went with it.
   */
  readonly lost: Promise<LeaseLostError>;
  readonly #connection: Connection;
  readonly #over = new AbortController();
  readonly #resolveLost: (error: LeaseLostError) => void;
  #renewedAt: Moment;
  #timer: NodeJS.Timeout | undefined;

  /** Made by `Quorate.lease`. */
  constructor(connection: Connection, id: bigint, ttlSeconds: number, grantedAt: Moment) {
    this.#connection = connection;
    this.id = id;
    this.ttlSeconds = ttlSeconds;
    this.#renewedAt = grantedAt;
    const { promise, resolve } = withResolver<LeaseLostError>();
    this.lost = promise;
    this.#resolveLost = resolve;
    connection.leases.add(this);
    takeManyListeners(this.#over.signal);
    this.#watchClock();
    void this.#keep();
  }

  /** Aborts when the lease is over; the reason is the LeaseLostError. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether the servers still keep it, by the clock of now. */
  get alive(): boolean {
    return this.remainingMs > 0;
  }

  /** How long it lives for certain if it is not renewed; 0 when it is over. */
  get remainingMs(): number {
    if (this.#over.signal.aborted) {
      return 0;
    }
    const left = this.ttlSeconds * 1000 - since(this.#renewedAt);
    if (left <= 0) {
      this.#end("expired");
      return 0;
    }
    return left;
  }

  /** Throws LeaseLostError if the lease is over. */
  throwIfLost(): void {
    if (!this.alive) {
      throw this.#over.signal.reason;
    }
  }

  /** Gives it back: its keys are deleted now. No error if it is over. Rejects with ClientError. */
  async revoke(options: CallOptions = {}): Promise<void> {
    this.#end("revoked");
    const { timeoutMs = timeoutMsDefault, signal } = options;
    // Revoking twice does what revoking once does, so it is tried until it is known to be done.
    await untilCertain(timeoutMs, signal, async (leftMs) => {
      const call = { timeoutMs: leftMs, signal };
      await this.#connection.client.leaseRevoke(this.id, call).catch((error: unknown) => {
        if (!(error instanceof LeaseNotFoundError)) {
          throw error;
        }
      });
    });
  }

  /** Gives it back; if that fails, it ends by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.revoke().catch(() => {});
  }

  /** No more renewals: the store is closed. */
  abandon(): void {
    this.#end("closed");
  }

  #end(why: LeaseEnd, cause?: unknown): void {
    if (this.#over.signal.aborted) {
      return;
    }
    clearTimeout(this.#timer);
    this.#connection.leases.delete(this);
    const error = new LeaseLostError(this.id, why, cause === undefined ? undefined : { cause });
    this.#resolveLost(error);
    this.#over.abort(error);
  }

  #watchClock(): void {
    const { remainingMs } = this;
    if (remainingMs > 0) {
      this.#timer = setTimeout(() => this.#watchClock(), timerMs(remainingMs));
    }
  }

  /** Renews until the lease is over. Never rejects. */
  async #keep(): Promise<void> {
    const { signal } = this.#over;
    const pause = (ms: number): Promise<void> =>
      sleep(Math.max(0, ms), undefined, { signal }).catch(() => {});
    while (!signal.aborted) {
      await pause(this.ttlSeconds * 1000 * renewalPart - since(this.#renewedAt));
      while (this.alive) {
        if (await this.#renew(this.remainingMs)) {
          break;
        }
        await pause(retryPauseMs);
      }
    }
  }

  /** Whether it went well, or is over. */
  async #renew(timeoutMs: number): Promise<boolean> {
    const { signal } = this.#over;
    const sentAt = now();
    try {
      const reply = await this.#connection.client.leaseKeepAliveOnce(this.id, {
        timeoutMs,
        signal,
      });
      if (reply.ttl <= 0) {
        this.#end("gone");
      } else if (this.alive) {
        this.#renewedAt = sentAt;
      }
      return true;
    } catch (error) {
      if (error instanceof LeaseNotFoundError) {
        this.#end("gone", error);
      }
      return signal.aborted;
    }
  }
}

/** Promise.withResolvers, which Node 20 has not. */
function withResolver<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A random id above 0 that fits int64. */
function randomLeaseId(): bigint {
  const [words] = [crypto.getRandomValues(new BigUint64Array(1))];
  return BigInt.asUintN(63, words[0] ?? 0n) || 1n;
}

/**
 * Grants a lease and keeps it alive. The id is chosen here, so that a grant whose answer was lost
 * may be asked for again. Rejects with ClientError.
 */
export async function grantLease(connection: Connection, options: LeaseOptions): Promise<Lease> {
  const { ttlSeconds, timeoutMs = timeoutMsDefault, signal } = options;
  if (!(ttlSeconds > 0)) {
    throw new RangeError(`ttlSeconds must be above 0, not ${ttlSeconds}`);
  }
  const id = randomLeaseId();
  const ttl = Math.ceil(ttlSeconds);
  return await untilCertain(timeoutMs, signal, async (leftMs) => {
    const grantedAt = now();
    const call = { timeoutMs: leftMs, signal };
    return new Lease(connection, id, await grantOnce(connection.client, id, ttl, call), grantedAt);
  });
}

/** `work` again and again while it fails so that nobody knows whether it was done. */
async function untilCertain<T>(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (leftMs: number) => Promise<T>,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await work(Math.max(1, end - Date.now()));
    } catch (error) {
      const again = error instanceof ClientError && error.uncertain && signal?.aborted !== true;
      const isTime = Date.now() + retryPauseMs < end && !(error instanceof ClientClosedError);
      if (!again || !isTime) {
        throw error;
      }
      await sleep(retryPauseMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** Seconds granted. A lease that is there already is the one asked for before. */
async function grantOnce(
  client: Client,
  id: bigint,
  ttl: number,
  options: CallOptions,
): Promise<number> {
  try {
    return (await client.leaseGrant({ id, ttl }, options)).ttl;
  } catch (error) {
    if (!(error instanceof LeaseExistsError)) {
      throw error;
    }
    return (await client.leaseKeepAliveOnce(id, options)).ttl;
  }
}
