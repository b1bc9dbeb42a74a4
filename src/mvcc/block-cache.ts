// Blocks read from the engine, as long as memory lasts.

import { CorruptionError } from "../base/index.ts";
import type { HistoryBlock } from "./history-block.ts";

/** A record may come late, after it was written anew: so often it is asked for again. */
const mismatchesMax = 4;
/** What an object of a block costs besides its bytes. */
const blockOverheadBytes = 300;

export type BlockName = number | string;

/** A block's name: cheap for the usual block, which begins with a revision. */
export function blockName(revision: number, sub: number): BlockName {
  return sub === 0 ? revision : `${revision}.${sub}`;
}

export class BlockCache {
  bytes = 0;
  #blocks = new Map<BlockName, HistoryBlock>();
  #mismatches = new Map<BlockName, number>();

  has(name: BlockName): boolean {
    return this.#blocks.has(name);
  }

  /** The block, if it is the version whose record has `sizeBytes`; another version is dropped. */
  get(name: BlockName, sizeBytes: number): HistoryBlock | undefined {
    const block = this.#blocks.get(name);
    if (block === undefined) {
      return undefined;
    }
    if (block.recordBytes !== sizeBytes) {
      this.#noteMismatch(name, sizeBytes, block);
      return undefined;
    }
    block.touched = true;
    return block;
  }

  enter(block: HistoryBlock): void {
    this.#blocks.set(blockName(block.firstRevision, block.firstSub), block);
    this.bytes += block.bytes.length + blockOverheadBytes;
  }

  drop(name: BlockName): void {
    const block = this.#blocks.get(name);
    if (block !== undefined) {
      this.#blocks.delete(name);
      this.bytes -= block.bytes.length + blockOverheadBytes;
    }
  }

  /** Drops blocks not touched lately until `goalBytes` are left (second chance). */
  evict(goalBytes: number): void {
    let looks = this.#blocks.size * 2;
    for (const [name, block] of this.#blocks) {
      if (this.bytes <= goalBytes || looks-- <= 0) {
        return;
      }
      if (block.touched) {
        block.touched = false;
        this.#blocks.delete(name);
        this.#blocks.set(name, block);
      } else {
        this.drop(name);
      }
    }
  }

  /** Too often the wrong version of a block: the record is not what the index says. */
  #noteMismatch(name: BlockName, sizeBytes: number, block: HistoryBlock): void {
    this.drop(name);
    const count = (this.#mismatches.get(name) ?? 0) + 1;
    this.#mismatches.set(name, count);
    if (count > mismatchesMax) {
      throw new CorruptionError(
        `history block ${block.firstRevision}.${block.firstSub} ` +
          `has ${block.recordBytes} bytes, not ${sizeBytes} as indexed`,
      );
    }
  }
}
