import fc from "fast-check";
import { expect, test } from "vitest";

import { concatBytes, DecodeError } from "../../src/base/index.ts";
import {
  Command,
  commandBodyFields,
  decodeCommand,
  encodeCommand,
  Event,
  HeaderEncoder,
  KeyValue,
  lengthPrefix,
  PutRequest,
  PutResponse,
  pushWatchEvent,
  WatchResponse,
  watchResponseHead,
} from "../../src/wire/index.ts";
import type { CommandBodyKind } from "../../src/wire/index.ts";
import { codecOf, messageArbitrary } from "./messages.ts";

const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const counter = fc.oneof(fc.nat(300), fc.maxSafeNat());

function stored(kv: KeyValue): { readonly field: Uint8Array; readonly message: Uint8Array } {
  const message = KeyValue.encode(kv);
  return { field: concatBytes([lengthPrefix(2, message.length), message]), message };
}

test("a header is that of ResponseHeader, the same bytes while nothing changes", () => {
  fc.assert(
    fc.property(
      fc.record({ clusterId: id, memberId: id, revision: counter, raftTerm: counter }),
      (header) => {
        const encoder = new HeaderEncoder(header.clusterId, header.memberId);
        encoder.field(1, 1);
        const field = encoder.field(header.revision, header.raftTerm);
        expect(encoder.field(header.revision, header.raftTerm)).toBe(field);
        expect(field).toEqual(PutResponse.encode({ header, prevKv: undefined }));
      },
    ),
  );
});

test("WatchResponse from encoded events, with and without the replaced pair", () => {
  fc.assert(
    fc.property(
      messageArbitrary("etcdserverpb.WatchResponse") as unknown as fc.Arbitrary<WatchResponse>,
      (any) => {
        const header = any.header ?? { clusterId: 1n, memberId: 2n, revision: 3, raftTerm: 4 };
        const response = { ...any, header };
        const field = new HeaderEncoder(header.clusterId, header.memberId).field(
          header.revision,
          header.raftTerm,
        );
        const parts = [watchResponseHead(field, response)];
        for (const event of response.events) {
          const length = pushWatchEvent(
            parts,
            Event.encode({ ...event, prevKv: undefined }),
            event.prevKv === undefined ? undefined : stored(event.prevKv),
          );
          expect(length).toBeGreaterThanOrEqual(2);
        }
        expect(concatBytes(parts)).toEqual(WatchResponse.encode(response));
      },
    ),
  );
});

test("a command's envelope is that of quoratepb.Command, of every kind", () => {
  const bodyTypes: Record<CommandBodyKind, string> = {
    put: "etcdserverpb.PutRequest",
    deleteRange: "etcdserverpb.DeleteRangeRequest",
    txn: "etcdserverpb.TxnRequest",
    compaction: "etcdserverpb.CompactionRequest",
    leaseGrant: "etcdserverpb.LeaseGrantRequest",
    leaseRevoke: "etcdserverpb.LeaseRevokeRequest",
    leaseCheckpoint: "quoratepb.LeaseCheckpoints",
    leaseExpiry: "quoratepb.LeaseExpiry",
    alarm: "etcdserverpb.AlarmRequest",
    memberAttributes: "quoratepb.MemberAttributes",
    authEnable: "etcdserverpb.AuthEnableRequest",
    authDisable: "etcdserverpb.AuthDisableRequest",
    tokenIssue: "quoratepb.TokenIssue",
    userAdd: "quoratepb.UserCreation",
    userDelete: "etcdserverpb.AuthUserDeleteRequest",
    userChangePassword: "quoratepb.PasswordChange",
    userGrantRole: "etcdserverpb.AuthUserGrantRoleRequest",
    userRevokeRole: "etcdserverpb.AuthUserRevokeRoleRequest",
    roleAdd: "etcdserverpb.AuthRoleAddRequest",
    roleDelete: "etcdserverpb.AuthRoleDeleteRequest",
    roleGrantPermission: "etcdserverpb.AuthRoleGrantPermissionRequest",
    roleRevokePermission: "etcdserverpb.AuthRoleRevokePermissionRequest",
  };
  expect(Object.keys(bodyTypes).sort()).toEqual(Object.keys(commandBodyFields).sort());
  for (const [kind, type] of Object.entries(bodyTypes) as [CommandBodyKind, string][]) {
    fc.assert(
      fc.property(
        messageArbitrary(type),
        id,
        counter,
        fc.string(),
        counter,
        (value, origin, sequence, user, authRevision) => {
          const envelope = { origin, sequence, user, authRevision };
          const body = codecOf(type).encode(value);
          const bytes = encodeCommand(kind, body, envelope);
          const whole = { ...envelope, body: { kind, value } } as unknown as Command;
          expect(bytes).toEqual(Command.encode(whole));
          expect(decodeCommand(bytes)).toEqual({ ...envelope, kind, body });
        },
      ),
      { numRuns: 30 },
    );
  }
});

test("an unknown command, and a command without a body, do not pass", () => {
  const envelope = { origin: 1n, sequence: 2, user: "", authRevision: 0 };
  const known = encodeCommand("put", PutRequest.encode(PutRequest.create()), envelope);
  const unknown = concatBytes([known.subarray(0, 11), new Uint8Array([0xa2, 0x06, 0])]);
  expect(() => decodeCommand(unknown)).toThrow(DecodeError);
  expect(() => decodeCommand(new Uint8Array(0))).toThrow(DecodeError);
  expect(() => decodeCommand(known.subarray(0, 9))).toThrow(DecodeError);
});
