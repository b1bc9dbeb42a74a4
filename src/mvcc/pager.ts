// Which pages and groups are in memory, which of them are dirty, and which are wanted.
// Shared by the three page trees of a store.
//
// Reading and writing find out that something is missing before they change anything: they `want`
// its record and throw what `takeMissing` gives.

import { CorruptionError } from "../base/index.ts";
import { MissingRecords } from "./contract.ts";
import { decodeGroupRefs, groupStampOf } from "./directory.ts";
import type { Group, PageRef } from "./directory.ts";
import { Page } from "./page.ts";
import { describeRecord, groupKey, pageKey } from "./record-keys.ts";

/** What an object of a page in memory costs besides its buffer, bytes (measured, rounded up). */
const pageOverheadBytes = 400;
/** What one reference in memory costs, bytes. */
const refOverheadBytes = 250;
/** A record may come late, after it was written anew: so often it is asked for again. */
const mismatchesMax = 4;
/** Pages and groups looked at in one call, to find some that can be evicted. */
export const evictionLooksMax = 1024;
/** Records asked for in one throw: a long range gets what it needs in few rounds. */
const wantedMax = 2048;

export interface PagerLimits {
  /** A page is split when it is larger, bytes. */
  readonly pageSizeBytesMax: number;
  /** A group is split when it has more references. */
  readonly groupPagesMax: number;
}

export class Pager {
  readonly limits: PagerLimits;
  /** Ids are never used twice within what a checkpoint made durable. */
  nextPage = 1;
  nextGroup = 1;
  /** The revision whose state the pages show; a change after it makes them dirty since it. */
  revision = 1;
  /** While compaction marks: the revision from which its marks must be made again. */
  walk = Number.POSITIVE_INFINITY;
  /** Memory taken by pages and references, bytes. */
  memoryBytes = 0;
  dirtyBytes = 0;
  readonly dirtyGroups = new Set<Group>();
  /** Records of groups that no longer exist, to be deleted. */
  readonly removedGroups: Group[] = [];
  /** Groups in the checkpoint that is under way. */
  writingGroups: Group[] = [];
  /** Sizes of payloads by tree. */
  readonly payloadBytes = new Map<number, number>();
  #ring: PageRef[] = [];
  #loadedGroups = new Set<Group>();
  #hand = 0;
  #groups = new Map<number, Group>();
  #wanted = new Map<number | string, Uint8Array>();
  #wantedPages = new Map<number, PageRef>();

  constructor(limits: PagerLimits) {
    this.limits = limits;
  }

  /** Whether no more records can be asked for in this round. */
  get wantsEnough(): boolean {
    return this.#wanted.size >= wantedMax;
  }

  wantGroup(group: Group): void {
    const key = groupKey(group.tree, group.id);
    this.#wanted.set(`g${group.tree}/${group.id}`, key);
    this.#groups.set(groupNumber(group.tree, group.id), group);
  }

  wantPage(ref: PageRef): void {
    this.#wanted.set(ref.id, pageKey(ref.id));
    this.#wantedPages.set(ref.id, ref);
  }

  wantBlock(name: string, key: Uint8Array): void {
    this.#wanted.set(name, key);
  }

