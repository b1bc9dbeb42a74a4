// Opening a store from an engine's records: meta, the directory's group records, and redo.
//
// Pages on disk lag behind history. Events after `redoRevision` are applied to them *physically*:
// each event says what the key's entry became, and is passed over where the page's group is good
// beyond it. So afterwards all pages show the revision of the meta, whatever mix of ages they had,
// and commands after it can run. Nothing else is read: a start costs the directory and the redo.
//
// The caller, who may await, follows these steps (src/node/open-store.ts does):
//   1. new Recovery(config, value of storeMetaKey or undefined)
//   2. addGroups(rows) with all rows of `groupRange`, in pieces
//   3. addBlocks(rows) with all rows of `redoRange()`, in pieces, in order; after each piece
//      `step()`, which throws MissingRecords until all it needs has been given to `load`
//   4. finish(), likewise
//
// The redo range was never compacted, so a gap in it is a loss, and refused.

import { assert, CorruptionError, noLease } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import type { Row } from "../storage/engine.ts";
import { decodeMeta } from "./checkpoint.ts";
import type { Store } from "./contract.ts";
import { decodeGroupHeader } from "./directory.ts";
import type { Group } from "./directory.ts";
import { HistoryBlock } from "./history-block.ts";
import { keyImageBytesMax } from "./key-entry.ts";
import type { PageTree } from "./page-tree.ts";
import { describeRecord, historyRange, parseRecordKey } from "./record-keys.ts";
import { attachmentKey, emptyMeta, StoreState } from "./state.ts";
import type { StoreConfig, StoreMeta } from "./state.ts";
import { loadRecords, MvccStore } from "./store.ts";
import { attachmentImage, detach } from "./transaction.ts";

export class Recovery {
  readonly #config: StoreConfig;
  readonly #meta: StoreMeta;
  readonly #groups: Group[] = [];
  #state: StoreState | undefined;
  /** Blocks given and not yet worked through; the next event is `#index` of the first. */
  #blocks: HistoryBlock[] = [];
  #index = 0;
  #current: HistoryBlock | undefined;
  /** The last block worked through; whether it is the tail shows when no other follows. */
  #held: HistoryBlock | undefined;
  #revision: number;
  #sub = -1;
  readonly #image = new Uint8Array(keyImageBytesMax);

  constructor(config: StoreConfig, meta: Uint8Array | undefined) {
    this.#config = config;
    this.#meta = meta === undefined ? emptyMeta : decodeMeta(meta);
    this.#revision = this.#meta.redoRevision;
  }

  addGroups(rows: readonly Row[]): void {
    for (const [key, value] of rows) {
      const name = parseRecordKey(key);
      if (name.kind !== "group") {
        throw new CorruptionError(`${describeRecord(key)} is no page group`);
      }
      this.#groups.push(decodeGroupHeader(name.tree, name.group, value));
    }
  }

  /** Where history is to be read for the redo. */
  redoRange(): { readonly from: Uint8Array; readonly to: Uint8Array } {
    const { revision, sub } = this.#meta.redoStart;
    return historyRange(revision, sub);
  }

  addBlocks(rows: readonly Row[]): void {
    for (const [key, value] of rows) {
      const name = parseRecordKey(key);
      const described = describeRecord(key);
      const block = HistoryBlock.parse(value, described);
      if (
        name.kind !== "block" ||
        name.revision !== block.firstRevision ||
        name.sub !== block.firstSub
      ) {
        throw new CorruptionError(`${described} holds other events`);
      }
      this.#blocks.push(block);
    }
  }

