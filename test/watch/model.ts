// What watchers must hear, worked out naively from the whole history, checked at every notice:
// matching, ordered, unique, whole revisions, without gaps, resumable, right pairs before, true
// and rising progress, notices of creation and end exactly once.

import { compareBytes, utf8 } from "../../src/base/index.ts";
import type { Commit, StoredEvent } from "../../src/mvcc/contract.ts";
import type {
  WatchEvent,
  WatchNotice,
  WatchOptions,
  WatchStreamSink,
} from "../../src/mvcc/watch-contract.ts";
import { KeyValue } from "../../src/wire/index.ts";
import { bytesToText, inRange } from "./fake-store.ts";
import { describeEvent } from "./script.ts";

function check(condition: boolean, message: () => string): asserts condition {
  if (!condition) {
    throw new Error(message());
  }
}

interface Before {
  /** Before the event. */
  readonly event: string | undefined;
  /** Before the transaction that it is of. */
  readonly commit: string | undefined;
  /** Whether the pair, or the one before a delete, was made by its own transaction. */
  readonly isNew: boolean;
}

/** Every commit since the beginning, compacted or not, and the values before each event. */
export class History {
  readonly commits: Commit[] = [];
  readonly #values = new Map<string, string>();
  readonly #before = new Map<string, Before>();
  compacted = 0;

  get revision(): number {
    return this.commits.at(-1)?.revision ?? 1;
  }

  add(commit: Commit): void {
    this.commits.push(commit);
    const before = new Map(this.#values);
    const made = new Set<string>();
    for (const event of commit.events) {
      const key = bytesToText(event.key);
      if (!this.#values.has(key)) {
        made.add(key);
      }
      this.#before.set(position(event), {
        event: this.#values.get(key),
        commit: before.get(key),
        isNew: made.has(key),
      });
      if (event.kind === "put") {
        const value = /v\d+/.exec(new TextDecoder("latin1").decode(event.message))?.[0];
        this.#values.set(key, value ?? "?");
      } else {
        this.#values.delete(key);
      }
    }
  }

  valueBefore(event: StoredEvent): Before | undefined {
    return this.#before.get(position(event));
  }

  expected(options: WatchOptions, from: number, to: number): StoredEvent[] {
    return this.commits
      .filter(({ revision }) => revision >= from && revision <= to)
      .flatMap(({ events }) => events)
      .filter((event) => inRange(event.key, options))
      .filter((event) => !(event.kind === "put" ? options.noPut : options.noDelete));
  }
}

interface ModelWatch {
  readonly options: WatchOptions;
  /** Everything below has been heard. */
  next: number;
  progress: number;
}

/** A client: it may stop taking events at any time, after a few more or at once. */
export class ModelClient implements WatchStreamSink {
  readonly history: History;
  readonly watches = new Map<bigint, ModelWatch>();
  /** Notices it still takes. */
  capacity = Number.POSITIVE_INFINITY;
  eventsHeard = 0;
  progressHeard = 0;
  compactedHeard = 0;
  #creating: WatchOptions | undefined;
  #canceling: bigint | undefined;
  #closed = false;

  constructor(history: History) {
    this.history = history;
  }

  get writable(): boolean {
    return this.capacity > 0;
  }

