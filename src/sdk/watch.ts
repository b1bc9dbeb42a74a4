// What happens to a range of keys, as an async iterator: each change once, in order, whatever
// happens to connections and members.

import { setTimeout as sleep } from "node:timers/promises";
import { grpcStatus } from "../base/index.ts";
import { ClientError, CompactedError, type Watcher } from "../client/index.ts";
import { type Event, EventType, type WatchResponse } from "../wire/index.ts";
import type { Entry } from "./entry.ts";
import type { KeyRange } from "./keys.ts";
import { EntryRange } from "./range.ts";
import type { Scope } from "./scope.ts";

export interface WatchOptions {
  /** The first revision to hear of; when not given, what happens from now on. */
  readonly fromRevision?: number | undefined;
  /** Ends the watch, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Changes say what was there before, unless that is compacted. */
  readonly previous?: boolean | undefined;
  /** Begins with a resync event that has all entries of now; not with `fromRevision`. */
  readonly initial?: boolean | undefined;
  /**
   * When changes were compacted before they could be heard of, a resync event has all entries
   * instead. Without it, the iteration fails with CompactedError.
   */
  readonly resync?: boolean | undefined;
  /** Also progress events: all changes up to their revision have been heard of. */
  readonly progress?: boolean | undefined;
}

export interface PutEvent<V> {
  readonly kind: "put";
  readonly key: string;
  readonly revision: number;
  readonly entry: Entry<V>;
  /** Only with the option `previous`. */
  readonly previous: Entry<V> | undefined;
}

export interface DeleteEvent<V> {
  readonly kind: "delete";
  readonly key: string;
  readonly revision: number;
  /** Only with the option `previous`. */
  readonly previous: Entry<V> | undefined;
}

/** All that is there at `revision`. Changes after it follow; what came before may be missing. */
export interface ResyncEvent<V> {
  readonly kind: "resync";
  readonly revision: number;
  readonly entries: readonly Entry<V>[];
  /** "compacted": changes were missed. "initial": the beginning. */
  readonly reason: "initial" | "compacted";
}

export interface ProgressEvent {
  readonly kind: "progress";
  readonly revision: number;
}

/** Whether an option may be set. */
type Wants<Options, Name extends keyof WatchOptions> = Name extends keyof Options
  ? true extends Options[Name]
    ? true
    : false
  : false;

/** The events that a watch with these options has. */
export type EventOf<V, Options extends WatchOptions> =
  | PutEvent<V>
  | DeleteEvent<V>
  | (true extends Wants<Options, "resync"> | Wants<Options, "initial"> ? ResyncEvent<V> : never)
  | (true extends Wants<Options, "progress"> ? ProgressEvent : never);

type AnyEvent<V> = PutEvent<V> | DeleteEvent<V> | ResyncEvent<V> | ProgressEvent;

/** The changes of one or more whole revisions: a transaction is never torn. */
export interface Batch<E> {
  /** All changes up to this revision have been heard of. */
  readonly revision: number;
  readonly events: readonly E[];
}

const retryPauseMs = 200;

/**
 * One iteration, of `watch` or of `watch.batches()`; leaving the loop ends the watch. What is not
 * read yet is bounded: then the server is made to wait, and keeps what happens.
 */
