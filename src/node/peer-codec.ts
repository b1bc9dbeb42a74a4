// Raft messages as bytes between members. Both sides are ours and the handshake has agreed on a
// version, so the form is fixed: numbers are big endian, counters and identities 8 bytes.
//
//   message := kind u8 | from | to | term | fields of the kind, in the order of its type
//   append  := previous index | previous term | commit | count u32 | entry*
//   entry   := kind u8 | term | length u32 | data      (its index follows from its place)
//
// Rules: whatever arrives is checked; what does not parse to the last byte throws DecodeError.
// Data of decoded entries and proposals are views of the frame. Followers mostly get the same
// entries, so those are encoded once and shared.

import { DecodeError, assert } from "../base/index.ts";
import type { ConfState, Entry, EntryKind, MemberId, SnapshotMeta } from "../base/index.ts";
import type { AppendRequest, Message } from "../raft/index.ts";
import type { OutgoingFrame } from "../peer/contract.ts";
import { ByteCursor, ByteSink } from "./byte-cursor.ts";

/** Type of the peer frames that carry a raft message. */
export const raftFrameType = 1;

const kindCodes = {
  appendRequest: 1,
  appendResponse: 2,
  heartbeatRequest: 3,
  heartbeatResponse: 4,
  voteRequest: 5,
  voteResponse: 6,
  snapshotRequest: 7,
  timeoutNow: 8,
  proposeForward: 9,
  readIndexRequest: 10,
  readIndexResponse: 11,
  transferForward: 12,
} as const satisfies Record<Message["kind"], number>;

const kindOfCode = new Map<number, Message["kind"]>(
  Object.entries(kindCodes).map(([kind, code]) => [code, kind as Message["kind"]]),
);

const entryKindCodes = { noop: 0, command: 1, confChange: 2 } as const satisfies Record<
  EntryKind,
  number
>;
const entryKinds: readonly EntryKind[] = ["noop", "command", "confChange"];

const envelopeBytes = 25;
const appendHeadBytes = envelopeBytes + 28;
const entryHeadBytes = 13;

/** What a slow link may give up: it is sent again, by raft or by whoever proposed. */
const droppableKinds: ReadonlySet<Message["kind"]> = new Set([
  "appendRequest",
  "heartbeatRequest",
  "proposeForward",
  "readIndexRequest",
]);

/** The frame of a message for `PeerNetwork.send`. */
export function encodeFrame(message: Message): OutgoingFrame {
  const parts = message.kind === "appendRequest" ? encodeAppend(message) : [encodePlain(message)];
  return { type: raftFrameType, parts, droppable: droppableKinds.has(message.kind) };
}

/** The bytes of a message in one piece, for the header of a state transfer. */
export function encodeMessage(message: Message): Uint8Array {
  const { parts } = encodeFrame(message);
  const sink = new ByteSink(parts.reduce((sum, part) => sum + part.length, 0));
  for (const part of parts) {
    sink.bytes(part);
  }
  return sink.finish();
}

