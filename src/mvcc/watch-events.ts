// Events as watchers get them. Whatever two watchers would get alike is one object: the event with
// or without the pair before it, and the array of them, so that a front door encodes it once.

import { equalBytes } from "../base/index.ts";
import { MissingRecords } from "./contract.ts";
import type { StoredEvent, StoreReader } from "./contract.ts";
import type { WatchEvent } from "./watch-contract.ts";
import { variantNoDelete, variantNoPut, variantPrevious } from "./watch-watcher.ts";

export class EventViews {
  readonly #events: readonly StoredEvent[];
  readonly #store: StoreReader;
  readonly #plain: (WatchEvent | undefined)[] = [];
  readonly #full: (WatchEvent | undefined)[] = [];
  /** Batches of all events, by variant. */
  readonly #whole: (readonly WatchEvent[] | undefined)[] = [];
  readonly #missing: Uint8Array[] = [];
  #previousBytes = 0;

  constructor(events: readonly StoredEvent[], store: StoreReader) {
    this.#events = events;
    this.#store = store;
  }

  /** Records that replaced pairs are in and that are not in memory; found by `batch` so far. */
  get missing(): readonly Uint8Array[] {
    return this.#missing;
  }

  /** Bytes of the replaced pairs read so far. */
  get previousBytes(): number {
    return this.#previousBytes;
  }

  /**
   * The events at the positions `matched` (ascending) that a variant lets through, or undefined
   * when a replaced pair that it wants is not in memory.
   */
  batch(variant: number, matched: readonly number[]): readonly WatchEvent[] | undefined {
    const isWhole = matched.length === this.#events.length;
    if (isWhole) {
      const known = this.#whole[variant];
      if (known !== undefined) {
        return known;
      }
    }
    const batch: WatchEvent[] = [];
    let complete = true;
    for (const position of matched) {
      const event = this.#events[position] as StoredEvent;
      if ((variant & (event.kind === "put" ? variantNoPut : variantNoDelete)) !== 0) {
        continue;
      }
      const view =
        (variant & variantPrevious) !== 0
          ? this.#withPrevious(position, event)
          : this.#withoutPrevious(position, event);
      if (view === undefined) {
        complete = false;
      } else {
        batch.push(view);
      }
    }
    if (!complete) {
      return undefined;
    }
    if (isWhole) {
      this.#whole[variant] = batch;
    }
    return batch;
  }

  /**
   * The earliest event of the transaction on the same key: what it replaced stood there before.
   * Undefined for a put to a key that the transaction made: it counts as having made it.
   */
  #firstOfRevision(position: number, event: StoredEvent): StoredEvent | undefined {
    let first = event;
    for (let i = position - 1; i >= 0; i--) {
      const earlier = this.#events[i] as StoredEvent;
      if (earlier.revision !== event.revision) {
        break;
      }
      if (equalBytes(earlier.key, event.key)) {
        if (event.kind === "put" && earlier.created) {
          return undefined;
        }
        first = earlier;
      }
    }
    return first;
  }

  #withoutPrevious(position: number, event: StoredEvent): WatchEvent {
    let view = this.#plain[position];
    if (view === undefined) {
      view = { event, previous: undefined };
      this.#plain[position] = view;
    }
    return view;
  }

  #withPrevious(position: number, event: StoredEvent): WatchEvent | undefined {
    let view = this.#full[position];
    if (view === undefined) {
      view = this.#readPrevious(position, event);
      this.#full[position] = view;
    }
    return view;
  }

  /**
   * As in etcd, the pair at the revision before the event's, whatever else its own transaction did
   * to the key before; none below the compacted revision.
   */
  #readPrevious(position: number, event: StoredEvent): WatchEvent | undefined {
    const origin =
      event.previousRevision === event.revision ? this.#firstOfRevision(position, event) : event;
    if (
      origin === undefined ||
      origin.created ||
      origin.previousRevision === 0 ||
      event.revision <= this.#store.compactedRevision
    ) {
      return this.#withoutPrevious(position, event);
    }
    try {
      const previous = this.#store.at(origin.previousRevision, origin.previousSub);
      this.#previousBytes += previous === undefined ? 0 : previous.message.length;
      return { event, previous };
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      for (const key of error.keys) {
        this.#missing.push(key);
      }
      return undefined;
    }
  }
}
