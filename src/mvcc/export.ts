// Reading all of history for a backup: every event from the compacted revision on, and of those
// before it the pair that each key had there, if it had one. What compaction has only marked, or
// not yet seen, is left out, so a reader of the backup has nothing to compact.

import type { Revision } from "../base/index.ts";
import type { ExportedEvent, HistoryExport } from "./contract.ts";
import type { HistoryBlock } from "./history-block.ts";
import { messageStart } from "./key-value-codec.ts";
import { survives } from "./range.ts";
import type { StoreState } from "./state.ts";

export class Exporter implements HistoryExport {
  readonly #state: StoreState;
  #revision = 0;
  #sub = 0;

  constructor(state: StoreState) {
    this.#state = state;
  }

  next(): readonly ExportedEvent[] | undefined {
    const block = this.#state.history.blockFrom(this.#revision, this.#sub);
    if (block === undefined) {
      return undefined;
    }
    const from = block.lowerBound(this.#revision, this.#sub);
    const chosen = this.#choose(block, from);
    const events = chosen.map((index) => this.#eventAt(block, index));
    this.#revision = block.lastRevision;
    this.#sub = block.lastSub + 1;
    return events;
  }

  /** Indexes of the events that stay. Throws what is missing before anything is read. */
  #choose(block: HistoryBlock, from: number): number[] {
    const { compacted, keys, pair, pager } = this.#state;
    for (let i = from; i < block.count && block.revisionAt(i) < compacted; i++) {
      pair.read(block.bytes, block.fieldAt(i));
      keys.isLoaded(pair.key);
    }
    pager.throwIfMissing();
    const chosen: number[] = [];
    for (let i = from; i < block.count; i++) {
      const isAfter = block.revisionAt(i) >= compacted;
      if (isAfter || (!block.isDeleteAt(i) && survives(this.#state, block, i))) {
        chosen.push(i);
      }
    }
    return chosen;
  }

  #eventAt(block: HistoryBlock, index: number): ExportedEvent {
    const { pair } = this.#state;
    const field = block.fieldAt(index);
    const isTombstone = block.isDeleteAt(index);
    pair.read(block.bytes, field);
    // The key stands first in the message, with its tag and length.
    const end = isTombstone ? pair.keyEnd : block.endAt(index);
    return {
      revision: block.revisionAt(index) as Revision,
      sub: block.subAt(index),
      isTombstone,
      keyValue: block.bytes.subarray(messageStart(block.bytes, field), end),
    };
  }
}
