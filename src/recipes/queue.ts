// Queues: work for any number of workers, each item for one of them.
//
//   const queue = new Queue<{ order: number }>(store, "orders");
//   await queue.push({ order: 7 });
//   await using item = await queue.take();       // waits for one
//   await handle(item.value);
//   await item.done();                           // else it goes back at the end of the block
//
// Promises:
// - What `push` resolved for is handed out until somebody was `done` with it; nothing is pushed
//   twice, also when an answer was lost.
// - First in, first out: an item is handed out when all that were pushed before it (that is,
//   whose push had ended when its push began) have been handed out. A smaller `priority` number
//   goes first.
// - One worker at a time has an item, by a lease: who dies or is cut off loses it after the TTL to
//   another worker, so an item may be worked on more than once, and `done` tells who is too late.
//   What is written under `item.condition()` takes place only while the item is held.
//
// Costs: a push is one read and one write. Taking is a lease, one read and one write; waiting is
// one watch, and each item that comes wakes all who wait. Done is one write and the end of the
// lease. The read is of as many items as are in work, and a few more. One Queue object pushes one
// item after another.

import { randomBytes } from "node:crypto";
import { type CallOptions, LeaseNotFoundError } from "../client/index.ts";
import { type Codec, type Condition, json, type Lease, type Quorate, text } from "../sdk/index.ts";
import { type AnyStore, HoldLostError } from "./contender.ts";
import { OnceWriter } from "./once-writer.ts";
import { anyOf, giveBack, giveBackSoon, untilAnswered } from "./patience.ts";
import { padNumber } from "./sortable.ts";
import { untilEvent } from "./until-event.ts";

export interface QueueOptions<V> {
  /** How items are written; JSON, unchecked, unless told (`schema(...)` checks). */
  readonly codec?: Codec<V> | undefined;
  /** Seconds after which a worker that died loses its item; 10 unless told. */
  readonly ttlSeconds?: number | undefined;
}

export interface PushOptions {
  /** 0 to 65,535; smaller goes first. 100 unless told. */
  readonly priority?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TakeOptions {
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
}

interface Found<V> {
  readonly item: QueueItem<V> | undefined;
  /** What was looked at. */
  readonly revision: number;
}

const ttlSecondsDefault = 10;
const priorityDigits = 5;
const revisionDigits = 16;
const priorityDefault = 100;
const priorityMax = 65_535;
/** Items read beyond those in work: others may take the first ones meanwhile. */
const spareItems = 16;

/** An item in work. `await using` gives it back unless it is done. */
export class QueueItem<V> implements AsyncDisposable {
  readonly value: V;
  /** Its key in the queue; the same whenever it is handed out again. */
  readonly id: string;
  /** Larger each time the item is handed out. */
  readonly token: number;
  readonly #store: Quorate;
  readonly #keys: { readonly item: string; readonly claim: string; readonly receipt: string };
  readonly #lease: Lease;
  readonly #over = new AbortController();

