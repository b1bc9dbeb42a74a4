// -w json: replies as Go's client marshals them, field by field, zero fields left out.

import { messageDescriptors, type ResponseHeader, type TxnResponse } from "../../wire/index.ts";
import { durationText, goJson } from "./go-text.ts";
import type { Output } from "./io.ts";
import { type Printer, refuseOthers } from "./printer.ts";

/** A message as an object with the names of its .proto file and without zero fields. */
export function messageFields(fullName: string, message: object): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of messageDescriptors[fullName]?.fields ?? []) {
    const value = (message as Record<string, unknown>)[field.property];
    if (isZero(value)) {
      continue;
    }
    const nested = messageDescriptors[field.type] !== undefined;
    const convert = (item: unknown): unknown =>
      nested ? messageFields(field.type, item as object) : item;
    fields[field.name] = Array.isArray(value) ? value.map(convert) : convert(value);
  }
  return fields;
}

function isZero(value: unknown): boolean {
  return (
    value === undefined ||
    value === 0 ||
    value === 0n ||
    value === false ||
    value === "" ||
    ((value instanceof Uint8Array || Array.isArray(value)) && value.length === 0)
  );
}

function headerFields(header: ResponseHeader | undefined): Record<string, unknown> {
  return header === undefined ? {} : messageFields("etcdserverpb.ResponseHeader", header);
}

/** Go's names for the variants of a reply inside a transaction's. */
const replyNames = {
  responseRange: ["ResponseRange", "RangeResponse"],
  responsePut: ["ResponsePut", "PutResponse"],
  responseDeleteRange: ["ResponseDeleteRange", "DeleteRangeResponse"],
} as const;

function txnFields(reply: TxnResponse): Record<string, unknown> {
  const responses = reply.responses.map(({ response }) => {
    if (response === undefined) {
      return { Response: null };
    }
    if (response.kind === "responseTxn") {
      return { Response: { ResponseTxn: txnFields(response.value) } };
    }
    const [name, type] = replyNames[response.kind];
    return { Response: { [name]: messageFields(`etcdserverpb.${type}`, response.value) } };
  });
  return {
    header: headerFields(reply.header),
    ...(reply.succeeded ? { succeeded: true } : {}),
    ...(responses.length === 0 ? {} : { responses }),
  };
}

type Plain = (name: string) => (message: object) => void;

function authPrinter(plain: Plain) {
  const named =
    (name: string) =>
    (_: unknown, message: object): void =>
      plain(name)(message);
  return {
    authStatus: plain("AuthStatusResponse"),
    roleAdd: named("AuthRoleAddResponse"),
    roleGet: named("AuthRoleGetResponse"),
    roleList: plain("AuthRoleListResponse"),
    roleDelete: named("AuthRoleDeleteResponse"),
    roleGrant: named("AuthRoleGrantPermissionResponse"),
    roleRevoke: named("AuthRoleRevokePermissionResponse"),
    userAdd: named("AuthUserAddResponse"),
    userGet: named("AuthUserGetResponse"),
    userList: plain("AuthUserListResponse"),
    userPassword: plain("AuthUserChangePasswordResponse"),
    userDelete: named("AuthUserDeleteResponse"),
    userGrantRole: named("AuthUserGrantRoleResponse"),
    userRevokeRole: named("AuthUserRevokeRoleResponse"),
  } satisfies Partial<Printer>;
}

/** One line of JSON a reply. */
export function jsonPrinter(output: Output): Printer {
  const print = (value: unknown): void => output.line(goJson(value));
  const plain =
    (name: string) =>
    (message: object): void =>
      print(messageFields(`etcdserverpb.${name}`, message));
  return refuseOthers("json", {
    get: plain("RangeResponse"),
    put: plain("PutResponse"),
    del: plain("DeleteRangeResponse"),
    txn: (reply) => print(txnFields(reply)),
    watch: (reply) =>
      print({
        Header: headerFields(reply.header),
        Events: reply.events.map((event) => messageFields("mvccpb.Event", event)),
        CompactRevision: reply.compactRevision,
        Canceled: reply.canceled,
        Created: reply.created,
      }),
    leaseGrant: ({ header, id, ttl, error }) =>
      print({ ...headerFields(header), ID: id, TTL: ttl, Error: error }),
    leaseRevoke: (_, reply) => plain("LeaseRevokeResponse")(reply),
    leaseKeepAlive: ({ header, id, ttl }) => print({ ...headerFields(header), ID: id, TTL: ttl }),
    leaseTimeToLive: ({ header, id, ttl, grantedTtl, keys }) =>
      print({
        ...headerFields(header),
        id,
        ttl,
        "granted-ttl": grantedTtl,
        keys: keys.length === 0 ? null : keys,
      }),
    leases: ({ header, leases }) =>
      print({ ...headerFields(header), leases: leases.map(({ id }) => ({ id })) }),
    memberList: plain("MemberListResponse"),
    memberAdd: plain("MemberAddResponse"),
    memberRemove: (_, reply) => plain("MemberRemoveResponse")(reply),
    memberUpdate: (_, reply) => plain("MemberUpdateResponse")(reply),
    memberPromote: (_, reply) => plain("MemberPromoteResponse")(reply),
    alarm: plain("AlarmResponse"),
    endpointStatus: (list) =>
      print(
        list.map(({ endpoint, status }) => ({
          Endpoint: endpoint,
          Status: messageFields("etcdserverpb.StatusResponse", status),
        })),
      ),
    endpointHealth: (list) =>
      print(
        list.map(({ endpoint, health, tookNanoseconds, error }) => ({
          endpoint,
          health,
          took: durationText(tookNanoseconds),
          ...(error === "" ? {} : { error }),
        })),
      ),
    ...authPrinter(plain),
    snapshotStatus: ({ hash, revision, totalKeys, sizeBytes }) =>
      print({ hash, revision, totalKey: totalKeys, totalSize: sizeBytes }),
    endpointHashKv: (list) =>
      print(
        list.map(({ endpoint, hash }) => ({
          Endpoint: endpoint,
          HashKV: messageFields("etcdserverpb.HashKVResponse", hash),
        })),
      ),
  });
}
