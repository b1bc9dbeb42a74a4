// What the records of the log hold. Bodies only; their frame is in wal-codec.ts.

import { DecodeError } from "../base/index.ts";
import type {
  ConfState,
  Entry,
  EntryKind,
  HardState,
  LogIndex,
  MemberId,
  SnapshotMeta,
  Term,
} from "../base/index.ts";

export const recordTypes = { hardState: 1, entry: 2, mark: 3, snapshot: 4, closed: 5 } as const;
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes];

export const entryKindCodes = { noop: 0, command: 1, confChange: 2 } as const satisfies Record<
  EntryKind,
  number
>;
const entryKinds: readonly EntryKind[] = ["noop", "command", "confChange"];

/** `mark`: the state at `meta` is durable here. `snapshot`: it came in place of the log. */
export type WalRecord =
  | { readonly kind: "hardState"; readonly hardState: HardState }
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "mark" | "snapshot"; readonly meta: SnapshotMeta }
  | { readonly kind: "closed" };

export const hardStateBodyBytes = 24;
const entryHeadBytes = 16;
const metaHeadBytes = 33;

export function entryBodyBytes(entry: Entry): number {
  return entryHeadBytes + entry.data.length;
}

export function metaBodyBytes(meta: SnapshotMeta): number {
  const { voters, votersOutgoing, learners, learnersNext } = meta.conf;
  const members = voters.length + votersOutgoing.length + learners.length + learnersNext.length;
  return metaHeadBytes + 8 * members;
}

export function encodeHardStateBody(hardState: HardState, view: DataView, at: number): void {
  setCounter(view, at, hardState.term);
  view.setBigUint64(at + 8, hardState.vote);
  setCounter(view, at + 16, hardState.commit);
}

export function encodeEntryBody(entry: Entry, into: Uint8Array, view: DataView, at: number): void {
  setCounter(view, at, entry.index);
  setCounter(view, at + 8, entry.term);
  into.set(entry.data, at + entryHeadBytes);
}

export function encodeMetaBody(meta: SnapshotMeta, view: DataView, at: number): void {
  setCounter(view, at, meta.index);
  setCounter(view, at + 8, meta.term);
  view.setUint8(at + 16, meta.conf.autoLeave ? 1 : 0);
  let offset = at + 17;
  for (const list of confLists(meta.conf)) {
    view.setUint32(offset, list.length);
    offset += 4;
    for (const member of list) {
      view.setBigUint64(offset, member);
      offset += 8;
    }
  }
}

/** Throws DecodeError for a body that this release cannot read. */
export function decodeBody(
  head: { readonly type: number; readonly entryKind: number },
  body: Uint8Array,
): WalRecord {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  switch (head.type) {
    case recordTypes.hardState:
      requireLength(body.length === hardStateBodyBytes);
      return {
        kind: "hardState",
        hardState: {
          term: getCounter(view, 0) as Term,
          vote: view.getBigUint64(8) as MemberId,
          commit: getCounter(view, 16) as LogIndex,
        },
      };
    case recordTypes.entry:
      return { kind: "entry", entry: decodeEntry(head.entryKind, body, view) };
    case recordTypes.mark:
      return { kind: "mark", meta: decodeMeta(view) };
    case recordTypes.snapshot:
      return { kind: "snapshot", meta: decodeMeta(view) };
    case recordTypes.closed:
      return { kind: "closed" };
    default:
      throw new DecodeError(`unknown record type ${head.type}`);
  }
}

/** The data is a view of `body`. */
function decodeEntry(kindCode: number, body: Uint8Array, view: DataView): Entry {
  requireLength(body.length >= entryHeadBytes);
  const kind = entryKinds[kindCode];
  if (kind === undefined) {
    throw new DecodeError(`unknown entry kind ${kindCode}`);
  }
  return {
    index: getCounter(view, 0) as LogIndex,
    term: getCounter(view, 8) as Term,
    kind,
    data: body.subarray(entryHeadBytes),
  };
}

/** Throws DecodeError. */
export function decodeMeta(view: DataView): SnapshotMeta {
  requireLength(view.byteLength >= metaHeadBytes);
  let offset = 17;
  const list = (): MemberId[] => {
    requireLength(offset + 4 <= view.byteLength);
    const count = view.getUint32(offset);
    offset += 4;
    requireLength(offset + 8 * count <= view.byteLength);
    const members: MemberId[] = [];
    for (let i = 0; i < count; i++) {
      members.push(view.getBigUint64(offset) as MemberId);
      offset += 8;
    }
    return members;
  };
  const conf = {
    voters: list(),
    votersOutgoing: list(),
    learners: list(),
    learnersNext: list(),
    autoLeave: view.getUint8(16) === 1,
  };
  requireLength(offset === view.byteLength);
  return { index: getCounter(view, 0) as LogIndex, term: getCounter(view, 8) as Term, conf };
}

function confLists(conf: ConfState): readonly (readonly MemberId[])[] {
  return [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext];
}

function requireLength(holds: boolean): void {
  if (!holds) {
    throw new DecodeError("record body has the wrong length");
  }
}

function setCounter(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value >>> 0);
}

function getCounter(view: DataView, at: number): number {
  const value = view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) {
    throw new DecodeError("counter beyond 2^53 - 1");
  }
  return value;
}
