// bbolt's file format, version 2 (go.etcd.io/bbolt, page.go, bucket.go and db.go). Numbers are
// little-endian; there is a page size, and a page may be longer by whole pages, its overflow.
//
//   page    id u64 | flags u16 | count u16 | overflow u32 | elements | keys and values
//   leaf    element: flags u32 (1: the value is a bucket) | pos u32 | key size u32 | value size u32
//   branch  element: pos u32 | key size u32 | page u64
//           `pos` is from the element's own start to its key; a value stands right behind its key
//   bucket  root page u64 (0: the root follows here, as a page) | sequence u64
//   meta    magic | version | page size | flags, u32 each | root bucket, 16 bytes
//           | freelist page u64 | pages in use u64 | transaction u64 | FNV-1a 64 of all before
//
// Pages 0 and 1 are metas; of the valid ones the later transaction counts.

import { DecodeError } from "../base/index.ts";

export const pageHeaderBytes = 16;
/** Of a leaf's and of a branch's element alike. */
export const elementBytes = 16;
export const bucketHeaderBytes = 16;
export const bucketFlag = 1;
export const pageFlags = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** Page sizes are powers of two in between. */
export const pageSizes = { min: 1024, max: 64 * 1024 } as const;
export const metaBytes = 64;

const magic = 0xed0cdaed;
const version = 2;
const checksummedBytes = 56;
const fnvOffset = 0xcbf29ce484222325n;
const fnvPrime = 0x100000001b3n;

export interface Meta {
  readonly pageSizeBytes: number;
  readonly rootPage: number;
  readonly freelistPage: number;
  /** Pages from 0 up to this one, exclusive, are in use. */
  readonly pageCount: number;
  readonly transaction: bigint;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A page number or count, which must be a safe integer. */
export function readNumber(view: DataView, offset: number, what: string): number {
  const value = Number(view.getBigUint64(offset, true));
  if (!Number.isSafeInteger(value)) {
    throw new DecodeError(`bbolt: ${what} is out of range`);
  }
  return value;
}

export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = fnvOffset;
  for (const byte of bytes) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * fnvPrime);
  }
  return hash;
}

export interface PageHeader {
  readonly id: number;
  readonly flags: number;
  readonly count: number;
  readonly overflow: number;
}

export function putPageHeader(view: DataView, header: PageHeader): void {
  view.setBigUint64(0, BigInt(header.id), true);
  view.setUint16(8, header.flags, true);
  view.setUint16(10, header.count, true);
  view.setUint32(12, header.overflow, true);
}

export function readPageHeader(bytes: Uint8Array): PageHeader {
  const view = viewOf(bytes);
  return {
    id: readNumber(view, 0, "a page's number"),
    flags: view.getUint16(8, true),
    count: view.getUint16(10, true),
    overflow: view.getUint32(12, true),
  };
}

/** A whole meta page; `id` is 0 or 1. */
export function encodeMetaPage(id: number, meta: Meta): Uint8Array {
  const page = new Uint8Array(meta.pageSizeBytes);
  putPageHeader(viewOf(page), { id, flags: pageFlags.meta, count: 0, overflow: 0 });
  const body = page.subarray(pageHeaderBytes, pageHeaderBytes + metaBytes);
  const view = viewOf(body);
  view.setUint32(0, magic, true);
  view.setUint32(4, version, true);
  view.setUint32(8, meta.pageSizeBytes, true);
  view.setBigUint64(16, BigInt(meta.rootPage), true);
  view.setBigUint64(32, BigInt(meta.freelistPage), true);
  view.setBigUint64(40, BigInt(meta.pageCount), true);
  view.setBigUint64(48, meta.transaction, true);
  view.setBigUint64(checksummedBytes, fnv1a64(body.subarray(0, checksummedBytes)), true);
  return page;
}

/** The meta behind a page header at the start of `bytes`; undefined when it is not a valid one. */
export function parseMetaPage(bytes: Uint8Array): Meta | undefined {
  const body = bytes.subarray(pageHeaderBytes, pageHeaderBytes + metaBytes);
  if (body.length < metaBytes) {
    return undefined;
  }
  const view = viewOf(body);
  const pageSizeBytes = view.getUint32(8, true);
  const isValid =
    view.getUint32(0, true) === magic &&
    view.getUint32(4, true) === version &&
    pageSizeBytes >= pageSizes.min &&
    pageSizeBytes <= pageSizes.max &&
    (pageSizeBytes & (pageSizeBytes - 1)) === 0 &&
    view.getBigUint64(checksummedBytes, true) === fnv1a64(body.subarray(0, checksummedBytes));
  if (!isValid) {
    return undefined;
  }
  return {
    pageSizeBytes,
    rootPage: readNumber(view, 16, "the root page's number"),
    // All ones stand for "no freelist was written".
    freelistPage: Number(BigInt.asIntN(64, view.getBigUint64(32, true))),
    pageCount: readNumber(view, 40, "the number of pages"),
    transaction: view.getBigUint64(48, true),
  };
}
