// Replies around stored bytes: a result's key-value pairs are spliced in as they lie, and the
// transport joins the parts. Parts are only appended; a length that is known later is put into
// the place kept for it, so one pass does it, whatever the nesting.

import { emptyBytes, unreachable } from "../base/index.ts";
import type { TxnOpResult, TxnResult } from "../node/handle.ts";
import type { RangeResult, StoredKeyValue } from "../node/handle.ts";
import { lengthPrefix, revisionHeaderField, sharedWriter as writer } from "../wire/index.ts";

const responseOpField = { range: 1, put: 2, deleteRange: 3, txn: 4 } as const;
const responsesField = 3;
const previousPairsField = 3;
const succeededBytes = new Uint8Array([0x10, 0x01]);

/** RangeResponse. */
export function rangeReply(header: Uint8Array, result: RangeResult): readonly Uint8Array[] {
  const parts: Uint8Array[] = [header];
  pushRange(parts, result);
  return parts;
}

/** DeleteRangeResponse. */
export function deleteRangeReply(
  header: Uint8Array,
  deleted: number,
  previous: readonly StoredKeyValue[],
): readonly Uint8Array[] {
  const parts: Uint8Array[] = [header];
  pushDeleteRange(parts, deleted, previous);
  return parts;
}

/** TxnResponse. */
export function txnReply(header: Uint8Array, result: TxnResult): readonly Uint8Array[] {
  const parts: Uint8Array[] = [header];
  pushTxn(parts, result);
  return parts;
}

/** Everything of a RangeResponse but its header; returns the bytes added. */
export function pushRange(parts: Uint8Array[], result: RangeResult): number {
  let length = 0;
  if (result.fields !== undefined) {
    for (const fields of result.fields) {
      length += pushOne(parts, fields);
    }
  } else {
    for (const { field } of result.kvs) {
      length += pushOne(parts, field);
    }
  }
  if (result.more || result.count !== 0) {
    writer.begin();
    if (result.count !== 0) {
      writer.int64(result.count);
      writer.tag(0x20);
    }
    if (result.more) {
      writer.bool(true);
      writer.tag(0x18);
    }
    length += pushOne(parts, writer.finish());
  }
  return length;
}

function pushDeleteRange(
  parts: Uint8Array[],
  deleted: number,
  previous: readonly StoredKeyValue[],
): number {
  let length = 0;
  if (deleted !== 0) {
    writer.begin();
    writer.int64(deleted);
    writer.tag(0x10);
    length += pushOne(parts, writer.finish());
  }
  for (const { message } of previous) {
    length += pushOne(parts, lengthPrefix(previousPairsField, message.length));
    length += pushOne(parts, message);
  }
  return length;
}

function pushTxn(parts: Uint8Array[], result: TxnResult): number {
  let length = 0;
  if (result.succeeded) {
    length += pushOne(parts, succeededBytes);
  }
  for (const response of result.responses) {
    length += pushEmbedded(parts, responsesField, () => pushResponseOp(parts, response));
  }
  return length;
}

/** A ResponseOp. The headers inside hold only the revision, and that of a nested txn is empty. */
function pushResponseOp(parts: Uint8Array[], result: TxnOpResult): number {
  const field = responseOpField[result.kind];
  return pushEmbedded(parts, field, () => {
    const revision = result.kind === "txn" ? 0 : result.revision;
    return pushOne(parts, revisionHeaderField(revision)) + pushBody(parts, result);
  });
}

function pushBody(parts: Uint8Array[], result: TxnOpResult): number {
  switch (result.kind) {
    case "range":
      return pushRange(parts, result.range);
    case "put":
      return result.previous === undefined ? 0 : pushOne(parts, result.previous.field);
    case "deleteRange":
      return pushDeleteRange(parts, result.deleted, result.previous);
    case "txn":
      return pushTxn(parts, result);
    default:
      return unreachable(result);
  }
}

/** A length-delimited field around what `pushContent` appends. */
function pushEmbedded(parts: Uint8Array[], field: number, pushContent: () => number): number {
  const place = parts.length;
  parts.push(emptyBytes);
  const length = pushContent();
  const prefix = lengthPrefix(field, length);
  parts[place] = prefix;
  return prefix.length + length;
}

function pushOne(parts: Uint8Array[], part: Uint8Array): number {
  parts.push(part);
  return part.length;
}
