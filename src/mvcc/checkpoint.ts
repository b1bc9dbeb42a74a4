// Write-back: what each checkpoint takes along.
//
// Always: history blocks since the last one (the tail too, as far as it is filled), blocks that
// compaction rewrote, and the store's meta. By policy: groups with their dirty pages, the ones
// dirty for the longest first, while
//   - dirty pages take more than half of the memory budget, or
//   - redo would have to read more than the bound, or
//   - it would have to read half of that, and this checkpoint has not written its share: so much
//     that all dirty pages would be through by the time the other half is full; or
//   - compaction waits for its marks to be durable (a bounded share a checkpoint).
// So many updates of a page share one write, writes are spread evenly, and a restart has a bounded
// redo. The meta's `redoRevision` is the smallest revision since which a group is still dirty.

import { assert, CorruptionError } from "../base/index.ts";
import type { BatchOperation } from "../storage/engine.ts";
import type { Checkpoint } from "./contract.ts";
import { encodeGroup } from "./directory.ts";
import type { Group } from "./directory.ts";
import type { BlockRewrite } from "./history.ts";
import type { HistoryBlock } from "./history-block.ts";
import { putVarint, VarintReader, varintLength } from "./numbers.ts";
import { blockKey, groupKey, pageKey, storeMetaKey } from "./record-keys.ts";
import type { StoreMeta, StoreState } from "./state.ts";

const metaFormat = 1;

interface InFlight {
  readonly blocks: number;
  readonly rewrites: readonly BlockRewrite[];
  readonly redoRevision: number;
  readonly walked: number;
}

class Batch {
  readonly operations: BatchOperation[] = [];
  sizeBytes = 0;

  put(key: Uint8Array, value: Uint8Array): void {
    this.operations.push({ kind: "put", key, value });
    this.sizeBytes += key.length + value.length;
  }

  delete(key: Uint8Array): void {
    this.operations.push({ kind: "delete", key });
    this.sizeBytes += key.length;
  }
}

export class Checkpointer {
  readonly #state: StoreState;
  #inFlight: InFlight | undefined;
  /** The tail as last written. */
  #tail: HistoryBlock | undefined;
  #tailEnd = 0;

  constructor(state: StoreState) {
    this.#state = state;
    this.#tail = state.history.tail;
    this.#tailEnd = state.history.tail.end;
  }

  get pendingBytes(): number {
    const { history, checkpointWanted } = this.#state;
    return history.appendedBytes + (checkpointWanted || history.hasRewrites ? 1 : 0);
  }

  take(): Checkpoint {
    assert(this.#inFlight === undefined, "the last checkpoint is not done");
    const state = this.#state;
    const { history } = state;
    const batch = new Batch();
    state.stamp++;
    if (state.walkNeedsTail) {
      history.sealTail(0);
    }
    state.walkNeedsTail = false;
    state.checkpointWanted = false;
    this.#takeHistory(batch);
    const rewrites = this.#takeRewrites(batch);
    this.#takeGroups(batch);
    const { redoRevision, walked } = dirtyBounds(state);
    const meta: StoreMeta = {
      revision: state.revision,
      compacted: state.compacted,
      redoRevision,
      redoStart: history.starts.redoStart(redoRevision),
      walked,
      nextPage: state.pager.nextPage,
      nextGroup: state.pager.nextGroup,
      stamp: state.stamp,
    };
    batch.put(storeMetaKey, encodeMeta(meta));
    history.appendedBytes = 0;
    this.#inFlight = { blocks: history.pending.length, rewrites, redoRevision, walked };
    return { operations: batch.operations, sizeBytes: batch.sizeBytes };
  }

  done(): void {
    const inFlight = this.#inFlight;
    assert(inFlight !== undefined, "no checkpoint is out");
    this.#inFlight = undefined;
    const { history, pager } = this.#state;
    history.settle(inFlight.blocks);
    history.settleRewrites(inFlight.rewrites);
    for (const group of pager.writingGroups) {
      group.writing = false;
    }
    pager.writingGroups = [];
    this.#state.durable = { redoRevision: inFlight.redoRevision, walked: inFlight.walked };
  }

  #takeHistory(batch: Batch): void {
    const { history } = this.#state;
    history.indexSealed();
    for (const block of history.pending) {
      if (block === this.#tail && block.end === this.#tailEnd) {
        continue;
      }
      batch.put(blockKey(block.firstRevision, block.firstSub), block.record());
    }
    const tail = history.tail;
    if (tail.count > 0 && (tail !== this.#tail || tail.end !== this.#tailEnd)) {
      batch.put(blockKey(tail.firstRevision, tail.firstSub), tail.record());
    }
    this.#tail = tail;
    this.#tailEnd = tail.end;
  }

  #takeRewrites(batch: Batch): readonly BlockRewrite[] {
    const rewrites = this.#state.history.takeRewrites();
    for (const { key, block } of rewrites) {
      if (block === undefined) {
        batch.delete(key);
      } else {
        batch.put(key, block.record());
      }
    }
    return rewrites;
  }

