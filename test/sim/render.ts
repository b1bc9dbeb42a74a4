// Answers of a node as text, for comparing with those of the model.

import type {
  CommandResult,
  RangeResult,
  StoredKeyValue,
  TxnOpResult,
} from "../../src/node/index.ts";
import { KeyValue } from "../../src/wire/index.ts";
import { renderPair, text } from "./model.ts";

export function renderStored(stored: StoredKeyValue | undefined): string {
  if (stored === undefined) {
    return "-";
  }
  const { key, value, createRevision, modRevision, version, lease } = KeyValue.decode(
    stored.message,
  );
  return renderPair({
    key: text(key),
    value: text(value),
    create: createRevision,
    mod: modRevision,
    version,
    lease: BigInt.asUintN(64, lease),
  });
}

export function renderRange({ kvs, more, count }: RangeResult): string {
  return `${kvs.map(renderStored).join(",")} more=${more} count=${count}`;
}

function renderOp(result: TxnOpResult): string {
  switch (result.kind) {
    case "put":
      return `put r${result.revision} prev=${renderStored(result.previous)}`;
    case "deleteRange": {
      const previous = result.previous.map(renderStored).join(",");
      return `delete r${result.revision} n=${result.deleted} prev=${previous}`;
    }
    case "range":
      return `range r${result.revision} ${renderRange(result.range)}`;
    default: {
      const answers = result.responses.map(renderOp).join("; ");
      return `txn r${result.revision} ${result.succeeded} [${answers}]`;
    }
  }
}

export function renderResult(result: CommandResult): string {
  switch (result.kind) {
    case "put":
    case "deleteRange":
    case "txn":
      return renderOp(result);
    case "compaction":
      return `compaction r${result.revision}`;
    case "leaseGrant":
      return `grant r${result.revision} ${result.id} ${result.ttlSeconds}`;
    case "leaseRevoke":
      return `revoke r${result.revision}`;
    case "error":
      return `error ${result.code}`;
    default:
      return `done r${result.revision}`;
  }
}
