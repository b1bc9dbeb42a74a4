// The bytes of a log segment: encoding batches and reading segments back. No files here, so the
// simulator's disk runs the same code.
//
//   segment := header(64) record* zeros
//   record  := magic u8 | type u8 | entry kind u8 | 0 | body length u32 | batch start u32
//              | body crc u32 | chain u32 | body | zeros to a multiple of 8       (big endian)
//
// Rules:
// - One batch is one write. `batch start` is the offset at which its batch begins, so a record of
//   a later batch proves that everything before that batch was durable: the next write begins
//   only after the last one has ended. This is what tells a torn write from decay.
// - The chain value mixes a record's header, which holds the body's CRC, with the chain before
//   it, across segments; a record that is missing, doubled or out of place breaks it.
// - Body CRCs start from a salt made when the log was made, so bytes that a client stored can
//   never pass for a record.
// - What is not written yet is zero.

import { CorruptionError, DecodeError } from "../base/index.ts";
import type { Entry, HardState, SnapshotMeta } from "../base/index.ts";
import { checksum } from "./checksum.ts";
import type { WalBatch, WalIdentity } from "./wal-contract.ts";
import {
  decodeBody,
  encodeEntryBody,
  encodeHardStateBody,
  encodeMetaBody,
  entryBodyBytes,
  entryKindCodes,
  hardStateBodyBytes,
  metaBodyBytes,
  recordTypes,
} from "./wal-records.ts";
import type { RecordType, WalRecord } from "./wal-records.ts";

export const segmentHeaderBytes = 64;
const recordHeaderBytes = 20;
const recordAlignment = 8;
const recordMagic = 0xd7;
/** "QRATEWAL" and the format's version. */
const segmentMagic = new Uint8Array([0x51, 0x52, 0x41, 0x54, 0x45, 0x57, 0x4c, 1]);

export interface SegmentHeader {
  readonly sequence: number;
  readonly identity: WalIdentity;
  /** Start value of body CRCs; the same in all segments of a log. */
  readonly salt: number;
  /** Chain value at the end of the segment before this one; 0 in the first of a log. */
  readonly previousChain: number;
  /** Size the file was made with; a shorter file has lost its end. */
  readonly sizeBytes: number;
}

/** Where an encoder stands in a segment. */
export interface WritePosition {
  readonly offset: number;
  readonly chain: number;
}

/** Bytes of a record in a segment. */
export function recordSizeBytes(bodyBytes: number): number {
  return Math.ceil((recordHeaderBytes + bodyBytes) / recordAlignment) * recordAlignment;
}

/** Bytes that `batch` takes in a segment. */
export function batchSizeBytes(batch: WalBatch): number {
  let size = batch.hardState === undefined ? 0 : recordSizeBytes(hardStateBodyBytes);
  if (batch.snapshot !== undefined) {
    size += recordSizeBytes(metaBodyBytes(batch.snapshot));
  }
  for (const entry of batch.entries) {
    size += recordSizeBytes(entryBodyBytes(entry));
  }
  return size;
}

export function markSizeBytes(meta: SnapshotMeta): number {
  return recordSizeBytes(metaBodyBytes(meta));
}

/** Encodes one batch into a buffer that is used again and again; see `begin`. */
export class BatchEncoder {
  readonly #salt: number;
  #buffer = new Uint8Array(64 * 1024);
  #view = new DataView(this.#buffer.buffer);
  #size = 0;
  #start = 0;
  #chain = 0;

  constructor(salt: number) {
    this.#salt = salt;
  }

  /** Starts a batch of at most `sizeBytes` bytes that will be written at `position`. */
  begin(position: WritePosition, sizeBytes: number): void {
    const wanted = sizeBytes;
    if (this.#buffer.length < wanted || this.#buffer.length > 4 * Math.max(wanted, 1024 * 1024)) {
      this.#buffer = new Uint8Array(Math.max(64 * 1024, 2 ** Math.ceil(Math.log2(wanted))));
      this.#view = new DataView(this.#buffer.buffer);
    }
    this.#size = 0;
    this.#start = position.offset;
    this.#chain = position.chain;
  }

