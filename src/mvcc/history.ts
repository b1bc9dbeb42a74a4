// History: every event in order, in blocks.
//
// The newest blocks are here whole: the tail, which is being filled, and sealed ones that no
// checkpoint has made durable. Older ones are in the engine; the block tree knows each by the
// position of its first event, with its size and how much of it is dead, and a cache holds some.
// A block in the engine is right only if its length is the size that the tree says.

import { CorruptionError } from "../base/index.ts";
import type { Group } from "./directory.ts";
import { HistoryBlock, measureBody } from "./history-block.ts";
import type { EventDraft } from "./history-block.ts";
import { getU32, getU48, setU32, setU48 } from "./numbers.ts";
import { hiddenFlag } from "./page.ts";
import type { Page } from "./page.ts";
import { PageTree } from "./page-tree.ts";
import type { TreeLayout } from "./page-tree.ts";
import type { Pager } from "./pager.ts";
import { blockKey, describeRecord } from "./record-keys.ts";

const sizeAt = 1;
const deadAt = 5;
const payloadBytes = 8;
const mismatchesMax = 4;
/** Blocks asked for ahead when history is read in order. */
const readAheadBlocks = 16;

/**
 * The block tree: position of the first event -> size, dead bytes. An entry is hidden once half
 * of its block is dead, so that the directory's counts lead compaction to such blocks.
 */
export const blockLayout: TreeLayout = {
  id: 3,
  payloadBytes,
  weigh: (page, slot) => {
    const at = page.imageAt(slot);
    return getU32(page.bytes, at + sizeAt) - getU32(page.bytes, at + deadAt);
  },
  revisionOf: () => 0,
  pinLast: true,
};

/** A place to go back to when a transaction is undone. */
export interface HistoryMark {
  readonly pending: number;
  readonly tail: HistoryBlock;
  readonly count: number;
  readonly end: number;
  readonly offsets: number[] | undefined;
  readonly starts: number;
  readonly appendedBytes: number;
}

export type SeekResult = "found" | "none" | "missing";

export interface BlockRewrite {
  readonly key: Uint8Array;
  /** Undefined = the block is to be deleted. */
  readonly block: HistoryBlock | undefined;
}

export interface BlockEntry {
  readonly revision: number;
  readonly sub: number;
  readonly sizeBytes: number;
  readonly deadBytes: number;
}

export class History {
  readonly tree: PageTree;
  readonly pager: Pager;
  readonly #blockBytes: number;
  tail: HistoryBlock;
  /** Sealed blocks that are not durable, oldest first. */
  pending: HistoryBlock[] = [];
  /** Of those, how many are in the tree. */
  #inTree = 0;
  /** What the last `find` found. */
  block: HistoryBlock;
  index = 0;
  bodyBytes = 0;
  cacheBytes = 0;
  /** Bytes appended since the last checkpoint. */
  appendedBytes = 0;
  /** Bytes of all events since the store began; tells how long a redo is. */
  totalBytes = 0;
  /** First positions of the blocks that a redo may start at, and `totalBytes` there. */
  #starts: { readonly revision: number; readonly sub: number; readonly atBytes: number }[] = [];
  #cache = new Map<number | string, HistoryBlock>();
  /** Blocks that compaction wrote and that are not durable: found as cached ones, never evicted. */
  #held = new Map<number | string, HistoryBlock>();
  /** Of those and the blocks they replaced, what the next checkpoint must write or delete. */
  #rewrites = new Map<number | string, BlockRewrite>();
  #mismatches = new Map<number | string, number>();
  readonly #key = new Uint8Array(10);
  readonly #image = new Uint8Array(1 + payloadBytes);

  constructor(pager: Pager, groups: Group[], blockBytes: number) {
    this.pager = pager;
    this.tree = new PageTree(blockLayout, pager, groups);
    this.#blockBytes = blockBytes;
    this.tail = HistoryBlock.make(blockBytes, 0);
    this.block = this.tail;
  }

