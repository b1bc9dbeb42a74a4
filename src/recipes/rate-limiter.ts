// Rate limits that hold for all processes together.
//
//   const limiter = new RateLimiter(store, "api", { limit: 100, windowSeconds: 60 });
//   const { allowed, remaining, resetSeconds } = await limiter.take("user-7");
//
// rate-limit-headers.ts makes an HTTP middleware of it.
//
// Promises:
// - In each window, exactly `limit` units are given out if so many are asked for, and never more,
//   whatever the number of processes, whoever leads the store, and also when answers were lost.
// - A window begins with the first unit taken and is over when the store says so: it is a lease,
//   and leases keep their time through a change of leader. Clocks of processes do not matter.
//
// Costs: one write for all that a process asks of one key meanwhile, again for each time that
// another process was quicker; a lease for each window of a key; one read when the window is used
// up. One key with a number for each key in use, gone with its window.
//
// Limits: windows are whole seconds, and servers raise short ones (etcd: to one and a half election
// timeouts, rounded up). A window that straddles two bursts lets up to twice the limit through in
// the time of one window, as with every fixed window.

import { ClientError, timerMs } from "../client/index.ts";
import { type Entry, type Quorate, text } from "../sdk/index.ts";
import type { AnyStore } from "./contender.ts";
import { OnceWriter } from "./once-writer.ts";
import { untilAnswered } from "./patience.ts";

export interface RateLimiterOptions {
  /** Units in a window. */
  readonly limit: number;
  /** Whole seconds. */
  readonly windowSeconds: number;
}

export interface TakeUnitsOptions {
  /** How many; 1 unless told. All or none are given. */
  readonly units?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RateLimitAnswer {
  readonly allowed: boolean;
  /** Units left in this window. */
  readonly remaining: number;
  /** Seconds until the window is over and all units are there again, rounded up. */
  readonly resetSeconds: number;
}

interface Waiting {
  readonly units: number;
  readonly resolve: (answer: RateLimitAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** What this process knows of a key, and who waits for it. */
interface Meter {
  readonly waiting: Set<Waiting>;
  isServed: boolean;
  /** Units used in the window, as last seen; undefined when no window has begun. */
  window:
    | { readonly used: number; readonly modRevision: number; readonly leaseId: bigint }
    | undefined;
  /** When the window of `endsLeaseId` is over, about; by the monotonic clock. */
  endsAtMs: number;
  endsLeaseId: bigint;
  timer: NodeJS.Timeout | undefined;
}

/** Keys share so many writers: each writes one transaction after another. */
const writersMax = 16;

/** Calls reject with ClientError for what waiting cannot mend, or the signal's reason. */
export class RateLimiter implements AsyncDisposable {
  readonly limit: number;
  readonly windowSeconds: number;
  readonly #store: Quorate;
  readonly #writers: OnceWriter[] = [];
  readonly #meters = new Map<string, Meter>();
  #nextWriter = 0;

  /** All processes must give the same options under one name. */
  constructor(store: AnyStore, name: string, { limit, windowSeconds }: RateLimiterOptions) {
    for (const [what, value] of Object.entries({ limit, windowSeconds })) {
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`${what} must be a whole number of 1 or more (not ${value})`);
      }
    }
    this.#store = store.namespace(`${name}/`).withCodec(text);
    this.limit = limit;
    this.windowSeconds = windowSeconds;
    for (let writer = 0; writer < writersMax; writer++) {
      this.#writers.push(new OnceWriter(this.#store, `writers/`));
    }
  }

  /**
   * Takes units of a key, if there are enough in this window. Waits while members do not answer.
   * Whoever stops waiting by the signal may have taken them.
   */
  take(key: string, options: TakeUnitsOptions = {}): Promise<RateLimitAnswer> {
    const { units = 1, signal } = options;
    if (!Number.isInteger(units) || units < 1 || units > this.limit) {
      throw new RangeError(`units must be a whole number from 1 to the limit (not ${units})`);
    }
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const meter = this.#meterOf(key);
      const onAbort = (): void => {
        meter.waiting.delete(waiting);
        reject(signal?.reason);
      };
      const settled = (): void => signal?.removeEventListener("abort", onAbort);
      const waiting: Waiting = {
        units,
        resolve: (answer) => {
          settled();
          resolve(answer);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      meter.waiting.add(waiting);
      if (!meter.isServed) {
        const writer = this.#writers[this.#nextWriter++ % writersMax] as OnceWriter;
        void writer.during(() => this.#serve(key, meter, writer));
      }
    });
  }

  /** Ends when what was asked of it is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer[Symbol.asyncDispose]()));
    for (const { timer } of this.#meters.values()) {
      clearTimeout(timer);
    }
  }

  #meterOf(key: string): Meter {
    let meter = this.#meters.get(key);
    if (meter === undefined) {
      meter = {
        ...{ waiting: new Set<Waiting>(), isServed: false, window: undefined },
        ...{ endsAtMs: 0, endsLeaseId: 0n, timer: undefined },
      };
      this.#meters.set(key, meter);
    }
    return meter;
  }

  /** Answers those who wait, together, until nobody does. Never rejects. */
  async #serve(key: string, meter: Meter, writer: OnceWriter): Promise<void> {
    meter.isServed = true;
    clearTimeout(meter.timer);
    while (meter.waiting.size > 0) {
      const batch = [...meter.waiting];
      meter.waiting.clear();
      try {
        const answers = await this.#answer(key, meter, writer, batch);
        batch.forEach(({ resolve }, index) => resolve(answers[index] as RateLimitAnswer));
      } catch (error) {
        meter.window = undefined;
        batch.forEach(({ reject }) => reject(error));
      }
    }
    meter.isServed = false;
    this.#forgetLater(key, meter);
  }

