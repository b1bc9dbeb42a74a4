// Compaction: freeing what no read at or after the compacted revision C can see.
//
// What dies: every event that a newer one of its key, at a revision up to C, has replaced; and
// tombstones below C. At C itself nothing dies, so that a watcher may still begin there (etcd).
//
// 1. Walk: the events that C passed are read once, in order. The event that each one replaced is
//    marked dead: its bytes are added to the dead bytes of its block. A tombstone below C is
//    marked too, and its key's entry leaves the index. Work in proportion to changes.
// 2. Wait until the marks are on disk (a checkpoint is asked for).
// 3. Sweep: blocks of which half or more is dead are rewritten without their dead events, joined
//    with small neighbours, or deleted. The block tree counts such blocks, so they are found
//    without a search. Which events are dead is decided anew from the index, event by event.
//
// A crash repeats marks at most (then a block is looked at in vain); it never loses one, since the
// meta's `walked` stays below every mark that is not on disk. Blocks that redo or a repeated walk
// would read are not swept. All changes of a sweep go into one checkpoint with its groups.

import { assert } from "../base/index.ts";
import type { Revision } from "../base/index.ts";
import type { BlockEntry } from "./block-entry.ts";
import { HistoryBlock } from "./history-block.ts";
import { setU32, setU48 } from "./numbers.ts";
import { findHidden } from "./page-walk.ts";
import { survives } from "./range.ts";
import type { StoreState } from "./state.ts";

/** Blocks walked or swept in one step: some tenths of a millisecond. */
const stepBlocks = 8;
/** Neighbours joined with a swept block on either side. */
const joinedBlocksMax = 8;

interface Mark {
  readonly revision: number;
  readonly sub: number;
  readonly bytes: number;
}

interface Tombstone {
  readonly key: Uint8Array;
  readonly revision: number;
  readonly sub: number;
}

export class Compactor {
  readonly #state: StoreState;
  /** Where the walk goes on. */
  #revision: number;
  #sub = 0;
  /**
   * What events before this position replaced has been marked. It may lie ahead of the walk: the
   * events of the last compacted revision are looked at again when compaction moves on, since only
   * then their tombstones die.
   */
  #markedRevision: number;
  #markedSub = 0;
  /** Where the sweep goes on: a key of the block tree; undefined when it is over. */
  #sweepFrom: Uint8Array | undefined = new Uint8Array(0);

  constructor(state: StoreState) {
    this.#state = state;
    this.#revision = state.walked;
    this.#markedRevision = state.walked + 1;
  }

  get pending(): boolean {
    const { walked, compacted, history } = this.#state;
    if (walked < compacted) {
      return true;
    }
    const { visible, total } = history.tree;
    return this.#sweepFrom !== undefined && visible < total;
  }

  begin(revision: Revision): void {
    const state = this.#state;
    assert(revision > state.compacted || revision === 0, "compaction does not go back");
    if (this.#revision === state.compacted) {
      this.#sub = 0;
    }
    state.compacted = Math.max(state.compacted, revision);
    this.#sweepFrom = new Uint8Array(0);
  }

  /** Some blocks' worth of work. */
  step(): boolean {
    for (let block = 0; block < stepBlocks; block++) {
      if (!this.#stepBlock()) {
        return false;
      }
    }
    return true;
  }

