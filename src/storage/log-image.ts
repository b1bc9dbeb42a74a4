// What the records of a log add up to: the newest hard state, the newest snapshot mark, and the
// entries after it. Pure; recovery and the simulator's disk replay records through it.

import { CorruptionError, copyBytes, noMember } from "../base/index.ts";
import type { Entry, HardState, LogIndex, SnapshotMeta, Term } from "../base/index.ts";
import type { WalRecord } from "./wal-records.ts";

const initialHardState: HardState = {
  term: 0 as Term,
  vote: noMember,
  commit: 0 as LogIndex,
};

export class LogImage {
  #hardState = initialHardState;
  #snapshot: SnapshotMeta | undefined;
  /**
   * Index before the first of `#entries`; undefined until an entry or a received snapshot was
   * seen. A mark at the head of the oldest segment does not set it: it is repeated there from an
   * earlier segment, and the entries that follow may begin anywhere.
   */
  #base: number | undefined;
  #entries: Entry[] = [];

  /** Replays one record. Entry data is copied. Throws CorruptionError for a gap in the log. */
  apply(record: WalRecord): void {
    switch (record.kind) {
      case "hardState":
        this.#hardState = record.hardState;
        return;
      case "entry":
        this.#applyEntry(record.entry);
        return;
      case "mark":
        this.#applyMark(record.meta);
        return;
      case "snapshot":
        this.#applySnapshot(record.meta);
        return;
      case "closed":
        return;
    }
  }

  get snapshot(): SnapshotMeta | undefined {
    return this.#snapshot;
  }

  get lastIndex(): LogIndex {
    return ((this.#base ?? this.#snapshot?.index ?? 0) + this.#entries.length) as LogIndex;
  }

  /** The term of the entry at `index`, if it is in the image. */
  termAt(index: LogIndex): Term | undefined {
    if (this.#snapshot?.index === index) {
      return this.#snapshot.term;
    }
    return this.#entries[index - 1 - (this.#base ?? 0)]?.term;
  }

  /**
   * The result. A batch that was cut short may have kept a commit index beyond its entries, or
   * a snapshot ahead of its hard state; both are mended here, which promises nothing new.
   */
  finish(): {
    readonly hardState: HardState;
    readonly snapshot: SnapshotMeta | undefined;
    readonly entries: readonly Entry[];
  } {
    const snapshotIndex = this.#snapshot?.index ?? 0;
    const base = this.#base ?? snapshotIndex;
    if (base > snapshotIndex) {
      throw new CorruptionError(
        `the log begins at entry ${base + 1}, but the newest snapshot mark is ${snapshotIndex}`,
      );
    }
    const entries = this.#entries.slice(snapshotIndex - base);
    const last = entries.at(-1);
    const lastIndex = last?.index ?? snapshotIndex;
    const lastTerm = Math.max(last?.term ?? 0, this.#snapshot?.term ?? 0);
    const { term, vote, commit } = this.#hardState;
    return {
      hardState: {
        term: Math.max(term, lastTerm) as Term,
        vote: term < lastTerm ? noMember : vote,
        commit: Math.max(snapshotIndex, Math.min(commit, lastIndex)) as LogIndex,
      },
      snapshot: this.#snapshot,
      entries,
    };
  }

  #applyEntry(entry: Entry): void {
    this.#base ??= entry.index - 1;
    const position = entry.index - 1 - this.#base;
    if (position > this.#entries.length) {
      throw new CorruptionError(
        `entry ${entry.index} follows entry ${this.lastIndex}: entries between are missing`,
      );
    }
    if (position < 0) {
      this.#base = entry.index - 1;
      this.#entries.length = 0;
    } else {
      this.#entries.length = position;
    }
    this.#entries.push({ ...entry, data: copyBytes(entry.data) });
  }

  /** Entries up to a mark are not needed again; dropping them bounds memory. */
  #applyMark(meta: SnapshotMeta): void {
    this.#snapshot = meta;
    if (this.#base === undefined) {
      return;
    }
    if (meta.index > this.lastIndex) {
      this.#base = meta.index;
      this.#entries = [];
    } else if (meta.index > this.#base) {
      this.#entries = this.#entries.slice(meta.index - this.#base);
      this.#base = meta.index;
    }
  }

  /** Raft figure 13, steps 6 and 7: what follows the snapshot stays if its own entry matches. */
  #applySnapshot(meta: SnapshotMeta): void {
    const matches = this.termAt(meta.index) === meta.term;
    this.#snapshot = meta;
    this.#entries = matches ? this.#entries.slice(meta.index - (this.#base ?? 0)) : [];
    this.#base = meta.index;
  }
}
