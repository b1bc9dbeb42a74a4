// A history block: events in the order of (revision, sub), encoded once.
//
//   format 1 | entries ... | offset of each entry, 4 bytes each | count 4
//
//   entry = flags 1 | revision 6 | sub 4
//         | varints: depth, revision - previous revision, previous sub, previous size
//         | for each jump 1..level, varints: revision - its revision, its sub
//         | lease 8, if flagged | previous lease 8, if flagged
//         | body: `08 01` for a delete (Event.type), then field 2: tag 0x12, length, KeyValue
//
//   flags: bit 0 delete, 1 created (a put with version 1), 2 lease, 3 previous lease,
//          bits 4 to 6 the level, which is the number of jumps
//
// So an Event without prev_kv is the body as it stands, and a pair is the body's field 2. The
// previous position is that of the key's event before this one, a tombstone included; it equals
// revision - revision = 0 where there is none. A block being filled keeps its offsets in an array
// and its table is written when it is sealed.

import { CorruptionError, noLease } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import type { KeyEntry } from "./key-entry.ts";
import { pairFieldTag, pairLength, putPair } from "./key-value-codec.ts";
import {
  getLease,
  getU32,
  getU48,
  putVarint,
  setLease,
  setU32,
  setU48,
  VarintReader,
  varintLength,
} from "./numbers.ts";

const format = 1;
const fixedBytes = 11;
const offsetBytes = 4;
const countBytes = 4;
/** The most that an entry takes besides body and jumps: fixed part, varints, leases. */
const headBytesMax = fixedBytes + 4 * 8 + 16;
/** The most that one jump takes: two varints. */
const jumpBytesMax = 8 + 5;
const deleteFlag = 1;
const createdFlag = 2;
const leaseFlag = 4;
const previousLeaseFlag = 8;

/** One event to be appended. */
export interface EventDraft {
  deleted: boolean;
  key: Uint8Array;
  value: Uint8Array;
  revision: number;
  sub: number;
  depth: number;
  level: number;
  /** The key's entry before the event: previous position, size, lease and anchors to jump to. */
  before: KeyEntry;
  create: number;
  version: number;
  lease: LeaseId;
  /** Length of the encoded pair, once measured. */
  pairBytes: number;
}

export class HistoryBlock {
  bytes: Uint8Array;
  count = 0;
  firstRevision = 0;
  firstSub = 0;
  lastRevision = 0;
  lastSub = 0;
  /** Length of the whole record, if these are only some of its events; else 0. */
  partOfBytes = 0;
  /** End of the entries. */
  end = 1;
  /** While it is being filled. */
  #offsets: number[] | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** An empty block to be filled, with room for one event whose body has `bodyBytes` at least. */
  static make(targetBytes: number, bodyBytes: number): HistoryBlock {
    const need = 1 + headBytesMax + 7 * jumpBytesMax + bodyBytes + offsetBytes + countBytes;
    const block = new HistoryBlock(new Uint8Array(need > targetBytes ? need : targetBytes));
    block.bytes[0] = format;
    block.#offsets = [];
    return block;
  }

  /** Takes a loaded record over. */
  static parse(record: Uint8Array, name: string): HistoryBlock {
    const block = new HistoryBlock(record);
    const length = record.length;
    if (length < 1 + countBytes || record[0] !== format) {
      throw new CorruptionError(`${name} has an unknown form`);
    }
    block.count = getU32(record, length - countBytes);
    block.end = length - countBytes - block.count * offsetBytes;
    if (block.count === 0 || block.end < 1 + block.count * fixedBytes) {
      throw new CorruptionError(`${name} does not add up`);
    }
    block.firstRevision = block.revisionAt(0);
    block.firstSub = block.subAt(0);
    block.#noteLast();
    return block;
  }

  /** Length of the record that this block is or would be. */
  get recordBytes(): number {
    return this.end + this.count * offsetBytes + countBytes;
  }

  get sealed(): boolean {
    return this.#offsets === undefined;
  }

  /** Whether an event with so many jumps and so long a body fits. */
  hasRoom(level: number, bodyBytes: number): boolean {
    const need = headBytesMax + level * jumpBytesMax + bodyBytes + offsetBytes;
    return this.recordBytes + need <= this.bytes.length;
  }

