// Service discovery: instances register, clients follow a live list.
//
//   await using registration = await register(store, "orders", { address: "10.0.0.7:8080" });
//
//   await using orders = await follow(store, "orders");
//   orders.instances                          // at once, no round trip
//   orders.onChange((instances) => ...)
//
// grpc-resolver.ts lets a grpc-js client dial `quorate:///orders`.
//
// Promises: an instance that dies, or does not reach the store, is off the list when its TTL has
// passed and the store has noticed, a second later at most (longer only if the store was without a
// leader then, by that time and one TTL more: a new leader gives every lease its full time again).
// An instance that closes its registration is off at once. While the store is away the list stays
// as it was. Whoever registers stays registered: when its lease is lost it registers anew.
//
// The keys and values are etcd's of Go's naming/endpoints, "<service>/<id>" with JSON
// {"Op":0,"Addr":"...","Metadata":...}: Go clients with etcd's resolver find our instances, and we
// theirs.
//
// Costs: a lease and one write to register, a renewal every third of the TTL, which is no write;
// for followers what a cache costs (cache.ts).

import { randomUUID } from "node:crypto";
import { type Codec, json, type Lease, type Quorate } from "../sdk/index.ts";
import { Cache, type CacheOptions } from "./cache.ts";
import type { AnyStore } from "./contender.ts";
import { anyOf, giveBack, giveBackSoon, pause, untilAnswered } from "./patience.ts";

/** One instance of a service. */
export interface Instance<M = unknown> {
  readonly id: string;
  /** "host:port". */
  readonly address: string;
  /** What the instance says of itself. */
  readonly metadata: M | undefined;
}

export interface RegisterOptions<M = unknown> {
  /** "host:port", as others reach it. */
  readonly address: string;
  /** Any text without "/"; a random one unless told. The same id takes an earlier one's place. */
  readonly id?: string | undefined;
  /** Anything that JSON takes. */
  readonly metadata?: M | undefined;
  /** Seconds after which a dead instance is off the list; 5 unless told. */
  readonly ttlSeconds?: number | undefined;
  /** Gives up registering; later it ends the registration. */
  readonly signal?: AbortSignal | undefined;
}

/** A value as etcd's endpoints manager in Go writes it. */
interface Stored {
  readonly Op: number;
  readonly Addr: string;
  readonly Metadata: unknown;
}

const ttlSecondsDefault = 5;
const retryPauseMs = 200;

const stored: Codec<Stored> = json<Stored>();

/** An instance on the list until it is closed. `await using` closes it. */
export class Registration<M = unknown> implements AsyncDisposable {
  readonly service: string;
  readonly id: string;
  readonly #store: Quorate<Stored>;
  readonly #ttlSeconds: number;
  readonly #stop = new AbortController();
  #value: Stored;
  #lease: Lease | undefined;
  #keeping: Promise<void> = Promise.resolve();

  private constructor(store: AnyStore, service: string, options: RegisterOptions<M>) {
    const { address, metadata, id = randomUUID(), ttlSeconds = ttlSecondsDefault } = options;
    if (id === "" || id.includes("/")) {
      throw new RangeError(`an instance's id is text without "/" (not ${JSON.stringify(id)})`);
    }
    this.#store = store.withCodec(stored);
    this.service = service;
    this.id = id;
    this.#ttlSeconds = ttlSeconds;
    this.#value = valueOf(address, metadata);
  }