  /** Appends an event; returns the bytes that it takes. `bodyBytes` of them, the last, are its body. */
  append(draft: EventDraft): number {
    const length = measureBody(draft);
    this.bodyBytes = length;
    if (!this.tail.hasRoom(draft.level, length)) {
      this.sealTail(length);
    }
    const size = this.tail.append(draft);
    this.block = this.tail;
    this.index = this.tail.count - 1;
    if (this.index === 0) {
      this.#noteStart(this.tail);
    }
    this.appendedBytes += size;
    this.totalBytes += size;
    return size;
  }

  /** Ends the tail block, if it has events, and begins one with room for `bodyBytes`. */
  sealTail(bodyBytes: number): void {
    if (this.tail.count > 0) {
      this.tail.seal();
      this.pending.push(this.tail);
    }
    this.tail = HistoryBlock.make(this.#blockBytes, bodyBytes);
  }

  mark(): HistoryMark {
    const tail = this.tail;
    return {
      pending: this.pending.length,
      tail,
      count: tail.count,
      end: tail.end,
      offsets: tail.offsets,
      starts: this.#starts.length,
      appendedBytes: this.appendedBytes,
    };
  }

  rollback(mark: HistoryMark): void {
    this.pending.length = mark.pending;
    this.tail = mark.tail;
    this.tail.truncate(mark.count, mark.end, mark.offsets);
    this.#starts.length = mark.starts;
    this.totalBytes -= this.appendedBytes - mark.appendedBytes;
    this.appendedBytes = mark.appendedBytes;
  }

  /**
   * Finds the event at a position: "found", and `block` and `index` say where; "none" when there
   * is no such event (any more); "missing" when a record is, which is wanted then.
   */
  seek(revision: number, sub: number): SeekResult {
    let block = this.#inMemory(revision, sub);
    if (block === undefined) {
      const slot = this.tree.floor(this.#keyOf(revision, sub));
      if (slot < 0) {
        return slot === -1 ? "none" : "missing";
      }
      block = this.#cachedAt(this.tree.page, slot);
      if (block === undefined) {
        return "missing";
      }
    }
    block.touched = true;
    this.block = block;
    this.index = block.indexOf(revision, sub);
    return this.index < 0 ? "none" : "found";
  }

  /** As `seek`, but throws MissingRecords. */
  find(revision: number, sub: number): boolean {
    const result = this.seek(revision, sub);
    if (result === "missing") {
      this.pager.throwIfMissing();
    }
    return result === "found";
  }

  /**
   * The block with the first event at or after a position, or undefined at the end of history.
   * Wants what it misses, some blocks ahead, and throws.
   */
  blockFrom(revision: number, sub: number): HistoryBlock | undefined {
    const newest = this.#inMemory(revision, sub);
    if (newest !== undefined) {
      const isPast = !isAtOrAfter(newest.lastRevision, newest.lastSub, revision, sub);
      return isPast ? this.#inMemoryAfter(newest) : newest;
    }
    const floor = this.floorEntry(revision, sub);
    if (floor !== undefined) {
      const block = this.cached(floor);
      if (block === undefined) {
        this.#readAhead(revision, sub);
        this.pager.throwIfMissing();
      }
      if (block !== undefined && isAtOrAfter(block.lastRevision, block.lastSub, revision, sub)) {
        return block;
      }
    }
    const next = this.entriesFrom(revision, sub, 1)[0];
    if (next === undefined) {
      return this.pending[this.#inTree] ?? (this.tail.count > 0 ? this.tail : undefined);
    }
    const block = this.cached(next);
    if (block === undefined) {
      this.#readAhead(revision, sub);
      this.pager.throwIfMissing();
    }
    return block;
  }

  /** The block tree's entry with the greatest position not above the given one. May throw. */
  floorEntry(revision: number, sub: number): BlockEntry | undefined {
    const slot = this.tree.floor(this.#keyOf(revision, sub));
    if (slot === -2) {
      this.pager.throwIfMissing();
    }
    return slot < 0 ? undefined : readEntry(this.tree.page, slot);
  }

  /** Up to `max` entries at or after a position. Throws when it misses pages. */
  entriesFrom(revision: number, sub: number, max: number): BlockEntry[] {
    const entries: BlockEntry[] = [];
    this.tree.visit(
      this.#keyOf(revision, sub),
      undefined,
      (page, from, to) => {
        for (let slot = from; slot < to && entries.length < max; slot++) {
          entries.push(readEntry(page, slot));
        }
        return entries.length < max;
      },
      () => false,
    );
    this.pager.throwIfMissing();
    return entries;
  }

  /** The entry before the one at a position, if any. */
  entryBefore(revision: number, sub: number): BlockEntry | undefined {
    return sub > 0 ? this.floorEntry(revision, sub - 1) : this.floorEntry(revision - 1, 0xffff_ffff);
  }

  /** The cached block of an entry; if it is not there it is wanted. */
  cached(entry: BlockEntry): HistoryBlock | undefined {
    const name = blockName(entry.revision, entry.sub);
    const block =
      this.#cache.get(name) ??
      this.#held.get(name) ??
      this.#pendingAt(entry.revision, entry.sub);
    if (block !== undefined && block.recordBytes === entry.sizeBytes) {
      block.touched = true;
      return block;
    }
    if (block !== undefined) {
      this.#noteMismatch(name, entry, block);
    }
    this.pager.wantBlock(`b${name}`, blockKey(entry.revision, entry.sub));
    return undefined;
  }

  /** Installs a record loaded for a block; undefined = the engine has none. */
  load(revision: number, sub: number, record: Uint8Array | undefined): void {
    const name = blockName(revision, sub);
    if (this.#cache.has(name)) {
      return;
    }
    const key = this.#keyOf(revision, sub);
    if (!this.tree.isLoaded(key)) {
      this.pager.takeMissing();
      return;
    }
    if (this.tree.locate(key) < 0) {
      return;
    }
    const described = describeRecord(blockKey(revision, sub));
    if (record === undefined) {
      throw new CorruptionError(`${described} is missing`);
    }
    const block = HistoryBlock.parse(record, described);
    if (block.firstRevision !== revision || block.firstSub !== sub) {
      throw new CorruptionError(`${described} holds other events`);
    }
    this.enterCache(block);
  }

  enterCache(block: HistoryBlock): void {
    this.#cache.set(blockName(block.firstRevision, block.firstSub), block);
    this.cacheBytes += block.bytes.length;
  }

  dropCached(revision: number, sub: number): void {
    const name = blockName(revision, sub);
    const block = this.#cache.get(name);
    if (block !== undefined) {
      this.#cache.delete(name);
      this.cacheBytes -= block.bytes.length;
    }
  }

  /** Whether the block tree knows a block (the newest ones get there with a checkpoint). */
  isIndexed(block: HistoryBlock): boolean {
    return block !== this.tail && this.pending.indexOf(block, this.#inTree) < 0;
  }

  /** The entry whose key in the block tree is given. */
  entryAt(key: Uint8Array): BlockEntry {
    const slot = this.tree.locate(key);
    return readEntry(this.tree.page, slot);
  }

  /** Puts `joined` in the place of some adjacent blocks; undefined = nothing is left of them. */
  replaceBlocks(entries: readonly BlockEntry[], joined: HistoryBlock | undefined): void {
    for (const { revision, sub } of entries) {
      const slot = this.tree.locate(this.#keyOf(revision, sub));
      this.tree.group.forced = true;
      this.tree.remove(slot);
      this.dropCached(revision, sub);
      const name = blockName(revision, sub);
      this.#held.delete(name);
      this.#rewrites.set(name, { key: blockKey(revision, sub), block: undefined });
    }
    if (joined === undefined) {
      return;
    }
    joined.seal();
    const { firstRevision, firstSub } = joined;
    const name = blockName(firstRevision, firstSub);
    const sizeBytes = joined.recordBytes;
    this.setEntry({ revision: firstRevision, sub: firstSub, sizeBytes, deadBytes: 0 });
    this.tree.locate(this.#keyOf(firstRevision, firstSub));
    this.tree.group.forced = true;
    this.#held.set(name, joined);
    this.#rewrites.set(name, { key: blockKey(firstRevision, firstSub), block: joined });
  }

  get hasRewrites(): boolean {
    return this.#rewrites.size > 0;
  }

  /** What compaction rewrote since the last call; the caller hands it to a checkpoint. */
  takeRewrites(): readonly BlockRewrite[] {
    const rewrites = [...this.#rewrites.values()];
    this.#rewrites.clear();
    return rewrites;
  }

  /** Rewritten blocks are durable. */
  settleRewrites(rewrites: readonly BlockRewrite[]): void {
    for (const { block } of rewrites) {
      if (block === undefined) {
        continue;
      }
      const name = blockName(block.firstRevision, block.firstSub);
      if (this.#held.get(name) === block) {
        this.#held.delete(name);
        this.enterCache(block);
      }
    }
  }

  /** Bytes of blocks that the block tree does not know yet. */
  get unindexedBytes(): number {
    let sum = this.tail.count > 0 ? this.tail.recordBytes : 0;
    for (let i = this.#inTree; i < this.pending.length; i++) {
      sum += (this.pending[i] as HistoryBlock).recordBytes;
    }
    return sum;
  }

  /** Bytes of blocks in memory that no checkpoint has made durable. */
  get unwrittenBytes(): number {
    let sum = this.tail.bytes.length;
    for (const blocks of [this.pending, this.#held.values()]) {
      for (const block of blocks) {
        sum += block.bytes.length;
      }
    }
    return sum;
  }

  /** Evicts blocks not touched lately until `goalBytes` are cached. */
  evict(goalBytes: number): void {
    let looks = this.#cache.size * 2;
    for (const [name, block] of this.#cache) {
      if (this.cacheBytes <= goalBytes || looks-- <= 0) {
        return;
      }
      this.#cache.delete(name);
      if (block.touched) {
        block.touched = false;
        this.#cache.set(name, block);
      } else {
        this.cacheBytes -= block.bytes.length;
      }
    }
  }

  /** Puts sealed blocks into the tree. They are dirty there since before their first event. */
  indexSealed(): void {
    for (const block of this.pending.slice(this.#inTree)) {
      this.setEntry({
        revision: block.firstRevision,
        sub: block.firstSub,
        sizeBytes: block.recordBytes,
        deadBytes: 0,
      });
    }
    this.#inTree = this.pending.length;
  }

  /** The first `count` pending blocks are durable. */
  settle(count: number): void {
    for (const block of this.pending.splice(0, count)) {
      this.enterCache(block);
    }
    this.#inTree -= count;
  }

  /** Writes an entry of the block tree. The page must be in memory. */
  setEntry(entry: BlockEntry): void {
    const key = this.#keyOf(entry.revision, entry.sub);
    const image = this.#image;
    image[0] = entry.deadBytes * 2 >= entry.sizeBytes ? hiddenFlag : 0;
    setU32(image, sizeAt, entry.sizeBytes);
    setU32(image, deadAt, entry.deadBytes);
    const slot = this.tree.locate(key);
    const revision = this.pager.revision;
    if (slot < 0) {
      this.pager.revision = Math.min(revision, entry.revision - 1);
    }
    this.tree.set(slot, key, image, 0);
    this.pager.revision = revision;
  }

  /**
   * Where a redo after `redoRevision` must begin to read: at a block that begins with a revision,
   * since the next checkpoint may ask for that whole revision again. Forgets older places.
   */
  redoStart(redoRevision: number): { readonly revision: number; readonly sub: number } {
    const starts = this.#starts;
    let found = 0;
    for (let at = 0; at < starts.length; at++) {
      const { revision, sub } = starts[at] as BlockStart;
      if (revision > redoRevision + 1) {
        break;
      }
      found = sub === 0 ? at : found;
    }
    starts.splice(0, found);
    return starts[0] ?? { revision: redoRevision + 1, sub: 0 };
  }

  /** Bytes of events from the start of the block that holds `revision` on. */
  bytesSince(revision: number): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((starts[middle] as BlockStart).revision > revision) {
        high = middle - 1;
      } else {
        low = middle;
      }
    }
    const start = starts[low];
    return start === undefined ? 0 : this.totalBytes - start.atBytes;
  }

  /** Notes a block read in recovery. */
  adopt(block: HistoryBlock): void {
    this.#noteStart(block);
    this.totalBytes += block.end;
  }

  #noteStart(block: HistoryBlock): void {
    this.#starts.push({
      revision: block.firstRevision,
      sub: block.firstSub,
      atBytes: this.totalBytes,
    });
  }

  #keyOf(revision: number, sub: number): Uint8Array {
    setU48(this.#key, 0, revision);
    setU32(this.#key, 6, sub);
    return this.#key;
  }

  /** The tail or a pending block, if the position is in or behind it. */
  #inMemory(revision: number, sub: number): HistoryBlock | undefined {
    const tail = this.tail;
    if (tail.count > 0 && isAtOrAfter(revision, sub, tail.firstRevision, tail.firstSub)) {
      return tail;
    }
    const pending = this.pending;
    let low = 0;
    let high = pending.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = pending[middle] as HistoryBlock;
      if (isAtOrAfter(revision, sub, block.firstRevision, block.firstSub)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low === 0 ? undefined : pending[low - 1];
  }

  /** The block after one that is pending; after the tail there is nothing. */
  #inMemoryAfter(block: HistoryBlock): HistoryBlock | undefined {
    const next = this.pending.indexOf(block) + 1;
    const isTail = next === 0;
    return isTail || (next === this.pending.length && this.tail.count === 0)
      ? undefined
      : (this.pending[next] ?? this.tail);
  }

  /** `cached` of the entry at a slot of the block tree; allocates nothing when it is there. */
  #cachedAt(page: Page, slot: number): HistoryBlock | undefined {
    page.copyKey(slot, this.#key);
    const name = blockName(getU48(this.#key, 0), getU32(this.#key, 6));
    const block = this.#cache.get(name);
    const sizeBytes = getU32(page.bytes, page.imageAt(slot) + sizeAt);
    return block?.recordBytes === sizeBytes ? block : this.cached(readEntry(page, slot));
  }

  #pendingAt(revision: number, sub: number): HistoryBlock | undefined {
    return this.pending.find((b) => b.firstRevision === revision && b.firstSub === sub);
  }

  #readAhead(revision: number, sub: number): void {
    let left = readAheadBlocks;
    this.tree.visit(
      this.#keyOf(revision, sub),
      undefined,
      (page, from, to) => {
        for (let slot = from; slot < to && left > 0; slot++) {
          this.cached(readEntry(page, slot));
          left--;
        }
        return left > 0;
      },
      () => false,
    );
  }

  #noteMismatch(name: number | string, entry: BlockEntry, block: HistoryBlock): void {
    this.dropCached(entry.revision, entry.sub);
    const count = (this.#mismatches.get(name) ?? 0) + 1;
    this.#mismatches.set(name, count);
    if (count > mismatchesMax) {
      const what = describeRecord(blockKey(entry.revision, entry.sub));
      throw new CorruptionError(
        `${what} has ${block.recordBytes} bytes, not ${entry.sizeBytes} as indexed`,
      );
    }
  }
}

type BlockStart = { readonly revision: number; readonly sub: number; readonly atBytes: number };

function readEntry(page: Page, slot: number): BlockEntry {
  const key = page.keyAt(slot);
  const at = page.imageAt(slot);
  return {
    revision: getU48(key, 0),
    sub: getU32(key, 6),
    sizeBytes: getU32(page.bytes, at + sizeAt),
    deadBytes: getU32(page.bytes, at + deadAt),
  };
}

function isAtOrAfter(revision: number, sub: number, than: number, thanSub: number): boolean {
  return revision > than || (revision === than && sub >= thanSub);
}

/** A block's name in the cache: cheap for the usual block, which begins with a revision. */
function blockName(revision: number, sub: number): number | string {
  return sub === 0 ? revision : `${revision}.${sub}`;
}
