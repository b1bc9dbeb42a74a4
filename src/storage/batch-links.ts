// The chain of batches: every batch leaves a link that hashes it and the link before it. When
// the engine is opened, the links that must be there are walked; one that is missing means that
// LevelDB has lost a batch from the middle without saying so. (Losing the newest batches is
// allowed: the log writes them again.)
//
// Links are kept back to the last synced batch, and further, for as many bytes as LevelDB can
// hold in its own log files: it is there that a damaged block hides batches.

import { CorruptionError } from "../base/index.ts";
import type { Link } from "./engine-records.ts";

/** A bound on the links walked at open, whatever the size of batches. */
const linksMax = 16_384;

export class BatchLinks {
  /** Links kept, ascending. */
  readonly #kept: { readonly number: number; readonly totalBytes: number }[] = [];
  readonly #keepBytes: number;
  #last: Link | undefined;
  #barrier = 0;

  /** `keepBytes`: links of the newest batches up to this many bytes are never dropped. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  get lastHash(): number {
    return this.#last?.hash ?? 0;
  }

  /** Takes the next link found at open; throws CorruptionError when it does not follow. */
  verify(link: Link): void {
    const last = this.#last;
    if (last !== undefined) {
      if (link.number !== last.number + 1 || link.previousHash !== last.hash) {
        throw new CorruptionError(
          `batch ${last.number + 1} is missing between batches ${last.number} and ${link.number}`,
        );
      }
    }
    this.#last = link;
    this.#kept.push({ number: link.number, totalBytes: link.totalBytes });
  }

  /** Ends verification. */
  verified(): void {
    const oldest = this.#kept[0]?.number;
    if (this.#last === undefined || oldest === undefined) {
      throw new CorruptionError("no batch link is there: everything in the store was lost");
    }
    if (oldest > this.#last.oldest) {
      throw new CorruptionError(`batches ${this.#last.oldest} to ${oldest - 1} are missing`);
    }
    this.#barrier = oldest;
  }

  /** The link of a new batch, and the numbers of links that it makes superfluous. */
  next(hash: number, sizeBytes: number): { readonly link: Link; readonly drop: readonly number[] } {
    const number = this.#last === undefined ? 0 : this.#last.number + 1;
    const totalBytes = (this.#last?.totalBytes ?? 0) + sizeBytes;
    let dropCount = 0;
    for (const kept of this.#kept) {
      const beyondBytes = totalBytes - kept.totalBytes > this.#keepBytes;
      const beyondCount = this.#kept.length - dropCount >= linksMax;
      if (kept.number >= this.#barrier || !(beyondBytes || beyondCount)) {
        break;
      }
      dropCount++;
    }
    const drop = this.#kept.slice(0, dropCount).map((kept) => kept.number);
    const oldest = this.#kept[dropCount]?.number ?? number;
    return { link: { number, hash, previousHash: this.lastHash, oldest, totalBytes }, drop };
  }

  /** The batch of `link` is written. */
  written(link: Link, dropped: number, isSynced: boolean): void {
    this.#kept.splice(0, dropped);
    this.#kept.push({ number: link.number, totalBytes: link.totalBytes });
    this.#last = link;
    if (isSynced) {
      this.#barrier = link.number;
    }
  }
}
