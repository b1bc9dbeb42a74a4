// The watch hub: every commit to every watcher whose range it touches.
//
// What a watcher is promised (etcd's words): ordered, unique, atomic (all events of a revision in
// one notice), reliable (no gaps), resumable (from any revision that is not compacted), and a
// progress notice only when nothing up to its revision is outstanding.
//
// How: a watcher is either synced, then it is in an index by range and `publish` gives it each
// commit; or behind, then it is out of the index and `catchUp` gives it history from its own next
// revision until it has all, and puts it back. Nothing is ever queued here: a watcher whose sink
// is full, or whose replaced pair is not in memory, falls behind from that revision, and a place
// in history is one number. So a slow client costs no memory and holds nobody up.
//
// The owner calls, on one thread: `publish` for each commit in order, right after it was applied;
// `catchUp` while `hasCatchUp`, loading the records that it names when it throws MissingRecords;
// `progress` with the time, some times a second; `adopt` on the hub of a store that replaces
// another. `hasCatchUp` turns true by a publication, but also by a client that watches the past
// or takes events again: then `onCatchUp` says so.
//
// Read next: watch-watcher.ts (states), watch-registry.ts (moves between them), watch-catch-up.ts.

import { assert } from "../base/index.ts";
import type { Revision, Rng } from "../base/index.ts";
import type { Commit, StoredEvent, StoreReader } from "./contract.ts";
import { readCatchUp } from "./watch-catch-up.ts";
import type { CatchUpRead } from "./watch-catch-up.ts";
import type { WatchEvent, WatchStream, WatchStreamSink } from "./watch-contract.ts";
import { EventViews } from "./watch-events.ts";
import { WatchRegistry } from "./watch-registry.ts";
import { hasProgress, HubStream } from "./watch-stream.ts";
import { variantCount } from "./watch-watcher.ts";
import type { StreamState, Watcher, WatchGroup } from "./watch-watcher.ts";

/** Watchers served by one step of catching up, and looked at to find them (etcd takes 512). */
const stepWatchersMax = 512;
const stepScanMax = 4096;
/** A step reads fewer events when they are large, so that it holds about this much, bytes. */
const stepSizeBytesTarget = 1024 * 1024;
const stepEventsStart = 64;
const stepEventsDefault = 1000;

export interface WatchHubOptions {
  /** Spreads progress notices, and seeds the index. */
  readonly rng: Rng;
  /** Between progress notices of one stream, milliseconds; up to a tenth is added at random. */
  readonly progressIntervalMs: number;
}

export interface WatchHubStats {
  readonly streams: number;
  readonly watchers: number;
  /** Watchers that miss events, for whatever reason. */
  readonly slowWatchers: number;
  /** Events delivered since start, counted once for each watcher. */
  readonly eventsDelivered: number;
  /** Revisions that watchers are behind, added up: the events they wait for, at most. */
  readonly revisionsPending: number;
}

export class WatchHub {
  #registry: WatchRegistry;
  readonly #rng: Rng;
  readonly #progressIntervalMs: number;
  /** The earliest due time of any stream. */
  #progressDueMs = Number.POSITIVE_INFINITY;
  #stepEvents = stepEventsStart;
  #eventsDelivered = 0;
  readonly #hits: WatchGroup[] = [];

  constructor(store: StoreReader, options: WatchHubOptions) {
    this.#rng = options.rng;
    this.#progressIntervalMs = options.progressIntervalMs;
    this.#registry = new WatchRegistry(store, options.rng);
  }

  /** The last revision published. */
  get revision(): Revision {
    return this.#registry.revision;
  }

  /** Watchers wait for `catchUp`. */
  get hasCatchUp(): boolean {
    return this.#registry.behind.size > 0;
  }

  /**
   * `callback` runs whenever `hasCatchUp` has become true. It must not call the hub, only have
   * `catchUp` called soon. A hub that adopts this one's streams keeps it.
   */
  onCatchUp(callback: () => void): void {
    this.#registry.onCatchUp = callback;
  }

