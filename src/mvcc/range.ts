// Range: etcd's rules for revision, limit, filters and sorting, over pages and history.
//
// - `count` is the number of keys in the range at that revision, whatever limit and filters say.
// - Any filter, or an order other than "none", looks at the whole range: filter, sort, then cut.
// - Target other than key with order "none" sorts ascending, but after the first limit + 1 keys
//   have been taken (a quirk of etcd's that clients can see).
// - Equal values keep key order. (etcd leaves their order open.)
//
// Work: the directory counts what lies between the two border pages; keys are looked at until the
// limit; values are read for what is returned only, and not at all when only keys are asked for.

import { CorruptionError, compareBytes, noLease } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import type { KeyMeta, RangeQuery, RangeResult, StoredKeyValue } from "./contract.ts";
import type { HistoryBlock } from "./history-block.ts";
import { existenceAt, isDeletedAt, modRevisionAt, modSubAt } from "./key-entry.ts";
import type { KeyEntry } from "./key-entry.ts";
import { isSingleKey, toBounds } from "./key-range.ts";
import { encodeKeyOnly, PairView } from "./key-value-codec.ts";
import { countVisible, visitEntries } from "./page-walk.ts";
import type { Page } from "./page.ts";
import { plainRange } from "./plain-range.ts";
import type { StoreState } from "./state.ts";
import { metaOf } from "./transaction.ts";
import { existedAt, seekVersion } from "./versions.ts";

/** One key of the answer, before its pair is encoded. */
interface Row {
  readonly key: Uint8Array | undefined;
  readonly mod: number;
  readonly sub: number;
  readonly create: number;
  readonly version: number;
  readonly lease: LeaseId;
  block: HistoryBlock | undefined;
  index: number;
}

const emptyResult: RangeResult = { kvs: [], more: false, count: 0 };

export function range(state: StoreState, query: RangeQuery): RangeResult {
  const revision =
    query.revision === 0 || query.revision >= state.visibleRevision
      ? Number.POSITIVE_INFINITY
      : query.revision;
  if (isSingleKey(query)) {
    return rangeOne(state, query, revision);
  }
  const { start, end, empty } = toBounds(query);
  if (empty) {
    return emptyResult;
  }
  const isPlainRange = !query.countOnly && isPlain(query);
  const isCounted = !isPlainRange || query.uncounted !== true;
  const count = isCounted ? countKeys(state, start, end, revision) : undefined;
  if (isPlainRange) {
    return plainRange(state, query, revision, start, end, count);
  }
  if (query.countOnly) {
    state.pager.throwIfMissing();
    return { kvs: [], more: false, count: count ?? 0 };
  }
  const rows = new Collector(state, query, revision);
  rows.collect(start, end);
  state.pager.throwIfMissing();
  return finish(state, query, rows.rows, count ?? 0);
}

/** The latest pair's metadata. */
export function readMeta(state: StoreState, key: Uint8Array): KeyMeta | undefined {
  const slot = state.keys.locate(key);
  if (slot < 0) {
    return undefined;
  }
  state.entry.read(state.keys.page, slot);
  return state.entry.deleted ? undefined : metaOf(state.entry);
}

/** The latest pair. */
export function readPair(state: StoreState, key: Uint8Array): StoredKeyValue | undefined {
  const { keys, history } = state;
  const slot = keys.locate(key);
  if (slot < 0 || isDeletedAt(keys.page, slot)) {
    return undefined;
  }
  state.mustFind(modRevisionAt(keys.page, slot), modSubAt(keys.page, slot));
  return pairAt(history.block, history.index);
}

/** The pair written at a position, if compaction has not passed it. */
export function readAt(state: StoreState, revision: number, sub: number): PairView | undefined {
  const { history } = state;
  if (!history.find(revision, sub) || history.block.isDeleteAt(history.index)) {
    return undefined;
  }
  const { block, index } = history;
  if (revision < state.compacted && !survives(state, block, index)) {
    return undefined;
  }
  return pairAt(block, index);
}

/** Whether the pair at an index of a block is still its key's pair at the compacted revision. */
export function survives(state: StoreState, block: HistoryBlock, index: number): boolean {
  const { history, keys, entry, pair } = state;
  const revision = block.revisionAt(index);
  const sub = block.subAt(index);
  pair.read(block.bytes, block.fieldAt(index));
  const slot = keys.locate(pair.key);
  if (slot < 0) {
    return false;
  }
  entry.read(keys.page, slot);
  if (entry.mod <= state.compacted) {
    return entry.mod === revision && entry.sub === sub;
  }
  const result = seekVersion(state, entry, state.compacted);
  if (result === "missing") {
    state.pager.throwIfMissing();
  }
  return (
    result === "found" &&
    history.block.revisionAt(history.index) === revision &&
    history.block.subAt(history.index) === sub
  );
}