  creating(options: WatchOptions, create: () => void): void {
    this.#creating = options;
    create();
    check(this.#creating === undefined, () => "creation was not answered");
  }

  canceling(watchId: bigint, cancel: () => void): void {
    const isKnown = this.watches.has(watchId);
    this.#canceling = isKnown ? watchId : undefined;
    cancel();
    check(this.#canceling === undefined, () => "cancel was not answered");
    check(!this.watches.has(watchId), () => "the watch is still there");
  }

  closed(): void {
    this.#closed = true;
  }

  notify(notice: WatchNotice): void {
    check(!this.#closed, () => `${notice.kind} after close`);
    switch (notice.kind) {
      case "created":
        this.#created(notice.watchId, notice.revision);
        break;
      case "refused":
        this.#refused(notice.reason);
        break;
      case "events":
        this.#events(notice.watchId, notice.revision, notice.events);
        break;
      case "progress":
        this.#progress(notice.watchId, notice.revision);
        break;
      case "canceled":
        check(notice.watchId === this.#canceling, () => `unasked cancel of ${notice.watchId}`);
        this.#canceling = undefined;
        this.watches.delete(notice.watchId);
        break;
      case "compacted":
        this.#compacted(notice.watchId, notice.compactedRevision);
        break;
    }
  }

  /** After everything was given time to settle: nothing may be outstanding. */
  checkComplete(): void {
    for (const [id, watch] of this.watches) {
      const { revision } = this.history;
      const missed = this.history.expected(watch.options, watch.next, revision);
      check(missed.length === 0, () => `watch ${id} never heard ${missed.map(nameOf).join(" ")}`);
    }
  }

  #created(id: bigint, revision: number): void {
    const options = this.#creating;
    check(options !== undefined, () => `unasked creation of ${id}`);
    check(!this.watches.has(id), () => `id ${id} given twice`);
    check(options.watchId === 0n || options.watchId === id, () => `asked for another id: ${id}`);
    check(revision === this.history.revision, () => `created at ${revision}`);
    this.#creating = undefined;
    const next = options.startRevision === 0 ? revision + 1 : options.startRevision;
    this.watches.set(id, { options, next, progress: 0 });
  }

  #refused(reason: string): void {
    const options = this.#creating;
    check(options !== undefined, () => `unasked refusal: ${reason}`);
    const isDuplicate = this.watches.has(options.watchId) && options.watchId !== 0n;
    const isEmpty =
      options.rangeEnd.length > 0 &&
      compareBytes(options.rangeEnd, utf8("\0")) !== 0 &&
      compareBytes(options.key, options.rangeEnd) >= 0;
    check(isDuplicate || isEmpty, () => `refused without reason: ${reason}`);
    this.#creating = undefined;
  }

  #events(id: bigint, revision: number, events: readonly WatchEvent[]): void {
    const watch = this.#watch(id);
    check(this.capacity > 0, () => "events for a client that takes none");
    this.capacity--;
    const last = events.at(-1)?.event.revision;
    check(last !== undefined, () => "a notice without events");
    const heard = events.map(({ event }) => event);
    const expected = this.history.expected(watch.options, watch.next, last);
    const list = (some: readonly StoredEvent[]): string => some.map(nameOf).join(" ");
    check(list(heard) === list(expected), () => {
      return `watch ${id} from ${watch.next} heard ${list(heard)}, expected ${list(expected)}`;
    });
    check(revision >= last && revision <= this.history.revision, () => `header at ${revision}`);
    check(last > watch.progress, () => `event at ${last} after progress ${watch.progress}`);
    for (const event of events) {
      this.#checkPrevious(watch.options, event);
    }
    watch.next = last + 1;
    this.eventsHeard += events.length;
  }

  #checkPrevious(options: WatchOptions, watchEvent: WatchEvent): void {
    const { event, previous } = watchEvent;
    const wanted = options.previous && event.revision > this.history.compacted;
    const before = this.history.valueBefore(event);
    const isCreated = event.kind === "put" && before?.event === undefined;
    // etcd asks for no pair before an event that made its key, or was put after one that did.
    const isNewPut = event.kind === "put" && before?.isNew === true;
    const expected = wanted && !isNewPut ? before?.commit : undefined;
    const found =
      previous === undefined ? undefined : bytesToText(KeyValue.decode(previous.message).value);
    check(found === expected, () => `${describeEvent(watchEvent)} should have ${expected} before`);
    check(event.created === isCreated, () => `${nameOf(event)} has a wrong create mark`);
  }

  #progress(id: bigint, revision: number): void {
    const concerned = id === -1n ? [...this.watches.values()] : [this.#watch(id)];
    check(concerned.length > 0, () => "progress for nobody");
    for (const watch of concerned) {
      check(id === -1n || watch.options.progressNotify, () => "nobody asked for progress");
      check(watch.options.startRevision <= revision, () => "progress before the start");
      check(revision >= watch.progress, () => `progress fell to ${revision}`);
      const missed = this.history.expected(watch.options, watch.next, revision);
      check(
        missed.length === 0,
        () => `progress ${revision} without ${missed.map(nameOf).join(" ")}`,
      );
      watch.progress = revision;
    }
    this.progressHeard++;
  }

  #compacted(id: bigint, compactedRevision: number): void {
    const watch = this.#watch(id);
    const { compacted } = this.history;
    check(compactedRevision === compacted, () => `compacted at ${compactedRevision}`);
    check(watch.next < compacted, () => `watch ${id} at ${watch.next} was still to be had`);
    this.watches.delete(id);
    this.compactedHeard++;
  }

  #watch(id: bigint): ModelWatch {
    const watch = this.watches.get(id);
    check(watch !== undefined, () => `notice for watch ${id}, which is not there`);
    return watch;
  }
}

function position({ revision, sub }: StoredEvent): string {
  return `${revision}.${sub}`;
}

function nameOf(event: StoredEvent): string {
  return describeEvent({ event, previous: undefined });
}
