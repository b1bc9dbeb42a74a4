// What locks and elections are made of: contenders under one name, the oldest of which holds.
//
// The keys are etcd's (client/v3/concurrency): "<name>/<lease in hex>", put once, so that etcd's
// own tools, the Lock and Election services and other languages' clients wait for us and we for
// them. The create revision of a contender's key is its fencing token: whoever holds later has a
// larger one. Who waits watches the youngest key older than its own, so one departure wakes one
// waiter.

import { type CallOptions, CompactedError } from "../client/index.ts";
import { type Condition, type Lease, type Quorate, text } from "../sdk/index.ts";
import {
  EventType,
  RangeRequest,
  RangeRequestSortOrder,
  RangeRequestSortTarget,
  type RequestOp,
} from "../wire/index.ts";
import { anyOf, giveBack, giveBackSoon, untilAnswered } from "./patience.ts";

/** Any store: values are written by the recipes themselves. */
export type AnyStore = Quorate<unknown, never>;

export interface ContendOptions {
  /**
   * Seconds after which others take over from a holder that died or does not reach the store; 10
   * unless told. A holder that lives but is cut off knows before they do.
   */
  readonly ttlSeconds?: number | undefined;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

const ttlSecondsDefault = 10;

/** What was held is held no more. */
export class HoldLostError extends Error {
  override name = "HoldLostError";
  /**
   * "lease": it was not renewed in time. "deleted": somebody deleted the key. "released": given up.
   */
  readonly why: "lease" | "deleted" | "released";

  constructor(key: string, why: HoldLostError["why"], options?: ErrorOptions) {
    const reasons = {
      lease: "its lease is over",
      deleted: "somebody deleted its key",
      released: "it was released",
    };
    super(`"${key}" is not held any more: ${reasons[why]}`, options);
    this.why = why;
  }
}

/** One contender: its key is there, and it waits or holds. */
export class Contender {
  readonly key: string;
  /** The create revision of the key. */
  readonly token: number;
  readonly lease: Lease;
  readonly #store: Quorate;
  readonly #prefix: string;
  readonly #over = new AbortController();
  /** Of the value that was set last, as far as it is known. */
  #modRevision: number;
  #guarding: AsyncDisposable | undefined;

  private constructor(store: Quorate, prefix: string, key: string, token: number, lease: Lease) {
    this.#store = store;
    this.#prefix = prefix;
    this.key = key;
    this.token = token;
    this.#modRevision = token;
    this.lease = lease;
    const onLost = (): void => {
      this.#end(new HoldLostError(this.key, "lease", { cause: lease.signal.reason }));
    };
    lease.signal.addEventListener("abort", onLost, { once: true });
    if (lease.signal.aborted) {
      onLost();
    }
  }

  /** Puts a contender's key. Costs a lease and one write. Rejects with ClientError. */
  static async join(
    anyStore: AnyStore,
    name: string,
    value: string,
    { ttlSeconds = ttlSecondsDefault, signal }: ContendOptions,
  ): Promise<Contender> {
    const store = anyStore.withCodec(text);
    for (;;) {
      const lease = await untilAnswered((call) => store.lease({ ttlSeconds, ...call }), signal);
      try {
        return await Contender.#enter(store, name, value, lease, signal);
      } catch (error) {
        const wasLost = !lease.alive && signal?.aborted !== true;
        giveBackSoon(lease);
        // The store was away for longer than the TTL: nothing is lost by beginning anew.
        if (!wasLost) {
          throw error;
        }
      }
    }
  }

  /**
   * Joins and waits until nobody is older. A place in the line that was lost because the store was
   * out of reach for longer than the TTL is taken anew, at the end. Rejects with the signal's
   * reason, ClientError, or HoldLostError when somebody deleted the key of one who waits.
   */
  static async win(
    store: AnyStore,
    name: string,
    value: string,
    options: ContendOptions,
  ): Promise<Contender> {
    for (;;) {
      const contender = await Contender.join(store, name, value, options);
      try {
        await contender.untilOldest(options.signal);
        return contender;
      } catch (error) {
        if (!(error instanceof HoldLostError) || error.why !== "lease") {
          throw error;
        }
      }
    }
  }

