// Waiting: timers, and signals that end it.

import { setMaxListeners } from "node:events";

/** One signal may end any number of calls: Node.js shall not warn of a leak at the eleventh. */
export function takeManyListeners(signal: AbortSignal): void {
  setMaxListeners(0, signal);
}

/** What Node's timers can hold; a longer wait would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** `ms` as a timer takes it. */
export function timerMs(ms: number): number {
  return Math.min(Math.max(0, ms), timerMsMax);
}

/** `promise`, or a rejection with `reason()` as soon as `signal` aborts. */
export function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  reason: (signal: AbortSignal) => Error,
): Promise<T> {
  if (signal === undefined) {
    return promise;
  }
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reason(signal));
    if (signal.aborted) {
      abort();
    }
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
