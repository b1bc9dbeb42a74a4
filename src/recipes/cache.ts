// A copy of a range in this process, kept by a watch: reads cost no round trip, and say how fresh
// they are.
//
//   await using cache = await Cache.open(store, { prefix: "config/" });
//   cache.get("config/a")?.value              // at once
//   cache.freshness.ageMs                     // so long ago the copy was what is there, or later
//   await cache.reached(revision)             // e.g. of one's own write
//
// Promises: the copy is always all of the range as it was at one revision (`revision`), which only
// grows; transactions are seen whole. `ageMs` ago, or later, a linearizable read would have given
// exactly the copy. While the store is away, or this process is cut off from a majority of it, the
// copy stays and `ageMs` grows. Nothing is missed: when history was compacted meanwhile, the range
// is read anew and listeners hear of the differences.
//
// Costs: one read and one watch for the whole range, however many read the copy; a read of one
// entry every `checkIntervalMs`. Memory for all entries.

import type { Entry, KeyRange, Quorate, ResyncEvent } from "../sdk/index.ts";
import { pause } from "./patience.ts";
import { tellAll } from "./tell.ts";

export interface CacheOptions {
  /** How often it is looked whether the copy is the newest, milliseconds; 1,000 unless told. */
  readonly checkIntervalMs?: number | undefined;
  /** Gives up waiting for the first copy; later it closes the cache. */
  readonly signal?: AbortSignal | undefined;
}

export interface Freshness {
  /** The copy is the range as it was at this revision. */
  readonly revision: number;
  /** So many milliseconds ago it was the newest, for certain; Infinity until that was seen once. */
  readonly ageMs: number;
}

/** One key's change in the copy. */
export interface CacheChange<V> {
  readonly key: string;
  /** What is there now; undefined when the key is gone. */
  readonly entry: Entry<V> | undefined;
  readonly before: Entry<V> | undefined;
}

/** Changes that took place at once; never empty. What it throws becomes a process warning. */
export type CacheListener<V> = (changes: readonly CacheChange<V>[], revision: number) => void;

const checkIntervalMsDefault = 1_000;
const probeTimeoutMs = 2_000;

export class Cache<V> implements AsyncDisposable {
  readonly #store: Quorate<V, never>;
  readonly #range: KeyRange;
  readonly #checkIntervalMs: number;
  readonly #stop = new AbortController();
  readonly #entries = new Map<string, Entry<V>>();
  readonly #listeners = new Set<CacheListener<V>>();
  readonly #waiters = new Set<() => void>();
  #sorted: readonly string[] | undefined;
  #revision = 0;
  /** The newest question whose answer the copy has not reached yet. */
  #probed: { readonly askedAtMs: number; readonly revision: number } | undefined;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #failure: Error | undefined;

  private constructor(store: Quorate<V, never>, range: KeyRange, options: CacheOptions) {
    this.#store = store;
    this.#range = range;
    this.#checkIntervalMs = options.checkIntervalMs ?? checkIntervalMsDefault;
  }

  /**
   * Reads the range and follows it from there. Waits for as long as the store is away; rejects with
   * the signal's reason, ClientError for what waiting cannot mend, or InvalidValueError.
   */
  static async open<V, In>(
    store: Quorate<V, In>,
    range: KeyRange,
    options: CacheOptions = {},
  ): Promise<Cache<V>> {
    const cache = new Cache<V>(store as Quorate<V, never>, range, options);
    options.signal?.addEventListener("abort", () => cache.close(), { once: true });
    void cache.#follow();
    try {
      await cache.reached(1, options.signal);
    } catch (error) {
      cache.close();
      throw error;
    }
    return cache;
  }

  get(key: string): Entry<V> | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** All entries in the order of their keys. */
  *entries(): Generator<Entry<V>, undefined> {
    this.#sorted ??= [...this.#entries.keys()].sort();
    for (const key of this.#sorted) {
      yield this.#entries.get(key) as Entry<V>;
    }
  }

  /** The copy is the range as it was at this revision. */
  get revision(): number {
    return this.#revision;
  }