export class Watch<V, E = PutEvent<V> | DeleteEvent<V>>
  implements AsyncIterable<E>, AsyncDisposable
{
  readonly #scope: Scope<V, never>;
  readonly #range: KeyRange;
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #watcher: Watcher | undefined;
  #revision: number;
  #iterating = false;

  /** Made by `Quorate.watch`. */
  constructor(scope: Scope<V, never>, range: KeyRange, options: WatchOptions) {
    const { fromRevision, initial, signal } = options;
    if (initial === true && fromRevision !== undefined) {
      throw new TypeError("a watch begins with what is there, or from a revision, not both");
    }
    this.#scope = scope;
    this.#range = range;
    this.#options = options;
    this.#revision = Math.max(0, (fromRevision ?? 0) - 1);
    this.#signal =
      signal === undefined ? this.#stop.signal : AbortSignal.any([this.#stop.signal, signal]);
    // Opened at once: what happens between now and the first read is heard of.
    if (initial !== true) {
      this.#watcher = this.#open(fromRevision ?? 0);
    }
  }

  /** All changes up to this revision have been given to the reader; 0 when that is not known. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Resolves when a server has said that it watches; at once with `initial`, which misses nothing.
   * Rejects with ClientError if the watch ends before that.
   */
  async opened(): Promise<void> {
    await this.#watcher?.opened();
  }

  /** Asks for a progress event; without the option `progress` it only moves `revision` on. */
  requestProgress(): void {
    this.#watcher?.requestProgress();
  }

  /** Event by event. Rejects with ClientError, CompactedError, InvalidValueError. */
  async *[Symbol.asyncIterator](): AsyncGenerator<E, undefined> {
    for await (const { events } of this.batches()) {
      yield* events;
    }
  }

  /** Whole revisions at a time. */
  async *batches(): AsyncGenerator<Batch<E>, undefined> {
    if (this.#iterating) {
      throw new TypeError("a watch is iterated once");
    }
    this.#iterating = true;
    try {
      for (;;) {
        this.#watcher ??= yield* this.#resync("initial");
        try {
          yield* this.#replies(this.#watcher);
          return;
        } catch (error) {
          if (!(error instanceof CompactedError) || this.#options.resync !== true) {
            throw error;
          }
        }
        this.#watcher = yield* this.#resync("compacted");
      }
    } catch (error) {
      // Being told to stop is no failure, wherever it comes.
      if (!this.#signal.aborted) {
        throw error;
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    this.#stop.abort();
    this.#watcher?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #open(startRevision: number): Watcher {
    const { previous: prevKv = false, progress: progressNotify = false } = this.#options;
    const range = this.#scope.space.rangeToWire(this.#range);
    return this.#scope.client.watch(
      { ...range, startRevision, prevKv, progressNotify, fragment: true },
      { signal: this.#signal },
    );
  }

  async *#replies(watcher: Watcher): AsyncGenerator<Batch<E>, void> {
    for await (const reply of watcher) {
      const batch = await this.#batchOf(reply);
      this.#revision = Math.max(this.#revision, batch.revision);
      if (batch.events.length > 0) {
        yield batch as Batch<E>;
      }
    }
  }

  async #batchOf(reply: WatchResponse): Promise<Batch<AnyEvent<V>>> {
    if (reply.events.length === 0) {
      const revision = reply.header?.revision ?? 0;
      const event: ProgressEvent = { kind: "progress", revision };
      return { revision, events: this.#options.progress === true ? [event] : [] };
    }
    const events = await Promise.all(reply.events.map((event) => this.#eventOf(event)));
    return { revision: events.at(-1)?.revision ?? 0, events };
  }

  async #eventOf({ type, kv, prevKv }: Event): Promise<PutEvent<V> | DeleteEvent<V>> {
    const { entries, space } = this.#scope;
    if (kv === undefined) {
      throw new ClientError(grpcStatus.internal, "an event without a key");
    }
    const previous = await entries.decodeSome(prevKv);
    const key = space.fromWire(kv.key);
    const revision = kv.modRevision;
    return type === EventType.DELETE
      ? { kind: "delete", key, revision, previous }
      : { kind: "put", key, revision, entry: await entries.decode(kv), previous };
  }

  /** All entries of now, and a watch for what follows. Ends the iteration when it is closed. */
  async *#resync(reason: ResyncEvent<V>["reason"]): AsyncGenerator<Batch<E>, Watcher> {
    for (;;) {
      try {
        const range = new EntryRange(this.#scope, this.#range, { signal: this.#signal });
        const { entries, revision } = await range.list();
        const watcher = this.#open(revision + 1);
        this.#watcher = watcher;
        this.#revision = revision;
        const event: ResyncEvent<V> = { kind: "resync", revision, entries, reason };
        yield { revision, events: [event as E] };
        return watcher;
      } catch (error) {
        if (!(error instanceof ClientError) || this.#signal.aborted || !isPassing(error)) {
          throw error;
        }
        await sleep(retryPauseMs, undefined, { signal: this.#signal }).catch(() => {});
      }
    }
  }
}

/** Whether it is a matter of time: no member answers, or a compaction overtook the reading. */
function isPassing(error: ClientError): boolean {
  return (
    error instanceof CompactedError ||
    error.status === grpcStatus.unavailable ||
    error.status === grpcStatus.deadlineExceeded
  );
}
