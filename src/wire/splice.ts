// Replies built around bytes that are stored already encoded. Each builder gives the parts of one
// message for the transport to join; none copies a key or a value.
//
// An encoded KeyValue comes as a `field`: tag 0x12 (field 2, bytes), length, message. That is
// RangeResponse.kvs, PutResponse.prev_kv and Event.kv as it stands. Elsewhere the number differs
// (DeleteRangeResponse.prev_kvs and Event.prev_kv are field 3): there the message is given a
// prefix of its own.

import { sharedWriter as writer } from "./writer.ts";

/** What a ResponseHeader says; ids are encoded once per process by `HeaderEncoder`. */
export interface HeaderFields {
  readonly revision: number;
  readonly raftTerm: number;
}

/** Encodes `header` (field 1 of every response) for one member. */
export class HeaderEncoder {
  readonly #ids: Uint8Array;
  #lastRevision = -1;
  #lastTerm = -1;
  #last: Uint8Array;

  constructor(clusterId: bigint, memberId: bigint) {
    writer.begin();
    if (memberId !== 0n) {
      writer.big64(memberId);
      writer.tag(0x10);
    }
    if (clusterId !== 0n) {
      writer.big64(clusterId);
      writer.tag(0x08);
    }
    this.#ids = writer.finish();
    this.#last = this.#ids;
  }

  /** The field with its tag and length. The same bytes may be returned again: never change them. */
  field(revision: number, raftTerm: number): Uint8Array {
    if (revision === this.#lastRevision && raftTerm === this.#lastTerm) {
      return this.#last;
    }
    writer.begin();
    this.writeField(revision, raftTerm);
    this.#last = writer.finish();
    this.#lastRevision = revision;
    this.#lastTerm = raftTerm;
    return this.#last;
  }

  /** Writes the field into the message under way. */
  writeField(revision: number, raftTerm: number): void {
    const mark = writer.mark();
    if (raftTerm !== 0) {
      writer.uint64(raftTerm);
      writer.tag(0x20);
    }
    if (revision !== 0) {
      writer.int64(revision);
      writer.tag(0x18);
    }
    writer.raw(this.#ids);
    writer.lengthSince(mark);
    writer.tag(0x0a);
  }
}

/** The header of a response inside a txn: it holds only the revision. */
export function revisionHeaderField(revision: number): Uint8Array {
  writer.begin();
  writeRevisionHeader(revision);
  return writer.finish();
}

function writeRevisionHeader(revision: number): void {
  const mark = writer.mark();
  if (revision !== 0) {
    writer.int64(revision);
    writer.tag(0x18);
  }
  writer.lengthSince(mark);
  writer.tag(0x0a);
}

/** Tag and length of an embedded message or bytes field whose content follows as its own part. */
export function lengthPrefix(fieldNumber: number, length: number): Uint8Array {
  writer.begin();
  writer.uint64(length);
  writer.tag(fieldNumber * 8 + 2);
  return writer.finish();
}

export function partsLength(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) {
    length += part.length;
  }
  return length;
}

/**
 * RangeResponse. `kvFields` are encoded KeyValues with tag and length (`StoredKeyValue.field`).
 */
export function rangeResponseParts(
  headerField: Uint8Array,
  kvFields: readonly { readonly field: Uint8Array }[],
  more: boolean,
  count: number,
): Uint8Array[] {
  const parts: Uint8Array[] = [headerField];
  for (const kv of kvFields) {
    parts.push(kv.field);
  }
  if (more || count !== 0) {
    writer.begin();
    if (count !== 0) {
      writer.int64(count);
      writer.tag(0x20);
    }
    if (more) {
      writer.bool(true);
      writer.tag(0x18);
    }
    parts.push(writer.finish());
  }
  return parts;
}

/** PutResponse; `previous` only when prev_kv was asked for and there was a pair. */
export function putResponseParts(
  headerField: Uint8Array,
  previous: { readonly field: Uint8Array } | undefined,
): Uint8Array[] {
  return previous === undefined ? [headerField] : [headerField, previous.field];
}

/** DeleteRangeResponse. */
export function deleteRangeResponseParts(
  headerField: Uint8Array,
  deleted: number,
  previous: readonly { readonly message: Uint8Array }[],
): Uint8Array[] {
  const parts: Uint8Array[] = [headerField];
  if (deleted !== 0) {
    writer.begin();
    writer.int64(deleted);
    writer.tag(0x10);
    parts.push(writer.finish());
  }
  for (const pair of previous) {
    parts.push(lengthPrefix(3, pair.message.length), pair.message);
  }
  return parts;
}

/** One ResponseOp around the parts of its response. */
export function responseOpParts(
  kind: "range" | "put" | "deleteRange" | "txn",
  responseParts: readonly Uint8Array[],
): Uint8Array[] {
  const number = kind === "range" ? 1 : kind === "put" ? 2 : kind === "deleteRange" ? 3 : 4;
  return [lengthPrefix(number, partsLength(responseParts)), ...responseParts];
}

/** TxnResponse around ResponseOps, each given as its parts. */
export function txnResponseParts(
  headerField: Uint8Array,
  succeeded: boolean,
  responses: readonly (readonly Uint8Array[])[],
): Uint8Array[] {
  const parts: Uint8Array[] = [headerField];
  if (succeeded) {
    parts.push(succeededField);
  }
  for (const response of responses) {
    parts.push(lengthPrefix(3, partsLength(response)), ...response);
  }
  return parts;
}

const succeededField = new Uint8Array([0x10, 0x01]);

/** What stands before the events of a WatchResponse. */
export interface WatchResponseFields {
  readonly watchId: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  readonly fragment?: boolean;
}

/** Fields 1 to 7 of a WatchResponse as one piece: the header and everything but events. */
export function watchResponseHead(
  headerField: Uint8Array,
  fields: WatchResponseFields,
): Uint8Array {
  writer.begin();
  if (fields.fragment === true) {
    writer.bool(true);
    writer.tag(0x38);
  }
  if (fields.cancelReason !== undefined && fields.cancelReason !== "") {
    writer.string(fields.cancelReason);
    writer.tag(0x32);
  }
  if (fields.compactRevision !== undefined && fields.compactRevision !== 0) {
    writer.int64(fields.compactRevision);
    writer.tag(0x28);
  }
  if (fields.canceled === true) {
    writer.bool(true);
    writer.tag(0x20);
  }
  if (fields.created === true) {
    writer.bool(true);
    writer.tag(0x18);
  }
  if (fields.watchId !== 0n) {
    writer.big64(fields.watchId);
    writer.tag(0x10);
  }
  writer.raw(headerField);
  return writer.finish();
}

/**
 * WatchResponse.events (field 11) from an encoded Event without prev_kv: two parts, or four with
 * the replaced pair. Appends to `parts` and returns the bytes added.
 */
export function pushWatchEvent(
  parts: Uint8Array[],
  eventMessage: Uint8Array,
  previous: { readonly message: Uint8Array } | undefined,
): number {
  if (previous === undefined) {
    const prefix = lengthPrefix(11, eventMessage.length);
    parts.push(prefix, eventMessage);
    return prefix.length + eventMessage.length;
  }
  const previousPrefix = lengthPrefix(3, previous.message.length);
  const length = eventMessage.length + previousPrefix.length + previous.message.length;
  const prefix = lengthPrefix(11, length);
  parts.push(prefix, eventMessage, previousPrefix, previous.message);
  return prefix.length + length;
}
