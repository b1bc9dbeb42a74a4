// The directory of a page tree: groups of references to pages.
//
// A group is one record in the engine, written in one batch with every dirty page that it refers
// to; so what a reference says of its page (counts, weight) always agrees with the page on disk,
// and the whole group is good up to one revision: the one at which it was written. Group headers
// stay in memory; their references and pages are loaded when needed and may be evicted.

import { compareBytes, CorruptionError, emptyBytes } from "../base/index.ts";
import { headOf, putVarint, VarintReader, varintLength } from "./numbers.ts";
import type { Page } from "./page.ts";

const format = 1;

/** A reference to a page, and what is known of the page without loading it. */
export class PageRef {
  readonly id: number;
  /** Keys of the page are not below it. For the first page of a group, the group's. */
  firstKey: Uint8Array;
  group: Group;
  page: Page | undefined;
  /** Entries that are not hidden. */
  visible = 0;
  total = 0;
  /** Sum of the tree's weight over the entries. */
  weight = 0;
  /** No entry has been added, hidden or shown after this revision: counts are good since then. */
  newest = 0;
  /** The checkpoint that wrote the page; 0 if none has. */
  stamp = 0;
  /** Place among the pages in memory. */
  ring = -1;
  /** Loads that brought another version of the page. */
  mismatches = 0;

  constructor(id: number, firstKey: Uint8Array, group: Group) {
    this.id = id;
    this.firstKey = firstKey;
    this.group = group;
  }
}

export class Group {
  readonly tree: number;
  readonly id: number;
  readonly firstKey: Uint8Array;
  /** Undefined while not in memory. After a change of the list: `refsChanged`. */
  refs: PageRef[] | undefined;
  #index: FirstKeys | undefined;
  visible = 0;
  total = 0;
  weight = 0;
  newest = 0;
  /** The checkpoint that wrote the record; 0 if none has. */
  stamp = 0;
  /** As written: history up to this revision is in its pages. Of use in redo only. */
  goodRevision = 0;
  /** Redo must start here at the latest, while the group is dirty; Infinity when it is clean. */
  dirtySince = Number.POSITIVE_INFINITY;
  /** The same for marks of compaction: the revision from which they must be made again. */
  dirtyWalk = Number.POSITIVE_INFINITY;
  /** Must be part of the next checkpoint. */
  forced = false;
  /** Handed to a checkpoint that is not done: nothing of it may be evicted. */
  writing = false;
  touched = true;
  /** Pages to delete in the engine with the next write. */
  removedPages: number[] = [];
  loadedPages = 0;
  mismatches = 0;

  constructor(tree: number, id: number, firstKey: Uint8Array) {
    this.tree = tree;
    this.id = id;
    this.firstKey = firstKey;
  }

  get dirty(): boolean {
    return this.dirtySince !== Number.POSITIVE_INFINITY;
  }

  refsChanged(): void {
    this.#index = undefined;
  }

  /** Index of the reference to the page where `key` belongs. The references are in memory. */
  find(key: Uint8Array): number {
    this.#index ??= new FirstKeys(this.refs as PageRef[]);
    return this.#index.find(key);
  }

  /** Sums the references up, after some came or went. */
  recount(): void {
    this.visible = 0;
    this.total = 0;
    this.weight = 0;
    this.newest = 0;
    this.loadedPages = 0;
    for (const ref of this.refs ?? []) {
      this.visible += ref.visible;
      this.total += ref.total;
      this.weight += ref.weight;
      this.newest = Math.max(this.newest, ref.newest);
      this.loadedPages += ref.page === undefined ? 0 : 1;
    }
  }
}

/**
 * Finds, in a list sorted by first key, the last item whose first key is not above a key; the
 * first item counts as lowest. Prefix and heads (the four bytes behind it) settle nearly every
 * step in one small array. Made anew when the list changes.
 */
export class FirstKeys {
  readonly #items: readonly { readonly firstKey: Uint8Array }[];
  /** Common to all keys but the first. */
  readonly #prefix: Uint8Array;
  readonly #heads: Uint32Array;

  constructor(items: readonly { readonly firstKey: Uint8Array }[]) {
    this.#items = items;
    const second = items[1]?.firstKey ?? emptyBytes;
    const last = items[items.length - 1]?.firstKey ?? emptyBytes;
    this.#prefix = second.subarray(0, commonLength(second, last));
    this.#heads = new Uint32Array(items.length);
    for (let i = 1; i < items.length; i++) {
      const { firstKey } = items[i] as { readonly firstKey: Uint8Array };
      this.#heads[i] = headOf(firstKey, this.#prefix.length, firstKey.length);
    }
  }