  /** What was wanted since the last call, or undefined. */
  takeMissing(): MissingRecords | undefined {
    if (this.#wanted.size === 0) {
      return undefined;
    }
    const missing = new MissingRecords([...this.#wanted.values()]);
    this.#wanted.clear();
    return missing;
  }

  /** Throws if anything is wanted. */
  throwIfMissing(): void {
    if (this.#wanted.size > 0) {
      throw this.takeMissing() as MissingRecords;
    }
  }

  loadGroup(tree: number, id: number, record: Uint8Array | undefined): void {
    const group = this.#groups.get(groupNumber(tree, id));
    if (group === undefined || group.refs !== undefined) {
      return;
    }
    const name = groupKey(tree, id);
    if (!isExpected(group, record, record === undefined ? -1 : groupStampOf(record), name)) {
      return;
    }
    group.refs = decodeGroupRefs(group, record as Uint8Array);
    group.mismatches = 0;
    group.touched = true;
    this.memoryBytes += group.refs.length * refOverheadBytes;
    this.#loadedGroups.add(group);
    this.#groups.delete(groupNumber(tree, id));
  }

  loadPage(id: number, record: Uint8Array | undefined): void {
    const ref = this.#wantedPages.get(id);
    if (ref === undefined) {
      return;
    }
    if (ref.page !== undefined || ref.stamp === 0 || !(ref.group.refs?.includes(ref) ?? false)) {
      this.#wantedPages.delete(id);
      return;
    }
    const key = pageKey(id);
    if (!isExpected(ref, record, record === undefined ? -1 : Page.stampOf(record), key)) {
      return;
    }
    const payloadBytes = this.payloadBytes.get(ref.group.tree) as number;
    const page = Page.parse(record as Uint8Array, payloadBytes, describeRecord(key));
    if (page.count !== ref.total || page.visible !== ref.visible) {
      throw new CorruptionError(`${describeRecord(key)} is not what its group says`);
    }
    this.#wantedPages.delete(id);
    ref.mismatches = 0;
    this.enter(ref, page);
    ref.group.loadedPages++;
  }

  /** Counts `page` among those in memory. */
  enter(ref: PageRef, page: Page): void {
    ref.page = page;
    ref.ring = this.#ring.length;
    this.#ring.push(ref);
    this.memoryBytes += page.bytes.length + pageOverheadBytes;
  }

  /** The reverse of `enter`. */
  leave(ref: PageRef): void {
    const page = ref.page as Page;
    const last = this.#ring.pop() as PageRef;
    if (last !== ref) {
      this.#ring[ref.ring] = last;
      last.ring = ref.ring;
    }
    ref.page = undefined;
    ref.ring = -1;
    this.memoryBytes -= page.bytes.length + pageOverheadBytes;
    if (page.dirty) {
      this.dirtyBytes -= page.bytes.length;
    }
  }

  /** A page's buffer was replaced by one of another size. */
  resized(page: Page, oldBytes: number): void {
    const grown = page.bytes.length - oldBytes;
    this.memoryBytes += grown;
    if (page.dirty) {
      this.dirtyBytes += grown;
    }
  }

  refsChanged(difference: number): void {
    this.memoryBytes += difference * refOverheadBytes;
  }

  /** The page is about to differ, or differs, from what is on disk. */
  markDirty(group: Group, page: Page): void {
    if (!page.dirty) {
      page.dirty = true;
      this.dirtyBytes += page.bytes.length;
    }
    if (group.dirtySince > this.revision) {
      this.markGroupDirty(group, this.revision);
    }
    if (this.walk < group.dirtyWalk) {
      group.dirtyWalk = this.walk;
    }
  }

  markGroupDirty(group: Group, since: number): void {
    group.dirtySince = Math.min(group.dirtySince, since);
    this.dirtyGroups.add(group);
  }

  markClean(page: Page): void {
    if (page.dirty) {
      page.dirty = false;
      this.dirtyBytes -= page.bytes.length;
    }
  }

  /**
   * Evicts clean pages that were not touched lately until `goalBytes` are in memory (second
   * chance: a touched page is passed over once). Looks at so many pages and no more, since it is
   * called after every batch; the next call goes on.
   */
  evict(goalBytes: number): void {
    let looks = Math.min(this.#ring.length * 2, evictionLooksMax);
    while (this.memoryBytes > goalBytes && looks-- > 0 && this.#ring.length > 0) {
      if (this.#hand >= this.#ring.length) {
        this.#hand = 0;
      }
      const ref = this.#ring[this.#hand] as PageRef;
      const page = ref.page as Page;
      if (page.dirty || ref.group.writing || page.pinned) {
        this.#hand++;
      } else if (page.touched) {
        page.touched = false;
        this.#hand++;
      } else {
        this.leave(ref);
        ref.group.loadedPages--;
      }
    }
    let groups = Math.min(this.#loadedGroups.size, evictionLooksMax);
    for (const group of this.#loadedGroups) {
      if (this.memoryBytes <= goalBytes || groups-- <= 0) {
        return;
      }
      this.#evictGroup(group);
    }
  }

  /** A group made in memory, whose references are there already. */
  addGroup(group: Group): void {
    this.#loadedGroups.add(group);
  }

  /** `upper` has taken pages of `group`: both records change, or neither. */
  splitGroup(group: Group, upper: Group): void {
    group.forced = true;
    upper.forced = true;
    if (upper.writing) {
      this.writingGroups.push(upper);
    }
  }

  dropGroup(group: Group): void {
    this.#loadedGroups.delete(group);
    this.dirtyGroups.delete(group);
    this.removedGroups.push(group);
  }

  #evictGroup(group: Group): void {
    this.#loadedGroups.delete(group);
    this.#loadedGroups.add(group);
    if (group.loadedPages > 0 || group.dirty || group.writing || group.stamp === 0) {
      return;
    }
    if (group.touched) {
      group.touched = false;
      return;
    }
    this.memoryBytes -= (group.refs?.length ?? 0) * refOverheadBytes;
    group.refs = undefined;
    group.refsChanged();
    this.#loadedGroups.delete(group);
  }
}

function groupNumber(tree: number, id: number): number {
  return tree * 2 ** 48 + id;
}

/**
 * Whether a loaded record is the version that memory refers to. Another one may come when it was
 * read before a checkpoint that has been written since; if it keeps coming, it is corrupt.
 */
function isExpected(
  item: { readonly stamp: number; mismatches: number },
  record: Uint8Array | undefined,
  stamp: number,
  key: Uint8Array,
): boolean {
  if (record !== undefined && stamp === item.stamp) {
    return true;
  }
  item.mismatches++;
  if (item.mismatches > mismatchesMax) {
    const what = record === undefined ? "is missing" : `has stamp ${stamp}, not ${item.stamp}`;
    throw new CorruptionError(`${describeRecord(key)} ${what}`);
  }
  return false;
}