  /** Appends an event that was measured and that `hasRoom` accepted; returns the bytes it takes. */
  append(draft: EventDraft): number {
    const b = this.bytes;
    const { before, revision } = draft;
    const start = this.end;
    const lease = draft.lease;
    const previousLease = before.deleted ? noLease : before.lease;
    b[start] =
      (draft.deleted ? deleteFlag : 0) |
      (!draft.deleted && draft.version === 1 ? createdFlag : 0) |
      (lease === noLease ? 0 : leaseFlag) |
      (previousLease === noLease ? 0 : previousLeaseFlag) |
      (draft.level << 4);
    setU48(b, start + 1, revision);
    setU32(b, start + 7, draft.sub);
    let at = putVarint(b, start + fixedBytes, draft.depth);
    at = putVarint(b, at, revision - before.mod);
    at = putVarint(b, at, before.sub);
    at = putVarint(b, at, before.size);
    for (let k = 1; k <= draft.level; k++) {
      const known = k <= before.anchors;
      at = putVarint(b, at, known ? revision - (before.anchorRevision[k] as number) : revision);
      at = putVarint(b, at, known ? (before.anchorSub[k] as number) : 0);
    }
    if (lease !== noLease) {
      setLease(b, at, lease);
      at += 8;
    }
    if (previousLease !== noLease) {
      setLease(b, at, previousLease);
      at += 8;
    }
    this.end = putBody(b, at, draft);
    return this.#entered(start);
  }

  /** Appends entry `index` of another block as it is. */
  appendFrom(other: HistoryBlock, index: number): void {
    const start = this.end;
    const entry = other.offsetAt(index);
    const end = other.endAt(index);
    this.bytes.set(other.bytes.subarray(entry, end), start);
    this.end = start + end - entry;
    this.#entered(start);
  }

  /** Some of the events, in a block of their own. `indexes` rise. */
  extract(indexes: readonly number[]): HistoryBlock {
    let bytes = 1 + countBytes;
    for (const index of indexes) {
      bytes += this.sizeAt(index);
    }
    const part = new HistoryBlock(new Uint8Array(bytes));
    part.bytes[0] = format;
    part.#offsets = [];
    for (const index of indexes) {
      part.appendFrom(this, index);
    }
    part.seal();
    part.partOfBytes = this.recordBytes;
    return part;
  }

  /** Forgets what was appended after the block had `count` entries and ended at `end`. */
  truncate(count: number, end: number, offsets: number[] | undefined): void {
    this.#offsets = offsets ?? this.#offsets;
    (this.#offsets as number[]).length = count;
    this.count = count;
    this.end = end;
    this.#noteLast();
  }

  /** For `truncate` of a block that is sealed in the meantime. */
  get offsets(): number[] | undefined {
    return this.#offsets;
  }

  /** Ends filling. The record is then `record`, without a copy. */
  seal(): void {
    this.#putTable(this.bytes);
    this.#offsets = undefined;
  }

  /** The record: a view of a sealed block, a copy of one being filled. */
  record(): Uint8Array {
    if (this.#offsets === undefined) {
      return this.bytes.subarray(0, this.recordBytes);
    }
    const copy = new Uint8Array(this.recordBytes);
    copy.set(this.bytes.subarray(0, this.end));
    this.#putTable(copy);
    return copy;
  }

  /** Goes on filling a loaded block. */
  reopen(targetBytes: number): HistoryBlock {
    const block = HistoryBlock.make(targetBytes, this.recordBytes);
    for (let i = 0; i < this.count; i++) {
      block.appendFrom(this, i);
    }
    return block;
  }

  offsetAt(index: number): number {
    return this.#offsets === undefined
      ? getU32(this.bytes, this.end + index * offsetBytes)
      : (this.#offsets[index] as number);
  }

  endAt(index: number): number {
    return index + 1 === this.count ? this.end : this.offsetAt(index + 1);
  }

  revisionAt(index: number): number {
    return getU48(this.bytes, this.offsetAt(index) + 1);
  }

  subAt(index: number): number {
    return getU32(this.bytes, this.offsetAt(index) + 7);
  }

  /** Bytes that an event takes in the record. */
  sizeAt(index: number): number {
    return this.endAt(index) - this.offsetAt(index) + offsetBytes;
  }

  isDeleteAt(index: number): boolean {
    return ((this.bytes[this.offsetAt(index)] as number) & deleteFlag) !== 0;
  }

  /** Where the body's field 2 begins; it ends at `endAt`. */
  fieldAt(index: number): number {
    const b = this.bytes;
    const start = this.offsetAt(index);
    const flags = b[start] as number;
    let at = start + fixedBytes;
    for (let varints = 4 + 2 * (flags >> 4); varints > 0; varints--) {
      while ((b[at++] as number) >= 0x80) {
        // Skips one varint.
      }
    }
    at += (flags & leaseFlag) === 0 ? 0 : 8;
    at += (flags & previousLeaseFlag) === 0 ? 0 : 8;
    return at + ((flags & deleteFlag) === 0 ? 0 : 2);
  }

  /** Index of the event at exactly this position, or -1. */
  indexOf(revision: number, sub: number): number {
    const guess = this.#guess(revision, sub);
    if (this.#isAt(guess, revision, sub)) {
      return guess;
    }
    const index = this.#search(revision, sub);
    return this.#isAt(index, revision, sub) ? index : -1;
  }

  /** Index of the first event at or after a position. */
  lowerBound(revision: number, sub: number): number {
    const guess = this.#guess(revision, sub);
    return this.#isAt(guess, revision, sub) ? guess : this.#search(revision, sub);
  }

  #isAt(index: number, revision: number, sub: number): boolean {
    if (index < 0 || index >= this.count) {
      return false;
    }
    const at = this.offsetAt(index);
    return getU48(this.bytes, at + 1) === revision && getU32(this.bytes, at + 7) === sub;
  }

  #search(revision: number, sub: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const difference = this.revisionAt(middle) - revision || this.subAt(middle) - sub;
      if (difference < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** One event a revision, or one revision all through: then the index is a subtraction. */
  #guess(revision: number, sub: number): number {
    if (revision === this.firstRevision) {
      return sub - this.firstSub;
    }
    return revision === this.lastRevision
      ? this.count - 1 - this.lastSub + sub
      : revision - this.firstRevision;
  }

  #entered(start: number): number {
    (this.#offsets as number[]).push(start);
    this.count++;
    this.lastRevision = getU48(this.bytes, start + 1);
    this.lastSub = getU32(this.bytes, start + 7);
    if (this.count === 1) {
      this.firstRevision = this.lastRevision;
      this.firstSub = this.lastSub;
    }
    return this.end - start + offsetBytes;
  }

  #noteLast(): void {
    if (this.count > 0) {
      this.lastRevision = this.revisionAt(this.count - 1);
      this.lastSub = this.subAt(this.count - 1);
    }
  }

