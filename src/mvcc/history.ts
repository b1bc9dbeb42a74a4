// History: every event in order, in blocks.
//
// The newest blocks are here whole: the tail, which is being filled, and sealed ones that no
// checkpoint has made durable. Older ones are in the engine; the block tree knows each by the
// position of its first event, with its size and how much of it is dead, and a cache holds some.
// A block in the engine is right only if its length is the size that the tree says.

import { CorruptionError } from "../base/index.ts";
import { BlockCache, blockName } from "./block-cache.ts";
import { blockLayout, blockSizeAt, readBlockEntry, writeBlockImage } from "./block-entry.ts";
import type { BlockEntry } from "./block-entry.ts";
import { BlockStarts } from "./block-starts.ts";
import type { Group } from "./directory.ts";
import { HistoryBlock, measureBody } from "./history-block.ts";
import type { EventDraft } from "./history-block.ts";
import { getU32, getU48, setU32, setU48 } from "./numbers.ts";
import { visitEntries } from "./page-walk.ts";
import type { Page } from "./page.ts";
import { PageTree } from "./page-tree.ts";
import type { Pager } from "./pager.ts";
import { blockKey, describeRecord } from "./record-keys.ts";

/** Blocks asked for ahead when history is read in order. */
const readAheadBlocks = 16;

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

export class History {
  readonly tree: PageTree;
  readonly pager: Pager;
  readonly #blockBytes: number;
  tail: HistoryBlock;
  /** Sealed blocks that are not durable, oldest first. */
  pending: HistoryBlock[] = [];
  /** Of those, how many are in the tree. */
  #inTree = 0;
  /** Bytes of the others. */
  #sealedBytes = 0;
  /** What the last `find` found. */
  block: HistoryBlock;
  index = 0;
  bodyBytes = 0;
  /** Bytes appended since the last checkpoint. */
  appendedBytes = 0;
  readonly starts = new BlockStarts();
  readonly cache = new BlockCache();
  /** Blocks that compaction wrote and that are not durable: found as cached ones, never evicted. */
  #held = new Map<number | string, HistoryBlock>();
  /** Of those and the blocks they replaced, what the next checkpoint must write or delete. */
  #rewrites = new Map<number | string, BlockRewrite>();
  readonly #key = new Uint8Array(10);
  readonly #image = new Uint8Array(1 + blockLayout.payloadBytes);

  constructor(pager: Pager, groups: Group[], blockBytes: number) {
    this.pager = pager;
    this.tree = new PageTree(blockLayout, pager, groups);
    this.#blockBytes = blockBytes;
    this.tail = HistoryBlock.make(blockBytes, 0);
    this.block = this.tail;
  }

