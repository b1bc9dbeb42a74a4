// What a store is made of; the modules beside this file are its operations.

import { compareBytes, CorruptionError } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import { blockLayout } from "./block-entry.ts";
import { History } from "./history.ts";
import { EventHead } from "./history-block.ts";
import { KeyEntry, keyLayout, leaseLayout } from "./key-entry.ts";
import { setLease } from "./numbers.ts";
import { PageTree } from "./page-tree.ts";
import { Pager } from "./pager.ts";
import type { Group } from "./directory.ts";
import { PairReader } from "./key-value-codec.ts";

export interface StoreConfig {
  /**
   * Memory for pages, directory and cached blocks, bytes. Dirty pages take at most about half of
   * it before they are written back, cached blocks at least a quarter, clean pages the rest.
   */
  readonly memoryBudgetBytes: number;
  /** A page is split when it grows larger. */
  readonly pageSizeBytesMax: number;
  /** A history block is sealed when it would grow larger. */
  readonly blockSizeBytesTarget: number;
  /** A page group is split when it has more pages. */
  readonly groupPagesMax: number;
  /** Events since the oldest change not written back, bytes: bounds the redo of a restart. */
  readonly redoSizeBytesMax: number;
}

export const storeConfigDefault: StoreConfig = {
  memoryBudgetBytes: 256 * 1024 * 1024,
  pageSizeBytesMax: 8 * 1024,
  blockSizeBytesTarget: 8 * 1024,
  groupPagesMax: 128,
  redoSizeBytesMax: 64 * 1024 * 1024,
};

/** Meta as a checkpoint makes it durable. */
export interface StoreMeta {
  readonly revision: number;
  readonly compacted: number;
  /** Every event up to it is in the pages as written. */
  readonly redoRevision: number;
  /** First position of the block where reading begins in redo. */
  readonly redoStart: { readonly revision: number; readonly sub: number };
  /** Compaction has walked the events up to this revision, and its marks are written. */
  readonly walked: number;
  readonly nextPage: number;
  readonly nextGroup: number;
  /** Number of the checkpoint. */
  readonly stamp: number;
}

export const emptyMeta: StoreMeta = {
  revision: 1,
  compacted: 0,
  redoRevision: 1,
  redoStart: { revision: 2, sub: 0 },
  walked: 0,
  nextPage: 1,
  nextGroup: 1,
  stamp: 0,
};

export class StoreState {
  readonly config: StoreConfig;
  readonly pager: Pager;
  readonly keys: PageTree;
  readonly leases: PageTree;
  readonly history: History;
  revision: number;
  compacted: number;
  /** The newest revision that reads may see: inside a transaction that wrote, its own. */
  visibleRevision: number;
  /** Compaction has walked the events up to here. */
  walked: number;
  stamp: number;
  /** Totals since the store was opened. */
  putBytes = 0;
  compactedVersions = 0;
  /** Compaction waits for a checkpoint, and for the tail to be sealed in it. */
  checkpointWanted = false;
  walkNeedsTail = false;
  /** Groups dirty since before this revision are to be written, for compaction's sake. */
  flushBefore = 0;
  /** Bounds as the last finished checkpoint left them; see compaction.ts. */
  durable: { readonly redoRevision: number; readonly walked: number };
  /** Scratch, for one operation at a time. */
  readonly entry = new KeyEntry();
  readonly head = new EventHead();
  readonly pair = new PairReader();

  constructor(config: StoreConfig, meta: StoreMeta, groups: readonly Group[]) {
    this.config = config;
    this.pager = new Pager(config);
    this.pager.nextPage = meta.nextPage;
    this.pager.nextGroup = meta.nextGroup;
    this.pager.revision = meta.redoRevision;
    const of = (tree: number): Group[] =>
      groups
        .filter((group) => group.tree === tree)
        .toSorted((a, b) => compareBytes(a.firstKey, b.firstKey));
    this.keys = new PageTree(keyLayout, this.pager, of(keyLayout.id));
    this.leases = new PageTree(leaseLayout, this.pager, of(leaseLayout.id));
    this.history = new History(this.pager, of(blockLayout.id), config.blockSizeBytesTarget);
    this.revision = meta.revision;
    this.visibleRevision = meta.revision;
    this.compacted = meta.compacted;
    this.walked = meta.walked;
    this.stamp = meta.stamp;
    this.durable = { redoRevision: meta.redoRevision, walked: meta.walked };
  }

  treeOf(id: number): PageTree {
    const { keys, leases, history } = this;
    return id === keyLayout.id ? keys : id === leaseLayout.id ? leases : history.tree;
  }

  /** `history.find` of an event that a page or another event points to. */
  mustFind(revision: number, sub: number): void {
    if (!this.history.find(revision, sub)) {
      throw new CorruptionError(`event ${revision}.${sub} is missing from history`);
    }
  }
}

/** Key of a lease attachment. */
export function attachmentKey(lease: LeaseId, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + key.length);
  setLease(bytes, 0, lease);
  bytes.set(key, 8);
  return bytes;
}
