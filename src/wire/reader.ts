// Protobuf decoding. Fails only with DecodeError, whatever the bytes.
//
// Rules: `bytes()` gives views into the input, never copies. Numbers of 64 bits come in three
// forms: identities as bigint; uint64 counters as numbers, where a value beyond 2^53 - 1 is an
// error; int64 counters as numbers, where such a value is clamped to +-(2^53 - 1), because a
// client may ask for any int64 (a TTL, a limit) and no counter of ours ever gets that far, so
// that every comparison comes out the same. Unknown fields are skipped; groups are errors.

import { DecodeError, emptyBytes } from "../base/index.ts";

/** Nesting of messages; beyond it is an error, so that hostile input cannot exhaust the stack. */
export const messageDepthMax = 100;

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const scratch = new DataView(new ArrayBuffer(8));

/** Text shorter than this is decoded byte by byte while it is ASCII, which is faster. */
const shortTextBytesMax = 48;

function fail(what: string): never {
  throw new DecodeError(`protobuf: ${what}`);
}

export class Reader {
  readonly source: Uint8Array;
  offset = 0;
  /** End of the message being read; no read passes it. */
  limit: number;
  #depth = 0;
  /** Halves of the varint that `varint64` read last. */
  #low = 0;
  #high = 0;

  constructor(source: Uint8Array) {
    this.source = source;
    this.limit = source.length;
  }

  /** Reads the length of an embedded message and narrows to it; give the result to `leave`. */
  enter(): number {
    const length = this.length();
    const outer = this.limit;
    if (++this.#depth > messageDepthMax) {
      fail("messages nested too deeply");
    }
    this.limit = this.offset + length;
    return outer;
  }

  leave(outer: number): void {
    this.#depth--;
    this.limit = outer;
  }

  /** A field's tag: number << 3 | wire type. */
  tag(): number {
    const tag = this.varint32();
    if (tag >>> 3 === 0) {
      fail("field number 0");
    }
    return tag;
  }

  /** Skips the value of an unknown field. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.varint64();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.length());
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        fail(`wire type ${tag & 7}`);
    }
  }

  #advance(length: number): void {
    if (length > this.limit - this.offset) {
      fail("truncated");
    }
    this.offset += length;
  }

  /** A length prefix, checked against what is left. */
  length(): number {
    const length = this.varint32();
    if (length > this.limit - this.offset) {
      fail("truncated");
    }
    return length;
  }

  /** A varint that must fit 32 bits unsigned (tags and lengths). */
  private varint32(): number {
    if (this.offset < this.limit) {
      const first = this.source[this.offset]!;
      if (first < 0x80) {
        this.offset++;
        return first;
      }
    }
    this.varint64();
    if (this.#high !== 0) {
      fail("tag or length out of range");
    }
    return this.#low;
  }

  /** Reads up to 10 bytes into the two halves. */
  private varint64(): void {
    const source = this.source;
    const limit = this.limit;
    let offset = this.offset;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (offset >= limit) {
        fail("truncated");
      }
      const byte = source[offset++]!;
      const bits = byte & 0x7f;
      if (shift < 28) {
        low |= bits << shift;
      } else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) {
        high |= bits << (shift - 32);
      } else if (byte > 1) {
        fail("varint out of range");
      } else {
        high |= bits << 31;
      }
      if (byte < 0x80) {
        this.offset = offset;
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    fail("varint too long");
  }

  bool(): boolean {
    this.varint64();
    return (this.#low | this.#high) !== 0;
  }

  /** int32 and enums: 64 bits on the wire, cut to the lower 32. */
  int32(): number {
    this.varint64();
    return this.#low | 0;
  }

  uint32(): number {
    this.varint64();
    return this.#low;
  }

  /** An int64 counter, clamped to the safe range. */
  int64(): number {
    if (this.offset < this.limit) {
      const first = this.source[this.offset]!;
      if (first < 0x80) {
        this.offset++;
        return first;
      }
    }
    this.varint64();
    const value = (this.#high | 0) * 0x1_0000_0000 + this.#low;
    if (value > Number.MAX_SAFE_INTEGER) {
      return Number.MAX_SAFE_INTEGER;
    }
    return value < -Number.MAX_SAFE_INTEGER ? -Number.MAX_SAFE_INTEGER : value;
  }

  /** A uint64 counter; beyond 2^53 - 1 is an error. */
  uint64(): number {
    this.varint64();
    if (this.#high > 0x1f_ffff) {
      fail("counter beyond 2^53 - 1");
    }
    return this.#high * 0x1_0000_0000 + this.#low;
  }

  int64Big(): bigint {
    this.varint64();
    scratch.setUint32(0, this.#low, true);
    scratch.setUint32(4, this.#high, true);
    return scratch.getBigInt64(0, true);
  }

  uint64Big(): bigint {
    this.varint64();
    scratch.setUint32(0, this.#low, true);
    scratch.setUint32(4, this.#high, true);
    return scratch.getBigUint64(0, true);
  }

  fixed64Big(): bigint {
    const at = this.offset;
    this.#advance(8);
    for (let i = 0; i < 8; i++) {
      scratch.setUint8(i, this.source[at + i]!);
    }
    return scratch.getBigUint64(0, true);
  }

  /** A view into the input. */
  bytes(): Uint8Array {
    const length = this.length();
    if (length === 0) {
      return emptyBytes;
    }
    const start = this.offset;
    this.offset = start + length;
    return this.source.subarray(start, start + length);
  }

  /** Text; malformed UTF-8 is an error, as proto3 demands. */
  string(): string {
    const length = this.length();
    const start = this.offset;
    const end = start + length;
    this.offset = end;
    if (length <= shortTextBytesMax) {
      let text = "";
      let i = start;
      while (i < end) {
        const byte = this.source[i]!;
        if (byte >= 0x80) {
          break;
        }
        text += String.fromCharCode(byte);
        i++;
      }
      if (i === end) {
        return text;
      }
    }
    try {
      return utf8Decoder.decode(this.source.subarray(start, end));
    } catch {
      return fail("malformed UTF-8");
    }
  }
}
