// The deadline wheel: each call expires once, not before its time, and not long after it, whether
// it is due in this round of the wheel or a later one.

import { expect, test, vi } from "vitest";
import type { Call } from "../../src/grpc/call.ts";
import { DeadlineWheel } from "../../src/grpc/deadline-wheel.ts";
import { SeededRng } from "../../src/base/index.ts";

/** As much of a call as the wheel looks at. */
function makeCall(wheel: DeadlineWheel, deadlineMs: number, expired: (call: Call) => void): Call {
  const call = {
    deadlineMs,
    deadlineSlot: -1,
    deadlineNext: undefined,
    deadlinePrevious: undefined,
    expire(): void {
      wheel.remove(call);
      expired(call);
    },
  } as unknown as Call;
  return call;
}

test("10,000 deadlines up to a minute away, a third of them taken out again", () => {
  vi.useFakeTimers();
  const seed = 1;
  const rng = new SeededRng(seed);
  const wheel = new DeadlineWheel();
  const startMs = performance.now();
  const late: number[] = [];
  const removed = new Set<Call>();
  let due = 0;
  for (let i = 0; i < 10_000; i++) {
    const delayMs = rng.below(3) === 0 ? rng.below(20) : rng.below(60_000);
    const call = makeCall(wheel, startMs + delayMs, (one) => {
      expect(removed.has(one)).toBe(false);
      late.push(performance.now() - (one.deadlineMs ?? 0));
    });
    wheel.add(call);
    if (rng.below(3) === 0) {
      wheel.remove(call);
      removed.add(call);
    } else {
      due++;
    }
  }
  vi.advanceTimersByTime(61_000);
  expect(late).toHaveLength(due);
  expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...late)).toBeLessThan(20);
  // With nothing to watch there is no timer.
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("a deadline already past, and one that expires while others of its slot are taken out", () => {
  vi.useFakeTimers();
  const wheel = new DeadlineWheel();
  const startMs = performance.now();
  const expired: number[] = [];
  const second = makeCall(wheel, startMs + 4, () => expired.push(2));
  const third = makeCall(wheel, startMs + 4, () => expired.push(3));
  const first = makeCall(wheel, startMs + 4, () => {
    expired.push(1);
    wheel.remove(third);
  });
  const past = makeCall(wheel, startMs - 1_000, () => expired.push(0));
  for (const call of [second, third, first, past]) {
    wheel.add(call);
  }
  vi.advanceTimersByTime(50);
  expect(expired.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
  vi.useRealTimers();
});
