// Where recent blocks begin, and how many bytes of events lie behind each: what a redo would read.

import type { HistoryBlock } from "./history-block.ts";

interface BlockStart {
  readonly revision: number;
  readonly sub: number;
  /** Bytes of all events before the block, from wherever counting began. */
  readonly atBytes: number;
}

export class BlockStarts {
  /** Bytes of all events so far. */
  endBytes = 0;
  #starts: BlockStart[] = [];

  get count(): number {
    return this.#starts.length;
  }

  /** A block has its first event; its bytes are added to `endBytes` by the caller. */
  note(block: HistoryBlock): void {
    this.#starts.push({
      revision: block.firstRevision,
      sub: block.firstSub,
      atBytes: this.endBytes,
    });
  }

  /** Forgets the newest starts beyond `count`, and the events that were taken back. */
  rollback(count: number, bytes: number): void {
    this.#starts.length = count;
    this.endBytes -= bytes;
  }

  /**
   * Where a redo after `redoRevision` must begin to read: at a block that begins with a revision,
   * since the next checkpoint may ask for that whole revision again. Forgets older places.
   */
  redoStart(redoRevision: number): { readonly revision: number; readonly sub: number } {
    const starts = this.#starts;
    let found = 0;
    for (let at = 0; at < starts.length; at++) {
      const { revision, sub } = starts[at] as BlockStart;
      if (revision > redoRevision + 1) {
        break;
      }
      found = sub === 0 ? at : found;
    }
    starts.splice(0, found);
    return starts[0] ?? { revision: redoRevision + 1, sub: 0 };
  }

  /** Bytes of events from the start of the block that holds `revision` on. */
  bytesSince(revision: number): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((starts[middle] as BlockStart).revision > revision) {
        high = middle - 1;
      } else {
        low = middle;
      }
    }
    const start = starts[low];
    return start === undefined ? 0 : this.endBytes - start.atBytes;
  }
}
