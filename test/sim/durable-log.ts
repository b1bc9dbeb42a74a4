// What stands in a member's log on disk, for the checks: which entry at which index, the newest
// snapshot, term and vote. Followed write by write, and read anew from the bytes after a crash.

import type { Entry, HardState, LogIndex, SnapshotMeta } from "../../src/base/index.ts";
import type { WalBatch, WalRecovered } from "../../src/storage/index.ts";

export class DurableLog {
  hardState: HardState | undefined;
  snapshot: SnapshotMeta | undefined;
  /** Entries base+1, base+2, ... */
  base = 0;
  entries: Entry[] = [];

  static of(recovered: WalRecovered): DurableLog {
    const log = new DurableLog();
    log.hardState = recovered.hardState;
    log.snapshot = recovered.snapshot;
    log.base = recovered.snapshot?.index ?? 0;
    log.entries = [...recovered.entries];
    return log;
  }

  get lastIndex(): number {
    return this.base + this.entries.length;
  }

  entry(index: LogIndex | number): Entry | undefined {
    return this.entries[index - this.base - 1];
  }

  termAt(index: LogIndex | number): number | undefined {
    return index === this.snapshot?.index ? this.snapshot.term : this.entry(index)?.term;
  }

  apply(batch: WalBatch): void {
    this.hardState = batch.hardState ?? this.hardState;
    if (batch.snapshot !== undefined) {
      const { index, term } = batch.snapshot;
      const matches = this.termAt(index) === term;
      this.entries = matches ? this.entries.slice(Math.max(0, index - this.base)) : [];
      this.base = index;
      this.snapshot = batch.snapshot;
    }
    for (const entry of batch.entries) {
      this.entries.length = Math.max(0, Math.min(this.entries.length, entry.index - this.base - 1));
      this.entries.push(entry);
    }
  }

  mark(meta: SnapshotMeta): void {
    if (meta.index > this.base) {
      this.entries = this.entries.slice(meta.index - this.base);
      this.base = meta.index;
    }
    this.snapshot = meta;
  }
}