  load(
    records: readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[],
  ): void {
    loadRecords(this.#opened(), records);
  }

  /** Works through the blocks given. Throws MissingRecords; goes on where it stopped. */
  step(): void {
    const state = this.#opened();
    state.history.tree.pinLast();
    for (;;) {
      const block = this.#blocks[0];
      if (block === undefined) {
        return;
      }
      if (this.#current !== block) {
        this.#indexHeld();
        state.history.starts.note(block);
        state.history.starts.endBytes += block.end;
        this.#current = block;
      }
      while (this.#index < block.count) {
        this.#redo(block, this.#index);
        this.#index++;
      }
      this.#held = block;
      this.#blocks.shift();
      this.#index = 0;
    }
  }

  /** The store, when all has been given. Throws MissingRecords. */
  finish(): Store {
    this.step();
    const state = this.#opened();
    const { history } = state;
    const last = this.#held;
    // The newest revision is never compacted, so its block is always among those read.
    const end = last?.lastRevision ?? emptyMeta.revision;
    if (end !== this.#meta.revision) {
      throw new CorruptionError(`history ends at revision ${end}, not ${this.#meta.revision}`);
    }
    if (last !== undefined && !this.#isIndexed(last)) {
      history.tail = last.reopen(this.#config.blockSizeBytesTarget);
    }
    state.pager.revision = state.revision;
    history.appendedBytes = 0;
    return new MvccStore(state);
  }

  #opened(): StoreState {
    this.#state ??= new StoreState(this.#config, this.#meta, this.#groups);
    return this.#state;
  }

  #isIndexed(block: HistoryBlock): boolean {
    const entry = this.#opened().history.floorEntry(block.firstRevision, block.firstSub);
    return entry?.revision === block.firstRevision && entry.sub === block.firstSub;
  }

  /** A block that another follows is sealed: the tree must know it. */
  #indexHeld(): void {
    const held = this.#held;
    if (held !== undefined && !this.#isIndexed(held)) {
      this.#opened().history.setEntry({
        revision: held.firstRevision,
        sub: held.firstSub,
        sizeBytes: held.recordBytes,
        deadBytes: 0,
      });
    }
    this.#held = undefined;
  }

  #redo(block: HistoryBlock, index: number): void {
    const state = this.#opened();
    const { head, pair, pager } = state;
    head.read(block, index);
    if (head.revision <= this.#meta.redoRevision) {
      return;
    }
    pair.read(block.bytes, head.fieldStart);
    const key = pair.key;
    const toKeys = needs(state.keys, key, head.revision);
    const from = attachment(head.previousLease, head.lease, key);
    const to = attachment(head.lease, head.previousLease, key);
    const detaches = from !== undefined && needs(state.leases, from, head.revision);
    const attaches = to !== undefined && needs(state.leases, to, head.revision);
    pager.throwIfMissing();
    // Nothing below can fail for want of a record.
    this.#checkOrder(head.revision, head.sub);
    pager.revision = head.revision - 1;
    if (toKeys) {
      this.#redoEntry(key, block.sizeAt(index));
    }
    if (detaches) {
      detach(state, from);
    }
    if (attaches) {
      const slot = state.leases.locate(to);
      if (slot < 0) {
        state.leases.set(slot, to, attachmentImage, 0);
      }
    }
  }

  #redoEntry(key: Uint8Array, size: number): void {
    const { keys, entry, head, pair } = this.#opened();
    const slot = keys.locate(key);
    if (slot >= 0) {
      entry.read(keys.page, slot);
    } else {
      entry.clear();
    }
    entry.deleted = head.deleted;
    entry.lease = head.lease;
    if (!head.deleted) {
      entry.create = pair.create;
      entry.version = pair.version;
    }
    entry.advance(head.depth, head.level, head.revision, head.sub, size);
    entry.write(this.#image);
    keys.set(slot, key, this.#image, head.revision);
  }

  #checkOrder(revision: number, sub: number): void {
    const follows =
      (revision === this.#revision && sub === this.#sub + 1) ||
      (revision === this.#revision + 1 && sub === 0);
    if (!follows || revision > this.#meta.revision) {
      throw new CorruptionError(
        `history has a gap: event ${revision}.${sub} follows ${this.#revision}.${this.#sub}`,
      );
    }
    this.#revision = revision;
    this.#sub = sub;
  }
}

/** The attachment that `lease` has and `other` has not, if any. */
function attachment(lease: LeaseId, other: LeaseId, key: Uint8Array): Uint8Array | undefined {
  return lease === noLease || lease === other ? undefined : attachmentKey(lease, key);
}

/** Whether an event must be applied to the page of `key`; wants the page then. */
function needs(tree: PageTree, key: Uint8Array, revision: number): boolean {
  const group = tree.groups[tree.findGroup(key)];
  assert(group !== undefined, "a tree has a group");
  if (group.goodRevision >= revision) {
    return false;
  }
  tree.isLoaded(key);
  return true;
}
