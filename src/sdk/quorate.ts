// The store, as a program uses it.

import {
  type CallOptions,
  type Client,
  connect,
  type Balancing,
  type TlsOptions,
  type UserOptions,
} from "../client/index.ts";
import { type Codec, codecOf, text } from "./codecs.ts";
import type { Entry } from "./entry.ts";
import { KeyExistsError, RevisionMismatchError } from "./errors.ts";
import { type KeyRange, Keyspace } from "./keys.ts";
import { grantLease, type Lease, type LeaseOptions } from "./lease.ts";
import { type MemoryOptions, type MemoryResult, type MemoryView, runInMemory } from "./memory.ts";
import {
  type DeleteOptions,
  type DeleteResult,
  Operations,
  type PutOptions,
  putRequest,
  type PutResult,
  When,
} from "./operations.ts";
import { EntryRange, type RangeOptions, type ReadOptions } from "./range.ts";
import { callOptionsOf, type Connection, Scope } from "./scope.ts";
import type { SchemaInput, SchemaOutput, StandardSchema } from "./standard-schema.ts";
import { Transaction } from "./transaction.ts";
import { type EventOf, Watch, type WatchOptions } from "./watch.ts";

export interface QuorateOptions<Out = string, In = Out> {
  /** "host:port", with or without "http://"; "https://host:port" for TLS. At least one. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions | undefined;
  readonly auth?: UserOptions | undefined;
  /** Before every key, and not seen in any. */
  readonly namespace?: string | undefined;
  /** How values are written and read; text by default. */
  readonly codec?: Codec<Out, In> | undefined;
  /** Milliseconds until a call gives up; 5,000. */
  readonly callTimeoutMs?: number | undefined;
  /** Milliseconds for which a call goes on when no endpoint takes a connection; 2,000. */
  readonly dialTimeoutMs?: number | undefined;
  /** "spread" (when not given) uses all endpoints in turn, "first" one until it fails. */
  readonly balancing?: Balancing | undefined;
  /** See ClientOptions. */
  readonly pingIntervalMs?: number | undefined;
  readonly pingTimeoutMs?: number | undefined;
}

export interface UpdateOptions extends CallOptions, Omit<PutOptions, "previous"> {}

function connectionOf(options: QuorateOptions<never, never>): Connection {
  const { endpoints, tls, auth, balancing = "spread" } = options;
  const { callTimeoutMs, dialTimeoutMs, pingIntervalMs, pingTimeoutMs } = options;
  const client = connect({
    ...{ endpoints, tls, auth, balancing },
    ...{ callTimeoutMs, dialTimeoutMs, pingIntervalMs, pingTimeoutMs },
  });
  return { client, leases: new Set() };
}

/**
 * A store, or a namespace of one. `Out` is what reading gives, `In` what writing takes. Calls
 * reject with ClientError and its classes, one for each error of etcd, or InvalidValueError.
 */
export class Quorate<Out = string, In = Out> implements AsyncDisposable {
  /** Operations for transactions. */
  readonly op: Operations<Out, In>;
  readonly #scope: Scope<Out, In>;
  readonly #owner: boolean;