  #takeGroups(batch: Batch): void {
    const { pager } = this.#state;
    const isDue = this.#policy(batch);
    const groups = [...pager.dirtyGroups].sort(
      (a, b) => a.dirtySince - b.dirtySince || a.id - b.id,
    );
    for (const group of groups) {
      if (isDue(group)) {
        this.#takeGroup(batch, group);
      }
    }
    for (const group of pager.removedGroups) {
      if (group.stamp > 0) {
        batch.delete(groupKey(group.tree, group.id));
      }
      deletePages(batch, group);
    }
    pager.removedGroups.length = 0;
  }

  #policy(batch: Batch): (group: Group) => boolean {
    const { pager, history, config, flushBefore } = this.#state;
    const { memoryBudgetBytes, redoSizeBytesMax } = config;
    const dirtyBytesMax = memoryBudgetBytes / 2;
    const half = redoSizeBytesMax / 2;
    const shareEnd = batch.sizeBytes + (history.appendedBytes * pager.dirtyBytes) / half;
    const flushEnd = batch.sizeBytes + (memoryBudgetBytes >> 4);
    return (group) => {
      const redoBytes = history.starts.bytesSince(group.dirtySince);
      return (
        group.forced ||
        pager.dirtyBytes > dirtyBytesMax ||
        redoBytes > redoSizeBytesMax ||
        (redoBytes > half && batch.sizeBytes < shareEnd) ||
        (Math.min(group.dirtySince, group.dirtyWalk) < flushBefore && batch.sizeBytes < flushEnd)
      );
    };
  }

  #takeGroup(batch: Batch, group: Group): void {
    const { pager, stamp } = this.#state;
    this.#state.treeOf(group.tree).dropEmptyPages(group);
    for (const ref of group.refs ?? []) {
      const page = ref.page;
      if (page?.dirty === true) {
        const oldBytes = page.bytes.length;
        batch.put(pageKey(ref.id), page.serialize(stamp));
        pager.resized(page, oldBytes);
        pager.markClean(page);
        ref.stamp = stamp;
      }
    }
    deletePages(batch, group);
    group.stamp = stamp;
    batch.put(groupKey(group.tree, group.id), encodeGroup(group, this.#state.revision));
    group.dirtySince = Number.POSITIVE_INFINITY;
    group.dirtyWalk = Number.POSITIVE_INFINITY;
    group.forced = false;
    pager.dirtyGroups.delete(group);
    if (!group.writing) {
      group.writing = true;
      pager.writingGroups.push(group);
    }
  }
}

function deletePages(batch: Batch, group: Group): void {
  for (const page of group.removedPages) {
    batch.delete(pageKey(page));
  }
  group.removedPages = [];
}

/** From where redo and compaction's marks must begin, for what is dirty now. */
function dirtyBounds(state: StoreState): {
  readonly redoRevision: number;
  readonly walked: number;
} {
  let redoRevision = state.revision;
  let walked = state.walked;
  for (const group of state.pager.dirtyGroups) {
    redoRevision = Math.min(redoRevision, group.dirtySince);
    walked = Math.min(walked, group.dirtyWalk);
  }
  return { redoRevision, walked };
}

export function encodeMeta(meta: StoreMeta): Uint8Array {
  const numbers = [
    meta.revision,
    meta.compacted,
    meta.redoRevision,
    meta.redoStart.revision,
    meta.redoStart.sub,
    meta.walked,
    meta.nextPage,
    meta.nextGroup,
    meta.stamp,
  ];
  let size = 1;
  for (const number of numbers) {
    size += varintLength(number);
  }
  const record = new Uint8Array(size);
  record[0] = metaFormat;
  let at = 1;
  for (const number of numbers) {
    at = putVarint(record, at, number);
  }
  return record;
}

export function decodeMeta(record: Uint8Array): StoreMeta {
  if (record[0] !== metaFormat) {
    throw new CorruptionError("store meta has an unknown form");
  }
  const reader = new VarintReader(record, 1);
  const meta: StoreMeta = {
    revision: reader.next(),
    compacted: reader.next(),
    redoRevision: reader.next(),
    redoStart: { revision: reader.next(), sub: reader.next() },
    walked: reader.next(),
    nextPage: reader.next(),
    nextGroup: reader.next(),
    stamp: reader.next(),
  };
  if (reader.at !== record.length) {
    throw new CorruptionError("store meta does not add up");
  }
  return meta;
}