  static async #enter(
    store: Quorate,
    name: string,
    value: string,
    lease: Lease,
    signal: AbortSignal | undefined,
  ): Promise<Contender> {
    const prefix = `${name}/`;
    const key = `${prefix}${lease.id.toString(16)}`;
    // Nobody else has this lease: a key that is there already is the one of a lost answer.
    const token = await untilAnswered(
      async (call) => {
        const done = await store
          .txn()
          .if(store.when(key).absent())
          .do(store.op.put(key, value, { lease }))
          .else(store.op.get(key))
          .commit(call);
        return done.succeeded ? done.revision : (done.results[0]?.createRevision ?? 0);
      },
      anyOf(signal, lease.signal),
    );
    return new Contender(store, prefix, key, token, lease);
  }

  /** Whether nobody is older now. Rejects with ClientError. */
  async isOldest(signal?: AbortSignal): Promise<boolean> {
    const either = anyOf(signal, this.#over.signal);
    return (await untilAnswered((call) => this.#older(call), either)).next === undefined;
  }

  /**
   * Waits until nobody is older, then keeps an eye on the key. When it rejects (with ClientError,
   * HoldLostError or the signal's reason) the contender has left.
   */
  async untilOldest(signal: AbortSignal | undefined): Promise<void> {
    const either = anyOf(signal, this.#over.signal);
    try {
      for (;;) {
        const { next, revision } = await untilAnswered((call) => this.#older(call), either);
        if (next === undefined) {
          break;
        }
        await this.#untilGone(next, revision, either);
        either.throwIfAborted();
      }
      this.throwIfLost();
      this.#guard();
    } catch (error) {
      // Whoever gives up must not wait for that as well.
      this.leave().catch(() => undefined);
      throw error;
    }
  }

  /** Whether it still holds its place, by the clock of now. */
  get held(): boolean {
    return this.lease.alive && !this.#over.signal.aborted;
  }

  /** Aborts when the place is lost or left; the reason is a HoldLostError. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  throwIfLost(): void {
    if (!this.held) {
      this.#over.signal.throwIfAborted();
      throw new HoldLostError(this.key, "lease");
    }
  }

  /** Holds in the store only while this contender's key is there. */
  condition(): Condition {
    return this.#store.when(this.key).createRevision("=", this.token);
  }

  /**
   * Changes the value, if the place is still held. Tied to the value before, so that a request that
   * was given up on and arrives late brings no old value back. Rejects with HoldLostError or
   * ClientError.
   */
  async setValue(value: string, signal?: AbortSignal): Promise<void> {
    const either = anyOf(signal, this.#over.signal);
    const { key, lease } = this;
    for (;;) {
      const done = await untilAnswered(
        (call) =>
          this.#store
            .txn()
            .if(this.#store.when(key).modRevision("=", this.#modRevision))
            .do(this.#store.op.put(key, value, { lease }))
            .else(this.#store.op.get(key))
            .commit(call),
        either,
      );
      if (done.succeeded) {
        this.#modRevision = done.revision;
        return;
      }
      const [there] = done.results;
      if (there?.createRevision !== this.token) {
        this.#end(new HoldLostError(key, "deleted"));
        this.throwIfLost();
        return;
      }
      this.#modRevision = there.modRevision;
      if (there.value === value) {
        return;
      }
    }
  }

  /**
   * Gives the place up: the next one has it at once. Idempotent. While members do not answer it is
   * tried for as long as the lease may live; rejects with ClientError when that did not help.
   */
  async leave(): Promise<void> {
    this.#end(new HoldLostError(this.key, "released"));
    await giveBack(this.lease);
  }

  #end(reason: HoldLostError): void {
    if (!this.#over.signal.aborted) {
      this.#over.abort(reason);
      void this.#guarding?.[Symbol.asyncDispose]();
    }
  }

  /** The key of the youngest of those that are older, as the API has it. */
  async #older(
    call: CallOptions,
  ): Promise<{ readonly next: Uint8Array | undefined; readonly revision: number }> {
    const own = await this.condition().compare();
    const { key, rangeEnd } = await this.#store.when({ prefix: this.#prefix }).exists().compare();
    const value = RangeRequest.create({
      key,
      rangeEnd,
      limit: 1,
      keysOnly: true,
      sortTarget: RangeRequestSortTarget.CREATE,
      sortOrder: RangeRequestSortOrder.DESCEND,
      maxCreateRevision: this.token - 1,
    });
    const range: RequestOp = { request: { kind: "requestRange", value } };
    const reply = await this.#store.client.txn({ compare: [own], success: [range] }, call);
    if (!reply.succeeded) {
      this.#end(new HoldLostError(this.key, this.lease.alive ? "deleted" : "lease"));
      this.throwIfLost();
    }
    const found = reply.responses[0]?.response;
    const next = found?.kind === "responseRange" ? found.value.kvs[0]?.key : undefined;
    return { next, revision: reply.header?.revision ?? 0 };
  }

  /**
   * Resolves when the key is deleted, or may have been (history was compacted), or at the abort.
   */
  async #untilGone(key: Uint8Array, revision: number, signal: AbortSignal): Promise<void> {
    const { client } = this.#store;
    await using watcher = client.watch({ key, startRevision: revision + 1 }, { signal });
    try {
      for await (const { events } of watcher) {
        if (events.some(({ type }) => type === EventType.DELETE)) {
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof CompactedError)) {
        throw error;
      }
    }
  }

  /** Looks for the deletion of the key until the place is lost or left. */
  #guard(): void {
    const watch = this.#store.watch(this.key, {
      fromRevision: this.token + 1,
      resync: true,
      signal: this.#over.signal,
    });
    this.#guarding = watch;
    const look = async (): Promise<void> => {
      for await (const event of watch) {
        if (event.kind === "delete" || (event.kind === "resync" && event.entries.length === 0)) {
          this.#end(new HoldLostError(this.key, "deleted"));
          return;
        }
      }
    };
    // A watch that ends for good leaves the lease to tell: that is what holding rests on.
    look().catch(() => undefined);
  }
}

/** What is held: a lock, or leadership. */
export abstract class Holding {
  protected readonly contender: Contender;

  constructor(contender: Contender) {
    this.contender = contender;
  }

  /** The key in the store. */
  get key(): string {
    return this.contender.key;
  }

  /** The fencing token, larger than any earlier holder's. Give it along with what is done. */
  get token(): number {
    return this.contender.token;
  }

  /** Whether it is still held, by the clock of now. */
  get held(): boolean {
    return this.contender.held;
  }

  /** Aborts when it is lost or given back; the reason is a HoldLostError. */
  get signal(): AbortSignal {
    return this.contender.signal;
  }

  /** Resolves, never rejects, when it is lost or given back. */
  get lost(): Promise<HoldLostError> {
    const { signal } = this.contender;
    return new Promise((resolve) => {
      const told = (): void => resolve(signal.reason as HoldLostError);
      signal.addEventListener("abort", told, { once: true });
      if (signal.aborted) {
        told();
      }
    });
  }

  /** Throws HoldLostError if it is not held any more. */
  throwIfLost(): void {
    this.contender.throwIfLost();
  }

  /**
   * For `txn().if(...)`: true only while this holder holds. A write under it is refused when it has
   * passed on, whatever this process believes.
   */
  condition(): Condition {
    return this.contender.condition();
  }
}