  /** Made by `register`. */
  static async open<M>(
    store: AnyStore,
    service: string,
    options: RegisterOptions<M>,
  ): Promise<Registration<M>> {
    const registration = new Registration<M>(store, service, options);
    const { signal } = options;
    const either = anyOf(signal, registration.#stop.signal);
    registration.#lease = await registration.#enter(either);
    signal?.addEventListener("abort", () => void registration.close(), { once: true });
    registration.#keeping = registration.#keep();
    return registration;
  }

  /** Whether it is on the list, as far as this process can know. */
  get listed(): boolean {
    return this.#lease?.alive === true;
  }

  /** Changes what it says of itself. One call after the other. Rejects with ClientError. */
  async update(metadata: M | undefined): Promise<void> {
    const value = valueOf(this.#value.Addr, metadata);
    this.#value = value;
    const lease = this.#lease;
    // When the lease is lost it registers anew, with the new value.
    while (lease?.alive === true && this.#value === value) {
      const either = anyOf(lease.signal, this.#stop.signal);
      const there = await untilAnswered((call) => this.#store.get(this.#key, call), either);
      if (there?.leaseId !== lease.id) {
        return;
      }
      const done = await untilAnswered(
        (call) =>
          this.#store
            .txn()
            .if(this.#store.when(this.#key).modRevision("=", there.modRevision))
            .do(this.#store.op.put(this.#key, value, { lease }))
            .commit(call),
        either,
      );
      if (done.succeeded) {
        return;
      }
    }
  }

  /** Takes the instance off the list at once. Idempotent; if the store is away, its TTL does it. */
  async close(): Promise<void> {
    this.#stop.abort();
    if (this.#lease !== undefined) {
      await giveBack(this.#lease).catch(() => undefined);
    }
    await this.#keeping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #key(): string {
    return `${this.service}/${this.id}`;
  }

  async #enter(signal: AbortSignal): Promise<Lease> {
    const ttlSeconds = this.#ttlSeconds;
    for (;;) {
      const lease = await untilAnswered(
        (call) => this.#store.lease({ ttlSeconds, ...call }),
        signal,
      );
      try {
        const both = anyOf(signal, lease.signal);
        // A second time, or late, it does nothing: what it says of itself may have changed by then.
        await untilAnswered(
          (call) =>
            this.#store
              .txn()
              .if(this.#store.when(this.#key).lease("!=", lease))
              .do(this.#store.op.put(this.#key, this.#value, { lease }))
              .commit(call),
          both,
        );
        return lease;
      } catch (error) {
        const wasLost = !lease.alive && !signal.aborted;
        giveBackSoon(lease);
        if (!wasLost) {
          throw error;
        }
      }
    }
  }

  /** Registers anew whenever the lease is lost. Never rejects. */
  async #keep(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#lease?.lost;
      while (!signal.aborted && this.#lease?.alive !== true) {
        try {
          this.#lease = await this.#enter(signal);
        } catch {
          await pause(retryPauseMs, signal);
        }
      }
    }
    await this.#lease?.[Symbol.asyncDispose]();
  }
}

function valueOf(address: string, metadata: unknown): Stored {
  return { Op: 0, Addr: address, Metadata: metadata ?? null };
}

/**
 * Puts an instance on the list and keeps it there. Waits for as long as the store is away. Rejects
 * with the signal's reason or ClientError.
 */
export function register<M = unknown>(
  store: AnyStore,
  service: string,
  options: RegisterOptions<M>,
): Promise<Registration<M>> {
  return Registration.open(store, service, options);
}

/** The live list of a service's instances. `await using` stops following. */
export class Instances<M = unknown> implements AsyncDisposable {
  readonly service: string;
  readonly #cache: Cache<Stored>;

  /** Made by `follow`. */
  constructor(service: string, cache: Cache<Stored>) {
    this.service = service;
    this.#cache = cache;
  }

  /** In the order of their ids. Costs no round trip. */
  get instances(): readonly Instance<M>[] {
    const prefix = `${this.service}/`;
    return [...this.#cache.entries()].map(({ key, value }) => ({
      id: key.slice(prefix.length),
      address: value.Addr,
      metadata: (value.Metadata ?? undefined) as M | undefined,
    }));
  }

  /** See Cache.freshness. */
  get freshness(): Cache<Stored>["freshness"] {
    return this.#cache.freshness;
  }

  /** The error that ended the following for good; undefined while it goes on. */
  get failure(): Error | undefined {
    return this.#cache.failure;
  }

  /** Calls back with the whole list after each change; returns what ends that. */
  onChange(listener: (instances: readonly Instance<M>[]) => void): () => void {
    return this.#cache.onChange(() => listener(this.instances));
  }

  close(): void {
    this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/**
 * Follows the instances of a service. Waits for as long as the store is away. Rejects with the
 * signal's reason, ClientError or InvalidValueError.
 */
export async function follow<M = unknown>(
  store: AnyStore,
  service: string,
  options: CacheOptions = {},
): Promise<Instances<M>> {
  const entries = store.withCodec(stored);
  return new Instances<M>(service, await Cache.open(entries, { prefix: `${service}/` }, options));
}
