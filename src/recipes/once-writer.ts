// Transactions that take place once, also when an answer is lost.
//
// A writer has a key of its own (on a lease, so it does not stay behind), and every transaction of
// its changes that key and is conditional on its last revision. When an answer was lost the same
// transaction is sent again: if it took place before, the condition fails, and the key's new
// revision says so. One transaction at a time.
//
// When the key is gone with its lease, nobody can tell: the caller gets an error that is `uncertain`.
//
// Costs: a lease for each writer, one more small put in every transaction.

import { type CallOptions, ClientError, LeaseNotFoundError } from "../client/index.ts";
import {
  type Condition,
  type Entry,
  type Lease,
  type Operation,
  type Quorate,
  text,
} from "../sdk/index.ts";
import type { AnyStore } from "./contender.ts";
import { inTime, untilAnswered } from "./patience.ts";

const ttlSeconds = 30;

export interface OnceTransaction {
  readonly conditions: readonly Condition[];
  readonly operations: readonly Operation<unknown>[];
  /** What is read at the same revision when the conditions do not hold. */
  readonly otherwise: string;
}

/** `entry`: what `otherwise` showed. */
export type OnceResult =
  | { readonly done: true; readonly revision: number }
  | { readonly done: false; readonly revision: number; readonly entry: Entry<string> | undefined };

interface Identity {
  readonly lease: Lease;
  readonly key: string;
  /** The key's revision; 0 before the first transaction. */
  revision: number;
  /** Transactions so far; the value of the key is the number of the one that put it last. */
  count: number;
}

/** The value of the key after a fence. */
const fenced = "fence";

export class OnceWriter implements AsyncDisposable {
  readonly #store: Quorate;
  readonly #prefix: string;
  #identity: Identity | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** What was begun by `during` and has not ended. */
  readonly #running = new Set<Promise<unknown>>();

  /** `prefix` is where the writers' own keys are: nobody else may write there. */
  constructor(store: AnyStore, prefix: string) {
    this.#store = store.withCodec(text);
    this.#prefix = prefix;
  }

  /**
   * Commits `transaction` once, after those before it. While members do not answer it goes on for
   * as long as the signal allows. Rejects with ClientError (`uncertain` when it may have taken
   * place: the writer's lease was lost in between) or the signal's reason.
   */
  commit(transaction: OnceTransaction, signal?: AbortSignal): Promise<OnceResult> {
    const result = this.#last.then(() => this.#commit(transaction, signal));
    this.#last = result.catch(() => undefined);
    return inTime(result, signal);
  }

  /** Does `work`, which commits at its end: who disposes of the writer waits for it. */
  during<T>(work: () => Promise<T>): Promise<T> {
    const result = work();
    const ended: Promise<unknown> = result
      .catch(() => undefined)
      .then(() => this.#running.delete(ended));
    this.#running.add(ended);
    return result;
  }

  /** Waits for what was asked of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#running.size > 0) {
      await Promise.all(this.#running);
    }
    await this.#last;
    await this.#identity?.lease[Symbol.asyncDispose]();
    this.#identity = undefined;
  }

  async #commit(
    transaction: OnceTransaction,
    signal: AbortSignal | undefined,
  ): Promise<OnceResult> {
    for (let losses = 0; ; losses++) {
      const identity = await this.#alive(signal);
      identity.count++;
      /** The last attempt that may have taken place all the same. */
      let unsure: ClientError | undefined;
      const attempt = async (call: CallOptions): Promise<OnceResult | undefined> => {
        try {
          const result = await this.#attempt(identity, transaction, call);
          return result?.done === false && unsure !== undefined
            ? await this.#fence(identity, result, call)
            : result;
        } catch (error) {
          unsure = error instanceof ClientError && error.uncertain ? error : unsure;
          throw error;
        }
      };
      try {
        const result = await untilAnswered(attempt, signal);
        if (result !== undefined) {
          return result;
        }
      } catch (error) {
        this.#forget(identity);
        throw unsure === undefined ? error : stillUnsure(unsure, error);
      }
      // The lease is over, and with it the key that would tell.
      this.#forget(identity);
      if (unsure !== undefined) {
        throw unsure;
      }
      // It is not the writer's lease that is over, then, but one that the operations name.
      if (losses > 0) {
        throw new LeaseNotFoundError();
      }
    }
  }

  /** The key's revision is not known any more: the next transaction gets another key. */
  #forget(identity: Identity): void {
    this.#identity = undefined;
    void identity.lease[Symbol.asyncDispose]();
  }

  async #alive(signal: AbortSignal | undefined): Promise<Identity> {
    if (this.#identity?.lease.alive !== true) {
      const lease = await untilAnswered(
        (call) => this.#store.lease({ ttlSeconds, ...call }),
        signal,
      );
      const key = `${this.#prefix}${lease.id.toString(16)}`;
      this.#identity = { lease, key, revision: 0, count: 0 };
    }
    return this.#identity;
  }

  /** undefined when the lease is over. */
  async #attempt(
    identity: Identity,
    { conditions, operations, otherwise }: OnceTransaction,
    call: CallOptions,
  ): Promise<OnceResult | undefined> {
    const store = this.#store;
    const { key, lease, revision: before } = identity;
    try {
      const done = await store
        .txn()
        .if(store.when(key).modRevision("=", before), ...conditions)
        .do(store.op.put(key, String(identity.count), { lease }), ...operations)
        .else(store.op.get(key), store.op.get(otherwise))
        .commit(call);
      if (done.succeeded) {
        identity.revision = done.revision;
        return { done: true, revision: done.revision };
      }
      const [own, entry] = done.results;
      if (own === undefined && before > 0) {
        return undefined;
      }
      return this.#tookPlace(identity, own) ?? { done: false, revision: done.revision, entry };
    } catch (error) {
      if (error instanceof LeaseNotFoundError) {
        return undefined;
      }
      throw error;
    }
  }

  /** What an earlier attempt came to, if the writer's key shows its change. */
  #tookPlace(identity: Identity, own: Entry<string> | undefined): OnceResult | undefined {
    const changed = own !== undefined && own.modRevision !== identity.revision;
    identity.revision = own?.modRevision ?? 0;
    return changed && own.value === String(identity.count)
      ? { done: true, revision: own.modRevision }
      : undefined;
  }

  /**
   * After a refusal an earlier attempt may still be under way and find its conditions met later.
   * Changing the key makes that impossible; unless it has taken place, which is returned.
   * undefined when the lease is over: the attempt may have taken place before that.
   */
  async #fence(
    identity: Identity,
    refused: OnceResult,
    call: CallOptions,
  ): Promise<OnceResult | undefined> {
    const store = this.#store;
    const { key, lease, revision } = identity;
    try {
      const done = await store
        .txn()
        .if(store.when(key).modRevision("=", revision))
        .do(store.op.put(key, fenced, { lease }))
        .else(store.op.get(key))
        .commit(call);
      if (done.succeeded) {
        identity.revision = done.revision;
        return refused;
      }
      const [own] = done.results;
      return own === undefined ? undefined : (this.#tookPlace(identity, own) ?? refused);
    } catch (error) {
      if (error instanceof LeaseNotFoundError) {
        return undefined;
      }
      throw error;
    }
  }
}

/** An error of a later attempt says nothing of the one before it. */
function stillUnsure(unsure: ClientError, error: unknown): unknown {
  if (!(error instanceof ClientError) || error.uncertain) {
    return error;
  }
  const { status, endpoint } = unsure;
  const text = `${unsure.message}; then, when it was tried again: ${error.message}`;
  return new ClientError(status, text, { cause: error, endpoint });
}