  /** Made by `Queue.take`. */
  constructor(store: Quorate, id: string, value: V, token: number, lease: Lease) {
    this.#store = store;
    this.id = id;
    this.value = value;
    this.token = token;
    this.#lease = lease;
    this.#keys = { item: `items/${id}`, claim: `claims/${id}`, receipt: receiptKey(lease) };
    lease.signal.addEventListener("abort", () => this.#end("lease"), { once: true });
    if (lease.signal.aborted) {
      this.#end("lease");
    }
  }

  /** Whether it is still this worker's, by the clock of now. */
  get held(): boolean {
    return this.#lease.alive && !this.#over.signal.aborted;
  }

  /** Aborts when the item is lost, done or given back; the reason is a HoldLostError. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** For `txn().if(...)`: true only while this worker has the item. */
  condition(): Condition {
    return this.#store.when(this.#keys.claim).createRevision("=", this.token);
  }

  /**
   * Takes the item out of the queue. Rejects with HoldLostError when it was lost before the store
   * had answered, so that another worker may have it, or ClientError.
   */
  async done(signal?: AbortSignal): Promise<void> {
    const store = this.#store;
    const { item, claim, receipt } = this.#keys;
    const result = await untilAnswered(
      (call) =>
        store
          .txn()
          .if(this.condition())
          .do(
            store.op.delete(item),
            store.op.delete(claim),
            store.op.put(receipt, "", { lease: this.#lease }),
          )
          .else(store.op.get(receipt))
          .commit(call),
      anyOf(signal, this.#over.signal),
    );
    // With a receipt of ours there, only an answer was lost.
    if (!result.succeeded && result.results[0] === undefined) {
      this.#end("lease");
      throw this.#over.signal.reason;
    }
    this.#end("released");
    giveBackSoon(this.#lease);
  }

  /** Gives the item back: it is handed out again, before all that came later. Idempotent. */
  async release(): Promise<void> {
    this.#end("released");
    await giveBack(this.#lease).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #end(why: HoldLostError["why"]): void {
    if (!this.#over.signal.aborted) {
      this.#over.abort(new HoldLostError(this.#keys.claim, why));
    }
  }
}

/** All calls reject with ClientError for what waiting cannot mend, or the signal's reason. */
export class Queue<V = unknown> implements AsyncDisposable {
  readonly #store: Quorate;
  readonly #items: Quorate<V>;
  readonly #ttlSeconds: number;
  readonly #writer: OnceWriter;

  constructor(store: AnyStore, name: string, options: QueueOptions<V> = {}) {
    const { codec = json<V>(), ttlSeconds = ttlSecondsDefault } = options;
    this.#store = store.namespace(`${name}/`).withCodec(text);
    this.#items = this.#store.withCodec(codec);
    this.#ttlSeconds = ttlSeconds;
    this.#writer = new OnceWriter(this.#store, "writers/");
  }

  /**
   * Puts an item at the end of those of its priority; gives its id. Also rejects with
   * InvalidValueError, RangeError, or a ClientError that is `uncertain` (it may be in the queue).
   */
  async push(value: V, options: PushOptions = {}): Promise<string> {
    const { priority = priorityDefault, signal } = options;
    if (!Number.isInteger(priority) || priority < 0 || priority > priorityMax) {
      throw new RangeError(`priority must be a whole number from 0 to ${priorityMax}`);
    }
    return await this.#writer.during(() => this.#push(value, priority, signal));
  }

  /** Waits for an item and makes it this worker's. Also rejects with InvalidValueError. */
  async take(options: TakeOptions = {}): Promise<QueueItem<V>> {
    for (;;) {
      const found = await this.#tryTake(options.signal);
      if (found.item !== undefined) {
        return found.item;
      }
      await untilEvent(
        this.#store,
        { prefix: "" },
        { after: found.revision, signal: options.signal, matches: mayFree },
      );
    }
  }

  /** The same when there is an item that nobody has; else undefined. */
  async tryTake(options: TakeOptions = {}): Promise<QueueItem<V> | undefined> {
    return (await this.#tryTake(options.signal)).item;
  }

  /** How many items there are, in work or not. */
  size(options: TakeOptions = {}): Promise<number> {
    const range = { prefix: "items/" };
    return untilAnswered((call) => this.#store.count(range, call), options.signal);
  }

  /** Gives up what pushing needs; items that were taken stay taken. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }

  async #push(value: V, priority: number, signal: AbortSignal | undefined): Promise<string> {
    // A push that begins after another has ended reads a revision at least as large as that of the
    // other's item, which is larger than the one in the other's key.
    const { revision } = await untilAnswered(
      (call) => this.#store.txn().do(this.#store.op.get("items/")).commit(call),
      signal,
    );
    const place = `${padNumber(priority, priorityDigits)}/${padNumber(revision, revisionDigits)}`;
    const id = `${place}-${randomBytes(8).toString("hex")}`;
    const operations = [this.#items.op.put(`items/${id}`, value)];
    await this.#writer.commit({ conditions: [], operations, otherwise: `items/${id}` }, signal);
    return id;
  }

  async #tryTake(signal: AbortSignal | undefined): Promise<Found<V>> {
    for (;;) {
      const { free, revision } = await untilAnswered((call) => this.#look(call), signal);
      if (free === undefined) {
        return { item: undefined, revision };
      }
      const ttlSeconds = this.#ttlSeconds;
      const lease = await untilAnswered(
        (call) => this.#store.lease({ ttlSeconds, ...call }),
        signal,
      );
      try {
        const item = await this.#claim(free, lease, signal);
        if (item !== undefined) {
          return { item, revision };
        }
        giveBackSoon(lease);
      } catch (error) {
        const wasLost = error instanceof LeaseNotFoundError || !lease.alive;
        giveBackSoon(lease);
        signal?.throwIfAborted();
        // The store was away for longer than the TTL: nothing is lost by beginning anew.
        if (!wasLost) {
          throw error;
        }
      }
    }
  }

  /** The first item that nobody has. */
  async #look(call: CallOptions): Promise<{ readonly free?: string; readonly revision: number }> {
    for (let limit = spareItems; ; ) {
      const done = await this.#store
        .txn()
        .do(
          this.#store.op.list({ prefix: "claims/" }),
          this.#store.op.list({ prefix: "items/" }, { limit }),
        )
        .commit(call);
      const { revision } = done;
      const [claims, items] = done.succeeded ? done.results : [];
      const taken = new Set(claims?.entries.map(({ key }) => key.slice("claims/".length)));
      const ids = items?.entries.map(({ key }) => key.slice("items/".length)) ?? [];
      const free = ids.find((id) => !taken.has(id));
      if (free !== undefined) {
        return { free, revision };
      }
      if (ids.length < limit) {
        return { revision };
      }
      limit = taken.size + spareItems;
    }
  }

  /** The item, unless somebody else was quicker. */
  async #claim(
    id: string,
    lease: Lease,
    signal: AbortSignal | undefined,
  ): Promise<QueueItem<V> | undefined> {
    const store = this.#store;
    const [item, claim] = [`items/${id}`, `claims/${id}`];
    const holder = lease.id.toString(16);
    const done = await untilAnswered(
      (call) =>
        store
          .txn()
          .if(store.when(item).exists(), store.when(claim).absent())
          .do(store.op.put(claim, holder, { lease }), this.#items.op.get(item))
          .else(store.op.get(claim), this.#items.op.get(item))
          .commit(call),
      anyOf(signal, lease.signal),
    );
    const [, entry] = done.results;
    if (entry === undefined) {
      return undefined;
    }
    if (done.succeeded) {
      return new QueueItem(store, id, entry.value, done.revision, lease);
    }
    // A claim with this lease is ours: only the answer was lost.
    const [claimed] = done.results;
    return claimed?.value === holder
      ? new QueueItem(store, id, entry.value, claimed.createRevision, lease)
      : undefined;
  }
}

function receiptKey(lease: Lease): string {
  return `receipts/${lease.id.toString(16)}`;
}

/** An item came, or one was given back or lost. */
function mayFree({ kind, key }: { readonly kind: string; readonly key: string }): boolean {
  return key.startsWith(kind === "put" ? "items/" : "claims/");
}
