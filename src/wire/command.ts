// The envelope of a command in the raft log (quoratepb.Command), written around the bytes of a
// request as they came, and read without touching them.

import { DecodeError, emptyBytes } from "../base/index.ts";
import { Reader } from "./reader.ts";
import { sharedWriter as writer } from "./writer.ts";

/** Field numbers of quoratepb.Command.body. */
export const commandBodyFields = {
  put: 8,
  deleteRange: 9,
  txn: 10,
  compaction: 11,
  leaseGrant: 12,
  leaseRevoke: 13,
  leaseCheckpoint: 14,
  leaseExpiry: 15,
  alarm: 16,
  memberAttributes: 17,
  authEnable: 18,
  authDisable: 19,
  tokenIssue: 20,
  userAdd: 21,
  userDelete: 22,
  userChangePassword: 23,
  userGrantRole: 24,
  userRevokeRole: 25,
  roleAdd: 26,
  roleDelete: 27,
  roleGrantPermission: 28,
  roleRevokePermission: 29,
} as const;

export type CommandBodyKind = keyof typeof commandBodyFields;

const kindsByField: (CommandBodyKind | undefined)[] = [];
for (const [kind, field] of Object.entries(commandBodyFields)) {
  kindsByField[field] = kind as CommandBodyKind;
}

/** Who proposed a command; `user` is empty while auth is off. */
export interface CommandEnvelope {
  /** The proposing member; it alone knows `sequence`. */
  readonly origin: bigint;
  readonly sequence: number;
  readonly user: string;
  readonly authRevision: number;
}

export interface DecodedCommand extends CommandEnvelope {
  readonly kind: CommandBodyKind;
  /** The request message, a view into the entry. */
  readonly body: Uint8Array;
}

/** `body` is the encoded request message of `kind`. */
export function encodeCommand(
  kind: CommandBodyKind,
  body: Uint8Array,
  envelope: CommandEnvelope,
): Uint8Array {
  writer.begin();
  writer.bytes(body);
  writer.tag(commandBodyFields[kind] * 8 + 2);
  if (envelope.authRevision !== 0) {
    writer.uint64(envelope.authRevision);
    writer.tag(0x20);
  }
  if (envelope.user !== "") {
    writer.string(envelope.user);
    writer.tag(0x1a);
  }
  if (envelope.sequence !== 0) {
    writer.uint64(envelope.sequence);
    writer.tag(0x10);
  }
  if (envelope.origin !== 0n) {
    writer.fixed64(envelope.origin);
    writer.tag(0x09);
  }
  return writer.finish();
}

/**
 * Reads an envelope. Throws DecodeError for malformed bytes and also for a body of a kind unknown
 * here: skipping a command that others execute would make members differ.
 */
export function decodeCommand(data: Uint8Array): DecodedCommand {
  const reader = new Reader(data);
  let origin = 0n;
  let sequence = 0;
  let user = "";
  let authRevision = 0;
  let kind: CommandBodyKind | undefined;
  let body: Uint8Array = emptyBytes;
  while (reader.offset < reader.limit) {
    const tag = reader.tag();
    switch (tag) {
      case 0x09:
        origin = reader.fixed64Big();
        break;
      case 0x10:
        sequence = reader.uint64();
        break;
      case 0x1a:
        user = reader.string();
        break;
      case 0x20:
        authRevision = reader.uint64();
        break;
      default: {
        kind = (tag & 7) === 2 ? kindsByField[tag >>> 3] : undefined;
        if (kind === undefined) {
          throw new DecodeError(`command: unknown field ${tag >>> 3}`);
        }
        body = reader.bytes();
      }
    }
  }
  if (kind === undefined) {
    throw new DecodeError("command: no body");
  }
  return { origin, sequence, user, authRevision, kind, body };
}
