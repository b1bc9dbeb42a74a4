// The clock of a real process.

import { performance } from "node:perf_hooks";
import type { Clock, Timer } from "../base/index.ts";

export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs: number, callback: () => void): Timer {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  soon(callback: () => void): void {
    setImmediate(callback);
  },
};
