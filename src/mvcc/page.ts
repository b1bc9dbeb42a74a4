// A page: a sorted run of entries in one byte buffer, changed in place.
//
//   | header 32 | shared key prefix | entries, in any order ... free ... | slots, in key order |
//   slot  = offset of an entry, 3 bytes; first 4 bytes of its suffix (zeros behind a shorter one);
//           slots end at the end of the buffer
//   entry = suffix length 3 | image | suffix
//   image = flags 1 | payload (one fixed size per tree) | extras, 10 bytes each
//
// No object exists per entry: a search reads the bytes, an update overwrites an image. The first
// bytes in the slots settle nearly every step of a search without going to the entry. The prefix
// common to all keys is stored once, which halves the index of path-like keys. What is written to
// the engine is this buffer without its free space; what is loaded is used as it came.
//
// Flag bit 0 hides an entry from `visible` (a tombstone, for keys); bits 4 to 6 count the extras.

import { CorruptionError } from "../base/index.ts";
import { getU24, getU32, getU48, headOf, setU24, setU32, setU48 } from "./numbers.ts";

const format = 1;
const headerBytes = 32;
const slotBytes = 7;
/** Suffix length and flags. */
const entryHeadBytes = 4;
/** One extra: a position in history, revision(6) and sub(4). */
export const extraBytes = 10;
export const hiddenFlag = 1;
export const extrasMax = 7;

/** Bytes of an image whose first byte is `flags`. */
export function imageLength(payloadBytes: number, flags: number): number {
  return 1 + payloadBytes + ((flags >> 4) & 7) * extraBytes;
}

export class Page {
  /** The whole buffer, free space included. */
  bytes: Uint8Array;
  count = 0;
  /** Entries without the hidden flag. */
  visible = 0;
  touched = true;
  dirty = false;
  /** Never evicted: the page that new entries are appended to without asking. */
  pinned = false;
  readonly payloadBytes: number;
  #prefixBytes = 0;
  #heapEnd = headerBytes;
  #garbageBytes = 0;

  constructor(payloadBytes: number, capacityBytes: number) {
    this.payloadBytes = payloadBytes;
    this.bytes = new Uint8Array(capacityBytes);
  }

  /** Bytes that the page would take without free space and garbage. */
  get usedBytes(): number {
    return this.#heapEnd - this.#garbageBytes + this.count * slotBytes;
  }

  /** The slot that holds `key`, or -1 - (the slot where it belongs). */
  find(key: Uint8Array): number {
    const b = this.bytes;
    const prefix = this.#prefixBytes;
    const shared = key.length < prefix ? key.length : prefix;
    for (let i = 0; i < shared; i++) {
      const difference = (key[i] as number) - (b[headerBytes + i] as number);
      if (difference !== 0) {
        return difference < 0 ? -1 : -1 - this.count;
      }
    }
    if (key.length < prefix) {
      return -1;
    }
    const slots = b.length - this.count * slotBytes;
    const head = headOf(key, prefix, key.length);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const slot = slots + middle * slotBytes;
      let order = head - getU32(b, slot + 3);
      if (order === 0) {
        order = this.#compareSuffix(key, prefix, getU24(b, slot));
        if (order === 0) {
          return middle;
        }
      }
      if (order < 0) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return -1 - low;
  }

  /** The slot of the first entry whose key is not below `key`. */
  lowerBound(key: Uint8Array): number {
    const slot = this.find(key);
    return slot < 0 ? -1 - slot : slot;
  }

  /** Offset in `bytes` of an entry's flags, where its image begins. Valid until the next change. */
  imageAt(slot: number): number {
    const b = this.bytes;
    return getU24(b, b.length - (this.count - slot) * slotBytes) + 3;
  }