interface SharedEntries {
  readonly first: Entry;
  readonly last: Entry;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/**
 * The entries encoded last. Entries are immutable and a log position with its term names all
 * before it (Raft section 5.3), so the same first and last object mean the same run.
 */
let shared: SharedEntries | undefined;

function encodeAppend(message: AppendRequest): Uint8Array[] {
  const { entries } = message;
  const sink = new ByteSink(appendHeadBytes);
  envelope(sink, message);
  sink.counter(message.previousIndex);
  sink.counter(message.previousTerm);
  sink.counter(message.commit);
  sink.u32(entries.length);
  const first = entries[0];
  if (first === undefined) {
    return [sink.finish()];
  }
  assert(first.index === message.previousIndex + 1, "entries follow the previous index");
  const last = entries[entries.length - 1] as Entry;
  if (shared?.first !== first || shared.last !== last || shared.count !== entries.length) {
    shared = { first, last, count: entries.length, bytes: encodeEntries(entries) };
  }
  return [sink.finish(), shared.bytes];
}

function encodeEntries(entries: readonly Entry[]): Uint8Array {
  let size = 0;
  for (const entry of entries) {
    size += entryHeadBytes + entry.data.length;
  }
  const sink = new ByteSink(size);
  for (const entry of entries) {
    sink.u8(entryKindCodes[entry.kind]);
    sink.counter(entry.term);
    sink.u32(entry.data.length);
    sink.bytes(entry.data);
  }
  return sink.finish();
}

function envelope(sink: ByteSink, message: Message): void {
  sink.u8(kindCodes[message.kind]);
  sink.id(message.from);
  sink.id(message.to);
  sink.counter(message.term);
}

function encodePlain(message: Exclude<Message, AppendRequest>): Uint8Array {
  const sink = new ByteSink(envelopeBytes + bodyBytes(message));
  envelope(sink, message);
  switch (message.kind) {
    case "appendResponse":
      sink.counter(message.index);
      sink.boolean(message.rejected);
      sink.counter(message.hintIndex);
      sink.counter(message.hintTerm);
      break;
    case "heartbeatRequest":
      sink.counter(message.commit);
      sink.counter(message.readRound);
      break;
    case "heartbeatResponse":
      sink.counter(message.readRound);
      break;
    case "voteRequest":
      sink.boolean(message.preVote);
      sink.counter(message.lastIndex);
      sink.counter(message.lastTerm);
      sink.boolean(message.transfer);
      break;
    case "voteResponse":
      sink.boolean(message.preVote);
      sink.boolean(message.granted);
      sink.counter(message.commit);
      sink.counter(message.commitTerm);
      break;
    case "snapshotRequest":
      encodeMeta(sink, message.snapshot);
      break;
    case "timeoutNow":
      break;
    case "proposeForward":
      encodeProposals(sink, message.proposals);
      break;
    case "readIndexRequest":
      sink.counter(message.context);
      break;
    case "readIndexResponse":
      sink.counter(message.context);
      sink.counter(message.index);
      break;
    case "transferForward":
      sink.id(message.transferee);
      break;
  }
  return sink.finish();
}

function bodyBytes(message: Exclude<Message, AppendRequest>): number {
  switch (message.kind) {
    case "appendResponse":
      return 25;
    case "heartbeatRequest":
    case "readIndexResponse":
      return 16;
    case "heartbeatResponse":
    case "readIndexRequest":
    case "transferForward":
      return 8;
    case "voteRequest":
    case "voteResponse":
      return 18;
    case "snapshotRequest":
      return metaBytes(message.snapshot);
    case "timeoutNow":
      return 0;
    case "proposeForward":
      return message.proposals.reduce((sum, proposal) => sum + 4 + proposal.length, 4);
  }
}

function confLists(conf: ConfState): readonly (readonly MemberId[])[] {
  return [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext];
}

function metaBytes(meta: SnapshotMeta): number {
  return confLists(meta.conf).reduce((sum, list) => sum + 4 + 8 * list.length, 17);
}

function encodeMeta(sink: ByteSink, meta: SnapshotMeta): void {
  sink.counter(meta.index);
  sink.counter(meta.term);
  for (const list of confLists(meta.conf)) {
    sink.u32(list.length);
    for (const member of list) {
      sink.id(member);
    }
  }
  sink.boolean(meta.conf.autoLeave);
}

function encodeProposals(sink: ByteSink, proposals: readonly Uint8Array[]): void {
  sink.u32(proposals.length);
  for (const proposal of proposals) {
    sink.u32(proposal.length);
    sink.bytes(proposal);
  }
}

/** Throws DecodeError for anything but one whole message. */
export function decodeMessage(bytes: Uint8Array): Message {
  const cursor = new ByteCursor(bytes);
  const code = cursor.u8();
  const kind = kindOfCode.get(code);
  if (kind === undefined) {
    throw new DecodeError(`unknown message kind ${code}`);
  }
  const message = decodeBody(kind, cursor);
  cursor.end();
  return message;
}

function decodeBody(kind: Message["kind"], cursor: ByteCursor): Message {
  const from = cursor.memberId();
  const to = cursor.memberId();
  const term = cursor.term();
  switch (kind) {
    case "appendRequest":
      return { kind, from, to, term, ...decodeAppend(cursor) };
    case "appendResponse": {
      const index = cursor.index();
      const rejected = cursor.boolean();
      const hintIndex = cursor.index();
      return { kind, from, to, term, index, rejected, hintIndex, hintTerm: cursor.term() };
    }
    case "heartbeatRequest": {
      const commit = cursor.index();
      return { kind, from, to, term, commit, readRound: cursor.counter() };
    }
    case "heartbeatResponse":
      return { kind, from, to, term, readRound: cursor.counter() };
    case "voteRequest": {
      const preVote = cursor.boolean();
      const lastIndex = cursor.index();
      const lastTerm = cursor.term();
      return { kind, from, to, term, preVote, lastIndex, lastTerm, transfer: cursor.boolean() };
    }
    case "voteResponse": {
      const preVote = cursor.boolean();
      const granted = cursor.boolean();
      const commit = cursor.index();
      return { kind, from, to, term, preVote, granted, commit, commitTerm: cursor.term() };
    }
    case "snapshotRequest":
      return { kind, from, to, term, snapshot: decodeMeta(cursor) };
    case "timeoutNow":
      return { kind, from, to, term };
    case "proposeForward":
      return { kind, from, to, term, proposals: decodeProposals(cursor) };
    case "readIndexRequest":
      return { kind, from, to, term, context: cursor.counter() };
    case "readIndexResponse": {
      const context = cursor.counter();
      return { kind, from, to, term, context, index: cursor.index() };
    }
    case "transferForward":
      return { kind, from, to, term, transferee: cursor.memberId() };
  }
}

function decodeAppend(
  cursor: ByteCursor,
): Pick<AppendRequest, "previousIndex" | "previousTerm" | "entries" | "commit"> {
  const previousIndex = cursor.index();
  const previousTerm = cursor.term();
  const commit = cursor.index();
  const count = cursor.u32();
  const entries: Entry[] = [];
  for (let i = 1; i <= count; i++) {
    const kindCode = cursor.u8();
    const kind = entryKinds[kindCode];
    if (kind === undefined) {
      throw new DecodeError(`unknown entry kind ${kindCode}`);
    }
    const term = cursor.term();
    const data = cursor.bytes(cursor.u32());
    entries.push({ index: cursor.indexAfter(previousIndex, i), term, kind, data });
  }
  return { previousIndex, previousTerm, entries, commit };
}

function decodeMeta(cursor: ByteCursor): SnapshotMeta {
  const index = cursor.index();
  const term = cursor.term();
  const list = (): MemberId[] => {
    const members: MemberId[] = [];
    for (let count = cursor.u32(); count > 0; count--) {
      const member = cursor.memberId();
      const before = members.at(-1);
      if (before !== undefined && before >= member) {
        throw new DecodeError("members of a configuration must ascend");
      }
      members.push(member);
    }
    return members;
  };
  const voters = list();
  const votersOutgoing = list();
  const learners = list();
  const learnersNext = list();
  const autoLeave = cursor.boolean();
  return { index, term, conf: { voters, votersOutgoing, learners, learnersNext, autoLeave } };
}

function decodeProposals(cursor: ByteCursor): Uint8Array[] {
  const proposals: Uint8Array[] = [];
  for (let count = cursor.u32(); count > 0; count--) {
    proposals.push(cursor.bytes(cursor.u32()));
  }
  return proposals;
}
