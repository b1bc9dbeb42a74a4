// What the block tree holds of a block: position of its first event -> flags, size, dead bytes.

import { getU32, getU48, setU32 } from "./numbers.ts";
import { hiddenFlag } from "./page.ts";
import type { Page } from "./page.ts";
import type { TreeLayout } from "./page-tree.ts";

const sizeAt = 1;
const deadAt = 5;
const payloadBytes = 8;

/**
 * An entry is hidden once half of its block is dead, so that the directory's counts lead
 * compaction to such blocks.
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

export interface BlockEntry {
  readonly revision: number;
  readonly sub: number;
  readonly sizeBytes: number;
  readonly deadBytes: number;
}

export function readBlockEntry(page: Page, slot: number): BlockEntry {
  const key = page.keyAt(slot);
  const at = page.imageAt(slot);
  return {
    revision: getU48(key, 0),
    sub: getU32(key, 6),
    sizeBytes: getU32(page.bytes, at + sizeAt),
    deadBytes: getU32(page.bytes, at + deadAt),
  };
}

export function writeBlockImage(image: Uint8Array, entry: BlockEntry): void {
  image[0] = entry.deadBytes * 2 >= entry.sizeBytes ? hiddenFlag : 0;
  setU32(image, sizeAt, entry.sizeBytes);
  setU32(image, deadAt, entry.deadBytes);
}

export function blockSizeAt(page: Page, slot: number): number {
  return getU32(page.bytes, page.imageAt(slot) + sizeAt);
}
