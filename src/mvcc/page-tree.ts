// A sorted map from byte keys to small fixed-size entries, paged: directory on top (directory.ts),
// pages below (page.ts), both loaded on demand and written back later.
//
// `locate` finds a key and leaves group, reference and page in the tree's own fields, so that the
// usual path allocates nothing; `set` and `remove` act on what the last `locate` found. Splits and
// merges are local to a group, and a group that splits or disappears is forced into the next
// checkpoint, so that the directory on disk is whole after every batch.

import { FirstKeys, Group, PageRef, separator } from "./directory.ts";
import { Page } from "./page.ts";
import type { Pager } from "./pager.ts";

export interface TreeLayout {
  /** Distinguishes the tree's records from those of other trees. */
  readonly id: number;
  readonly payloadBytes: number;
  /** What an entry counts for in `weight`. */
  readonly weigh: (page: Page, slot: number) => number;
  /**
   * The revision since which an entry has been visible, or hidden; 0 where counts at old revisions
   * are not asked for.
   */
  readonly revisionOf: (page: Page, slot: number) => number;
  /** Keeps the last page in memory. */
  readonly pinLast: boolean;
}

/** Where a page is cut when an entry was added at its end, as rising keys do. */
const appendSplitShare = 0.9;
/** First keys in one group, bytes: long keys make groups of fewer pages. */
const groupKeyBytesMax = 64 * 1024;

export class PageTree {
  readonly layout: TreeLayout;
  readonly pager: Pager;
  groups: Group[];
  /** Sums over all groups. */
  visible = 0;
  total = 0;
  weight = 0;
  /** What the last `locate` found. */
  group: Group;
  ref: PageRef;
  page: Page;
  #refIndex = 0;
  #index: FirstKeys | undefined;

  /** `groups` as read from the engine; empty makes a tree with one empty page. */
  constructor(layout: TreeLayout, pager: Pager, groups: Group[]) {
    this.layout = layout;
    this.pager = pager;
    this.groups = groups;
    for (const group of groups) {
      this.visible += group.visible;
      this.total += group.total;
      this.weight += group.weight;
    }
    pager.payloadBytes.set(layout.id, layout.payloadBytes);
    this.page = new Page(layout.payloadBytes, 64);
    const group = new Group(layout.id, 0, new Uint8Array(0));
    this.group = groups[0] ?? group;
    this.ref = new PageRef(0, group.firstKey, this.group);
    if (groups.length === 0) {
      this.#makeFirst();
    }
  }

  /**
   * Finds the page of `key` and the slot in it; negative as in Page.find. May throw
   * MissingRecords.
   */
  locate(key: Uint8Array): number {
    if (!this.#descend(key)) {
      this.pager.throwIfMissing();
    }
    return this.page.find(key);
  }

  /** Whether `locate` would succeed; if not, what it misses is wanted. */
  isLoaded(key: Uint8Array): boolean {
    return this.#descend(key);
  }

  /** Writes the image of the entry that `locate` found (slot >= 0), or adds one. */
  set(slot: number, key: Uint8Array, image: Uint8Array, revision: number): void {
    const { group, ref, page, layout } = this;
    const oldBytes = page.bytes.length;
    const oldVisible = page.visible;
    this.pager.markDirty(group, page);
    if (slot >= 0) {
      const oldWeight = layout.weigh(page, slot);
      page.replace(slot, image);
      const weight = layout.weigh(page, slot) - oldWeight;
      this.#add(page.visible - oldVisible, 0, weight);
    } else {
      const at = -1 - slot;
      page.insert(at, key, image);
      this.#add(page.visible - oldVisible, 1, layout.weigh(page, at));
    }
    if (page.visible !== oldVisible && revision > ref.newest) {
      ref.newest = revision;
      group.newest = Math.max(group.newest, revision);
    }
    if (page.bytes.length !== oldBytes) {
      this.pager.resized(page, oldBytes);
    }
    if (page.usedBytes > this.pager.limits.pageSizeBytesMax && page.count > 1) {
      const appended = slot === -page.count;
      this.#split(group, ref, appended ? appendSplitShare : 0.5);
      this.#splitGroupIfLarge(group);
    }
  }

  /** Removes the entry that `locate` found. */
  remove(slot: number): void {
    const { group, page } = this;
    this.pager.markDirty(group, page);
    const oldBytes = page.bytes.length;
    const oldVisible = page.visible;
    const weight = this.layout.weigh(page, slot);
    page.remove(slot);
    this.#add(page.visible - oldVisible, -1, -weight);
    this.pager.resized(page, oldBytes);
    if (page.count === 0) {
      this.#drop(group, this.#refIndex);
    } else if (page.usedBytes < this.pager.limits.pageSizeBytesMax >> 2) {
      this.#merge(group, this.#refIndex);
    }
  }

