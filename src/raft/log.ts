// The log in memory: the entries after the last compaction, and how far each stage has come.
//
//   base <= handedOut <= commit <= last          base: what compaction or a snapshot dropped
//   applied <= handedOut <= durable <= last      durable: on this member's disk
//
// Rules: indexes are contiguous; terms never fall; nothing at or below commit is ever replaced;
// an entry is handed out for applying once, in order, when it is committed and durable here.
// The disk is only written until a restart: every read of an entry is answered from here.

import { assert, emptyBytes } from "../base/index.ts";
import type { Entry, EntryKind, LogIndex, SnapshotMeta, Term } from "../base/index.ts";
import { entryOverheadBytes } from "./config.ts";
import type { RaftInitialState } from "./config.ts";

const noEntries: readonly Entry[] = [];

export class RaftLog {
  #entries: Entry[];
  #baseIndex: LogIndex;
  #baseTerm: Term;
  #commit: LogIndex;
  #handedOut: LogIndex;
  #applied: LogIndex;
  #durable: LogIndex;
  /** The last entry of the write that is out, lowered when the log is cut below it. */
  #writing: LogIndex;
  /** A received snapshot that no write carries yet, and the one in the write that is out. */
  #snapshotUnsaved: SnapshotMeta | undefined;
  #snapshotWriting: SnapshotMeta | undefined;
  #sizeBytes = 0;

  constructor(initial: RaftInitialState) {
    const { snapshot, entries, applied, hardState } = initial;
    this.#baseIndex = snapshot?.index ?? (0 as LogIndex);
    this.#baseTerm = snapshot?.term ?? (0 as Term);
    this.#entries = [];
    this.#commit = this.#baseIndex;
    for (const entry of entries) {
      this.#push(entry);
    }
    const last = this.lastIndex;
    assert(
      applied >= this.#baseIndex && applied <= last,
      () => `applied ${applied} outside the log ${this.#baseIndex}..${last}`,
    );
    // The stored commit is a hint: a torn tail may have taken entries that it counted.
    this.#commit = Math.max(applied, Math.min(hardState.commit, last)) as LogIndex;
    this.#handedOut = applied;
    this.#applied = applied;
    this.#durable = last;
    this.#writing = last;
  }

