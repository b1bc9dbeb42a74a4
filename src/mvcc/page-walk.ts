// Walks over a range of a page tree: visiting entries, counting them, looking for hidden ones.

import { compareBytes } from "../base/index.ts";
import type { Group, PageRef } from "./directory.ts";
import { hiddenFlag } from "./page.ts";
import type { Page } from "./page.ts";
import type { PageTree } from "./page-tree.ts";
import type { Pager } from "./pager.ts";

/** Called for the part of each page that lies in a range; false stops the walk. */
export type SpanVisitor = (page: Page, from: number, to: number) => boolean;

/**
 * Calls `visit` for the pages of [start, end) in order. A page that is not in memory is wanted
 * and passed over, with `absent` telling how many visible entries it may hold; the caller throws
 * afterwards (`pager.throwIfMissing`). The walk stops when a callback returns false.
 */
export function visitEntries(
  tree: PageTree,
  start: Uint8Array,
  end: Uint8Array | undefined,
  visit: SpanVisitor,
  absent: (visible: number) => boolean,
): void {
  for (let g = tree.findGroup(start); g < tree.groups.length; g++) {
    const group = tree.groups[g] as Group;
    if (end !== undefined && g > 0 && compareBytes(group.firstKey, end) >= 0) {
      return;
    }
    if (group.refs === undefined) {
      tree.pager.wantGroup(group);
      if (tree.pager.wantsEnough || !absent(group.visible)) {
        return;
      }
      continue;
    }
    group.touched = true;
    const first = compareBytes(group.firstKey, start) < 0 ? group.find(start) : 0;
    for (let i = first; i < group.refs.length; i++) {
      const ref = group.refs[i] as PageRef;
      if (end !== undefined && compareBytes(ref.firstKey, end) >= 0 && ref.firstKey.length > 0) {
        return;
      }
      if (!visitPage(tree.pager, ref, start, end, visit, absent)) {
        return;
      }
    }
  }
}

/**
 * Sums `visible` over [start, end) at a revision (Infinity = latest): from the directory for
 * pages inside in which no entry came or went since, from `countSpan` for the others. Wants what is
 * missing; the caller throws.
 */
export function countVisible(
  tree: PageTree,
  start: Uint8Array,
  end: Uint8Array | undefined,
  revision: number,
  countSpan: (page: Page, from: number, to: number) => number,
): number {
  let sum = 0;
  const first = tree.findGroup(start);
  const last = end === undefined ? tree.groups.length : tree.findGroup(end);
  for (let g = first; g <= last && g < tree.groups.length; g++) {
    const group = tree.groups[g] as Group;
    const inside = (g > first || compareBytes(start, group.firstKey) <= 0) && g < last;
    if (inside && group.newest <= revision) {
      sum += group.visible;
    } else if (group.refs === undefined) {
      tree.pager.wantGroup(group);
    } else {
      group.touched = true;
      sum += countGroup(tree.pager, group, start, g < last ? undefined : end, revision, countSpan);
    }
  }
  return sum;
}

/** The first entry that is hidden and whose key is not below `start`, as a key. */
export function findHidden(tree: PageTree, start: Uint8Array): Uint8Array | undefined {
  for (let g = tree.findGroup(start); g < tree.groups.length; g++) {
    const group = tree.groups[g] as Group;
    if (group.visible === group.total) {
      continue;
    }
    const refs = tree.refsOf(group);
    const first = compareBytes(group.firstKey, start) < 0 ? group.find(start) : 0;
    for (let i = first; i < refs.length; i++) {
      const ref = refs[i] as PageRef;
      if (ref.visible === ref.total) {
        continue;
      }
      const page = tree.pageOf(ref);
      for (let slot = page.lowerBound(start); slot < page.count; slot++) {
        if (((page.bytes[page.imageAt(slot)] as number) & hiddenFlag) !== 0) {
          return page.keyAt(slot);
        }
      }
    }
  }
  return undefined;
}

function visitPage(
  pager: Pager,
  ref: PageRef,
  start: Uint8Array,
  end: Uint8Array | undefined,
  visit: SpanVisitor,
  absent: (visible: number) => boolean,
): boolean {
  const page = ref.page;
  if (page === undefined) {
    pager.wantPage(ref);
    return !pager.wantsEnough && absent(ref.visible);
  }
  page.touched = true;
  const from = page.lowerBound(start);
  const to = end === undefined ? page.count : page.lowerBound(end);
  return from >= to || visit(page, from, to);
}

function countGroup(
  pager: Pager,
  group: Group,
  start: Uint8Array,
  end: Uint8Array | undefined,
  revision: number,
  countSpan: (page: Page, from: number, to: number) => number,
): number {
  let sum = 0;
  const refs = group.refs as PageRef[];
  const first = group.find(start);
  const last = end === undefined ? refs.length : group.find(end);
  for (let i = first; i <= last && i < refs.length; i++) {
    const ref = refs[i] as PageRef;
    const inside = (i > first || compareBytes(start, ref.firstKey) <= 0) && i < last;
    if (inside && ref.newest <= revision) {
      sum += ref.visible;
      continue;
    }
    const page = ref.page;
    if (page === undefined) {
      pager.wantPage(ref);
      continue;
    }
    page.touched = true;
    const to = i < last || end === undefined ? page.count : page.lowerBound(end);
    sum += countSpan(page, i > first ? 0 : page.lowerBound(start), to);
  }
  return sum;
}
