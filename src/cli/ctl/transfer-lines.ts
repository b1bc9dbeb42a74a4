// The lines of an export, one JSON object each:
//
//   {"export":1,"cluster":"cdf818194e3a8c32","revision":42,"prefix":"/app/"}
//   {"lease":"694d8a1b2c3d4e5f","granted_ttl":60,"ttl":51}              before its first key
//   {"key":"/app/a","value":"1","create_revision":7,"mod_revision":9,"version":3,"lease":"694d…"}
//   {"key":{"base64":"/w=="},"value":{"base64":"gA=="}, …}              bytes that are no text
//   {"end":true,"keys":2}
//
// A string is UTF-8 text, and comes back to the same bytes; everything else is in base64.

import { isUtf8 } from "node:buffer";
import type { KeyValue } from "../../wire/index.ts";

export const exportFormat = 1;

export type TransferText = string | { readonly base64: string };

export type TransferLine =
  | { readonly kind: "head"; readonly format: number }
  | { readonly kind: "lease"; readonly id: bigint; readonly ttl: number }
  | {
      readonly kind: "pair";
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      readonly lease: bigint;
    }
  | { readonly kind: "end"; readonly keys: number };

export function textOfBytes(bytes: Uint8Array): TransferText {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(buffer) ? buffer.toString("utf8") : { base64: buffer.toString("base64") };
}

export function pairLine(pair: KeyValue): string {
  return JSON.stringify({
    key: textOfBytes(pair.key),
    value: textOfBytes(pair.value),
    create_revision: pair.createRevision,
    mod_revision: pair.modRevision,
    version: pair.version,
    ...(pair.lease === 0n ? {} : { lease: hexOf(pair.lease) }),
  });
}

export function hexOf(lease: bigint): string {
  return BigInt.asUintN(64, lease).toString(16).padStart(16, "0");
}

/** What is wrong with a line, as text. */
export class LineFault extends Error {
  override name = "LineFault";
}

/** Throws LineFault. */
export function parseLine(text: string): TransferLine {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(text) as typeof fields;
  } catch {
    throw new LineFault("it is not JSON");
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new LineFault("it is not a JSON object");
  }
  if ("key" in fields) {
    const key = bytesOf(fields["key"], "key");
    if (key.length === 0) {
      throw new LineFault('"key" is empty');
    }
    const lease = "lease" in fields ? leaseOf(fields["lease"]) : 0n;
    return { kind: "pair", key, value: bytesOf(fields["value"] ?? "", "value"), lease };
  }
  if ("export" in fields) {
    return { kind: "head", format: Number(fields["export"]) };
  }
  if ("lease" in fields) {
    const ttl = Number(fields["granted_ttl"]);
    if (!Number.isSafeInteger(ttl) || ttl < 1) {
      throw new LineFault('"granted_ttl" is not a number of seconds');
    }
    return { kind: "lease", id: leaseOf(fields["lease"]), ttl };
  }
  if (fields["end"] === true) {
    return { kind: "end", keys: Number(fields["keys"]) };
  }
  throw new LineFault('it has no "key"');
}

function leaseOf(field: unknown): bigint {
  if (typeof field !== "string" || !/^[0-9a-fA-F]{1,16}$/.test(field)) {
    throw new LineFault('"lease" is not an id in hex');
  }
  return BigInt.asIntN(64, BigInt(`0x${field}`));
}

function bytesOf(field: unknown, name: string): Uint8Array {
  if (typeof field === "string") {
    return Buffer.from(field, "utf8");
  }
  const base64 = (field as { readonly base64?: unknown } | null)?.base64;
  const bytes = typeof base64 === "string" ? Buffer.from(base64, "base64") : undefined;
  if (bytes === undefined || bytes.toString("base64").replace(/=+$/, "") !== trimmed(base64)) {
    throw new LineFault(`"${name}" is neither a string nor {"base64": "..."}`);
  }
  return bytes;
}

function trimmed(base64: unknown): string {
  return String(base64).replace(/=+$/, "");
}