  /**
   * Appends an event; returns the bytes that it takes. `bodyBytes` of them, the last ones, are its
   * body.
   */
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
      this.starts.note(this.tail);
    }
    this.appendedBytes += size;
    this.starts.endBytes += size;
    return size;
  }

  /** Ends the tail block, if it has events, and begins one with room for `bodyBytes`. */
  sealTail(bodyBytes: number): void {
    if (this.tail.count > 0) {
      this.tail.seal();
      this.pending.push(this.tail);
      this.#sealedBytes += this.tail.recordBytes;
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
      starts: this.starts.count,
      appendedBytes: this.appendedBytes,
    };
  }

  rollback(mark: HistoryMark): void {
    for (const block of this.pending.splice(mark.pending)) {
      this.#sealedBytes -= block.recordBytes;
    }
    this.tail = mark.tail;
    this.tail.truncate(mark.count, mark.end, mark.offsets);
    this.starts.rollback(mark.starts, this.appendedBytes - mark.appendedBytes);
    this.appendedBytes = mark.appendedBytes;
  }

  /**
   * Finds the event at a position: "found", and `block` and `index` say where; "none" when there
   * is no such event (any more); "missing" when a record is, which is wanted then.
   */
  seek(revision: number, sub: number): SeekResult {
    let block = this.#inMemory(revision, sub);
    if (block !== undefined) {
      this.index = block.indexOf(revision, sub);
    } else {
      const slot = this.tree.floor(this.#keyOf(revision, sub));
      if (slot < 0) {
        return slot === -1 ? "none" : "missing";
      }
      block = this.#findAt(this.tree.page, slot, revision, sub);
      if (block === undefined) {
        return "missing";
      }
    }
    this.block = block;
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
    return slot < 0 ? undefined : readBlockEntry(this.tree.page, slot);
  }

  /** Up to `max` entries at or after a position. Throws when it misses pages. */
  entriesFrom(revision: number, sub: number, max: number): BlockEntry[] {
    const entries: BlockEntry[] = [];
    visitEntries(
      this.tree,
      this.#keyOf(revision, sub),
      undefined,
      (page, from, to) => {
        for (let slot = from; slot < to && entries.length < max; slot++) {
          entries.push(readBlockEntry(page, slot));
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
    return sub > 0
      ? this.floorEntry(revision, sub - 1)
      : this.floorEntry(revision - 1, 0xffff_ffff);
  }

  /** The cached block of an entry; if it is not there it is wanted. */
  cached(entry: BlockEntry): HistoryBlock | undefined {
    const { revision, sub, sizeBytes } = entry;
    const name = blockName(revision, sub);
    const unwritten = this.#held.get(name) ?? this.#pendingAt(revision, sub);
    const block = unwritten ?? this.cache.get(name, sizeBytes);
    if (block === undefined) {
      this.pager.wantBlock(`b${name}`, blockKey(revision, sub));
    }
    return block;
  }

  /** Installs a record loaded for a block; undefined = the engine has none. */
  load(revision: number, sub: number, record: Uint8Array | undefined): void {
    const name = blockName(revision, sub);
    if (this.cache.has(name)) {
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
    this.cache.enter(block);
  }

  /** Whether the block tree knows a block (the newest ones get there with a checkpoint). */
  isIndexed(block: HistoryBlock): boolean {
    return block !== this.tail && this.pending.indexOf(block, this.#inTree) < 0;
  }

  /** The entry whose key in the block tree is given. */
  entryAt(key: Uint8Array): BlockEntry {
    const slot = this.tree.locate(key);
    return readBlockEntry(this.tree.page, slot);
  }

  /** Puts `joined` in the place of some adjacent blocks; undefined = nothing is left of them. */
  replaceBlocks(entries: readonly BlockEntry[], joined: HistoryBlock | undefined): void {
    for (const { revision, sub } of entries) {
      const slot = this.tree.locate(this.#keyOf(revision, sub));
      this.tree.group.forced = true;
      this.tree.remove(slot);
      const name = blockName(revision, sub);
      this.cache.drop(name);
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
        this.cache.enter(block);
      }
    }
  }

  /** Bytes of blocks that the block tree does not know yet. */
  get unindexedBytes(): number {
    return this.#sealedBytes + (this.tail.count > 0 ? this.tail.recordBytes : 0);
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
    this.#sealedBytes = 0;
  }

  /** The first `count` pending blocks are durable. */
  settle(count: number): void {
    for (const block of this.pending.splice(0, count)) {
      this.cache.enter(block);
    }
    this.#inTree -= count;
  }

  /** Writes an entry of the block tree. The page must be in memory. */
  setEntry(entry: BlockEntry): void {
    const key = this.#keyOf(entry.revision, entry.sub);
    const image = this.#image;
    writeBlockImage(image, entry);
    const slot = this.tree.locate(key);
    const revision = this.pager.revision;
    if (slot < 0) {
      this.pager.revision = Math.min(revision, entry.revision - 1);
    }
    this.tree.set(slot, key, image, 0);
    this.pager.revision = revision;
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

  /**
   * The block of the entry at a slot of the block tree, whole or a part of it that has the event;
   * sets `index`. Wants it if it is missing; allocates nothing if it is there.
   */
  #findAt(page: Page, slot: number, revision: number, sub: number): HistoryBlock | undefined {
    page.copyKey(slot, this.#key);
    const name = blockName(getU48(this.#key, 0), getU32(this.#key, 6));
    const sizeBytes = blockSizeAt(page, slot);
    const found = this.cache.find(name, sizeBytes, revision, sub);
    if (found !== undefined) {
      this.index = this.cache.index;
      return found;
    }
    const block = this.cached(readBlockEntry(page, slot));
    this.index = block === undefined ? -1 : block.indexOf(revision, sub);
    return block;
  }

  /** The pending block that begins at a position. */
  #pendingAt(revision: number, sub: number): HistoryBlock | undefined {
    const block = this.#inMemory(revision, sub);
    const isIt = block?.firstRevision === revision && block.firstSub === sub;
    return isIt && block !== this.tail ? block : undefined;
  }

  #readAhead(revision: number, sub: number): void {
    let left = readAheadBlocks;
    visitEntries(
      this.tree,
      this.#keyOf(revision, sub),
      undefined,
      (page, from, to) => {
        for (let slot = from; slot < to && left > 0; slot++) {
          this.cached(readBlockEntry(page, slot));
          left--;
        }
        return left > 0;
      },
      () => false,
    );
  }
}

function isAtOrAfter(revision: number, sub: number, than: number, thanSub: number): boolean {
  return revision > than || (revision === than && sub >= thanSub);
}
