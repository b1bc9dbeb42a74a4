// Waiting out what passes: members that do not answer, leaders that change.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../base/index.ts";
import type { Lease } from "../sdk/index.ts";
import {
  CallAbortedError,
  type CallOptions,
  ClientClosedError,
  ClientError,
} from "../client/index.ts";

const pauseMsMin = 50;
const pauseMsMax = 1_000;
const timeoutMsMin = 1_000;
const timeoutMsMax = 8_000;

const passing: ReadonlySet<number> = new Set([
  grpcStatus.unavailable,
  grpcStatus.deadlineExceeded,
  grpcStatus.resourceExhausted,
]);

/** So many connections in a row may break in the middle of an answer. */
const tornMax = 5;

/** Whether a connection seems to have ended in the middle of a call. */
function isTorn(error: unknown): boolean {
  return (
    error instanceof ClientError &&
    !(error instanceof CallAbortedError) &&
    !(error instanceof ClientClosedError) &&
    error.code === undefined &&
    (error.status === grpcStatus.internal || error.status === grpcStatus.cancelled)
  );
}

/** Whether the same call may succeed later. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ClientError &&
    !(error instanceof CallAbortedError) &&
    !(error instanceof ClientClosedError) &&
    passing.has(error.status)
  );
}

/**
 * Calls until there is an answer: `work` must be such that doing it twice is doing it once, also
 * when the first time comes late, after whatever the caller did next (a member that is cut off may
 * keep a request and pass it on when it is back). So writes are tied to what they replace, or to a
 * lease that ends with them. Each attempt gets a time limit, short at first: a member that is cut
 * off from the others holds a call for as long as it may, while another would answer at once.
 * Rejects with the first error that does not pass, and with the signal's reason when it aborts.
 */
export async function untilAnswered<T>(
  work: (call: CallOptions) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let timeoutMs = timeoutMsMin;
  let torn = 0;
  for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
    signal?.throwIfAborted();
    try {
      return await work({ timeoutMs, signal });
    } catch (error) {
      signal?.throwIfAborted();
      torn = isTorn(error) ? torn + 1 : 0;
      if (!isPassing(error) && (torn === 0 || torn > tornMax)) {
        throw error;
      }
      timeoutMs = Math.min(2 * timeoutMs, timeoutMsMax);
      await pause(pauseMs * (0.5 + Math.random() / 2), signal);
    }
  }
}

/**
 * Gives a lease back, and with it its keys, however often it must be asked, for as long as it may
 * live: one that is left behind stands in others' way, and every new leader of the store gives it
 * its full time again. Rejects with ClientError for what asking again cannot mend.
 */
export async function giveBack(lease: Lease): Promise<void> {
  const end = AbortSignal.timeout(lease.ttlSeconds * 1000);
  try {
    await untilAnswered((call) => lease.revoke(call), end);
  } catch (error) {
    if (!end.aborted) {
      throw error;
    }
  }
}

/** The same for whoever does not wait for it. */
export function giveBackSoon(lease: Lease): void {
  giveBack(lease).catch(() => undefined);
}

/** Resolves after `ms`, or when the signal aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts. */
export async function inTime<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) {
    return await promise;
  }
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** A signal that aborts when one of these does. */
export function anyOf(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}
