// The keys of the store's records in the engine.
//
//   "h" revision(8) sub(4)   history block, by the position of its first event
//   "g" tree(1) group(6)     page group: references to some hundred pages
//   "p" page(6)              page
//   "s"                      store meta
//
// The owner of the engine keeps its own records under other first bytes.

import { bytesToHex, readU64, writeU64 } from "../base/index.ts";
import { getU32, getU48, setU32, setU48 } from "./numbers.ts";

const historyPrefix = 0x68;
const groupPrefix = 0x67;
const pagePrefix = 0x70;

export const storeMetaKey: Uint8Array = Uint8Array.of(0x73);

export function blockKey(revision: number, sub: number): Uint8Array {
  const key = new Uint8Array(13);
  key[0] = historyPrefix;
  writeU64(key, 1, revision);
  setU32(key, 9, sub);
  return key;
}

export function groupKey(tree: number, group: number): Uint8Array {
  const key = new Uint8Array(8);
  key[0] = groupPrefix;
  key[1] = tree;
  setU48(key, 2, group);
  return key;
}

export function pageKey(page: number): Uint8Array {
  const key = new Uint8Array(7);
  key[0] = pagePrefix;
  setU48(key, 1, page);
  return key;
}

/** Every group record. */
export const groupRange = {
  from: Uint8Array.of(groupPrefix),
  to: Uint8Array.of(groupPrefix + 1),
} as const;

/** History blocks from a position on. */
export function historyRange(
  revision: number,
  sub: number,
): { readonly from: Uint8Array; readonly to: Uint8Array } {
  return { from: blockKey(revision, sub), to: Uint8Array.of(historyPrefix + 1) };
}

export type RecordName =
  | { readonly kind: "block"; readonly revision: number; readonly sub: number }
  | { readonly kind: "group"; readonly tree: number; readonly group: number }
  | { readonly kind: "page"; readonly page: number }
  | { readonly kind: "other" };

export function parseRecordKey(key: Uint8Array): RecordName {
  if (key[0] === historyPrefix && key.length === 13) {
    return { kind: "block", revision: readU64(key, 1), sub: getU32(key, 9) };
  }
  if (key[0] === groupPrefix && key.length === 8) {
    return { kind: "group", tree: key[1] as number, group: getU48(key, 2) };
  }
  if (key[0] === pagePrefix && key.length === 7) {
    return { kind: "page", page: getU48(key, 1) };
  }
  return { kind: "other" };
}

/** How errors name a record. */
export function describeRecord(key: Uint8Array): string {
  const name = parseRecordKey(key);
  switch (name.kind) {
    case "block":
      return `history block ${name.revision}.${name.sub}`;
    case "group":
      return `page group ${name.tree}/${name.group}`;
    case "page":
      return `page ${name.page}`;
    default:
      return `record ${bytesToHex(key)}`;
  }
}
