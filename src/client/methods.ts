// The calls of the API as data: path, codec, and whether a call may be sent twice.

import * as wire from "../wire/index.ts";

/** A call with one request and one reply. */
export interface UnaryMethod<Request, Response> {
  /** "/package.Service/Method". */
  readonly path: string;
  readonly encode: (request: Request) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Response;
  /**
   * Whether the call may be repeated when it is not known if it was carried out. Only reads may;
   * a write that was carried out twice would show.
   */
  readonly repeatable: boolean;
}

interface Codec<Message> {
  encode(message: Message): Uint8Array;
  decode(bytes: Uint8Array): Message;
}

function method<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
  repeatable: boolean,
): UnaryMethod<Request, Response> {
  return {
    path: path.startsWith("/") ? path : `/etcdserverpb.${path}`,
    encode: (message) => request.encode(message),
    decode: (bytes) => response.decode(bytes),
    repeatable,
  };
}

export const methods = {
  range: method("KV/Range", wire.RangeRequest, wire.RangeResponse, true),
  put: method("KV/Put", wire.PutRequest, wire.PutResponse, false),
  deleteRange: method("KV/DeleteRange", wire.DeleteRangeRequest, wire.DeleteRangeResponse, false),
  txn: method("KV/Txn", wire.TxnRequest, wire.TxnResponse, false),
  /** A transaction that only reads. */
  readTxn: method("KV/Txn", wire.TxnRequest, wire.TxnResponse, true),
  compact: method("KV/Compact", wire.CompactionRequest, wire.CompactionResponse, false),
  leaseGrant: method("Lease/LeaseGrant", wire.LeaseGrantRequest, wire.LeaseGrantResponse, false),
  leaseRevoke: method(
    "Lease/LeaseRevoke",
    wire.LeaseRevokeRequest,
    wire.LeaseRevokeResponse,
    false,
  ),
  leaseTimeToLive: method(
    "Lease/LeaseTimeToLive",
    wire.LeaseTimeToLiveRequest,
    wire.LeaseTimeToLiveResponse,
    true,
  ),
  leaseLeases: method("Lease/LeaseLeases", wire.LeaseLeasesRequest, wire.LeaseLeasesResponse, true),
  memberList: method("Cluster/MemberList", wire.MemberListRequest, wire.MemberListResponse, true),
  memberAdd: method("Cluster/MemberAdd", wire.MemberAddRequest, wire.MemberAddResponse, false),
  memberRemove: method(
    "Cluster/MemberRemove",
    wire.MemberRemoveRequest,
    wire.MemberRemoveResponse,
    false,
  ),
  memberUpdate: method(
    "Cluster/MemberUpdate",
    wire.MemberUpdateRequest,
    wire.MemberUpdateResponse,
    false,
  ),
  memberPromote: method(
    "Cluster/MemberPromote",
    wire.MemberPromoteRequest,
    wire.MemberPromoteResponse,
    false,
  ),
  status: method("Maintenance/Status", wire.StatusRequest, wire.StatusResponse, true),
  alarm: method("Maintenance/Alarm", wire.AlarmRequest, wire.AlarmResponse, false),
  hashKv: method("Maintenance/HashKV", wire.HashKVRequest, wire.HashKVResponse, true),
  defragment: method(
    "Maintenance/Defragment",
    wire.DefragmentRequest,
    wire.DefragmentResponse,
    false,
  ),
  moveLeader: method(
    "Maintenance/MoveLeader",
    wire.MoveLeaderRequest,
    wire.MoveLeaderResponse,
    false,
  ),
  authEnable: method("Auth/AuthEnable", wire.AuthEnableRequest, wire.AuthEnableResponse, false),
  authDisable: method("Auth/AuthDisable", wire.AuthDisableRequest, wire.AuthDisableResponse, false),
  authStatus: method("Auth/AuthStatus", wire.AuthStatusRequest, wire.AuthStatusResponse, true),
  authenticate: method(
    "Auth/Authenticate",
    wire.AuthenticateRequest,
    wire.AuthenticateResponse,
    true,
  ),
  userAdd: method("Auth/UserAdd", wire.AuthUserAddRequest, wire.AuthUserAddResponse, false),
  userGet: method("Auth/UserGet", wire.AuthUserGetRequest, wire.AuthUserGetResponse, true),
  userList: method("Auth/UserList", wire.AuthUserListRequest, wire.AuthUserListResponse, true),
  userDelete: method(
    "Auth/UserDelete",
    wire.AuthUserDeleteRequest,
    wire.AuthUserDeleteResponse,
    false,
  ),
  userChangePassword: method(
    "Auth/UserChangePassword",
    wire.AuthUserChangePasswordRequest,
    wire.AuthUserChangePasswordResponse,
    false,
  ),
  userGrantRole: method(
    "Auth/UserGrantRole",
    wire.AuthUserGrantRoleRequest,
    wire.AuthUserGrantRoleResponse,
    false,
  ),
  userRevokeRole: method(
    "Auth/UserRevokeRole",
    wire.AuthUserRevokeRoleRequest,
    wire.AuthUserRevokeRoleResponse,
    false,
  ),
  roleAdd: method("Auth/RoleAdd", wire.AuthRoleAddRequest, wire.AuthRoleAddResponse, false),
  roleGet: method("Auth/RoleGet", wire.AuthRoleGetRequest, wire.AuthRoleGetResponse, true),
  roleList: method("Auth/RoleList", wire.AuthRoleListRequest, wire.AuthRoleListResponse, true),
  roleDelete: method(
    "Auth/RoleDelete",
    wire.AuthRoleDeleteRequest,
    wire.AuthRoleDeleteResponse,
    false,
  ),
  roleGrantPermission: method(
    "Auth/RoleGrantPermission",
    wire.AuthRoleGrantPermissionRequest,
    wire.AuthRoleGrantPermissionResponse,
    false,
  ),
  roleRevokePermission: method(
    "Auth/RoleRevokePermission",
    wire.AuthRoleRevokePermissionRequest,
    wire.AuthRoleRevokePermissionResponse,
    false,
  ),
  campaign: method(
    "/v3electionpb.Election/Campaign",
    wire.CampaignRequest,
    wire.CampaignResponse,
    false,
  ),
  proclaim: method(
    "/v3electionpb.Election/Proclaim",
    wire.ProclaimRequest,
    wire.ProclaimResponse,
    false,
  ),
  leader: method("/v3electionpb.Election/Leader", wire.LeaderRequest, wire.LeaderResponse, true),
  resign: method("/v3electionpb.Election/Resign", wire.ResignRequest, wire.ResignResponse, false),
  lock: method("/v3lockpb.Lock/Lock", wire.LockRequest, wire.LockResponse, false),
  unlock: method("/v3lockpb.Lock/Unlock", wire.UnlockRequest, wire.UnlockResponse, false),
  hash: method("Maintenance/Hash", wire.HashRequest, wire.HashResponse, true),
  downgrade: method("Maintenance/Downgrade", wire.DowngradeRequest, wire.DowngradeResponse, false),
} as const;

export const rangeStreamPath = "/etcdserverpb.KV/RangeStream";
export const snapshotPath = "/etcdserverpb.Maintenance/Snapshot";
export const observePath = "/v3electionpb.Election/Observe";
export const watchPath = "/etcdserverpb.Watch/Watch";
export const keepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive";