  get freshness(): Freshness {
    return { revision: this.#revision, ageMs: performance.now() - this.#heardAtMs };
  }

  /**
   * The error that ended the watching for good; the copy stays as it is. undefined while it goes
   * on.
   */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Calls back after each change of the copy; returns what ends that. */
  onChange(listener: CacheListener<V>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves when the copy is at least at `revision`: after one's own write, say. Rejects with the
   * signal's reason, or with what ended the watching.
   */
  async reached(revision: number, signal?: AbortSignal): Promise<void> {
    while (this.#revision < revision) {
      signal?.throwIfAborted();
      if (this.#failure !== undefined) {
        throw this.#failure;
      }
      if (this.#stop.signal.aborted) {
        throw new Error("the cache is closed");
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiters.delete(wake);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiters.add(wake);
        signal?.addEventListener("abort", wake, { once: true });
      });
    }
  }

  /** Ends the watching; the copy stays readable, and its age grows. Idempotent. */
  close(): void {
    this.#stop.abort();
    this.#wake();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Watches until it is closed. Never rejects. */
  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    const watch = this.#store.watch(this.#range, {
      initial: true,
      resync: true,
      progress: true,
      signal,
    });
    const asking = this.#probe(() => watch.requestProgress());
    try {
      for await (const { events, revision } of watch.batches()) {
        const changes: CacheChange<V>[] = [];
        for (const event of events) {
          if (event.kind === "resync") {
            this.#replace(event, changes);
          } else if (event.kind === "put") {
            this.#set(event.key, event.entry, changes);
          } else if (event.kind === "delete") {
            this.#set(event.key, undefined, changes);
          }
        }
        this.#advance(revision, changes);
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#stop.abort();
    await asking;
    this.#wake();
  }

  /**
   * Asks again and again what the newest revision is, by a linearizable read: when the copy is as
   * new, it was what is there when the question was sent. A watch alone would not tell: members do
   * not answer for progress while nothing has happened since it began, and one that is cut off from
   * the others answers with what it knows.
   */
  async #probe(requestProgress: () => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const askedAtMs = performance.now();
      const newest = await this.#newestRevision();
      if (newest !== undefined) {
        this.#probed = { askedAtMs, revision: newest };
        this.#judgeProbe();
        if (this.#probed !== undefined) {
          requestProgress();
        }
      }
      await pause(this.#checkIntervalMs, signal);
    }
  }

  async #newestRevision(): Promise<number | undefined> {
    const { signal } = this.#stop;
    const options = { limit: 1, pageSize: 1, timeoutMs: probeTimeoutMs, signal };
    try {
      for await (const { revision } of this.#store.range(this.#range, options).pages()) {
        return revision;
      }
    } catch {
      // The store is away: the copy gets older.
    }
    return undefined;
  }

  #judgeProbe(): void {
    if (this.#probed !== undefined && this.#probed.revision <= this.#revision) {
      this.#heardAtMs = this.#probed.askedAtMs;
      this.#probed = undefined;
    }
  }

  #replace({ entries }: ResyncEvent<V>, changes: CacheChange<V>[]): void {
    const there = new Set(entries.map(({ key }) => key));
    for (const key of this.#entries.keys()) {
      if (!there.has(key)) {
        this.#set(key, undefined, changes);
      }
    }
    for (const entry of entries) {
      if (this.#entries.get(entry.key)?.modRevision !== entry.modRevision) {
        this.#set(entry.key, entry, changes);
      }
    }
  }

  #set(key: string, entry: Entry<V> | undefined, changes: CacheChange<V>[]): void {
    const before = this.#entries.get(key);
    if (entry === undefined) {
      this.#entries.delete(key);
    } else {
      this.#entries.set(key, entry);
    }
    if ((before === undefined) !== (entry === undefined)) {
      this.#sorted = undefined;
    }
    changes.push({ key, entry, before });
  }

  #advance(revision: number, changes: readonly CacheChange<V>[]): void {
    this.#revision = Math.max(this.#revision, revision);
    this.#judgeProbe();
    if (changes.length > 0) {
      tellAll(this.#listeners, changes, this.#revision);
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) {
      wake();
    }
  }
}
