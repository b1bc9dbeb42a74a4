// What the key tree holds of a key: the image of its entry.
//
//   flags 1 | mod revision 6, sub 4 | create revision 6 | version 6 | depth 4 | lease 8 | size 4
//   | anchors, 10 each
//
// `mod` is the position of the key's newest event. A deleted key keeps its entry (a tombstone,
// with create revision and version of what was deleted) until compaction has passed it. `depth`
// counts the events of the key; `size` is what the newest one takes in its block.
//
// Anchors make old versions cheap to find. Anchor k (1 to 7) is the newest event whose depth is a
// multiple of 8^k; an event at such a depth also stores the anchors 1..k as they were before it.
// So from the newest event to any older one it is at most 8 steps on each of 7 levels, whatever
// the number of versions (beyond 2 million versions, one more step for each 2 million).

import { noLease } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import { getLease, getU32, getU48, setLease, setU32, setU48 } from "./numbers.ts";
import { extraBytes, extrasMax, hiddenFlag } from "./page.ts";
import type { Page } from "./page.ts";
import type { TreeLayout } from "./page-tree.ts";

export const keyPayloadBytes = 38;
const modAt = 1;
const subAt = 7;
const createAt = 11;
const versionAt = 17;
const depthAt = 23;
const leaseAt = 27;
const sizeAt = 35;
const anchorsAt = 1 + keyPayloadBytes;
export const keyImageBytesMax = anchorsAt + extrasMax * extraBytes;

export const keyLayout: TreeLayout = {
  id: 1,
  payloadBytes: keyPayloadBytes,
  weigh: (page, slot) => page.weightAt(slot),
  revisionOf: (page, slot) => {
    const at = page.imageAt(slot);
    const isDeleted = ((page.bytes[at] as number) & hiddenFlag) !== 0;
    return getU48(page.bytes, at + (isDeleted ? modAt : createAt));
  },
  pinLast: false,
};

/** Lease attachments: lease id (8) + key, without payload. */
export const leaseLayout: TreeLayout = {
  id: 2,
  payloadBytes: 0,
  weigh: (page, slot) => page.weightAt(slot),
  revisionOf: () => 0,
  pinLast: false,
};

/** The entry of one key, read out of a page or about to be written to one. */
export class KeyEntry {
  deleted = false;
  mod = 0;
  sub = 0;
  create = 0;
  version = 0;
  depth = 0;
  lease: LeaseId = noLease;
  /** Bytes of the newest event in its block. */
  size = 0;
  anchors = 0;
  readonly anchorRevision: number[] = new Array<number>(extrasMax + 1).fill(0);
  readonly anchorSub: number[] = new Array<number>(extrasMax + 1).fill(0);

  /** Makes it that of a key never written. */
  clear(): void {
    this.deleted = true;
    this.mod = 0;
    this.sub = 0;
    this.create = 0;
    this.version = 0;
    this.depth = 0;
    this.lease = noLease;
    this.size = 0;
    this.anchors = 0;
  }

  read(page: Page, slot: number): void {
    const b = page.bytes;
    const at = page.imageAt(slot);
    const flags = b[at] as number;
    this.deleted = (flags & hiddenFlag) !== 0;
    this.mod = getU48(b, at + modAt);
    this.sub = getU32(b, at + subAt);
    this.create = getU48(b, at + createAt);
    this.version = getU48(b, at + versionAt);
    this.depth = getU32(b, at + depthAt);
    this.lease = getLease(b, at + leaseAt);
    this.size = getU32(b, at + sizeAt);
    this.anchors = (flags >> 4) & 7;
    let anchor = at + anchorsAt;
    for (let k = 1; k <= this.anchors; k++) {
      this.anchorRevision[k] = getU48(b, anchor);
      this.anchorSub[k] = getU32(b, anchor + 6);
      anchor += extraBytes;
    }
  }

  /** Writes the image; its length is `imageLength(keyPayloadBytes, image[0])`. */
  write(image: Uint8Array): void {
    image[0] = (this.anchors << 4) | (this.deleted ? hiddenFlag : 0);
    setU48(image, modAt, this.mod);
    setU32(image, subAt, this.sub);
    setU48(image, createAt, this.create);
    setU48(image, versionAt, this.version);
    setU32(image, depthAt, this.depth);
    setLease(image, leaseAt, this.lease);
    setU32(image, sizeAt, this.size);
    let anchor = anchorsAt;
    for (let k = 1; k <= this.anchors; k++) {
      setU48(image, anchor, this.anchorRevision[k] as number);
      setU32(image, anchor + 6, this.anchorSub[k] as number);
      anchor += extraBytes;
    }
  }

  /** Moves on to a new event at `depth`, whose level is `level`. */
  advance(depth: number, level: number, revision: number, sub: number, size: number): void {
    this.depth = depth;
    this.mod = revision;
    this.sub = sub;
    this.size = size;
    for (let k = 1; k <= level; k++) {
      this.anchorRevision[k] = revision;
      this.anchorSub[k] = sub;
    }
    if (level > this.anchors) {
      this.anchors = level;
    }
  }
}

/** The greatest k, at most 7, for which 8^k divides `depth`. */
export function levelOf(depth: number): number {
  if ((depth & 7) !== 0) {
    return 0;
  }
  let level = 1;
  for (let rest = depth >>> 3; (rest & 7) === 0 && level < extrasMax; rest >>>= 3) {
    level++;
  }
  return level;
}

/** The entry's newest event. */
export function modRevisionAt(page: Page, slot: number): number {
  return getU48(page.bytes, page.imageAt(slot) + modAt);
}

export function modSubAt(page: Page, slot: number): number {
  return getU32(page.bytes, page.imageAt(slot) + subAt);
}

export function isDeletedAt(page: Page, slot: number): boolean {
  return ((page.bytes[page.imageAt(slot)] as number) & hiddenFlag) !== 0;
}

/** What the newest event takes in its block, bytes. */
export function eventSizeAt(page: Page, slot: number): number {
  return getU32(page.bytes, page.imageAt(slot) + sizeAt);
}

/**
 * Whether the key existed at a revision, as far as the entry's own numbers tell; undefined = only
 * older events do.
 */
export function existenceAt(page: Page, slot: number, revision: number): boolean | undefined {
  const b = page.bytes;
  const at = page.imageAt(slot);
  if (getU48(b, at + modAt) <= revision) {
    return ((b[at] as number) & hiddenFlag) === 0;
  }
  return getU48(b, at + createAt) <= revision ? true : undefined;
}
