// Answers of the API in the text of the model in test/sim/model.ts.

import { EventType } from "../../src/wire/index.ts";
import type {
  DeleteRangeResponse,
  Event,
  KeyValue,
  PutResponse,
  RangeResponse,
  ResponseOp,
  TxnResponse,
} from "../../src/wire/index.ts";
import { renderPair, text } from "../sim/model.ts";
import type { ModelEvent } from "../sim/model.ts";

function renderKeyValue(kv: KeyValue | undefined): string {
  if (kv === undefined) {
    return "-";
  }
  return renderPair({
    key: text(kv.key),
    value: text(kv.value),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    lease: BigInt.asUintN(64, kv.lease),
  });
}

export function renderPut({ header, prevKv }: PutResponse): string {
  return `put r${header?.revision} prev=${renderKeyValue(prevKv)}`;
}

export function renderDelete({ header, deleted, prevKvs }: DeleteRangeResponse): string {
  return `delete r${header?.revision} n=${deleted} prev=${prevKvs.map(renderKeyValue).join(",")}`;
}

export function renderRange({ kvs, more, count }: RangeResponse): string {
  return `${kvs.map(renderKeyValue).join(",")} more=${more} count=${count}`;
}

export function renderTxn({ header, succeeded, responses }: TxnResponse): string {
  return `txn r${header?.revision} ${succeeded} [${responses.map(renderOp).join("; ")}]`;
}

function renderOp({ response }: ResponseOp): string {
  switch (response?.kind) {
    case "responsePut":
      return renderPut(response.value);
    case "responseDeleteRange":
      return renderDelete(response.value);
    case "responseRange":
      return `range r${response.value.header?.revision} ${renderRange(response.value)}`;
    case "responseTxn":
      return renderTxn(response.value);
    default:
      return "nothing";
  }
}

/** Whether a txn changed anything. */
export function txnWrote({ responses }: TxnResponse): boolean {
  return responses.some(
    ({ response }) =>
      response?.kind === "responsePut" ||
      (response?.kind === "responseDeleteRange" && response.value.deleted > 0) ||
      (response?.kind === "responseTxn" && txnWrote(response.value)),
  );
}

export function renderEvent({ type, kv, prevKv }: Event): string {
  return type === EventType.PUT
    ? `put ${renderKeyValue(kv)} prev=${renderKeyValue(prevKv)}`
    : `delete ${text(kv?.key ?? new Uint8Array())}@${kv?.modRevision} prev=${renderKeyValue(prevKv)}`;
}

export function renderModelEvent({ kind, key, revision, pair, previous }: ModelEvent): string {
  return kind === "put"
    ? `put ${renderPair(pair)} prev=${renderPair(previous)}`
    : `delete ${key}@${revision} prev=${renderPair(previous)}`;
}
