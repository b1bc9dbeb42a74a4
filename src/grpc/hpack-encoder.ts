// HPACK for answers. Nearly every answer has the same two header blocks, so the encoder puts just
// two fields into the peer's dynamic table, once a connection, and from then on an answer's
// headers are two bytes and its trailers one:
//
//   headers   :status 200 (static), content-type: application/grpc (dynamic)
//   trailers  grpc-status: 0 (dynamic)
//
// Anything rarer is a literal without indexing, so nothing else ever enters or leaves the table.

import { fieldOverheadBytes, staticNameIndex } from "./hpack-tables.ts";
import { headerTableBytes } from "./hpack-decoder.ts";

const grpcContentType = "application/grpc";
/** Size of the two fields in the peer's table. */
const tableBytesNeeded =
  "content-type".length + grpcContentType.length + "grpc-status0".length + 2 * fieldOverheadBytes;

const contentTypeIndex = staticNameIndex("content-type");
const firstDynamicIndex = 62;

/** Appends an integer with a prefix of `bits` bits; `pattern` holds the bits above it. */
export function pushInteger(target: number[], value: number, bits: number, pattern: number): void {
  const mask = (1 << bits) - 1;
  if (value < mask) {
    target.push(pattern | value);
    return;
  }
  target.push(pattern | mask);
  let rest = value - mask;
  while (rest >= 0x80) {
    target.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  target.push(rest);
}

function pushString(target: number[], text: string): void {
  pushInteger(target, text.length, 7, 0);
  for (let i = 0; i < text.length; i++) {
    target.push(text.charCodeAt(i) & 0xff);
  }
}

/** Appends a literal; with `indexing` the peer adds it to its dynamic table. */
function pushLiteral(target: number[], name: string, value: string, indexing: boolean): void {
  const index = staticNameIndex(name);
  pushInteger(target, index, indexing ? 6 : 4, indexing ? 0x40 : 0);
  if (index === 0) {
    pushString(target, name);
  }
  pushString(target, value);
}

function pushStatus(target: number[], status: number): void {
  if (status === 200) {
    target.push(0x88);
  } else {
    pushLiteral(target, ":status", String(status), false);
  }
}

const steadyHeaders = Uint8Array.of(0x88, 0x80 | (firstDynamicIndex + 1));
const steadyTrailers = Uint8Array.of(0x80 | firstDynamicIndex);

export class HpackEncoder {
  /** Which of the two fields the peer's table holds, in this order. */
  #indexedFields: 0 | 1 | 2 = 0;
  #maxBytes = headerTableBytes;
  /** Lowest table size since the last block, when an update has to be sent. */
  #lowestBytes: number | undefined;

  /** True when `okHeaders` and `okTrailers` are the two constants. */
  get steady(): boolean {
    return this.#indexedFields === 2 && this.#lowestBytes === undefined;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableSize(bytes: number): void {
    const maxBytes = Math.min(bytes, headerTableBytes);
    if (maxBytes === this.#maxBytes && this.#lowestBytes === undefined) {
      return;
    }
    this.#lowestBytes = Math.min(this.#lowestBytes ?? this.#maxBytes, maxBytes);
    this.#maxBytes = maxBytes;
  }

  /** Headers before the first message of a call. */
  okHeaders(): Uint8Array {
    if (this.steady) {
      return steadyHeaders;
    }
    const target = this.#begin();
    target.push(0x88);
    this.#pushContentType(target);
    return Uint8Array.from(target);
  }

  /** Trailers of a call that went well. */
  okTrailers(): Uint8Array {
    if (this.steady) {
      return steadyTrailers;
    }
    const target = this.#begin();
    if (this.#indexedFields === 2) {
      target.push(0x80 | firstDynamicIndex);
    } else {
      const indexing = this.#indexedFields === 1;
      pushLiteral(target, "grpc-status", "0", indexing);
      if (indexing) {
        this.#indexedFields = 2;
      }
    }
    return Uint8Array.from(target);
  }

  /** Trailers of a call that failed; `message` is already percent-encoded. */
  errorTrailers(status: number, message: string): Uint8Array {
    const target = this.#begin();
    pushLiteral(target, "grpc-status", String(status), false);
    pushLiteral(target, "grpc-message", message, false);
    return Uint8Array.from(target);
  }

  /** A whole answer in one block: a failure before any message. */
  trailersOnly(
    httpStatus: number,
    status: number,
    message: string,
    extra: readonly (readonly [string, string])[],
  ): Uint8Array {
    const target = this.#begin();
    pushStatus(target, httpStatus);
    this.#pushContentType(target);
    pushLiteral(target, "grpc-status", String(status), false);
    pushLiteral(target, "grpc-message", message, false);
    for (const [name, value] of extra) {
      pushLiteral(target, name, value, false);
    }
    return Uint8Array.from(target);
  }

  /** Headers of an answer that is not gRPC. */
  httpHeaders(status: number, headers: readonly (readonly [string, string])[]): Uint8Array {
    const target = this.#begin();
    pushStatus(target, status);
    for (const [name, value] of headers) {
      pushLiteral(target, name, value, false);
    }
    return Uint8Array.from(target);
  }

  /** A block starts with the table size updates that are due (RFC 7541 section 4.2). */
  #begin(): number[] {
    const target: number[] = [];
    if (this.#lowestBytes !== undefined) {
      if (this.#lowestBytes < this.#maxBytes) {
        pushInteger(target, this.#lowestBytes, 5, 0x20);
      }
      pushInteger(target, this.#maxBytes, 5, 0x20);
      if (this.#lowestBytes < tableBytesNeeded) {
        this.#indexedFields = 0;
      }
      this.#lowestBytes = undefined;
    }
    return target;
  }

  #pushContentType(target: number[]): void {
    if (this.#indexedFields > 0) {
      target.push(0x80 | (firstDynamicIndex + this.#indexedFields - 1));
      return;
    }
    const indexing = this.#maxBytes >= tableBytesNeeded;
    pushInteger(target, contentTypeIndex, indexing ? 6 : 4, indexing ? 0x40 : 0);
    pushString(target, grpcContentType);
    if (indexing) {
      this.#indexedFields = 1;
    }
  }
}
