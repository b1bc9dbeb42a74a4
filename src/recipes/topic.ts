// Topics: messages to everybody who listens, with history.
//
//   const topic = new Topic<{ price: number }>(store, "prices", { historyMax: 10_000 });
//   const { offset } = await topic.publish({ price: 3 });
//   for await (const { offset, value } of topic.subscribe({ after: 41 })) { ... }
//
// Promises:
// - Messages have the offsets 1, 2, 3, ... in the order in which they were published, the same for
//   everybody. What `publish` resolved for is there once, also when an answer was lost.
// - A subscriber gets each message once and in order, whatever happens to members and connections,
//   and whether or not the store's own history is compacted: messages are keys. Only those that
//   `historyMax` had removed before they were read are missing, and `missed` says how many.
// - Who keeps the offset of the last message that was worked on may go on from there later.
//
// Costs: one write for a publication (messages published meanwhile go together in the next one, up
// to 50 or half a mebibyte), of two small keys beside the messages; another attempt for each time
// that another process was quicker. A subscriber costs one watch, and reads of the history in
// pages. Every message within `historyMax` takes space in the store.

import { CompactedError } from "../client/index.ts";
import { bytes, type Codec, type Entry, json, type Quorate, text } from "../sdk/index.ts";
import type { AnyStore } from "./contender.ts";
import { OnceWriter } from "./once-writer.ts";
import { inTime, untilAnswered } from "./patience.ts";
import { padNumber } from "./sortable.ts";

export interface TopicOptions<V> {
  /** How messages are written; JSON, unchecked, unless told (`schema(...)` checks). */
  readonly codec?: Codec<V> | undefined;
  /**
   * So many of the newest messages are kept; all, unless told. The publisher's word counts. Of many
   * that were published at once up to 50 are kept until the next publication.
   */
  readonly historyMax?: number | undefined;
}

export interface PublishOptions {
  /** Stops waiting. What was being written may be published all the same. */
  readonly signal?: AbortSignal | undefined;
}

export interface SubscribeOptions {
  /** Begins behind this offset: 0 for all there are. What comes from now on, unless told. */
  readonly after?: number | undefined;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined;
}

export interface Message<V> {
  /** Its number, from 1 on. */
  readonly offset: number;
  readonly value: V;
  /** Messages just before this one that were removed from the history before they were read. */
  readonly missed: number;
}

interface Waiting {
  /** The value as it was when it was published. */
  readonly encoded: Promise<Uint8Array>;
  readonly resolve: (published: { readonly offset: number }) => void;
  readonly reject: (error: unknown) => void;
}

const offsetDigits = 16;
const messagesPerWriteMax = 50;
/** Servers take requests of 1.5 MiB. */
const writeBytesMax = 512 * 1024;
const pageSize = 200;
const lastKey = "last";

/** Calls reject with ClientError for what waiting cannot mend, or InvalidValueError. */
export class Topic<V = unknown> implements AsyncDisposable {
  readonly #store: Quorate;
  readonly #messages: Quorate<V>;
  readonly #encoded: Quorate<Uint8Array>;
  readonly #historyMax: number;
  readonly #writer: OnceWriter;
  readonly #waiting = new Set<Waiting>();
  #isWriting = false;
  /** What is known of the key that holds the last offset. */
  #last: Pick<Entry<string>, "value" | "modRevision"> = { value: "0", modRevision: 0 };

  constructor(store: AnyStore, name: string, options: TopicOptions<V> = {}) {
    const { codec = json<V>(), historyMax = Number.POSITIVE_INFINITY } = options;
    const isWhole = Number.isInteger(historyMax) || historyMax === Number.POSITIVE_INFINITY;
    if (!isWhole || historyMax < 1) {
      throw new RangeError(`historyMax must be a whole number of 1 or more (not ${historyMax})`);
    }
    this.#store = store.namespace(`${name}/`).withCodec(text);
    this.#messages = this.#store.namespace("messages/").withCodec(codec);
    this.#encoded = this.#messages.withCodec(bytes);
    this.#historyMax = historyMax;
    this.#writer = new OnceWriter(this.#store, "writers/");
  }

