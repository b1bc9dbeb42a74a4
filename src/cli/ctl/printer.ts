// What a printer is, and the choice of one. Each form of output (-w) is a file: simple.ts, json.ts,
// fields.ts, table.ts. A form that has nothing for a reply refuses, as etcdctl's does.

import type { RangeResponse } from "../../wire/index.ts";
import type * as wire from "../../wire/index.ts";
import { CommandError, exitCodes } from "./failure.ts";

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: wire.StatusResponse;
}

export interface EndpointHealth {
  readonly endpoint: string;
  readonly health: boolean;
  readonly tookNanoseconds: number;
  /** Empty when healthy. */
  readonly error: string;
}

export interface EndpointHash {
  readonly endpoint: string;
  readonly hash: wire.HashKVResponse;
}

/** What a backup holds. */
export interface SnapshotFileStatus {
  readonly hash: number;
  readonly revision: number;
  readonly totalKeys: number;
  readonly sizeBytes: number;
}

/** A range of keys that a role has something to do with. */
export interface RoleRange {
  readonly role: string;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

export interface RoleGrant {
  readonly user: string;
  readonly role: string;
}

export interface Printer {
  get(reply: RangeResponse): void;
  put(reply: wire.PutResponse): void;
  del(reply: wire.DeleteRangeResponse): void;
  txn(reply: wire.TxnResponse): void;
  watch(reply: wire.WatchResponse): void;
  leaseGrant(reply: wire.LeaseGrantResponse): void;
  leaseRevoke(id: bigint, reply: wire.LeaseRevokeResponse): void;
  leaseKeepAlive(reply: wire.LeaseKeepAliveResponse): void;
  leaseTimeToLive(reply: wire.LeaseTimeToLiveResponse, keys: boolean): void;
  leases(reply: wire.LeaseLeasesResponse): void;
  memberList(reply: wire.MemberListResponse): void;
  memberAdd(reply: wire.MemberAddResponse): void;
  memberRemove(id: bigint, reply: wire.MemberRemoveResponse): void;
  memberUpdate(id: bigint, reply: wire.MemberUpdateResponse): void;
  memberPromote(id: bigint, reply: wire.MemberPromoteResponse): void;
  alarm(reply: wire.AlarmResponse): void;
  endpointStatus(list: readonly EndpointStatus[]): void;
  endpointHealth(list: readonly EndpointHealth[]): void;
  endpointHashKv(list: readonly EndpointHash[]): void;
  moveLeader(from: bigint, to: bigint): void;
  snapshotStatus(status: SnapshotFileStatus): void;
  authStatus(reply: wire.AuthStatusResponse): void;
  roleAdd(role: string, reply: wire.AuthRoleAddResponse): void;
  roleGet(role: string, reply: wire.AuthRoleGetResponse): void;
  roleList(reply: wire.AuthRoleListResponse): void;
  roleDelete(role: string, reply: wire.AuthRoleDeleteResponse): void;
  roleGrant(role: string, reply: wire.AuthRoleGrantPermissionResponse): void;
  roleRevoke(range: RoleRange, reply: wire.AuthRoleRevokePermissionResponse): void;
  userAdd(user: string, reply: wire.AuthUserAddResponse): void;
  userGet(user: string, reply: wire.AuthUserGetResponse): void;
  userList(reply: wire.AuthUserListResponse): void;
  userPassword(reply: wire.AuthUserChangePasswordResponse): void;
  userDelete(user: string, reply: wire.AuthUserDeleteResponse): void;
  userGrantRole(grant: RoleGrant, reply: wire.AuthUserGrantRoleResponse): void;
  userRevokeRole(grant: RoleGrant, reply: wire.AuthUserRevokeRoleResponse): void;
}

/** A printer of the form `name` that refuses everything not in `printer`. */
export function refuseOthers(name: string, printer: Partial<Printer>): Printer {
  const refuse = (): never => {
    throw new CommandError(exitCodes.badFeature, `${name} not supported as output format`);
  };
  return {
    get: refuse,
    put: refuse,
    del: refuse,
    txn: refuse,
    watch: refuse,
    leaseGrant: refuse,
    leaseRevoke: refuse,
    leaseKeepAlive: refuse,
    leaseTimeToLive: refuse,
    leases: refuse,
    memberList: refuse,
    memberAdd: refuse,
    memberRemove: refuse,
    memberUpdate: refuse,
    memberPromote: refuse,
    alarm: refuse,
    endpointStatus: refuse,
    endpointHealth: refuse,
    endpointHashKv: refuse,
    moveLeader: refuse,
    snapshotStatus: refuse,
    authStatus: refuse,
    roleAdd: refuse,
    roleGet: refuse,
    roleList: refuse,
    roleDelete: refuse,
    roleGrant: refuse,
    roleRevoke: refuse,
    userAdd: refuse,
    userGet: refuse,
    userList: refuse,
    userPassword: refuse,
    userDelete: refuse,
    userGrantRole: refuse,
    userRevokeRole: refuse,
    ...printer,
  };
}

/** Prints one reply inside a transaction's. A nested transaction prints as one of its own. */
export function printTxnReply(
  printer: Pick<Printer, "get" | "put" | "del" | "txn">,
  { response }: wire.ResponseOp,
): void {
  switch (response?.kind) {
    case "responseRange":
      return printer.get(response.value);
    case "responsePut":
      return printer.put(response.value);
    case "responseDeleteRange":
      return printer.del(response.value);
    case "responseTxn":
      return printer.txn(response.value);
    case undefined:
      return;
  }
}
