// A range whose pairs are wanted in key order and as they are stored, the usual kind: a walk over
// pages and a look into a block for each key, with nothing made for a pair but a view of its field.

import { CorruptionError } from "../base/index.ts";
import type { RangeQuery, RangeResult, StoredKeyValue } from "./contract.ts";
import type { HistoryBlock } from "./history-block.ts";
import { eventSizeAt, isDeletedAt, modRevisionAt, modSubAt } from "./key-entry.ts";
import { PairView } from "./key-value-codec.ts";
import { visitEntries } from "./page-walk.ts";
import type { Page } from "./page.ts";
import type { StoreState } from "./state.ts";
import { seekVersion } from "./versions.ts";

/** `kvs` is made when asked for: an answer takes the fields. */
class PlainResult implements RangeResult {
  readonly fields: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
  #kvs: readonly StoredKeyValue[] | undefined;

  constructor(fields: readonly Uint8Array[], more: boolean, count: number) {
    this.fields = fields;
    this.more = more;
    this.count = count;
  }

  get kvs(): readonly StoredKeyValue[] {
    this.#kvs ??= this.fields.map((field) => new PairView(field, 0, field.length));
    return this.#kvs;
  }
}

/**
 * The pairs of [start, end) at a revision (Infinity = latest), up to the query's limit and size.
 * `count` is of all keys of the range; undefined = not asked for.
 */
export function plainRange(
  state: StoreState,
  query: RangeQuery,
  revision: number,
  start: Uint8Array,
  end: Uint8Array | undefined,
  count: number | undefined,
): RangeResult {
  const fields = new Fields(state, query, revision);
  fields.collect(start, end);
  state.pager.throwIfMissing();
  return new PlainResult(fields.list, fields.more, count ?? 0);
}

class Fields {
  readonly #state: StoreState;
  readonly #revision: number;
  readonly #max: number;
  readonly #bytesMax: number;
  readonly list: Uint8Array[] = [];
  /** Where the last pair was found. */
  #last: HistoryBlock | undefined;
  /** Keys that existed, and those that a missing page may hold. */
  #found = 0;
  /** What their events take in history, roughly. */
  #eventBytes = 0;
  /** There is a key behind those gathered. */
  more = false;

  constructor(state: StoreState, query: RangeQuery, revision: number) {
    this.#state = state;
    this.#revision = revision;
    this.#max = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY;
    this.#bytesMax = query.sizeBytesMax ?? Number.POSITIVE_INFINITY;
  }

  collect(start: Uint8Array, end: Uint8Array | undefined): void {
    const { keys, pager } = this.#state;
    visitEntries(
      keys,
      start,
      end,
      (page, from, to) => {
        for (let slot = from; slot < to; slot++) {
          this.#add(page, slot);
          if (this.more || pager.wantsEnough) {
            return false;
          }
        }
        return true;
      },
      (visible) => {
        // What a missing page held at an old revision is not known: assume it may be enough.
        this.#found += this.#revision === Number.POSITIVE_INFINITY ? visible : Math.max(visible, 1);
        return this.#found < this.#max;
      },
    );
  }

  #add(page: Page, slot: number): void {
    const mod = modRevisionAt(page, slot);
    const isNow = mod <= this.#revision;
    if (isNow && isDeletedAt(page, slot)) {
      return;
    }
    const isFull = this.#found >= this.#max || this.#eventBytes >= this.#bytesMax;
    if (isNow && isFull) {
      this.more = true;
      return;
    }
    const { history } = this.#state;
    const result = isNow ? this.#seek(mod, modSubAt(page, slot)) : this.#seekOld(page, slot);
    if (result === "none") {
      return;
    }
    if (isFull) {
      this.more = true;
      return;
    }
    this.#found++;
    if (result === "missing") {
      this.#eventBytes += isNow ? eventSizeAt(page, slot) : 0;
      return;
    }
    const { block, index } = history;
    const field = block.bytes.subarray(block.fieldAt(index), block.endAt(index));
    this.#last = block;
    this.#eventBytes += field.length;
    this.list.push(field);
  }

  /** Neighbours by key are often neighbours in history: the block of the last one comes first. */
  #seek(revision: number, sub: number): "found" | "missing" {
    const { history } = this.#state;
    const last = this.#last;
    if (last !== undefined && revision >= last.firstRevision && revision <= last.lastRevision) {
      const index = last.indexOf(revision, sub);
      if (index >= 0) {
        history.block = last;
        history.index = index;
        return "found";
      }
    }
    const result = history.seek(revision, sub);
    if (result === "none") {
      throw new CorruptionError(`event ${revision}.${sub} is missing from history`);
    }
    return result;
  }

  #seekOld(page: Page, slot: number): "found" | "none" | "missing" {
    const { entry } = this.#state;
    entry.read(page, slot);
    return seekVersion(this.#state, entry, this.#revision);
  }
}
