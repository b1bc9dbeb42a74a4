// One client's stream of watches: makes and removes watchers, answers at once what needs no
// events. Control notices (created, refused, canceled, compacted) are small and are delivered
// whether the sink takes events or not; so each request is answered exactly once.

import { compareBytes, copyBytes } from "../base/index.ts";
import type { Revision } from "../base/index.ts";
import type { KeyRange } from "./contract.ts";
import type { WatchOptions, WatchStream, WatchStreamSink } from "./watch-contract.ts";
import { upperBound } from "./watch-index.ts";
import type { WatchRegistry } from "./watch-registry.ts";
import { variantOf } from "./watch-watcher.ts";
import type { StreamState, Watcher } from "./watch-watcher.ts";

/** etcd's texts (mvcc.ErrWatcherDuplicateID, mvcc.ErrEmptyWatcherRange). */
const duplicateId = "mvcc: duplicate watch ID provided on the WatchStream";
const emptyRange = "mvcc: watcher range is empty";

/** An empty store is at revision 1, which holds nothing. */
const firstRevision = 2 as Revision;

/** The watch id that stands for the whole stream. */
const wholeStream = -1n;

export class HubStream implements WatchStream {
  readonly #registry: WatchRegistry;
  readonly #state: StreamState;
  #nextId = 0n;

  constructor(registry: WatchRegistry, sink: WatchStreamSink) {
    this.#registry = registry;
    this.#state = {
      sink,
      watchers: new Map(),
      stalled: new Set(),
      behindCount: 0,
      progressCount: 0,
      progressDueMs: undefined,
      closed: false,
    };
    registry.streams.add(this.#state);
  }

  create(options: WatchOptions): void {
    if (this.#state.closed) {
      return;
    }
    const { sink, watchers } = this.#state;
    const { revision, store } = this.#registry;
    if (isEmptyRange(options)) {
      sink.notify({ kind: "refused", reason: emptyRange, revision });
      return;
    }
    if (options.watchId !== 0n && watchers.has(options.watchId)) {
      sink.notify({ kind: "refused", reason: duplicateId, revision });
      return;
    }
    const id = options.watchId === 0n ? this.#freeId() : options.watchId;
    const start = options.startRevision;
    sink.notify({ kind: "created", watchId: id, revision });
    if (this.#state.closed) {
      return;
    }
    if (start !== 0 && start < store.compactedRevision) {
      const compactedRevision = store.compactedRevision;
      sink.notify({ kind: "compacted", watchId: id, compactedRevision });
      return;
    }
    this.#registry.add({
      id,
      stream: this.#state,
      range: { key: copyBytes(options.key), rangeEnd: copyBytes(options.rangeEnd) },
      variant: variantOf(options),
      progressNotify: options.progressNotify,
      startRevision: start,
      state: "gone",
      next: firstToHear(start, revision),
      quiet: true,
    });
  }

  cancel(watchId: bigint): void {
    const watcher = this.#state.watchers.get(watchId);
    if (watcher !== undefined) {
      this.#registry.remove(watcher);
      this.#state.sink.notify({ kind: "canceled", watchId, revision: this.#registry.revision });
    }
  }

  requestProgress(): void {
    const { sink, watchers, behindCount } = this.#state;
    if (behindCount > 0 || watchers.size === 0 || !sink.writable) {
      return;
    }
    const { revision } = this.#registry;
    for (const watcher of watchers.values()) {
      if (!hasProgress(watcher, revision)) {
        return;
      }
    }
    sink.notify({ kind: "progress", watchId: wholeStream, revision });
  }

  resume(): void {
    this.#registry.unstall(this.#state);
  }

  close(): void {
    if (!this.#state.closed) {
      this.#registry.closeStream(this.#state);
    }
  }

  #freeId(): bigint {
    while (this.#state.watchers.has(this.#nextId)) {
      this.#nextId++;
    }
    return this.#nextId++;
  }
}

function firstToHear(start: Revision | 0, revision: Revision): Revision {
  if (start === 0) {
    return (revision + 1) as Revision;
  }
  return start < firstRevision ? firstRevision : start;
}

/**
 * Whether "nothing up to `revision` is outstanding" may be said of a watcher: it is synced, its
 * start has come, and it was never told of a later revision.
 */
export function hasProgress(watcher: Watcher, revision: Revision): boolean {
  return (
    watcher.state === "synced" && watcher.startRevision <= revision && watcher.next <= revision + 1
  );
}

function isEmptyRange(range: KeyRange): boolean {
  const end = upperBound(range);
  return end !== undefined && end.length > 0 && compareBytes(range.key, end) >= 0;
}