function pairAt(block: HistoryBlock, index: number): PairView {
  return new PairView(block.bytes, block.fieldAt(index), block.endAt(index));
}

function rangeOne(state: StoreState, query: RangeQuery, revision: number): RangeResult {
  const { keys, entry, pager } = state;
  const slot = keys.locate(query.key);
  if (slot < 0) {
    return emptyResult;
  }
  if (revision === Number.POSITIVE_INFINITY && isPlain(query) && !query.countOnly) {
    // The read that nearly all clients nearly always send.
    if (isDeletedAt(keys.page, slot)) {
      return emptyResult;
    }
    state.mustFind(modRevisionAt(keys.page, slot), modSubAt(keys.page, slot));
    return { kvs: [pairAt(state.history.block, state.history.index)], more: false, count: 1 };
  }
  entry.read(keys.page, slot);
  if (query.countOnly) {
    const found = existedAt(state, entry, revision);
    pager.throwIfMissing();
    return found === "found" ? { kvs: [], more: false, count: 1 } : emptyResult;
  }
  const rows = new Collector(state, query, revision);
  rows.add(keys.page, slot);
  pager.throwIfMissing();
  if (rows.found === 0) {
    return emptyResult;
  }
  return finish(state, query, rows.rows, 1);
}

function countKeys(
  state: StoreState,
  start: Uint8Array,
  end: Uint8Array | undefined,
  revision: number,
): number {
  const { keys, entry } = state;
  return countVisible(keys, start, end, revision, (page, from, to) => {
    if (revision === Number.POSITIVE_INFINITY && page.visible === page.count) {
      return Math.max(to - from, 0);
    }
    let sum = 0;
    for (let slot = from; slot < to; slot++) {
      const known = existenceAt(page, slot, revision);
      if (known !== undefined) {
        sum += known ? 1 : 0;
      } else {
        entry.read(page, slot);
        sum += existedAt(state, entry, revision) === "found" ? 1 : 0;
      }
    }
    return sum;
  });
}

function hasFilter(query: RangeQuery): boolean {
  return (
    query.minModRevision !== 0 ||
    query.maxModRevision !== 0 ||
    query.minCreateRevision !== 0 ||
    query.maxCreateRevision !== 0
  );
}

/** Whether keys alone decide what is returned, in their order, and pairs are returned as stored. */
function isPlain(query: RangeQuery): boolean {
  const { keysOnly, sortTarget, sortOrder } = query;
  return !keysOnly && sortTarget === "key" && sortOrder !== "descend" && !hasFilter(query);
}

/** Takes the keys of a range at a revision, as many as the answer needs, and filters them. */
class Collector {
  readonly #state: StoreState;
  readonly #query: RangeQuery;
  readonly #revision: number;
  readonly #filtered: boolean;
  readonly #plain: boolean;
  readonly #max: number;
  readonly rows: Row[] = [];
  /** Keys that existed, filtered out or not, and those that a missing page may hold. */
  found = 0;

  constructor(state: StoreState, query: RangeQuery, revision: number) {
    this.#state = state;
    this.#query = query;
    this.#revision = revision;
    this.#filtered = hasFilter(query);
    this.#plain = isPlain(query);
    const whole = query.limit <= 0 || query.sortOrder !== "none" || this.#filtered;
    const extra = query.sortTarget === "key" ? 0 : 1;
    this.#max = whole ? Number.POSITIVE_INFINITY : query.limit + extra;
  }

  collect(start: Uint8Array, end: Uint8Array | undefined): void {
    const latest = this.#revision === Number.POSITIVE_INFINITY;
    visitEntries(
      this.#state.keys,
      start,
      end,
      (page, from, to) => {
        for (let slot = from; slot < to && this.found < this.#max; slot++) {
          this.add(page, slot);
          if (this.#state.pager.wantsEnough) {
            return false;
          }
        }
        return this.found < this.#max;
      },
      (visible) => {
        // What a missing page held at an old revision is not known: assume it may be enough.
        this.found += latest ? visible : Math.max(visible, 1);
        return this.found < this.#max;
      },
    );
  }

