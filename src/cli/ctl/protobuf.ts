// -w protobuf: the bytes of a reply, nothing before or behind them. Replies to calls of leases but
// revoke are cut down to their header, as by etcdctl, whose client flattens them.

import * as wire from "../../wire/index.ts";
import type { Io } from "./io.ts";
import { type Printer, refuseOthers } from "./printer.ts";

interface Codec<Message> {
  encode(message: Message): Uint8Array;
}

export function protobufPrinter(io: Io): Printer {
  const bytes =
    <Message>(codec: Codec<Message>) =>
    (reply: Message): void =>
      io.write(codec.encode(reply));
  const header = (reply: { readonly header?: wire.ResponseHeader | undefined }): void =>
    io.write(wire.ResponseHeader.encode(reply.header ?? wire.ResponseHeader.create()));
  return refuseOthers("protobuf", {
    get: bytes(wire.RangeResponse),
    put: bytes(wire.PutResponse),
    del: bytes(wire.DeleteRangeResponse),
    txn: bytes(wire.TxnResponse),
    watch: bytes(wire.WatchResponse),
    leaseGrant: header,
    leaseRevoke: (_, reply) => bytes(wire.LeaseRevokeResponse)(reply),
    leaseKeepAlive: header,
    leaseTimeToLive: header,
    leases: header,
    memberList: bytes(wire.MemberListResponse),
    memberAdd: bytes(wire.MemberAddResponse),
    memberRemove: (_, reply) => bytes(wire.MemberRemoveResponse)(reply),
    memberUpdate: (_, reply) => bytes(wire.MemberUpdateResponse)(reply),
    memberPromote: (_, reply) => bytes(wire.MemberPromoteResponse)(reply),
    alarm: bytes(wire.AlarmResponse),
    authStatus: bytes(wire.AuthStatusResponse),
    roleAdd: (_, reply) => bytes(wire.AuthRoleAddResponse)(reply),
    roleGet: (_, reply) => bytes(wire.AuthRoleGetResponse)(reply),
    roleList: bytes(wire.AuthRoleListResponse),
    roleDelete: (_, reply) => bytes(wire.AuthRoleDeleteResponse)(reply),
    roleGrant: (_, reply) => bytes(wire.AuthRoleGrantPermissionResponse)(reply),
    roleRevoke: (_, reply) => bytes(wire.AuthRoleRevokePermissionResponse)(reply),
    userAdd: (_, reply) => bytes(wire.AuthUserAddResponse)(reply),
    userGet: (_, reply) => bytes(wire.AuthUserGetResponse)(reply),
    userList: bytes(wire.AuthUserListResponse),
    userPassword: bytes(wire.AuthUserChangePasswordResponse),
    userDelete: (_, reply) => bytes(wire.AuthUserDeleteResponse)(reply),
    userGrantRole: (_, reply) => bytes(wire.AuthUserGrantRoleResponse)(reply),
    userRevokeRole: (_, reply) => bytes(wire.AuthUserRevokeRoleResponse)(reply),
  });
}
