// Blocks read from the engine, as long as memory lasts.
//
// A block that gives way leaves the few events behind that were asked for, as a part of itself:
// hot keys that are scattered over history then take the room of their pairs, not of whole blocks.
// Parts may take half of the memory, and give way only if they take more.

import { CorruptionError } from "../base/index.ts";
import type { HistoryBlock } from "./history-block.ts";
import { evictionLooksMax } from "./pager.ts";

/** A record may come late, after it was written anew: so often it is asked for again. */
const mismatchesMax = 4;
/** What an object of a block costs besides its bytes. */
const blockOverheadBytes = 400;
/** Events that a part may have. */
const partEventsMax = 4;

export type BlockName = number | string;

/** A block's name: cheap for the usual block, which begins with a revision. */
export function blockName(revision: number, sub: number): BlockName {
  return sub === 0 ? revision : `${revision}.${sub}`;
}

interface Cached {
  readonly name: BlockName;
  /** A part of the block, if `partOfBytes` is set. */
  readonly block: HistoryBlock;
  touched: boolean;
  /** Indexes of the events found in it, as long as they are few. */
  readonly hits: number[];
}

export class BlockCache {
  /** Of blocks and parts. */
  bytes = 0;
  #partBytes = 0;
  #blocks = new Map<BlockName, Cached>();
  #parts = new Map<BlockName, Cached>();
  #mismatches = new Map<BlockName, number>();

  /** What the last `find` found. */
  index = 0;

  /** Whether the whole block is here, in whatever version. */
  has(name: BlockName): boolean {
    return this.#blocks.has(name);
  }

  /** The whole block, if it is the version whose record has `sizeBytes`; another is dropped. */
  get(name: BlockName, sizeBytes: number): HistoryBlock | undefined {
    return this.#check(this.#blocks.get(name), sizeBytes)?.block;
  }

  /**
   * The block, or a part of it that has the event at a position; `index` is then set to the event's
   * place, or to -1 if the whole block has no such event.
   */
  find(
    name: BlockName,
    sizeBytes: number,
    revision: number,
    sub: number,
  ): HistoryBlock | undefined {
    const whole = this.#check(this.#blocks.get(name), sizeBytes);
    if (whole !== undefined) {
      const { block, hits } = whole;
      this.index = block.indexOf(revision, sub);
      if (hits.length <= partEventsMax && this.index >= 0 && !hits.includes(this.index)) {
        hits.push(this.index);
      }
      return block;
    }
    const part = this.#check(this.#parts.get(name), sizeBytes)?.block;
    this.index = part === undefined ? -1 : part.indexOf(revision, sub);
    return this.index < 0 ? undefined : part;
  }

  /** Takes a whole block in. */
  enter(block: HistoryBlock): void {
    const name = blockName(block.firstRevision, block.firstSub);
    this.drop(name);
    this.#blocks.set(name, { name, block, touched: true, hits: [] });
    this.bytes += costOf(block);
  }

  drop(name: BlockName): void {
    this.#drop(this.#blocks.get(name));
    this.#drop(this.#parts.get(name));
  }

  /**
   * Drops what was not touched lately until `goalBytes` are left (second chance), with bounded
   * work, as Pager.evict.
   */
  evict(goalBytes: number): void {
    this.#sweep(this.#blocks, () => this.bytes > goalBytes && !this.#areTooMany(goalBytes));
    this.#sweep(this.#parts, () => this.bytes > goalBytes && this.#areTooMany(goalBytes));
    this.#sweep(this.#blocks, () => this.bytes > goalBytes);
  }

  /** Whether parts take more than half of the memory. */
  #areTooMany(goalBytes: number): boolean {
    return this.#partBytes * 2 > goalBytes;
  }

  #sweep(items: Map<BlockName, Cached>, goesOn: () => boolean): void {
    let looks = Math.min(items.size * 2, evictionLooksMax);
    for (const cached of items.values()) {
      if (looks-- <= 0 || !goesOn()) {
        return;
      }
      if (cached.touched) {
        cached.touched = false;
        items.delete(cached.name);
        items.set(cached.name, cached);
      } else {
        this.#drop(cached);
        this.#keepPart(cached);
      }
    }
  }

  #check(cached: Cached | undefined, sizeBytes: number): Cached | undefined {
    if (cached === undefined) {
      return undefined;
    }
    const { block } = cached;
    if (sizeBytes !== (block.partOfBytes === 0 ? block.recordBytes : block.partOfBytes)) {
      this.#noteMismatch(cached.name, sizeBytes, block);
      return undefined;
    }
    cached.touched = true;
    return cached;
  }

  #drop(cached: Cached | undefined): void {
    if (cached === undefined) {
      return;
    }
    const { name, block } = cached;
    this.bytes -= costOf(block);
    if (block.partOfBytes > 0) {
      this.#partBytes -= costOf(block);
      this.#parts.delete(name);
    } else {
      this.#blocks.delete(name);
    }
  }

  #keepPart({ name, block, hits }: Cached): void {
    if (block.partOfBytes > 0 || hits.length === 0 || hits.length > partEventsMax) {
      return;
    }
    const part = block.extract(hits.sort((a, b) => a - b));
    if (part.bytes.length * 2 < block.bytes.length) {
      this.#parts.set(name, { name, block: part, touched: false, hits: [] });
      this.bytes += costOf(part);
      this.#partBytes += costOf(part);
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

function costOf(block: HistoryBlock): number {
  return block.bytes.length + blockOverheadBytes;
}