  #putTable(target: Uint8Array): void {
    let at = this.end;
    for (const offset of this.#offsets as number[]) {
      setU32(target, at, offset);
      at += offsetBytes;
    }
    setU32(target, at, this.count);
  }
}

/** Length of an event's body; notes the pair's in the draft. */
export function measureBody(draft: EventDraft): number {
  const pair = draft.deleted
    ? pairLength(draft.key.length, 0, draft.revision, 0, 0, noLease)
    : pairLength(
        draft.key.length,
        draft.create,
        draft.revision,
        draft.version,
        draft.value.length,
        draft.lease,
      );
  draft.pairBytes = pair;
  return (draft.deleted ? 3 : 1) + varintLength(pair) + pair;
}

const noBytes = new Uint8Array(0);

function putBody(b: Uint8Array, start: number, draft: EventDraft): number {
  let at = start;
  if (draft.deleted) {
    b[at++] = 0x08;
    b[at++] = 0x01;
  }
  b[at++] = pairFieldTag;
  at = putVarint(b, at, draft.pairBytes);
  return draft.deleted
    ? putPair(b, at, draft.key, 0, draft.revision, 0, noBytes, noLease)
    : putPair(
        b,
        at,
        draft.key,
        draft.create,
        draft.revision,
        draft.version,
        draft.value,
        draft.lease,
      );
}

/** The head of one event, decoded. Reused from event to event. */
export class EventHead {
  deleted = false;
  created = false;
  revision = 0;
  sub = 0;
  depth = 0;
  level = 0;
  previousRevision = 0;
  previousSub = 0;
  previousSize = 0;
  lease: LeaseId = noLease;
  previousLease: LeaseId = noLease;
  readonly jumpRevision: number[] = new Array<number>(8).fill(0);
  readonly jumpSub: number[] = new Array<number>(8).fill(0);
  /** The body begins here and ends at `end`. */
  bodyStart = 0;
  end = 0;
  readonly #reader = new VarintReader(noBytes, 0);

  read(block: HistoryBlock, index: number): void {
    const b = block.bytes;
    const start = block.offsetAt(index);
    const flags = b[start] as number;
    this.deleted = (flags & deleteFlag) !== 0;
    this.created = (flags & createdFlag) !== 0;
    this.level = flags >> 4;
    this.revision = getU48(b, start + 1);
    this.sub = getU32(b, start + 7);
    const reader = this.#reader;
    reader.bytes = b;
    reader.at = start + fixedBytes;
    this.depth = reader.next();
    this.previousRevision = this.revision - reader.next();
    this.previousSub = reader.next();
    this.previousSize = reader.next();
    for (let k = 1; k <= this.level; k++) {
      this.jumpRevision[k] = this.revision - reader.next();
      this.jumpSub[k] = reader.next();
    }
    let at = reader.at;
    this.lease = noLease;
    if ((flags & leaseFlag) !== 0) {
      this.lease = getLease(b, at);
      at += 8;
    }
    this.previousLease = noLease;
    if ((flags & previousLeaseFlag) !== 0) {
      this.previousLease = getLease(b, at);
      at += 8;
    }
    this.bodyStart = at;
    this.end = block.endAt(index);
  }

  /** Where the body's field 2 begins. */
  get fieldStart(): number {
    return this.bodyStart + (this.deleted ? 2 : 0);
  }
}