  get commit(): LogIndex {
    return this.#commit;
  }
  get applied(): LogIndex {
    return this.#applied;
  }
  get handedOut(): LogIndex {
    return this.#handedOut;
  }
  get durable(): LogIndex {
    return this.#durable;
  }
  /** The first index whose entry is here. */
  get firstIndex(): LogIndex {
    return (this.#baseIndex + 1) as LogIndex;
  }
  get lastIndex(): LogIndex {
    return (this.#baseIndex + this.#entries.length) as LogIndex;
  }
  get lastTerm(): Term {
    const last = this.#entries[this.#entries.length - 1];
    return last === undefined ? this.#baseTerm : last.term;
  }
  /** What the entries here weigh, with their overhead. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }
  /** Entries are waiting for a write. */
  get hasUnsaved(): boolean {
    return this.lastIndex > this.#writing || this.#snapshotUnsaved !== undefined;
  }
  /** A received snapshot is not installed yet. */
  get hasPendingSnapshot(): boolean {
    return this.#snapshotUnsaved !== undefined || this.#snapshotWriting !== undefined;
  }

  /** The term at `index`; undefined below the base or beyond the end. */
  termAt(index: number): Term | undefined {
    if (index === this.#baseIndex) {
      return this.#baseTerm;
    }
    return this.#entries[index - this.#baseIndex - 1]?.term;
  }

  entryAt(index: number): Entry | undefined {
    return this.#entries[index - this.#baseIndex - 1];
  }

  /** Appends one entry at the end; the leader's way. */
  append(term: Term, kind: EntryKind, data: Uint8Array): Entry {
    const entry: Entry = { index: (this.lastIndex + 1) as LogIndex, term, kind, data };
    this.#push(entry);
    return entry;
  }

  /**
   * Stores what a leader sent after an entry that was found here: entries already present are
   * left alone (a late append must not cut the log), the first conflict cuts it. They lie beyond
   * the commit index.
   */
  store(entries: readonly Entry[]): void {
    let start = 0;
    const last = this.lastIndex;
    while (start < entries.length) {
      const entry = entries[start] as Entry;
      if (entry.index > last || this.termAt(entry.index) !== entry.term) {
        break;
      }
      start++;
    }
    const first = entries[start];
    if (first === undefined) {
      return;
    }
    if (first.index <= last) {
      this.#cutFrom(first.index);
    }
    for (let i = start; i < entries.length; i++) {
      this.#push(entries[i] as Entry);
    }
  }

  /** Raises the commit index; false when it was there already. */
  commitTo(index: LogIndex): boolean {
    if (index <= this.#commit) {
      return false;
    }
    assert(index <= this.lastIndex, "commit beyond the log");
    this.#commit = index;
    return true;
  }

  /**
   * The last index at or below `index` whose term is at or below `term`: where two logs may agree
   * at the latest. Binary search, since terms never fall. Below the base nothing is known: the
   * answer is then the nearest index that this log cannot deny.
   */
  lastIndexAtTerm(index: number, term: number): LogIndex {
    const base = this.#baseIndex;
    if (index < base) {
      return index as LogIndex;
    }
    let low = 0;
    let high = Math.min(index - base, this.#entries.length);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#entries[middle - 1] as Entry).term <= term) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return (low === 0 && this.#baseTerm > term ? base - 1 : base + low) as LogIndex;
  }

  /** Entries from `from` on: up to `bytesMax` of data but at least one, none beyond `through`. */
  slice(from: LogIndex, bytesMax: number, through: LogIndex = this.lastIndex): readonly Entry[] {
    if (from > through) {
      return noEntries;
    }
    assert(from > this.#baseIndex && through <= this.lastIndex, "slice outside the log");
    const start = from - this.#baseIndex - 1;
    const limit = through - this.#baseIndex;
    let bytes = (this.#entries[start] as Entry).data.length;
    let end = start + 1;
    while (end < limit) {
      bytes += (this.#entries[end] as Entry).data.length;
      if (bytes > bytesMax) {
        break;
      }
      end++;
    }
    return this.#entries.slice(start, end);
  }

  /** Whether `takeCommitted` would return something. */
  get hasCommitted(): boolean {
    return this.#handedOut < this.#commit && this.#handedOut < this.#durable;
  }

  /** The next entries to apply, up to `bytesMax` of data but at least one. */
  takeCommitted(bytesMax: number): readonly Entry[] {
    if (!this.hasCommitted) {
      return noEntries;
    }
    const through = Math.min(this.#commit, this.#durable) as LogIndex;
    const entries = this.slice((this.#handedOut + 1) as LogIndex, bytesMax, through);
    this.#handedOut = (this.#handedOut + entries.length) as LogIndex;
    return entries;
  }

  /** What the next write must carry; marks it as being written. */
  takeUnsaved(): { entries: readonly Entry[]; snapshot: SnapshotMeta | undefined } {
    assert(this.#writing === this.#durable, "a write is already out");
    const entries = this.slice((this.#durable + 1) as LogIndex, Number.POSITIVE_INFINITY);
    const snapshot = this.#snapshotUnsaved;
    this.#writing = this.lastIndex;
    this.#snapshotWriting = snapshot;
    this.#snapshotUnsaved = undefined;
    return { entries, snapshot };
  }

  /** The write is durable. What was cut from the log meanwhile does not count. */
  saved(): void {
    assert(this.#writing >= this.#durable, "durable must not fall");
    this.#durable = this.#writing;
    if (this.#snapshotWriting !== undefined) {
      this.#applied = Math.max(this.#applied, this.#snapshotWriting.index) as LogIndex;
      this.#snapshotWriting = undefined;
    }
  }

  appliedTo(index: LogIndex): void {
    assert(index <= this.#handedOut, () => `applied ${index} was not handed out`);
    if (index > this.#applied) {
      this.#applied = index;
    }
  }

  /** The least index from which on the entries here weigh at most `bytesMax`. */
  firstWithin(bytesMax: number): LogIndex {
    let bytes = 0;
    let at = this.#entries.length;
    while (at > 0) {
      bytes += (this.#entries[at - 1] as Entry).data.length + entryOverheadBytes;
      if (bytes > bytesMax) {
        break;
      }
      at--;
    }
    return (this.#baseIndex + at + 1) as LogIndex;
  }

  /** Forgets the entries before `keepFrom`. */
  compactTo(keepFrom: LogIndex): void {
    assert(keepFrom <= this.#applied + 1, "compaction beyond the applied index");
    const count = keepFrom - this.#baseIndex - 1;
    if (count <= 0) {
      return;
    }
    this.#baseTerm = (this.#entries[count - 1] as Entry).term;
    for (let i = 0; i < count; i++) {
      this.#sizeBytes -= (this.#entries[i] as Entry).data.length + entryOverheadBytes;
    }
    this.#entries.splice(0, count);
    this.#baseIndex = (keepFrom - 1) as LogIndex;
  }

  /** Replaces everything by a snapshot beyond the commit index. */
  restore(snapshot: SnapshotMeta): void {
    assert(snapshot.index > this.#commit, "a snapshot must bring news");
    assert(this.#applied === this.#handedOut, "a snapshot must not overtake applying");
    this.#entries = [];
    this.#sizeBytes = 0;
    this.#baseIndex = snapshot.index;
    this.#baseTerm = snapshot.term;
    this.#commit = snapshot.index;
    this.#handedOut = snapshot.index;
    this.#durable = snapshot.index;
    this.#writing = snapshot.index;
    this.#snapshotUnsaved = snapshot;
  }

  /** Whether an unapplied committed entry changes the membership. */
  hasUnappliedConfChange(): boolean {
    for (let index = this.#applied + 1; index <= this.#commit; index++) {
      if (this.entryAt(index)?.kind === "confChange") {
        return true;
      }
    }
    return false;
  }

  /** Data bytes of the entries from `from` to `through`. */
  dataBytes(from: number, through: number): number {
    let bytes = 0;
    for (let index = from; index <= through; index++) {
      bytes += (this.entryAt(index)?.data ?? emptyBytes).length;
    }
    return bytes;
  }

  #push(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1 && entry.term >= this.lastTerm, "log not contiguous");
    this.#entries.push(entry);
    this.#sizeBytes += entry.data.length + entryOverheadBytes;
  }

  #cutFrom(index: LogIndex): void {
    assert(index > this.#commit, "a committed entry must not be cut");
    const keep = index - this.#baseIndex - 1;
    for (let i = keep; i < this.#entries.length; i++) {
      this.#sizeBytes -= (this.#entries[i] as Entry).data.length + entryOverheadBytes;
    }
    this.#entries.length = keep;
    const last = (index - 1) as LogIndex;
    this.#durable = Math.min(this.#durable, last) as LogIndex;
    this.#writing = Math.min(this.#writing, last) as LogIndex;
  }
}