  keyAt(slot: number): Uint8Array {
    const length = getU24(this.bytes, this.#entryAt(slot));
    const key = new Uint8Array(this.#prefixBytes + length);
    this.copyKey(slot, key);
    return key;
  }

  /** Writes an entry's key to the start of `key`, which is long enough. */
  copyKey(slot: number, key: Uint8Array): void {
    const b = this.bytes;
    const entry = this.#entryAt(slot);
    const prefix = this.#prefixBytes;
    const length = getU24(b, entry);
    for (let i = 0; i < prefix; i++) {
      key[i] = b[headerBytes + i] as number;
    }
    const suffix = this.#suffixAt(entry);
    for (let i = 0; i < length; i++) {
      key[prefix + i] = b[suffix + i] as number;
    }
  }

  /** Bytes that an entry would take with its whole key; the page's prefix makes no difference. */
  weightAt(slot: number): number {
    return this.#entryBytes(this.#entryAt(slot)) + slotBytes + this.#prefixBytes;
  }

  /** Adds an entry at the slot that `find` named. */
  insert(slot: number, key: Uint8Array, image: Uint8Array): void {
    const imageBytes = imageLength(this.payloadBytes, image[0] as number);
    const need = 3 + imageBytes + key.length - this.#prefixBytes + slotBytes;
    if (!this.#hasPrefix(key)) {
      this.#rebuild(key, need + this.#prefixBytes);
    } else if (this.#freeBytes() < need) {
      this.#makeRoom(key, need);
    }
    const b = this.bytes;
    const prefix = this.#prefixBytes;
    const length = key.length - prefix;
    const entry = this.#heapEnd;
    setU24(b, entry, length);
    let at = entry + 3;
    for (let i = 0; i < imageBytes; i++) {
      b[at++] = image[i] as number;
    }
    for (let i = 0; i < length; i++) {
      b[at++] = key[prefix + i] as number;
    }
    this.#heapEnd = at;
    const slots = b.length - this.count * slotBytes;
    b.copyWithin(slots - slotBytes, slots, slots + slot * slotBytes);
    this.count++;
    setU24(b, slots - slotBytes + slot * slotBytes, entry);
    setU32(b, slots - slotBytes + slot * slotBytes + 3, headOf(key, prefix, key.length));
    if (((image[0] as number) & hiddenFlag) === 0) {
      this.visible++;
    }
  }

  /** Overwrites an entry's image. */
  replace(slot: number, image: Uint8Array): void {
    let b = this.bytes;
    let entry = this.#entryAt(slot);
    const oldFlags = b[entry + 3] as number;
    const flags = image[0] as number;
    const length = imageLength(this.payloadBytes, flags);
    if (oldFlags >> 4 !== flags >> 4) {
      const need = this.#entryBytes(entry) + extrasMax * extraBytes;
      if (this.#freeBytes() < need) {
        this.#makeRoom(undefined, need);
        b = this.bytes;
        entry = this.#entryAt(slot);
      }
      entry = this.#relocate(slot, entry, length);
    }
    this.visible += (oldFlags & hiddenFlag) - (flags & hiddenFlag);
    for (let i = 0, at = entry + 3; i < length; i++) {
      b[at++] = image[i] as number;
    }
  }

  remove(slot: number): void {
    const b = this.bytes;
    const entry = this.#entryAt(slot);
    this.#garbageBytes += this.#entryBytes(entry);
    if (((b[entry + 3] as number) & hiddenFlag) === 0) {
      this.visible--;
    }
    const slots = b.length - this.count * slotBytes;
    b.copyWithin(slots + slotBytes, slots, slots + slot * slotBytes);
    this.count--;
    if (this.count === 0) {
      this.#prefixBytes = 0;
      this.#heapEnd = headerBytes;
      this.#garbageBytes = 0;
    }
  }

  /** The first slot of the upper part when the page is cut at `share` (0 to 1) of its bytes. */
  splitSlot(share: number): number {
    const goal = (this.usedBytes - headerBytes - this.#prefixBytes) * share;
    let sum = 0;
    for (let slot = 0; slot < this.count - 1; slot++) {
      sum += this.weightAt(slot) - this.#prefixBytes;
      if (sum >= goal) {
        return slot + 1;
      }
    }
    return this.count - 1;
  }

  /** Moves the entries from `slot` on to a new page. Both parts keep at least one entry. */
  split(slot: number): Page {
    const upper = this.#copy(slot, this.count, undefined, 0);
    this.#adopt(this.#copy(0, slot, undefined, 0));
    return upper;
  }

  /** Adds all entries of `upper`, whose keys are above all keys of this page. */
  append(upper: Page): void {
    for (let slot = 0; slot < upper.count; slot++) {
      const image = upper.imageAt(slot);
      const key = upper.keyAt(slot);
      const length = imageLength(upper.payloadBytes, upper.bytes[image] as number);
      this.insert(this.count, key, upper.bytes.subarray(image, image + length));
    }
  }

  /** The record: a copy without free space. `stamp` names the checkpoint that it belongs to. */
  serialize(stamp: number): Uint8Array {
    if (this.#garbageBytes > 0) {
      this.#rebuild(undefined, 0);
    }
    const slots = this.count * slotBytes;
    const record = new Uint8Array(this.#heapEnd + slots);
    record.set(this.bytes.subarray(headerBytes, this.#heapEnd), headerBytes);
    record.set(this.bytes.subarray(this.bytes.length - slots), this.#heapEnd);
    record[0] = format;
    record[1] = this.payloadBytes;
    setU24(record, 2, this.#prefixBytes);
    setU24(record, 5, this.count);
    setU24(record, 8, this.visible);
    setU32(record, 11, this.#heapEnd);
    setU48(record, 15, stamp);
    return record;
  }

  /** The checkpoint that wrote a page record. */
  static stampOf(record: Uint8Array): number {
    return record.length < headerBytes ? -1 : getU48(record, 15);
  }

  /** Takes a record over as it is. CorruptionError if it is no page of this kind. */
  static parse(record: Uint8Array, payloadBytes: number, name: string): Page {
    if (record.length < headerBytes || record[0] !== format || record[1] !== payloadBytes) {
      throw new CorruptionError(`${name} has an unknown form`);
    }
    const page = new Page(payloadBytes, 0);
    page.bytes = record;
    page.#prefixBytes = getU24(record, 2);
    page.count = getU24(record, 5);
    page.visible = getU24(record, 8);
    page.#heapEnd = getU32(record, 11);
    const bounds = page.#heapEnd + page.count * slotBytes;
    if (
      bounds !== record.length ||
      page.#heapEnd < headerBytes + page.#prefixBytes ||
      !page.#entriesFit()
    ) {
      throw new CorruptionError(`${name} does not add up`);
    }
    return page;
  }

  /** Whether every entry lies where entries do; a length read elsewhere could be any. */
  #entriesFit(): boolean {
    for (let slot = 0; slot < this.count; slot++) {
      const entry = this.#entryAt(slot);
      const fits = entry >= headerBytes && entry + entryHeadBytes <= this.#heapEnd;
      if (!fits || entry + this.#entryBytes(entry) > this.#heapEnd) {
        return false;
      }
    }
    return true;
  }

  /** Orders the rest of `key` against an entry's suffix. */
  #compareSuffix(key: Uint8Array, prefix: number, entry: number): number {
    const b = this.bytes;
    const length = getU24(b, entry);
    const suffix = this.#suffixAt(entry);
    const rest = key.length - prefix;
    const common = rest < length ? rest : length;
    for (let i = 0; i < common; i++) {
      const order = (key[prefix + i] as number) - (b[suffix + i] as number);
      if (order !== 0) {
        return order;
      }
    }
    return rest - length;
  }

  #entryAt(slot: number): number {
    const b = this.bytes;
    return getU24(b, b.length - (this.count - slot) * slotBytes);
  }

  #suffixAt(entry: number): number {
    const extras = (this.bytes[entry + 3] as number) >> 4;
    return entry + entryHeadBytes + this.payloadBytes + extras * extraBytes;
  }

  #entryBytes(entry: number): number {
    return this.#suffixAt(entry) - entry + getU24(this.bytes, entry);
  }

  #freeBytes(): number {
    return this.bytes.length - this.count * slotBytes - this.#heapEnd;
  }

  #hasPrefix(key: Uint8Array): boolean {
    const prefix = this.#prefixBytes;
    if (key.length < prefix) {
      return false;
    }
    for (let i = 0; i < prefix; i++) {
      if (key[i] !== this.bytes[headerBytes + i]) {
        return false;
      }
    }
    return true;
  }

  /** Copies an entry behind the others, with room for an image of `imageBytes`. */
  #relocate(slot: number, old: number, imageBytes: number): number {
    const b = this.bytes;
    const length = getU24(b, old);
    const suffix = this.#suffixAt(old);
    const entry = this.#heapEnd;
    this.#garbageBytes += suffix - old + length;
    setU24(b, entry, length);
    b.copyWithin(entry + 3 + imageBytes, suffix, suffix + length);
    this.#heapEnd = entry + 3 + imageBytes + length;
    setU24(b, b.length - (this.count - slot) * slotBytes, entry);
    return entry;
  }

  /** Gets at least `needBytes` free for `key`. */
  #makeRoom(key: Uint8Array | undefined, needBytes: number): void {
    if (this.#garbageBytes > 0 || this.count === 0) {
      this.#rebuild(key, needBytes);
      return;
    }
    const old = this.bytes;
    const slots = this.count * slotBytes;
    const larger = new Uint8Array(this.#heapEnd + slots + this.#slack(needBytes));
    larger.set(old.subarray(0, this.#heapEnd));
    larger.set(old.subarray(old.length - slots), larger.length - slots);
    this.bytes = larger;
  }

  /** Lays the page out anew, without garbage, with at least `needBytes` free for `key`. */
  #rebuild(key: Uint8Array | undefined, needBytes: number): void {
    this.#adopt(this.#copy(0, this.count, key, needBytes === 0 ? 0 : this.#slack(needBytes)));
  }

  #slack(needBytes: number): number {
    return needBytes + Math.max(256, this.usedBytes >> 3);
  }

  #adopt(other: Page): void {
    this.bytes = other.bytes;
    this.count = other.count;
    this.visible = other.visible;
    this.#prefixBytes = other.#prefixBytes;
    this.#heapEnd = other.#heapEnd;
    this.#garbageBytes = 0;
  }