  find(key: Uint8Array): number {
    const heads = this.#heads;
    let high = heads.length - 1;
    if (high === 0) {
      return 0;
    }
    const prefix = this.#prefix;
    for (let i = 0; i < prefix.length; i++) {
      if (i >= key.length) {
        return 0;
      }
      const difference = (key[i] as number) - (prefix[i] as number);
      if (difference !== 0) {
        return difference < 0 ? 0 : high;
      }
    }
    const head = headOf(key, prefix.length, key.length);
    let low = 0;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const at = heads[middle] as number;
      if (at > head || (at === head && this.#isAbove(middle, key))) {
        high = middle - 1;
      } else {
        low = middle;
      }
    }
    return low;
  }

  #isAbove(index: number, key: Uint8Array): boolean {
    return (
      compareBytes((this.#items[index] as { readonly firstKey: Uint8Array }).firstKey, key) > 0
    );
  }
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) {
    length++;
  }
  return length;
}

/** The shortest key that is above `below` and not above `first`. */
export function separator(below: Uint8Array, first: Uint8Array): Uint8Array {
  let length = 0;
  while (length < below.length && below[length] === first[length]) {
    length++;
  }
  const key = new Uint8Array(length + 1);
  key.set(first.subarray(0, length + 1));
  return key;
}

/** The record of a group whose references are in memory. */
export function encodeGroup(group: Group, goodRevision: number): Uint8Array {
  const refs = group.refs as PageRef[];
  const counters = (item: Group | PageRef): number[] => [
    item.stamp,
    item.visible,
    item.total,
    item.weight,
    item.newest,
  ];
  const numbers: number[][] = [[goodRevision, refs.length, ...counters(group)]];
  const keys: Uint8Array[] = [group.firstKey];
  for (const ref of refs) {
    // The first reference begins where the group does: nothing to store twice.
    keys.push(ref === refs[0] ? emptyBytes : ref.firstKey);
    numbers.push([ref.id, ...counters(ref)]);
  }
  let size = 1;
  for (let i = 0; i < keys.length; i++) {
    const length = (keys[i] as Uint8Array).length;
    size += varintLength(length) + length;
    for (const number of numbers[i] as number[]) {
      size += varintLength(number);
    }
  }
  const record = new Uint8Array(size);
  record[0] = format;
  let at = 1;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as Uint8Array;
    at = putVarint(record, at, key.length);
    record.set(key, at);
    at += key.length;
    for (const number of numbers[i] as number[]) {
      at = putVarint(record, at, number);
    }
  }
  return record;
}

function readKey(reader: VarintReader): Uint8Array {
  const length = reader.next();
  const start = reader.at;
  return reader.bytes.slice(start, reader.skip(length));
}

function readCounters(reader: VarintReader, item: Group | PageRef): void {
  item.stamp = reader.next();
  item.visible = reader.next();
  item.total = reader.next();
  item.weight = reader.next();
  item.newest = reader.next();
}

/** The header alone, as all of them are read at open. */
export function decodeGroupHeader(tree: number, id: number, record: Uint8Array): Group {
  if (record[0] !== format) {
    throw new CorruptionError(`page group ${tree}/${id} has an unknown form`);
  }
  const reader = new VarintReader(record, 1);
  const group = new Group(tree, id, readKey(reader));
  group.goodRevision = reader.next();
  reader.next();
  readCounters(reader, group);
  return group;
}

/** The checkpoint that wrote a group record. */
export function groupStampOf(record: Uint8Array): number {
  return record[0] === format ? decodeGroupHeader(0, 0, record).stamp : -1;
}

/** Fills in the references of `group` from its record. */
export function decodeGroupRefs(group: Group, record: Uint8Array): PageRef[] {
  const reader = new VarintReader(record, 1);
  readKey(reader);
  reader.next();
  const count = reader.next();
  for (let i = 0; i < 5; i++) {
    reader.next();
  }
  const refs: PageRef[] = [];
  let visible = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const firstKey = readKey(reader);
    const ref = new PageRef(reader.next(), i === 0 ? group.firstKey : firstKey, group);
    readCounters(reader, ref);
    visible += ref.visible;
    total += ref.total;
    refs.push(ref);
  }
  if (reader.at !== record.length || visible !== group.visible || total !== group.total) {
    throw new CorruptionError(`page group ${group.tree}/${group.id} does not add up`);
  }
  return refs;
}
