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
    path: `/etcdserverpb.${path}`,
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
} as const;

export const snapshotPath = "/etcdserverpb.Maintenance/Snapshot";
export const watchPath = "/etcdserverpb.Watch/Watch";
export const keepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive";