  stats(): WatchHubStats {
    const { streams, watcherCount, behind, stalledCount, revision } = this.#registry;
    let revisionsPending = 0;
    for (const watcher of behind) {
      revisionsPending += Math.max(0, revision + 1 - watcher.next);
    }
    for (const stream of stalledCount > 0 ? streams : []) {
      for (const watcher of stream.stalled) {
        revisionsPending += Math.max(0, revision + 1 - watcher.next);
      }
    }
    return {
      streams: streams.size,
      watchers: watcherCount,
      slowWatchers: behind.size + stalledCount,
      eventsDelivered: this.#eventsDelivered,
      revisionsPending,
    };
  }

  openStream(sink: WatchStreamSink): WatchStream {
    return new HubStream(this.#registry, sink);
  }

  /** Gives a commit to the synced watchers that it concerns. Revisions come without gaps. */
  publish(commit: Commit): void {
    const registry = this.#registry;
    assert(
      commit.revision === registry.revision + 1,
      () => `published revision ${commit.revision} after ${registry.revision}`,
    );
    registry.revision = commit.revision;
    if (registry.index.size === 0) {
      return;
    }
    const touched = this.#match(commit.events);
    if (touched.length > 0) {
      const views = new EventViews(commit.events, registry.store);
      for (const group of touched) {
        this.#publishToGroup(group, views, commit.revision);
      }
    }
  }

  /**
   * One bounded step of catching up, about `eventsMax` events at most; true while more is to do.
   * May throw MissingRecords: then no events were delivered, and the step must be called again
   * once the records are loaded.
   */
  catchUp(eventsMax: number = stepEventsDefault): boolean {
    const registry = this.#registry;
    const [head, ...others] = this.#takeCandidates();
    if (head !== undefined) {
      this.#deliver(
        readCatchUp(
          registry.store,
          [head, ...others],
          registry.revision,
          Math.min(this.#stepEvents, eventsMax),
          this.#rng,
        ),
        eventsMax,
      );
    }
    return this.hasCatchUp;
  }

  /** Sends periodic progress notices that are due at `nowMs`, a monotonic time. */
  progress(nowMs: number): void {
    const registry = this.#registry;
    if (nowMs < this.#progressDueMs && !registry.progressAdded) {
      return;
    }
    registry.progressAdded = false;
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const stream of registry.streams) {
      if (stream.progressCount === 0) {
        continue;
      }
      if (stream.progressDueMs === undefined || nowMs >= stream.progressDueMs) {
        if (stream.progressDueMs !== undefined) {
          this.#notifyProgress(stream);
        }
        stream.progressDueMs = nowMs + this.#progressDelayMs();
      }
      earliestMs = Math.min(earliestMs, stream.progressDueMs);
    }
    this.#progressDueMs = earliestMs;
  }

  /**
   * Takes over the streams of the hub before, whose store was replaced by this hub's (a snapshot
   * was installed). What came between is history to catch up with: every watcher goes on at its
   * own next revision, so nothing comes twice, nothing earlier comes again, and one whose place
   * has been compacted is told so. This hub must have no streams of its own yet.
   */
  adopt(before: WatchHub): void {
    const own = this.#registry;
    assert(own.streams.size === 0, "a hub with streams cannot adopt others");
    this.#registry = before.#registry;
    this.#registry.replaceStore(own.store);
    this.#registry.progressAdded = true;
  }

  /** Forgets all streams, silently; what is called on them afterwards does nothing. */
  close(): void {
    for (const stream of this.#registry.streams) {
      this.#registry.closeStream(stream);
    }
  }