  async #answer(
    key: string,
    meter: Meter,
    writer: OnceWriter,
    batch: readonly Waiting[],
  ): Promise<RateLimitAnswer[]> {
    for (let isNewest = false; ; ) {
      const { allowed, used } = this.#share(meter.window?.used ?? 0, batch);
      if (!allowed.includes(true)) {
        if (isNewest) {
          return this.#answers(meter, allowed, used);
        }
        const entry = await untilAnswered((call) => this.#store.get(keyOf(key), call), undefined);
        await this.#learn(meter, entry);
        isNewest = true;
        continue;
      }
      if (await this.#write(key, meter, writer, used)) {
        return this.#answers(meter, allowed, used);
      }
      isNewest = true;
    }
  }

  /** Who gets units, first come, first served, and what is used then. */
  #share(before: number, batch: readonly Waiting[]): { allowed: boolean[]; used: number } {
    let used = before;
    const allowed = batch.map(({ units }) => {
      const fits = used + units <= this.limit;
      used += fits ? units : 0;
      return fits;
    });
    return { allowed, used };
  }

  #answers(meter: Meter, allowed: readonly boolean[], used: number): RateLimitAnswer[] {
    const resetSeconds = Math.max(1, Math.ceil((meter.endsAtMs - performance.now()) / 1000));
    const remaining = Math.max(0, this.limit - used);
    return allowed.map((each) => ({ allowed: each, remaining, resetSeconds }));
  }

  /** Writes what is used, in this window or a new one; false when somebody else was quicker. */
  async #write(key: string, meter: Meter, writer: OnceWriter, used: number): Promise<boolean> {
    const { window } = meter;
    const leaseId = window?.leaseId ?? (await this.#beginWindow(meter));
    const options = window === undefined ? { lease: leaseId } : { keepLease: true };
    const result = await writer
      .commit({
        conditions: [this.#store.when(keyOf(key)).modRevision("=", window?.modRevision ?? 0)],
        operations: [this.#store.op.put(keyOf(key), String(used), options)],
        otherwise: keyOf(key),
      })
      .catch(async (error: unknown) => {
        // What may have been taken in a window that is over does not count any more.
        if (error instanceof ClientError && window === undefined && (await this.#isOver(leaseId))) {
          return { done: false, entry: undefined } as const;
        }
        throw error;
      });
    if (result.done) {
      meter.window = { used, modRevision: result.revision, leaseId };
      return true;
    }
    if (window === undefined) {
      this.#store.client.leaseRevoke(leaseId).catch(() => undefined);
    }
    await this.#learn(meter, result.entry);
    return false;
  }

  async #isOver(leaseId: bigint): Promise<boolean> {
    const { ttl } = await untilAnswered(
      (call) => this.#store.client.leaseTimeToLive({ id: leaseId }, call),
      undefined,
    );
    return ttl <= 0;
  }

  async #beginWindow(meter: Meter): Promise<bigint> {
    const ttl = this.windowSeconds;
    const { id, ttl: granted } = await untilAnswered(
      (call) => this.#store.client.leaseGrant({ ttl }, call),
      undefined,
    );
    meter.endsLeaseId = id;
    meter.endsAtMs = performance.now() + granted * 1000;
    return id;
  }

  async #learn(meter: Meter, entry: Entry<string> | undefined): Promise<void> {
    const leaseId = entry?.leaseId;
    if (entry === undefined || leaseId === undefined) {
      meter.window = undefined;
      return;
    }
    meter.window = { used: Number(entry.value), modRevision: entry.modRevision, leaseId };
    if (meter.endsLeaseId !== leaseId) {
      const { ttl } = await untilAnswered(
        (call) => this.#store.client.leaseTimeToLive({ id: leaseId }, call),
        undefined,
      );
      meter.endsLeaseId = leaseId;
      meter.endsAtMs = performance.now() + Math.max(0, ttl) * 1000;
    }
  }

  #forgetLater(key: string, meter: Meter): void {
    const afterMs = timerMs(Math.max(1000, meter.endsAtMs - performance.now()));
    meter.timer = setTimeout(() => this.#meters.delete(key), afterMs).unref();
  }
}

function keyOf(key: string): string {
  return `keys/${key}`;
}