  /**
   * Publishes a message; gives its offset. Waits while members do not answer. A ClientError that is
   * `uncertain` means that it may have been published.
   */
  publish(value: V, { signal }: PublishOptions = {}): Promise<{ readonly offset: number }> {
    let waiting: Waiting | undefined;
    const published = this.#writer.during(
      () =>
        new Promise<{ readonly offset: number }>((resolve, reject) => {
          signal?.throwIfAborted();
          const encoded = this.#encode(value);
          // Heard when its turn comes, which may be never.
          encoded.catch(() => undefined);
          waiting = { encoded, resolve, reject };
          this.#waiting.add(waiting);
          void this.#write();
        }),
    );
    return inTime(published, signal).catch((error: unknown) => {
      if (waiting !== undefined && this.#waiting.delete(waiting)) {
        waiting.reject(error);
      }
      throw error;
    });
  }

  /** The offset of the newest message; 0 if there was none yet. */
  async lastOffset(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    const entry = await untilAnswered((call) => this.#store.get(lastKey, call), options.signal);
    return Number(entry?.value ?? 0);
  }

  /** Messages as they come, after those of the history that were asked for. */
  async *subscribe(options: SubscribeOptions = {}): AsyncGenerator<Message<V>, undefined> {
    const { after = 0, signal } = options;
    if (!Number.isSafeInteger(after) || after < 0) {
      throw new RangeError(`after must be a whole number of 0 or more (not ${after})`);
    }
    try {
      let offset = options.after ?? (await this.lastOffset({ signal }));
      for (;;) {
        let revision = 0;
        for await (const page of this.#pages(offset, signal)) {
          revision = page.revision;
          for (const message of messagesOf(page.entries, offset)) {
            signal?.throwIfAborted();
            offset = message.offset;
            yield message;
          }
        }
        for await (const message of this.#news(offset, revision, signal)) {
          signal?.throwIfAborted();
          offset = message.offset;
          yield message;
        }
        signal?.throwIfAborted();
      }
    } catch (error) {
      if (signal?.aborted !== true) {
        throw error;
      }
    }
  }

  /** Ends when what was asked of it is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }

  /** The history after an offset, page by page; the last page's revision is the newest. */
  async *#pages(
    after: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ readonly entries: readonly Entry<V>[]; readonly revision: number }> {
    for (let from = after + 1; ; ) {
      const range = { from: padNumber(from, offsetDigits) };
      const options = { limit: pageSize };
      const done = await untilAnswered(
        (call) => this.#store.txn().do(this.#messages.op.list(range, options)).commit(call),
        signal,
      );
      const { entries = [] } = done.succeeded ? done.results[0] : {};
      yield { entries, revision: done.revision };
      if (entries.length < pageSize) {
        return;
      }
      from = Number(entries.at(-1)?.key) + 1;
    }
  }

  /** Messages put after a revision; ends when the store's history does not reach back to it. */
  async *#news(
    after: number,
    revision: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Message<V>> {
    const range = { prefix: "" };
    await using watch = this.#messages.watch(range, { fromRevision: revision + 1, signal });
    let offset = after;
    try {
      for await (const { events } of watch.batches()) {
        const puts = events.flatMap((event) => (event.kind === "put" ? [event.entry] : []));
        for (const message of messagesOf(puts, offset)) {
          offset = message.offset;
          yield message;
        }
      }
    } catch (error) {
      if (!(error instanceof CompactedError)) {
        throw error;
      }
    }
  }

  /** Writes what waits, until nothing does. Never rejects. */
  async #write(): Promise<void> {
    if (this.#isWriting) {
      return;
    }
    this.#isWriting = true;
    while (this.#waiting.size > 0) {
      const batch = await this.#nextBatch();
      if (batch.length === 0) {
        continue;
      }
      try {
        const first = await this.#append(batch.map(({ value }) => value));
        batch.forEach(({ waiting }, index) => waiting.resolve({ offset: first + index }));
      } catch (error) {
        this.#last = { value: "0", modRevision: 0 };
        batch.forEach(({ waiting }) => waiting.reject(error));
      }
    }
    this.#isWriting = false;
  }

  /** As many of those that wait as fit in one write. Those whose codec refuses them are told. */
  async #nextBatch(): Promise<{ readonly waiting: Waiting; readonly value: Uint8Array }[]> {
    const batch: { readonly waiting: Waiting; readonly value: Uint8Array }[] = [];
    let sizeBytes = 0;
    for (const waiting of this.#waiting) {
      const value = await waiting.encoded.catch((error: unknown) => {
        waiting.reject(error);
        return undefined;
      });
      sizeBytes += value?.length ?? 0;
      const isFull = batch.length === messagesPerWriteMax || sizeBytes > writeBytesMax;
      if (isFull && batch.length > 0) {
        break;
      }
      // False when its caller has left meanwhile.
      if (this.#waiting.delete(waiting) && value !== undefined) {
        batch.push({ waiting, value });
      }
    }
    return batch;
  }

  /** Begins at once, so that what becomes of the value afterwards does not matter. */
  async #encode(value: V): Promise<Uint8Array> {
    const { request } = await this.#messages.op.put(lastKey, value).request();
    return request?.kind === "requestPut" ? request.value.value : new Uint8Array(0);
  }

  /** The offset of the first of the messages. */
  async #append(values: readonly Uint8Array[]): Promise<number> {
    for (;;) {
      const before = Number(this.#last.value);
      const after = before + values.length;
      const key = (offset: number): string => padNumber(offset, offsetDigits);
      const operations = [
        this.#store.op.put(lastKey, String(after)),
        ...values.map((value, index) => this.#encoded.op.put(key(before + 1 + index), value)),
        ...this.#trim(before, after, key),
      ];
      const conditions = [this.#store.when(lastKey).modRevision("=", this.#last.modRevision)];
      const result = await this.#writer.commit({ conditions, operations, otherwise: lastKey });
      if (result.done) {
        this.#last = { value: String(after), modRevision: result.revision };
        return before + 1;
      }
      this.#last = result.entry ?? { value: "0", modRevision: 0 };
    }
  }

  /** Deletes what has become too old; nothing that this very write puts. */
  #trim(before: number, after: number, key: (offset: number) => string) {
    const kept = Math.min(after - this.#historyMax, before);
    return kept < 1 ? [] : [this.#messages.op.delete({ from: key(0), to: key(kept + 1) })];
  }
}

/** In order, without those that were read before. */
function* messagesOf<V>(entries: readonly Entry<V>[], after: number): Generator<Message<V>> {
  let offset = after;
  const sorted = entries.toSorted((a, b) => Number(a.key) - Number(b.key));
  for (const { key, value } of sorted) {
    const next = Number(key);
    if (next > offset) {
      yield { offset: next, value, missed: next - offset - 1 };
      offset = next;
    }
  }
}