  /** Entries from..to in a page of their own, whose prefix suits `key` too. */
  #copy(from: number, to: number, key: Uint8Array | undefined, slack: number): Page {
    const old = this.bytes;
    const oldPrefix = this.#prefixBytes;
    const prefix = from === to ? undefined : this.#commonPrefix(from, to, key);
    const prefixBytes = prefix === undefined ? 0 : prefix.length;
    const shift = oldPrefix - prefixBytes;
    let size = headerBytes + prefixBytes + slack;
    for (let slot = from; slot < to; slot++) {
      size += this.weightAt(slot) - prefixBytes;
    }
    const page = new Page(this.payloadBytes, size);
    page.#prefixBytes = prefixBytes;
    page.count = to - from;
    const b = page.bytes;
    if (prefix !== undefined) {
      b.set(prefix, headerBytes);
    }
    let at = headerBytes + prefixBytes;
    let slotAt = size - page.count * slotBytes;
    for (let slot = from; slot < to; slot++) {
      const entry = this.#entryAt(slot);
      const suffix = this.#suffixAt(entry);
      const length = getU24(old, entry);
      setU24(b, slotAt, at);
      setU24(b, at, length + shift);
      page.visible += 1 - ((old[entry + 3] as number) & hiddenFlag);
      at += 3;
      for (let i = entry + 3; i < suffix; i++) {
        b[at++] = old[i] as number;
      }
      for (let i = prefixBytes; i < oldPrefix; i++) {
        b[at++] = old[headerBytes + i] as number;
      }
      for (let i = suffix - (shift < 0 ? shift : 0); i < suffix + length; i++) {
        b[at++] = old[i] as number;
      }
      setU32(b, slotAt + 3, headOf(b, at - length - shift, at));
      slotAt += slotBytes;
    }
    page.#heapEnd = at;
    return page;
  }

  #commonPrefix(from: number, to: number, key: Uint8Array | undefined): Uint8Array {
    const first = this.keyAt(from);
    let length = commonLength(first, this.keyAt(to - 1), first.length);
    if (key !== undefined) {
      length = commonLength(first, key, length);
    }
    return first.subarray(0, length);
  }
}

function commonLength(a: Uint8Array, b: Uint8Array, bound: number): number {
  const end = Math.min(a.length, b.length, bound);
  let length = 0;
  while (length < end && a[length] === b[length]) {
    length++;
  }
  return length;
}