  /** Groups with events in their range; `matched` of each says which. */
  #match(events: readonly StoredEvent[]): WatchGroup[] {
    const hits = this.#hits;
    const touched: WatchGroup[] = [];
    for (let position = 0; position < events.length; position++) {
      hits.length = 0;
      this.#registry.index.collect((events[position] as StoredEvent).key, hits);
      for (const group of hits) {
        if (group.matched.push(position) === 1) {
          touched.push(group);
        }
      }
    }
    return touched;
  }

  #publishToGroup(group: WatchGroup, views: EventViews, revision: Revision): void {
    for (let variant = 0; variant < variantCount; variant++) {
      const members = group.members[variant];
      if (members !== undefined && members.size > 0) {
        const events = views.batch(variant, group.matched);
        if (events === undefined || events.length > 0) {
          this.#publishToMembers(members, events, revision);
        }
      }
    }
    group.matched.length = 0;
  }

  /** `events` is undefined when they cannot be given now. */
  #publishToMembers(
    members: ReadonlySet<Watcher>,
    events: readonly WatchEvent[] | undefined,
    revision: Revision,
  ): void {
    const next = (revision + 1) as Revision;
    for (const watcher of members) {
      // Not its time yet, or made by a callback of this very publication.
      if (watcher.next > revision) {
        continue;
      }
      const { sink } = watcher.stream;
      if (events === undefined || !sink.writable) {
        this.#registry.fallBehind(watcher, revision);
        continue;
      }
      watcher.next = next;
      watcher.quiet = false;
      this.#eventsDelivered += events.length;
      sink.notify({ kind: "events", watchId: watcher.id, revision, events });
    }
  }

  /** The first watcher in the queue that can be served, and those that its read can serve too. */
  #takeCandidates(): Watcher[] {
    const registry = this.#registry;
    const compactedRevision = registry.store.compactedRevision;
    const taken: Watcher[] = [];
    let scanned = 0;
    for (const watcher of registry.behind) {
      if (scanned++ === stepScanMax || taken.length === stepWatchersMax) {
        break;
      }
      if (watcher.next < compactedRevision) {
        registry.remove(watcher);
        watcher.stream.sink.notify({ kind: "compacted", watchId: watcher.id, compactedRevision });
      } else if (!watcher.stream.sink.writable) {
        registry.stall(watcher);
      } else if (taken[0] === undefined || watcher.next >= taken[0].next) {
        taken.push(watcher);
      }
    }
    return taken;
  }

  #deliver(read: CatchUpRead, eventsMax: number): void {
    const registry = this.#registry;
    const { revision } = registry;
    const next = (read.covered + 1) as Revision;
    for (const { watcher, events } of read.deliveries) {
      const { sink } = watcher.stream;
      if (watcher.state !== "behind") {
        continue;
      }
      if (events.length === 0) {
        registry.advance(watcher, next);
      } else if (sink.writable) {
        registry.advance(watcher, next);
        watcher.quiet = false;
        this.#eventsDelivered += events.length;
        sink.notify({ kind: "events", watchId: watcher.id, revision, events });
      } else {
        registry.stall(watcher);
      }
    }
    if (read.sizeBytes > stepSizeBytesTarget) {
      this.#stepEvents = Math.max(1, this.#stepEvents >>> 1);
    } else if (read.sizeBytes < stepSizeBytesTarget / 4) {
      this.#stepEvents = Math.max(1, Math.min(this.#stepEvents * 2, eventsMax));
    }
  }

  #notifyProgress(stream: StreamState): void {
    const { revision } = this.#registry;
    for (const watcher of stream.watchers.values()) {
      if (!watcher.progressNotify) {
        continue;
      }
      if (watcher.quiet && hasProgress(watcher, revision) && stream.sink.writable) {
        stream.sink.notify({ kind: "progress", watchId: watcher.id, revision });
      }
      watcher.quiet = true;
    }
  }

  #progressDelayMs(): number {
    const tenthMs = Math.floor(this.#progressIntervalMs / 10);
    return this.#progressIntervalMs + (tenthMs > 0 ? this.#rng.below(tenthMs) : 0);
  }
}
