// Barriers: a gate that many wait at, and one that opens when enough have come.
//
//   const gate = new Barrier(store, "maintenance");
//   await gate.hold();  ...  await gate.release();   // somebody
//   await gate.wait();                               // everybody else
//
//   await using round = await enterTogether(store, "round-1", 3);   // returns when three are in
//   await round.leave();                                            // returns when all are out
//
// Promises: nobody passes a held barrier, and all pass when it is released. `enterTogether` lets
// nobody go on before `count` have entered, and `leave` nobody before all who entered have left or
// died; a process that dies inside counts as having left when its TTL has passed. A double
// barrier's name is for one round: use another for the next.
//
// Costs: to hold a barrier and to release it is two reads and one write each, waiting one read and
// one watch. A double barrier costs every participant a lease, three writes, and a watch that hears
// of each other one once: n participants make n^2 messages.

import { type Lease, type Quorate, text } from "../sdk/index.ts";
import { type AnyStore, type ContendOptions, HoldLostError } from "./contender.ts";
import { anyOf, giveBack, giveBackSoon, untilAnswered } from "./patience.ts";

const held = "held";
/** As if it had never been held; the key stays, so that a late request finds it changed. */
const open = "open";

/** A gate that somebody holds shut. */
export class Barrier {
  readonly name: string;
  readonly #store: Quorate;

  constructor(store: AnyStore, name: string) {
    this.name = name;
    this.#store = store.withCodec(text);
  }

  /** Shuts it, until it is released: no lease ends it. Rejects with ClientError. */
  async hold(signal?: AbortSignal): Promise<void> {
    await this.#turn(held, signal);
  }

  /** Lets everybody pass. Rejects with ClientError. */
  async release(signal?: AbortSignal): Promise<void> {
    await this.#turn(open, signal);
  }

  /** Resolves at once when nobody holds it, else when it is released. Rejects with ClientError. */
  async wait(signal?: AbortSignal): Promise<void> {
    await using watch = this.#store.watch(this.name, { initial: true, resync: true, signal });
    for await (const event of watch) {
      const value =
        event.kind === "put"
          ? event.entry.value
          : event.kind === "resync"
            ? event.entries[0]?.value
            : undefined;
      if (value !== held) {
        return;
      }
    }
    signal?.throwIfAborted();
  }

  /** Tied to what was there: a request that arrives late must not shut the gate again. */
  async #turn(value: string, signal: AbortSignal | undefined): Promise<void> {
    const { name } = this;
    const store = this.#store;
    for (;;) {
      const there = await untilAnswered((call) => store.get(name, call), signal);
      if ((there?.value ?? open) === value) {
        return;
      }
      await untilAnswered(
        (call) =>
          store
            .txn()
            .if(store.when(name).modRevision("=", there?.modRevision ?? 0))
            .do(store.op.put(name, value))
            .commit(call),
        signal,
      );
    }
  }
}

/** Being inside a double barrier. `await using` leaves without waiting for the others. */
export class Together implements AsyncDisposable {
  readonly #store: Quorate;
  readonly #name: string;
  readonly #lease: Lease;

  /** Made by `enterTogether`. */
  constructor(store: Quorate, name: string, lease: Lease) {
    this.#store = store;
    this.#name = name;
    this.#lease = lease;
  }

  /** Aborts when the others may take this participant for dead. */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /** Leaves, and resolves when everybody has. Rejects with ClientError or the signal's reason. */
  async leave(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await giveBack(this.#lease);
    const inside = { prefix: `${this.#name}/in/` };
    await using watch = this.#store.watch(inside, { initial: true, resync: true, signal });
    const there = new Set<string>();
    for await (const { events } of watch.batches()) {
      for (const event of events) {
        if (event.kind === "resync") {
          there.clear();
          for (const { key } of event.entries) {
            there.add(key);
          }
        } else if (event.kind === "put") {
          there.add(event.key);
        } else if (event.kind === "delete") {
          there.delete(event.key);
        }
      }
      if (there.size === 0) {
        await this.#sweep(signal);
        return;
      }
    }
    signal?.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await giveBack(this.#lease).catch(() => undefined);
  }

  /** Nothing of the round stays, unless somebody has come late. */
  async #sweep(signal: AbortSignal | undefined): Promise<void> {
    const store = this.#store;
    await untilAnswered(
      (call) =>
        store
          .txn()
          .if(store.when({ prefix: `${this.#name}/in/` }).absent())
          .do(store.op.delete(`${this.#name}/ready`))
          .commit(call),
      signal,
    );
  }
}

/**
 * Enters, and resolves when `count` are in. The name is for one round: who comes when it is full is
 * in at once. Rejects with ClientError, the signal's reason, or HoldLostError when the store was
 * out of reach for longer than the TTL.
 */
export async function enterTogether(
  anyStore: AnyStore,
  name: string,
  count: number,
  { ttlSeconds = 10, signal }: ContendOptions = {},
): Promise<Together> {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`at least one must come together (not ${count})`);
  }
  const store = anyStore.withCodec(text);
  const lease = await untilAnswered((call) => store.lease({ ttlSeconds, ...call }), signal);
  const either = anyOf(signal, lease.signal);
  const key = `${name}/in/${lease.id.toString(16)}`;
  const ready = `${name}/ready`;
  try {
    await untilAnswered((call) => store.put(key, "", { lease, ...call }), either);
    // Whoever sees enough opens for all: it stays open though some may leave at once.
    const inside = await untilAnswered(
      (call) => store.count({ prefix: `${name}/in/` }, call),
      either,
    );
    if (inside >= count) {
      await untilAnswered((call) => store.put(ready, "", call), either);
    }
    await using watch = store.watch(ready, { initial: true, resync: true, signal: either });
    for await (const event of watch) {
      if (event.kind === "put" || (event.kind === "resync" && event.entries.length > 0)) {
        return new Together(store, name, lease);
      }
    }
    signal?.throwIfAborted();
    throw new HoldLostError(key, "lease", { cause: lease.signal.reason });
  } catch (error) {
    giveBackSoon(lease);
    if (lease.signal.aborted && signal?.aborted !== true && !(error instanceof HoldLostError)) {
      throw new HoldLostError(key, "lease", { cause: error });
    }
    throw error;
  }
}