  #stepBlock(): boolean {
    const state = this.#state;
    if (!this.pending) {
      return false;
    }
    if (state.walked < state.compacted) {
      return this.#walk();
    }
    const { redoRevision, walked } = state.durable;
    if (walked < state.compacted || redoRevision < state.compacted) {
      state.flushBefore = state.compacted;
      state.checkpointWanted = true;
      return false;
    }
    return this.#sweep();
  }

  /** Marks what the next block's events replaced. */
  #walk(): boolean {
    const state = this.#state;
    const { history, compacted } = state;
    const block = history.blockFrom(this.#revision, this.#sub);
    if (block === undefined || block.firstRevision > compacted) {
      this.#walkedAll();
      return true;
    }
    if (!history.isIndexed(block)) {
      // Marks are kept in the block tree, which gets to know a block at a checkpoint.
      state.walkNeedsTail = block === history.tail;
      state.checkpointWanted = true;
      return false;
    }
    const marks: Mark[] = [];
    const tombstones: Tombstone[] = [];
    let index = block.lowerBound(this.#revision, this.#sub);
    while (index < block.count && block.revisionAt(index) <= compacted) {
      this.#judge(block, index, marks, tombstones);
      index++;
    }
    this.#need(marks, tombstones);
    state.pager.walk = state.walked;
    this.#mark(marks);
    this.#dropTombstones(tombstones);
    state.pager.walk = Number.POSITIVE_INFINITY;
    if (index < block.count) {
      this.#walkedAll();
    } else {
      this.#revision = block.lastRevision;
      this.#sub = block.lastSub + 1;
      this.#noteMarked(this.#revision, this.#sub);
      state.walked = Math.max(state.walked, block.lastRevision - 1);
    }
    return true;
  }

  #walkedAll(): void {
    this.#state.walked = this.#state.compacted;
    this.#revision = this.#state.compacted;
    this.#sub = 0;
    this.#noteMarked(this.#state.compacted + 1, 0);
  }

  #noteMarked(revision: number, sub: number): void {
    if (revision > this.#markedRevision) {
      this.#markedRevision = revision;
      this.#markedSub = sub;
    } else if (revision === this.#markedRevision) {
      this.#markedSub = Math.max(this.#markedSub, sub);
    }
  }

  #isMarked(revision: number, sub: number): boolean {
    return (
      revision < this.#markedRevision ||
      (revision === this.#markedRevision && sub < this.#markedSub)
    );
  }

  /** What an event that compaction passes makes dead. */
  #judge(block: HistoryBlock, index: number, marks: Mark[], tombstones: Tombstone[]): void {
    const { head, pair, compacted } = this.#state;
    head.read(block, index);
    const { revision, sub, previousRevision, previousSub, previousSize } = head;
    // A tombstone is marked for its own sake, below; a creating put replaces nothing else.
    if (!head.created && previousRevision !== 0) {
      const within = previousRevision === revision;
      if (within ? revision < compacted : !this.#isMarked(revision, sub)) {
        marks.push({ revision: previousRevision, sub: previousSub, bytes: previousSize });
      }
    }
    if (head.deleted && revision < compacted) {
      marks.push({ revision, sub, bytes: block.sizeAt(index) });
      pair.read(block.bytes, head.fieldStart);
      tombstones.push({ key: pair.key, revision, sub });
    }
  }

  #need(marks: readonly Mark[], tombstones: readonly Tombstone[]): void {
    const { history, keys, pager } = this.#state;
    for (const mark of marks) {
      history.tree.floor(positionKey(mark.revision, mark.sub));
    }
    for (const tombstone of tombstones) {
      keys.isLoaded(tombstone.key);
    }
    pager.throwIfMissing();
  }

  #mark(marks: readonly Mark[]): void {
    const { history } = this.#state;
    for (const mark of marks) {
      const entry = history.floorEntry(mark.revision, mark.sub);
      if (entry !== undefined) {
        const deadBytes = Math.min(entry.deadBytes + mark.bytes, entry.sizeBytes);
        history.setEntry({ ...entry, deadBytes });
      }
    }
  }

  #dropTombstones(tombstones: readonly Tombstone[]): void {
    const { keys, entry } = this.#state;
    for (const tombstone of tombstones) {
      const slot = keys.locate(tombstone.key);
      if (slot < 0) {
        continue;
      }
      entry.read(keys.page, slot);
      if (entry.mod === tombstone.revision && entry.sub === tombstone.sub) {
        keys.remove(slot);
      }
    }
  }

  /** Rewrites the next block that is mostly dead. */
  #sweep(): boolean {
    const { history } = this.#state;
    const key = findHidden(history.tree, this.#sweepFrom ?? new Uint8Array(0));
    if (key === undefined) {
      this.#sweepFrom = undefined;
      return false;
    }
    const entry = history.entryAt(key);
    const block = this.#blockOf(entry);
    if (this.#isSettled(block)) {
      const alive = this.#alive(block);
      this.#rewrite(entry, block, alive);
    }
    this.#sweepFrom = positionKey(entry.revision, entry.sub + 1);
    return true;
  }

  #blockOf(entry: BlockEntry): HistoryBlock {
    const block = this.#state.history.cached(entry);
    this.#state.pager.throwIfMissing();
    return block as HistoryBlock;
  }

  /** Whether neither redo nor a repeated walk would read the block. */
  #isSettled(block: HistoryBlock): boolean {
    const { redoRevision, walked } = this.#state.durable;
    return block.lastRevision <= redoRevision && block.lastRevision < walked;
  }

  /** Indexes of the events that are not dead. */
  #alive(block: HistoryBlock): number[] {
    const state = this.#state;
    const { keys, pair, pager, compacted } = state;
    for (let i = 0; i < block.count; i++) {
      pair.read(block.bytes, block.fieldAt(i));
      keys.isLoaded(pair.key);
    }
    pager.throwIfMissing();
    const alive: number[] = [];
    for (let i = 0; i < block.count; i++) {
      if (block.revisionAt(i) >= compacted || (!block.isDeleteAt(i) && survives(state, block, i))) {
        alive.push(i);
      }
    }
    return alive;
  }

  #rewrite(entry: BlockEntry, block: HistoryBlock, alive: readonly number[]): void {
    const { history, config } = this.#state;
    const goal = config.blockSizeBytesTarget;
    const parts = [{ entry, block, alive }];
    let size = sizeOf(block, alive);
    const tryJoin = (neighbour: BlockEntry | undefined): boolean => {
      const left = neighbour === undefined ? 0 : neighbour.sizeBytes - neighbour.deadBytes;
      if (alive.length === 0 || neighbour === undefined || size + left > goal) {
        return false;
      }
      const other = this.#blockOf(neighbour);
      if (!this.#isSettled(other) || parts.length > joinedBlocksMax) {
        return false;
      }
      const otherAlive = this.#alive(other);
      size += sizeOf(other, otherAlive);
      parts.push({ entry: neighbour, block: other, alive: otherAlive });
      return true;
    };
    let before = history.entryBefore(entry.revision, entry.sub);
    while (tryJoin(before)) {
      const at = before as BlockEntry;
      before = history.entryBefore(at.revision, at.sub);
    }
    let after = history.entriesFrom(entry.revision, entry.sub + 1, 1)[0];
    while (tryJoin(after)) {
      const at = after as BlockEntry;
      after = history.entriesFrom(at.revision, at.sub + 1, 1)[0];
    }
    parts.sort((a, b) => a.entry.revision - b.entry.revision || a.entry.sub - b.entry.sub);
    const joined = HistoryBlock.make(size + 64, 0);
    for (const part of parts) {
      this.#state.compactedVersions += part.block.count - part.alive.length;
      for (const index of part.alive) {
        joined.appendFrom(part.block, index);
      }
    }
    history.replaceBlocks(
      parts.map((part) => part.entry),
      joined.count === 0 ? undefined : joined,
    );
  }
}

function sizeOf(block: HistoryBlock, alive: readonly number[]): number {
  let sum = 0;
  for (const index of alive) {
    sum += block.sizeAt(index);
  }
  return sum;
}

function positionKey(revision: number, sub: number): Uint8Array {
  const key = new Uint8Array(10);
  setU48(key, 0, revision);
  setU32(key, 6, sub);
  return key;
}
