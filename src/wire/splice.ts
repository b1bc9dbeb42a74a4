// The pieces that replies are built from around bytes that are stored already encoded, for the
// transport to join; nothing here copies a key or a value.
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
  const mark = writer.mark();
  if (revision !== 0) {
    writer.int64(revision);
    writer.tag(0x18);
  }
  writer.lengthSince(mark);
  writer.tag(0x0a);
  return writer.finish();
}

/** Tag and length of an embedded message or bytes field whose content follows as its own part. */
export function lengthPrefix(fieldNumber: number, length: number): Uint8Array {
  writer.begin();
  writer.uint64(length);
  writer.tag(fieldNumber * 8 + 2);
  return writer.finish();
}

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