  /**
   * The entry with the greatest key not above `key`: its slot in `page`; -1 when there is none,
   * -2 when a page is missing, which is wanted then.
   */
  floor(key: Uint8Array): number {
    if (!this.#descend(key)) {
      return -2;
    }
    const slot = this.page.find(key);
    if (slot >= 0) {
      return slot;
    }
    return slot < -1 ? -2 - slot : this.#lastOfPrevious();
  }

  /** Loads the last page, where that is to stay in memory. May throw MissingRecords. */
  pinLast(): void {
    const group = this.groups[this.groups.length - 1] as Group;
    const refs = this.refsOf(group);
    const last = this.pageOf(refs[refs.length - 1] as PageRef);
    last.pinned = true;
  }

  /** Index of the group where `key` belongs. */
  findGroup(key: Uint8Array): number {
    this.#index ??= new FirstKeys(this.groups);
    return this.#index.find(key);
  }

  /** Counts a change of the page that the last `locate` found, on all levels. */
  #add(visible: number, total: number, weight: number): void {
    const { ref, group } = this;
    ref.visible += visible;
    ref.total += total;
    ref.weight += weight;
    group.visible += visible;
    group.total += total;
    group.weight += weight;
    this.visible += visible;
    this.total += total;
    this.weight += weight;
  }

  #descend(key: Uint8Array): boolean {
    const group = this.groups[this.findGroup(key)] as Group;
    const refs = group.refs;
    if (refs === undefined) {
      this.pager.wantGroup(group);
      return false;
    }
    group.touched = true;
    const index = group.find(key);
    const ref = refs[index] as PageRef;
    const page = ref.page;
    if (page === undefined) {
      this.pager.wantPage(ref);
      return false;
    }
    page.touched = true;
    this.group = group;
    this.ref = ref;
    this.page = page;
    this.#refIndex = index;
    return true;
  }

  /** The references of a group. Throws when they are missing. */
  refsOf(group: Group): PageRef[] {
    if (group.refs === undefined) {
      this.pager.wantGroup(group);
      this.pager.throwIfMissing();
    }
    group.touched = true;
    return group.refs as PageRef[];
  }

  /** The page of a reference. Throws when it is missing. */
  pageOf(ref: PageRef): Page {
    if (ref.page === undefined) {
      this.pager.wantPage(ref);
      this.pager.throwIfMissing();
    }
    const page = ref.page as Page;
    page.touched = true;
    return page;
  }

  #lastOfPrevious(): number {
    let g = this.#indexOf(this.group);
    let index = this.#refIndex - 1;
    for (;;) {
      if (index < 0) {
        g--;
        if (g < 0) {
          return -1;
        }
        const refs = (this.groups[g] as Group).refs;
        if (refs === undefined) {
          this.pager.wantGroup(this.groups[g] as Group);
          return -2;
        }
        index = refs.length - 1;
      }
      const group = this.groups[g] as Group;
      const ref = (group.refs as PageRef[])[index] as PageRef;
      if (ref.page === undefined) {
        this.pager.wantPage(ref);
        return -2;
      }
      if (ref.total > 0) {
        this.page = ref.page;
        this.page.touched = true;
        this.group = group;
        this.ref = ref;
        this.#refIndex = index;
        return this.page.count - 1;
      }
      index--;
    }
  }

  #indexOf(group: Group): number {
    return this.findGroup(group.firstKey);
  }

  #makeFirst(): void {
    const group = new Group(this.layout.id, this.pager.nextGroup++, new Uint8Array(0));
    const ref = new PageRef(this.pager.nextPage++, group.firstKey, group);
    group.refs = [ref];
    group.loadedPages = 1;
    this.groups.push(group);
    this.page.pinned = this.layout.pinLast;
    this.pager.addGroup(group);
    this.pager.refsChanged(1);
    this.pager.enter(ref, this.page);
    this.pager.markDirty(group, this.page);
    this.group = group;
    this.ref = ref;
  }

  #split(group: Group, ref: PageRef, share: number): void {
    const refs = group.refs as PageRef[];
    const page = ref.page as Page;
    const oldBytes = page.bytes.length;
    const slot = page.splitSlot(share);
    const below = page.keyAt(slot - 1);
    const upper = page.split(slot);
    this.pager.resized(page, oldBytes);
    const firstKey = separator(below, upper.keyAt(0));
    const upperRef = new PageRef(this.pager.nextPage++, firstKey, group);
    upper.pinned = page.pinned;
    page.pinned = false;
    refs.splice(refs.indexOf(ref) + 1, 0, upperRef);
    group.refsChanged();
    group.loadedPages++;
    this.pager.refsChanged(1);
    this.pager.enter(upperRef, upper);
    this.pager.markDirty(group, upper);
    this.#measure(ref);
    this.#measure(upperRef);
    const max = this.pager.limits.pageSizeBytesMax;
    if (upper.usedBytes > max && upper.count > 1) {
      this.#split(group, upperRef, 0.5);
    }
    if (page.usedBytes > max && page.count > 1) {
      this.#split(group, ref, 0.5);
    }
  }

  /** Counts a page's entries anew. */
  #measure(ref: PageRef): void {
    const page = ref.page as Page;
    ref.visible = page.visible;
    ref.total = page.count;
    ref.weight = 0;
    ref.newest = 0;
    for (let slot = 0; slot < page.count; slot++) {
      ref.weight += this.layout.weigh(page, slot);
      ref.newest = Math.max(ref.newest, this.layout.revisionOf(page, slot));
    }
  }

  #splitGroupIfLarge(group: Group): void {
    const refs = group.refs as PageRef[];
    if (refs.length <= this.pager.limits.groupPagesMax && keyBytes(refs) <= groupKeyBytesMax) {
      return;
    }
    if (refs.length < 2) {
      return;
    }
    const at = this.#indexOf(group);
    const isLast = at === this.groups.length - 1;
    const cut = isLast ? refs.length - Math.ceil(refs.length / 8) : refs.length >>> 1;
    const firstKey = (refs[cut] as PageRef).firstKey;
    const upper = new Group(group.tree, this.pager.nextGroup++, firstKey);
    upper.refs = refs.splice(cut);
    group.refsChanged();
    upper.goodRevision = group.goodRevision;
    upper.dirtyWalk = group.dirtyWalk;
    upper.writing = group.writing;
    for (const ref of upper.refs) {
      ref.group = upper;
    }
    this.groups.splice(at + 1, 0, upper);
    this.#index = undefined;
    this.pager.addGroup(upper);
    this.pager.markGroupDirty(upper, group.dirtySince);
    this.pager.splitGroup(group, upper);
    group.recount();
    upper.recount();
  }

  /**
   * Takes an empty page out; the page before it (or after it, for the first of a group) takes its
   * range. That one must be in memory, so that what was loaded for a write stays loaded.
   */
  #drop(group: Group, index: number): void {
    const refs = group.refs as PageRef[];
    const ref = refs[index] as PageRef;
    if ((ref.page as Page).pinned) {
      return;
    }
    const at = this.#indexOf(group);
    const before = this.groups[at - 1];
    const taker = refs.length > 1 ? refs[index === 0 ? 1 : index - 1] : before?.refs?.at(-1);
    if (taker?.page === undefined) {
      return;
    }
    this.#takeOut(group, index);
    if (refs.length > 0) {
      return;
    }
    this.groups.splice(at, 1);
    this.#index = undefined;
    this.pager.dropGroup(group);
    // It takes over a range, so redo must know that it is good up to now.
    const takes = before as Group;
    this.pager.markGroupDirty(takes, this.pager.revision);
    takes.forced = true;
  }

  #takeOut(group: Group, index: number): void {
    const refs = group.refs as PageRef[];
    const ref = refs[index] as PageRef;
    this.pager.leave(ref);
    group.loadedPages--;
    refs.splice(index, 1);
    group.refsChanged();
    this.pager.refsChanged(-1);
    if (ref.stamp > 0) {
      group.removedPages.push(ref.id);
    }
    const first = refs[0];
    if (first !== undefined) {
      first.firstKey = group.firstKey;
    }
  }

  /** Before a group is written: no page that it takes over from need be in memory then. */
  dropEmptyPages(group: Group): void {
    const refs = group.refs as PageRef[];
    for (let index = refs.length - 1; index >= 0 && refs.length > 1; index--) {
      const ref = refs[index] as PageRef;
      if (ref.total === 0 && ref.page?.pinned === false) {
        this.#takeOut(group, index);
      }
    }
  }

  /** Joins a small page with a neighbour in its group, if both fit well into one. */
  #merge(group: Group, index: number): void {
    const refs = group.refs as PageRef[];
    const goal = this.pager.limits.pageSizeBytesMax >> 1;
    for (const lower of [index - 1, index]) {
      const low = refs[lower];
      const high = refs[lower + 1];
      const page = low?.page;
      const upper = high?.page;
      if (low === undefined || high === undefined || page === undefined || upper === undefined) {
        continue;
      }
      if (page.usedBytes + upper.usedBytes > goal) {
        continue;
      }
      const oldBytes = page.bytes.length;
      this.pager.markDirty(group, page);
      page.append(upper);
      page.pinned ||= upper.pinned;
      this.pager.resized(page, oldBytes);
      this.pager.leave(high);
      group.loadedPages--;
      refs.splice(lower + 1, 1);
      group.refsChanged();
      this.pager.refsChanged(-1);
      if (high.stamp > 0) {
        group.removedPages.push(high.id);
      }
      const newest = Math.max(low.newest, high.newest);
      this.#measure(low);
      low.newest = newest;
      return;
    }
  }
}

function keyBytes(refs: readonly PageRef[]): number {
  let sum = 0;
  for (const ref of refs) {
    sum += ref.firstKey.length;
  }
  return sum;
}