  /** Connects when first needed. Throws RangeError or TypeError for options that do not fit. */
  constructor(options: QuorateOptions<Out, In> | Scope<Out, In>) {
    this.#owner = !(options instanceof Scope);
    this.#scope =
      options instanceof Scope
        ? options
        : new Scope(
            connectionOf(options as QuorateOptions<never, never>),
            new Keyspace(new Uint8Array(0)).below(options.namespace ?? ""),
            options.codec ?? (text as unknown as Codec<Out, In>),
          );
    this.op = new Operations(this.#scope);
  }

  /** The calls of the API, for what is not here: members, users, backups, compaction. */
  get client(): Client {
    return this.#scope.client;
  }

  /** The part of the store below `prefix`, on the same connection; closing it does nothing. */
  namespace(prefix: string): Quorate<Out, In> {
    const { connection, space, entries } = this.#scope;
    return new Quorate(new Scope(connection, space.below(prefix), entries.codec));
  }

  /**
   * The same keys with values of another kind, on the same connection. A schema of any library of
   * Standard Schema (zod, valibot, ...) stands for the codec `schema` makes of it.
   */
  withCodec<Schema extends StandardSchema>(
    standard: Schema,
  ): Quorate<SchemaOutput<Schema>, SchemaInput<Schema>>;
  withCodec<Read, Written>(codec: Codec<Read, Written>): Quorate<Read, Written>;
  withCodec(codec: Codec<unknown> | StandardSchema): Quorate<unknown> {
    const { connection, space } = this.#scope;
    return new Quorate(new Scope(connection, space, codecOf(codec)));
  }

  /** What is at `key`; undefined if nothing is. */
  async get(key: string, options: ReadOptions = {}): Promise<Entry<Out> | undefined> {
    const { revision = 0, serializable = false } = options;
    const { client, entries, space } = this.#scope;
    const request = { key: space.toWire(key), revision, serializable };
    const { kvs } = await client.range(request, callOptionsOf(options));
    return await entries.decodeSome(kvs[0]);
  }

  async put(
    key: string,
    value: In,
    options: PutOptions & CallOptions = {},
  ): Promise<PutResult<Out>> {
    const request = await putRequest(this.#scope, key, value, options);
    const { header, prevKv } = await this.client.put(request, callOptionsOf(options));
    const previous = await this.#scope.entries.decodeSome(prevKv);
    return { revision: header?.revision ?? 0, previous };
  }

  /** Puts a key that is not there yet. Rejects with KeyExistsError, which has what is. */
  async create(
    key: string,
    value: In,
    options: UpdateOptions = {},
  ): Promise<{ readonly revision: number }> {
    const done = await this.txn()
      .if(this.when(key).absent())
      .do(this.op.put(key, value, options))
      .else(this.op.get(key))
      .commit(callOptionsOf(options));
    if (!done.succeeded) {
      throw new KeyExistsError(done.results[0] as Entry<Out>);
    }
    return { revision: done.revision };
  }

  /**
   * Puts a key that is still at `modRevision`. Rejects with RevisionMismatchError, which has what
   * is there now.
   */
  async update(
    key: string,
    value: In,
    modRevision: number,
    options: UpdateOptions = {},
  ): Promise<{ readonly revision: number }> {
    const done = await this.txn()
      .if(this.when(key).modRevision("=", modRevision))
      .do(this.op.put(key, value, options))
      .else(this.op.get(key))
      .commit(callOptionsOf(options));
    if (!done.succeeded) {
      throw new RevisionMismatchError(key, modRevision, done.results[0]);
    }
    return { revision: done.revision };
  }

  /** Deletes a key, or all of a range, whatever is there. */
  async delete(
    range: KeyRange,
    options: DeleteOptions & CallOptions = {},
  ): Promise<DeleteResult<Out>> {
    const { client, entries, space } = this.#scope;
    const request = { ...space.rangeToWire(range), prevKv: options.previous ?? false };
    const reply = await client.deleteRange(request, callOptionsOf(options));
    const previous = await entries.decodeAll(reply.prevKvs);
    return { revision: reply.header?.revision ?? 0, deleted: reply.deleted, previous };
  }

  /** Deletes a key that is still at `modRevision`. Rejects with RevisionMismatchError. */
  async deleteAt(
    key: string,
    modRevision: number,
    options: CallOptions = {},
  ): Promise<{ readonly revision: number }> {
    const done = await this.txn()
      .if(this.when(key).modRevision("=", modRevision))
      .do(this.op.delete(key))
      .else(this.op.get(key))
      .commit(options);
    if (!done.succeeded) {
      throw new RevisionMismatchError(key, modRevision, done.results[0]);
    }
    return { revision: done.revision };
  }

  /** The entries of a range: iterate it, or ask it for pages, keys, all, or the first. */
  range(range: KeyRange, options: RangeOptions = {}): EntryRange<Out, In> {
    return new EntryRange(this.#scope, range, options);
  }

  /** How many keys there are in a range. */
  async count(range: KeyRange, options: ReadOptions = {}): Promise<number> {
    const { revision = 0, serializable = false } = options;
    const { client, space } = this.#scope;
    const request = { ...space.rangeToWire(range), revision, serializable, countOnly: true };
    return (await client.range(request, callOptionsOf(options))).count;
  }

  /** A condition on a key or range, for `txn().if(...)`. */
  when(range: KeyRange): When<Out, In> {
    return new When(this.#scope, range);
  }

  /** A transaction: `store.txn().if(...).do(...).else(...).commit()`. */
  txn(): Transaction {
    return new Transaction(this.client);
  }

  /**
   * Runs `work` as if nobody else was there: what it reads is of one revision, and its writes take
   * place at once, or not at all and `work` runs again. So it must have no effects but through the
   * view. Rejects with what `work` throws, ConflictError, or ClientError (when it is `uncertain`,
   * the writes may have taken place: nothing is tried again then).
   */
  stm<Result>(
    work: (view: MemoryView<Out, In>) => Promise<Result> | Result,
    options: MemoryOptions = {},
  ): Promise<MemoryResult<Result>> {
    return runInMemory(this.#scope, work, options);
  }

  /** What happens to a key or range from now on, or from a revision. Opened at once. */
  watch<const Options extends WatchOptions = Record<never, never>>(
    range: KeyRange,
    options?: Options,
  ): Watch<Out, EventOf<Out, Options>> {
    return new Watch(this.#scope as Scope<Out, never>, range, options ?? {});
  }

  /** A lease that is kept alive until it is revoked or lost, or the store is closed. */
  lease(options: LeaseOptions): Promise<Lease> {
    return grantLease(this.#scope.connection, options);
  }

  /**
   * Ends all calls and watches, and the renewals of leases, which then end by themselves;
   * revoke them before to have them end now. Of a namespace, does nothing.
   */
  close(): void {
    if (!this.#owner) {
      return;
    }
    const { connection } = this.#scope;
    for (const lease of [...connection.leases]) {
      lease.abandon();
    }
    connection.client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
