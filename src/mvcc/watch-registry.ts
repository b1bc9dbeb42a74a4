// Who watches what, and how far each one has come. Shared by the hub, which moves events, and by
// its streams, which bring and remove watchers.

import type { Revision, Rng } from "../base/index.ts";
import type { StoreReader } from "./contract.ts";
import { RangeIndex } from "./watch-index.ts";
import type { StreamState, Watcher, WatchGroup } from "./watch-watcher.ts";

export class WatchRegistry {
  store: StoreReader;
  /** Everything up to it has been published: the boundary between synced and behind. */
  revision: Revision;
  /** Synced watchers, by range. */
  readonly index: RangeIndex<WatchGroup>;
  readonly streams = new Set<StreamState>();
  /** Watchers behind, in the order in which they get their turn. */
  readonly behind = new Set<Watcher>();
  watcherCount = 0;
  stalledCount = 0;
  /** A watcher with progress notices was made: due times must be looked at again. */
  progressAdded = false;
  /** Told when `behind` is no longer empty. */
  onCatchUp: () => void = () => {};

  constructor(store: StoreReader, rng: Rng) {
    this.store = store;
    this.revision = store.revision;
    this.index = new RangeIndex(rng);
  }

  /** Takes in a watcher whose `next` is set. */
  add(watcher: Watcher): void {
    watcher.stream.watchers.set(watcher.id, watcher);
    this.watcherCount++;
    if (watcher.progressNotify) {
      watcher.stream.progressCount++;
      this.progressAdded = true;
    }
    this.place(watcher);
  }

  /** Forgets a watcher, wherever it is. */
  remove(watcher: Watcher): void {
    this.#displace(watcher);
    watcher.state = "gone";
    watcher.stream.watchers.delete(watcher.id);
    this.watcherCount--;
    if (watcher.progressNotify) {
      watcher.stream.progressCount--;
    }
  }

  /** Forgets a stream and its watchers. */
  closeStream(stream: StreamState): void {
    stream.closed = true;
    this.streams.delete(stream);
    for (const watcher of stream.watchers.values()) {
      this.remove(watcher);
    }
  }

  /** Puts a watcher that is in no list where its `next` says: synced, or at the queue's end. */
  place(watcher: Watcher): void {
    if (watcher.next > this.revision) {
      watcher.state = "synced";
      this.#addToIndex(watcher);
    } else {
      this.#enqueue(watcher);
    }
  }

  /** A watcher could not be given the events of `next`: it gets them later. */
  fallBehind(watcher: Watcher, next: Revision): void {
    this.#displace(watcher);
    watcher.next = next;
    if (watcher.stream.sink.writable) {
      this.#enqueue(watcher);
    } else {
      this.#addStalled(watcher);
    }
  }

  /** A watcher behind found its stream full. */
  stall(watcher: Watcher): void {
    this.#displace(watcher);
    this.#addStalled(watcher);
  }

  /** A watcher behind has come up to, not including, `next`. */
  advance(watcher: Watcher, next: Revision): void {
    watcher.next = next;
    this.#displace(watcher);
    if (next > this.revision) {
      watcher.state = "synced";
      this.#addToIndex(watcher);
    } else {
      this.#addBehind(watcher);
    }
  }

  /** The stream takes notices again: its stalled watchers queue up. */
  unstall(stream: StreamState): void {
    for (const watcher of stream.stalled) {
      this.#displace(watcher);
      this.#enqueue(watcher);
    }
  }

  /** The store was replaced: see WatchHub.adopt. */
  replaceStore(store: StoreReader): void {
    const seen = this.revision;
    this.store = store;
    this.revision = store.revision;
    for (const stream of this.streams) {
      for (const watcher of stream.watchers.values()) {
        const floor = watcher.state === "synced" ? ((seen + 1) as Revision) : watcher.next;
        this.#displace(watcher);
        watcher.next = floor > watcher.next ? floor : watcher.next;
        this.place(watcher);
      }
    }
  }

  #enqueue(watcher: Watcher): void {
    this.#addBehind(watcher);
    if (this.behind.size === 1) {
      this.onCatchUp();
    }
  }

  #addBehind(watcher: Watcher): void {
    watcher.state = "behind";
    watcher.stream.behindCount++;
    this.behind.add(watcher);
  }

  #addStalled(watcher: Watcher): void {
    watcher.state = "stalled";
    watcher.stream.behindCount++;
    watcher.stream.stalled.add(watcher);
    this.stalledCount++;
  }

  #addToIndex(watcher: Watcher): void {
    let group = this.index.get(watcher.range);
    if (group === undefined) {
      group = { members: [], size: 0, matched: [] };
      this.index.add(watcher.range, group);
    }
    let members = group.members[watcher.variant];
    if (members === undefined) {
      members = new Set();
      group.members[watcher.variant] = members;
    }
    members.add(watcher);
    group.size++;
  }

  /** Takes a watcher out of the list that it is in. */
  #displace(watcher: Watcher): void {
    if (watcher.state === "behind") {
      this.behind.delete(watcher);
      watcher.stream.behindCount--;
    } else if (watcher.state === "stalled") {
      watcher.stream.stalled.delete(watcher);
      watcher.stream.behindCount--;
      this.stalledCount--;
    } else if (watcher.state === "synced") {
      const group = this.index.get(watcher.range);
      if (group?.members[watcher.variant]?.delete(watcher) === true && --group.size === 0) {
        this.index.delete(watcher.range);
      }
    }
  }
}
