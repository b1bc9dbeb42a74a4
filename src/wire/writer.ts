// Protobuf encoding, written from the end to the start: by the time a length prefix is needed the
// message behind it stands already, so nothing is measured first and nothing is moved.
//
// Rules: between `begin` and `finish` fields are written in falling order. `finish` gives an
// exact-size view of the slab, never written again; it keeps its slab (at most 64 KiB, or about
// twice the message) alive, so what keeps a small piece for long should copy it.

import { emptyBytes } from "../base/index.ts";

const slabBytes = 64 * 1024;
const encoder = new TextEncoder();
const scratch = new DataView(new ArrayBuffer(8));

export class Writer {
  #slab = emptyBytes;
  /** First written byte of the slab. */
  #position = 0;
  /** One past the last byte of the message under way. */
  #end = 0;

  /** Starts a message; one that was begun and not finished is forgotten. */
  begin(): void {
    this.#end = this.#position;
  }

  finish(): Uint8Array {
    const message =
      this.#position === this.#end ? emptyBytes : this.#slab.subarray(this.#position, this.#end);
    if (this.#slab.length > slabBytes) {
      this.#slab = emptyBytes;
      this.#position = 0;
    }
    this.#end = this.#position;
    return message;
  }

  /** Bytes written since `begin`; the difference of two marks is the length of what lies between. */
  mark(): number {
    return this.#end - this.#position;
  }

  /** Moves down by `length` bytes and returns where they start. */
  #reserve(length: number): number {
    if (length > this.#position) {
      this.#grow(length);
    }
    this.#position -= length;
    return this.#position;
  }

  #byte(value: number): void {
    // Reserving may replace the slab, so it must come before the slab is looked at.
    const at = this.#reserve(1);
    this.#slab[at] = value;
  }

  #grow(length: number): void {
    const written = this.#end - this.#position;
    const need = written + length;
    const slab = new Uint8Array(need * 2 > slabBytes ? need * 2 : slabBytes);
    slab.set(this.#slab.subarray(this.#position, this.#end), slab.length - written);
    this.#slab = slab;
    this.#end = slab.length;
    this.#position = slab.length - written;
  }

  /** A field's tag, or any number below 2^14 (hot path of tags and short lengths). */
  tag(tag: number): void {
    if (tag < 0x80) {
      this.#byte(tag);
    } else {
      this.uint64(tag);
    }
  }

  /** The length of everything since `mark` was taken. */
  lengthSince(mark: number): void {
    this.uint64(this.mark() - mark);
  }

  /** A whole number, 0 to 2^53 - 1 (uint32, uint64 counters, lengths). */
  uint64(value: number): void {
    if (value < 0x80) {
      this.#byte(value);
      return;
    }
    if (value < 0x8000_0000) {
      const size = value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
      let at = this.#reserve(size);
      const slab = this.#slab;
      let rest = value;
      while (rest >= 0x80) {
        slab[at++] = rest | 0x80;
        rest >>>= 7;
      }
      slab[at] = rest;
      return;
    }
    this.#varint64(value >>> 0, Math.floor(value / 0x1_0000_0000) >>> 0);
  }

  /** int32, enums and int64 counters: a safe integer; a negative one takes ten bytes. */
  int64(value: number): void {
    if (value >= 0) {
      this.uint64(value);
    } else {
      this.#varint64(value >>> 0, Math.floor(value / 0x1_0000_0000) >>> 0);
    }
  }

  /** A 64-bit identity, signed or not. */
  big64(value: bigint): void {
    scratch.setBigUint64(0, value, true);
    this.#varint64(scratch.getUint32(0, true), scratch.getUint32(4, true));
  }

  #varint64(low: number, high: number): void {
    let size = 1;
    if (high === 0) {
      size = low < 0x80 ? 1 : low < 0x4000 ? 2 : low < 0x20_0000 ? 3 : low < 0x1000_0000 ? 4 : 5;
    } else {
      size = high < 0x8 ? 5 : high < 0x400 ? 6 : high < 0x2_0000 ? 7 : high < 0x100_0000 ? 8 : 9;
      size = high >= 0x8000_0000 ? 10 : size;
    }
    let at = this.#reserve(size);
    const last = at + size - 1;
    const slab = this.#slab;
    let lowRest = low;
    let highRest = high;
    while (at < last) {
      slab[at++] = (lowRest & 0x7f) | 0x80;
      lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
      highRest >>>= 7;
    }
    slab[at] = lowRest;
  }

  fixed64(value: bigint): void {
    scratch.setBigUint64(0, value, true);
    const at = this.#reserve(8);
    for (let i = 0; i < 8; i++) {
      this.#slab[at + i] = scratch.getUint8(i);
    }
  }

  bool(value: boolean): void {
    this.#byte(value ? 1 : 0);
  }

  /** Bytes as they are, without a length. */
  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#slab.set(bytes, at);
  }

  /** Length and bytes. */
  bytes(bytes: Uint8Array): void {
    this.raw(bytes);
    this.uint64(bytes.length);
  }

  /** Length and text as UTF-8; a lone surrogate becomes U+FFFD. */
  string(text: string): void {
    this.bytes(encoder.encode(text));
  }
}

/** The writer that every `encode` of this process uses: encoding never waits or calls back. */
export const sharedWriter = new Writer();
