// mvccpb.KeyValue on the wire, written once when a key is put and spliced ever after.
//
//   key = 1 (bytes), create_revision = 2, mod_revision = 3, version = 4 (int64), value = 5 (bytes),
//   lease = 6 (int64); fields in this order, zero and empty ones left out, as etcd's encoder does.
//
// A delete event's KeyValue has only key and mod_revision.

import { noLease } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import type { StoredKeyValue } from "./contract.ts";
import {
  leaseVarintLength,
  putLeaseVarint,
  putVarint,
  VarintReader,
  varintLength,
} from "./numbers.ts";

const keyTag = 0x0a;
const createTag = 0x10;
const modTag = 0x18;
const versionTag = 0x20;
const valueTag = 0x2a;
const leaseTag = 0x30;
/** Field 2 of a message, length-delimited: where kvs, kv and prev_kv stand. */
export const pairFieldTag = 0x12;

export interface PairNumbers {
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: LeaseId;
}

function bytesFieldLength(length: number): number {
  return length === 0 ? 0 : 1 + varintLength(length) + length;
}

/** Length of an encoded KeyValue. */
export function pairLength(
  keyBytes: number,
  create: number,
  mod: number,
  version: number,
  valueBytes: number,
  lease: LeaseId,
): number {
  return (
    bytesFieldLength(keyBytes) +
    (create === 0 ? 0 : 1 + varintLength(create)) +
    (mod === 0 ? 0 : 1 + varintLength(mod)) +
    (version === 0 ? 0 : 1 + varintLength(version)) +
    bytesFieldLength(valueBytes) +
    (lease === noLease ? 0 : 1 + leaseVarintLength(lease))
  );
}

/** Copies short arrays faster than `set` does. */
export function copyInto(target: Uint8Array, at: number, source: Uint8Array): number {
  const length = source.length;
  if (length > 48) {
    target.set(source, at);
  } else {
    for (let i = 0; i < length; i++) {
      target[at + i] = source[i] as number;
    }
  }
  return at + length;
}

/** Writes a KeyValue; returns the position behind it. */
export function putPair(
  b: Uint8Array,
  start: number,
  key: Uint8Array,
  create: number,
  mod: number,
  version: number,
  value: Uint8Array,
  lease: LeaseId,
): number {
  let at = start;
  if (key.length > 0) {
    b[at++] = keyTag;
    at = putVarint(b, at, key.length);
    at = copyInto(b, at, key);
  }
  if (create !== 0) {
    b[at++] = createTag;
    at = putVarint(b, at, create);
  }
  if (mod !== 0) {
    b[at++] = modTag;
    at = putVarint(b, at, mod);
  }
  if (version !== 0) {
    b[at++] = versionTag;
    at = putVarint(b, at, version);
  }
  if (value.length > 0) {
    b[at++] = valueTag;
    at = putVarint(b, at, value.length);
    at = copyInto(b, at, value);
  }
  if (lease !== noLease) {
    b[at++] = leaseTag;
    at = putLeaseVarint(b, at, lease);
  }
  return at;
}

/** An encoded pair inside a block; the views are made when asked for. */
export class PairView implements StoredKeyValue {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #field: Uint8Array | undefined;

  /** The field (tag 0x12, length, KeyValue) lies at start..end of `bytes`. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get field(): Uint8Array {
    this.#field ??= this.#bytes.subarray(this.#start, this.#end);
    return this.#field;
  }

  get message(): Uint8Array {
    return this.#bytes.subarray(messageStart(this.#bytes, this.#start), this.#end);
  }
}

/** Where the KeyValue of a field at `start` begins. */
export function messageStart(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while ((bytes[at] as number) >= 0x80) {
    at++;
  }
  return at + 1;
}

/** A pair without its value, made from what the index knows. */
export function encodeKeyOnly(key: Uint8Array, pair: PairNumbers): StoredKeyValue {
  const length = pairLength(key.length, pair.create, pair.mod, pair.version, 0, pair.lease);
  const field = new Uint8Array(1 + varintLength(length) + length);
  field[0] = pairFieldTag;
  const start = putVarint(field, 1, length);
  putPair(field, start, key, pair.create, pair.mod, pair.version, noBytes, pair.lease);
  return new PairView(field, 0, field.length);
}

const noBytes = new Uint8Array(0);

/** A decoded KeyValue: numbers, and where key and value lie. Reused from pair to pair. */
export class PairReader {
  bytes: Uint8Array = noBytes;
  keyStart = 0;
  keyEnd = 0;
  create = 0;
  mod = 0;
  version = 0;
  valueStart = 0;
  valueEnd = 0;
  lease: LeaseId = noLease;
  readonly #reader = new VarintReader(noBytes, 0);

  /** Reads the field (tag 0x12, length, KeyValue) at `start`. */
  read(bytes: Uint8Array, start: number): void {
    this.bytes = bytes;
    this.create = 0;
    this.mod = 0;
    this.version = 0;
    this.lease = noLease;
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = start;
    const reader = this.#reader;
    reader.bytes = bytes;
    reader.at = start + 1;
    const length = reader.next();
    const end = reader.at + length;
    while (reader.at < end) {
      this.#readField(reader);
    }
  }

  get key(): Uint8Array {
    return this.bytes.subarray(this.keyStart, this.keyEnd);
  }

  get value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.valueEnd);
  }

  #readField(reader: VarintReader): void {
    const tag = reader.bytes[reader.at++] as number;
    switch (tag) {
      case keyTag: {
        const length = reader.next();
        this.keyStart = reader.at;
        this.keyEnd = reader.skip(length);
        break;
      }
      case valueTag: {
        const length = reader.next();
        this.valueStart = reader.at;
        this.valueEnd = reader.skip(length);
        break;
      }
      case createTag:
        this.create = reader.next();
        break;
      case modTag:
        this.mod = reader.next();
        break;
      case versionTag:
        this.version = reader.next();
        break;
      default:
        this.lease = reader.nextLease();
    }
  }
}