  add(page: Page, slot: number): void {
    const { entry } = this.#state;
    if (this.#revision === Number.POSITIVE_INFINITY && isDeletedAt(page, slot)) {
      return;
    }
    const at = modRevisionAt(page, slot);
    if (this.#plain && at <= this.#revision) {
      if (!isDeletedAt(page, slot)) {
        this.found++;
        this.rows.push(plainRow(at, modSubAt(page, slot)));
      }
      return;
    }
    entry.read(page, slot);
    const key = this.#query.keysOnly ? page.keyAt(slot) : undefined;
    if (entry.mod > this.#revision) {
      this.#addOld(entry, key);
      return;
    }
    if (entry.deleted) {
      return;
    }
    this.found++;
    const { mod, sub, create, version, lease } = entry;
    if (!this.#filtered || passes(this.#query, mod, create)) {
      this.rows.push({ key, mod, sub, create, version, lease, block: undefined, index: 0 });
    }
  }

  #addOld(entry: KeyEntry, key: Uint8Array | undefined): void {
    const { history, pair } = this.#state;
    const result = seekVersion(this.#state, entry, this.#revision);
    if (result === "none") {
      return;
    }
    this.found++;
    if (result === "missing") {
      return;
    }
    const { block, index } = history;
    pair.read(block.bytes, block.fieldAt(index));
    const { mod, create, version, lease } = pair;
    if (!this.#filtered || passes(this.#query, mod, create)) {
      this.rows.push({ key, mod, sub: 0, create, version, lease, block, index });
    }
  }
}

function plainRow(mod: number, sub: number): Row {
  return {
    key: undefined,
    mod,
    sub,
    create: 0,
    version: 0,
    lease: noLease,
    block: undefined,
    index: 0,
  };
}

function passes(query: RangeQuery, mod: number, create: number): boolean {
  return (
    (query.maxModRevision === 0 || mod <= query.maxModRevision) &&
    (query.minModRevision === 0 || mod >= query.minModRevision) &&
    (query.maxCreateRevision === 0 || create <= query.maxCreateRevision) &&
    (query.minCreateRevision === 0 || create >= query.minCreateRevision)
  );
}

function finish(state: StoreState, query: RangeQuery, rows: Row[], count: number): RangeResult {
  const { sortOrder, sortTarget, limit } = query;
  let more = limit > 0 && rows.length > limit;
  if (limit > 0 && sortOrder === "none" && sortTarget === "key" && !hasFilter(query)) {
    more = count > limit;
  }
  const order = sortTarget !== "key" && sortOrder === "none" ? "ascend" : sortOrder;
  if (sortTarget === "value" && order !== "none") {
    resolve(state, rows);
  }
  sort(state, rows, sortTarget, order);
  if (limit > 0 && rows.length > limit) {
    rows.length = limit;
  }
  if (query.keysOnly) {
    return { kvs: rows.map((row) => encodeKeyOnly(row.key as Uint8Array, row)), more, count };
  }
  resolve(state, rows);
  const kvs: StoredKeyValue[] = rows.map((row) => pairAt(row.block as HistoryBlock, row.index));
  return { kvs, more, count };
}

/** Finds the event of every row, or throws what is missing. */
function resolve(state: StoreState, rows: readonly Row[]): void {
  const { history, pager } = state;
  for (const row of rows) {
    if (row.block !== undefined) {
      continue;
    }
    const result = history.seek(row.mod, row.sub);
    if (result === "found") {
      row.block = history.block;
      row.index = history.index;
    } else if (result === "none") {
      throw new CorruptionError(`event ${row.mod}.${row.sub} is missing from history`);
    } else if (pager.wantsEnough) {
      break;
    }
  }
  pager.throwIfMissing();
}

function sort(
  state: StoreState,
  rows: Row[],
  target: RangeQuery["sortTarget"],
  order: RangeQuery["sortOrder"],
): void {
  if (order === "none" || (target === "key" && order === "ascend")) {
    return;
  }
  if (target === "key") {
    rows.reverse();
    return;
  }
  const compare = comparator(state, rows, target);
  rows.sort(order === "ascend" ? compare : (a, b) => compare(b, a));
}

function comparator(
  state: StoreState,
  rows: readonly Row[],
  target: "version" | "create" | "mod" | "value",
): (a: Row, b: Row) => number {
  if (target !== "value") {
    return (a, b) => a[target] - b[target];
  }
  const values = new Map<Row, Uint8Array>();
  for (const row of rows) {
    const block = row.block as HistoryBlock;
    state.pair.read(block.bytes, block.fieldAt(row.index));
    values.set(row, state.pair.value);
  }
  return (a, b) => compareBytes(values.get(a) as Uint8Array, values.get(b) as Uint8Array);
}
