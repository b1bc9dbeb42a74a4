// Writing and reading fixed binary forms: numbers big endian, counters and identities 8 bytes.

import { DecodeError, assert } from "../base/index.ts";
import type { LogIndex, MemberId, Term } from "../base/index.ts";

/** Fills a buffer whose size is known beforehand. */
export class ByteSink {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(sizeBytes: number) {
    this.#bytes = new Uint8Array(sizeBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u8(value: number): void {
    this.#view.setUint8(this.#offset, value);
    this.#offset += 1;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#offset, value);
    this.#offset += 4;
  }

  counter(value: number): void {
    this.#view.setUint32(this.#offset, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(this.#offset + 4, value >>> 0);
    this.#offset += 8;
  }

  id(value: bigint): void {
    this.#view.setBigUint64(this.#offset, value);
    this.#offset += 8;
  }

  boolean(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#offset);
    this.#offset += value.length;
  }

  finish(): Uint8Array {
    assert(this.#offset === this.#bytes.length, "a message fills its buffer");
    return this.#bytes;
  }
}

/** Reads what a peer sent; a read past the end and a value out of range throw DecodeError. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  counter(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at);
    if (high > 0x1f_ffff) {
      throw new DecodeError("counter beyond 2^53 - 1");
    }
    return high * 0x1_0000_0000 + this.#view.getUint32(at + 4);
  }

  index(): LogIndex {
    return this.counter() as LogIndex;
  }

  indexAfter(index: LogIndex, distance: number): LogIndex {
    if (index + distance > Number.MAX_SAFE_INTEGER) {
      throw new DecodeError("log index beyond 2^53 - 1");
    }
    return (index + distance) as LogIndex;
  }

  term(): Term {
    return this.counter() as Term;
  }

  memberId(): MemberId {
    return this.#view.getBigUint64(this.#take(8)) as MemberId;
  }

  boolean(): boolean {
    const byte = this.u8();
    if (byte > 1) {
      throw new DecodeError(`not a boolean: ${byte}`);
    }
    return byte === 1;
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Nothing may be left. */
  end(): void {
    if (this.#offset !== this.#bytes.length) {
      throw new DecodeError(`${this.#bytes.length - this.#offset} bytes too many`);
    }
  }

  #take(length: number): number {
    const at = this.#offset;
    if (length > this.#bytes.length - at) {
      throw new DecodeError("cut off");
    }
    this.#offset = at + length;
    return at;
  }
}