  /** A segment's header; only as the first thing of a batch at offset 0. */
  segmentHeader(header: SegmentHeader): void {
    encodeSegmentHeader(header, this.#buffer);
    this.#size = segmentHeaderBytes;
    this.#chain = header.previousChain;
  }

  hardState(hardState: HardState): void {
    encodeHardStateBody(hardState, this.#view, this.#size + recordHeaderBytes);
    this.#finish(recordTypes.hardState, 0, hardStateBodyBytes);
  }

  entry(entry: Entry): void {
    encodeEntryBody(entry, this.#buffer, this.#view, this.#size + recordHeaderBytes);
    this.#finish(recordTypes.entry, entryKindCodes[entry.kind], entryBodyBytes(entry));
  }

  mark(meta: SnapshotMeta): void {
    this.#meta(recordTypes.mark, meta);
  }

  snapshot(meta: SnapshotMeta): void {
    this.#meta(recordTypes.snapshot, meta);
  }

  /** Says that the log was closed in order, which proves all before it durable. */
  closed(): void {
    this.#finish(recordTypes.closed, 0, 0);
  }

  /** The order matters: a cut batch may keep entries only below a hard state that allows them. */
  batch(batch: WalBatch): void {
    if (batch.hardState !== undefined) {
      this.hardState(batch.hardState);
    }
    if (batch.snapshot !== undefined) {
      this.snapshot(batch.snapshot);
    }
    for (const entry of batch.entries) {
      this.entry(entry);
    }
  }

  /** The encoded batch, good until the next `begin`, and where the next one goes. */
  end(): { readonly bytes: Uint8Array; readonly next: WritePosition } {
    return {
      bytes: this.#buffer.subarray(0, this.#size),
      next: { offset: this.#start + this.#size, chain: this.#chain },
    };
  }

  #meta(type: RecordType, meta: SnapshotMeta): void {
    encodeMetaBody(meta, this.#view, this.#size + recordHeaderBytes);
    this.#finish(type, 0, metaBodyBytes(meta));
  }

  #finish(type: RecordType, entryKind: number, bodyBytes: number): void {
    const at = this.#size;
    const view = this.#view;
    const bodyAt = at + recordHeaderBytes;
    const kindWord = headerWord(type, entryKind);
    const bodyCrc = checksum(this.#buffer.subarray(bodyAt, bodyAt + bodyBytes), this.#salt);
    this.#chain = chainOf(this.#chain, kindWord, bodyBytes, this.#start, bodyCrc);
    view.setUint32(at, kindWord);
    view.setUint32(at + 4, bodyBytes);
    view.setUint32(at + 8, this.#start);
    view.setUint32(at + 12, bodyCrc);
    view.setUint32(at + 16, this.#chain);
    this.#size += recordSizeBytes(bodyBytes);
    this.#buffer.fill(0, bodyAt + bodyBytes, this.#size);
  }
}

function headerWord(type: number, entryKind: number): number {
  return ((recordMagic << 24) | (type << 16) | (entryKind << 8)) >>> 0;
}

/** MurmurHash3's block and final mix (Austin Appleby, public domain) over four words. */
function chainOf(seed: number, a: number, b: number, c: number, d: number): number {
  let h = mixWord(mixWord(mixWord(mixWord(seed, a), b), c), d);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function mixWord(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const mixed = h ^ k;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function encodeSegmentHeader(header: SegmentHeader, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, segmentHeaderBytes);
  into.fill(0, 0, segmentHeaderBytes);
  into.set(segmentMagic);
  view.setBigUint64(8, BigInt(header.sequence));
  view.setBigUint64(16, header.identity.clusterId);
  view.setBigUint64(24, header.identity.memberId);
  view.setUint32(32, header.salt);
  view.setUint32(36, header.previousChain);
  view.setBigUint64(40, BigInt(header.sizeBytes));
  view.setUint32(60, checksum(into.subarray(0, 60)));
}

/** `unused`: prepared and never written. `damaged`: neither that nor a whole header. */
export type SegmentStart =
  | { readonly kind: "used"; readonly header: SegmentHeader }
  | { readonly kind: "unused" }
  | { readonly kind: "damaged" };

export function readSegmentStart(bytes: Uint8Array): SegmentStart {
  if (bytes.length >= segmentHeaderBytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const isMagic = segmentMagic.every((byte, i) => bytes[i] === byte);
    if (isMagic && view.getUint32(60) === checksum(bytes.subarray(0, 60))) {
      return {
        kind: "used",
        header: {
          sequence: Number(view.getBigUint64(8)),
          identity: {
            clusterId: view.getBigUint64(16) as WalIdentity["clusterId"],
            memberId: view.getBigUint64(24) as WalIdentity["memberId"],
          },
          salt: view.getUint32(32),
          previousChain: view.getUint32(36),
          sizeBytes: Number(view.getBigUint64(40)),
        },
      };
    }
  }
  return lastNonZero(bytes, 0) < 0 ? { kind: "unused" } : { kind: "damaged" };
}

/**
 * How the records of a segment end. `torn`: bytes from..to are the rest of a write that was cut
 * short. `damaged`: the record at `at` was whole once, as the later record at `provenBy` shows.
 */
export type SegmentEnd =
  | { readonly kind: "clean"; readonly position: WritePosition }
  | { readonly kind: "torn"; readonly position: WritePosition; readonly to: number }
  | { readonly kind: "damaged"; readonly at: number; readonly provenBy: number };

/**
 * Hands out the records of a segment in order. A record whose checksum holds and that still
 * cannot be read throws CorruptionError: it was written by a release that knows more.
 */
export function scanSegment(
  bytes: Uint8Array,
  header: SegmentHeader,
  visit: (record: WalRecord) => void,
): SegmentEnd {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = segmentHeaderBytes;
  let chain = header.previousChain;
  for (;;) {
    const bodyBytes = recordAt(bytes, view, offset, header.salt);
    if (bodyBytes === undefined) {
      break;
    }
    const next = chainOf(
      chain,
      view.getUint32(offset),
      bodyBytes,
      view.getUint32(offset + 8),
      view.getUint32(offset + 12),
    );
    if (next !== view.getUint32(offset + 16)) {
      break;
    }
    visit(decodeRecord(bytes, view, offset, bodyBytes));
    chain = next;
    offset += recordSizeBytes(bodyBytes);
  }
  return endAt(bytes, view, { offset, chain }, header.salt);
}

/** Judges a segment whose header is damaged: as `scanSegment` does for a record at offset 0. */
export function judgeDamagedStart(bytes: Uint8Array, salt: number): SegmentEnd {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return endAt(bytes, view, { offset: 0, chain: 0 }, salt);
}

function endAt(
  bytes: Uint8Array,
  view: DataView,
  position: WritePosition,
  salt: number,
): SegmentEnd {
  const last = lastNonZero(bytes, position.offset);
  if (last < 0) {
    return { kind: "clean", position };
  }
  for (let at = position.offset + recordAlignment; at <= last; at += recordAlignment) {
    if (bytes[at] !== recordMagic || at + recordHeaderBytes > bytes.length) {
      continue;
    }
    const batchStart = view.getUint32(at + 8);
    if (batchStart > position.offset && recordAt(bytes, view, at, salt) !== undefined) {
      return { kind: "damaged", at: position.offset, provenBy: at };
    }
  }
  return { kind: "torn", position, to: last + 1 };
}

/** Body length of the record at `offset` if its frame and body CRC hold. */
function recordAt(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  salt: number,
): number | undefined {
  if (offset + recordHeaderBytes > bytes.length || bytes[offset] !== recordMagic) {
    return undefined;
  }
  const bodyBytes = view.getUint32(offset + 4);
  const bodyAt = offset + recordHeaderBytes;
  if (bodyBytes > bytes.length - bodyAt || view.getUint32(offset + 8) > offset) {
    return undefined;
  }
  const crc = checksum(bytes.subarray(bodyAt, bodyAt + bodyBytes), salt);
  return crc === view.getUint32(offset + 12) ? bodyBytes : undefined;
}

function decodeRecord(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  bodyBytes: number,
): WalRecord {
  const word = view.getUint32(offset);
  const bodyAt = offset + recordHeaderBytes;
  try {
    return decodeBody(
      { type: (word >>> 16) & 0xff, entryKind: (word >>> 8) & 0xff },
      bytes.subarray(bodyAt, bodyAt + bodyBytes),
    );
  } catch (error) {
    if (error instanceof DecodeError) {
      throw new CorruptionError(`record at offset ${offset}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Offset of the last byte at or after `from` that is not zero; -1 when there is none. */
function lastNonZero(bytes: Uint8Array, from: number): number {
  const wordsFrom = bytes.byteOffset + Math.ceil(from / 8) * 8;
  let end = bytes.length;
  if (wordsFrom % 8 === 0 && bytes.byteOffset + end > wordsFrom) {
    const words = new BigUint64Array(
      bytes.buffer,
      wordsFrom,
      Math.floor((bytes.byteOffset + end - wordsFrom) / 8),
    );
    const tail = wordsFrom - bytes.byteOffset + words.length * 8;
    for (let i = end - 1; i >= tail; i--) {
      if (bytes[i] !== 0) {
        return i;
      }
    }
    let word = words.length - 1;
    while (word >= 0 && words[word] === 0n) {
      word--;
    }
    end = wordsFrom - bytes.byteOffset + (word + 1) * 8;
  }
  for (let i = end - 1; i >= from; i--) {
    if (bytes[i] !== 0) {
      return i;
    }
  }
  return -1;
}
