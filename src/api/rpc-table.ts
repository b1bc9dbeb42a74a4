// Every method of the API, and what it needs. The table is checked against proto/, so that a
// method cannot be forgotten: not its gate, not its metrics, not its permission.

export type RpcKind = "unary" | "serverStream" | "bidiStream";

/**
 * Who may call a method while authentication is on. `keys`: whoever has permission on the keys
 * that the request names; `watch`: the same, refused watch by watch and not as a call; `login`: any
 * user; `self`: root, or a user asking about itself; `recipe`: whoever may do the reads and writes
 * that the recipe is made of.
 */
export type RpcAccess = "open" | "login" | "self" | "keys" | "watch" | "recipe" | "root";

export interface Rpc {
  readonly service: string;
  readonly method: string;
  readonly kind: RpcKind;
  readonly access: RpcAccess;
  /** Served by a learner: always, never, or when the request asks for this member's state only. */
  readonly learner: "yes" | "no" | "serializable";
}

interface RpcOptions {
  readonly kind?: RpcKind;
  readonly learner?: Rpc["learner"];
}

function rpc(service: string, method: string, access: RpcAccess, options: RpcOptions = {}): Rpc {
  return {
    service,
    method,
    access,
    kind: options.kind ?? "unary",
    learner: options.learner ?? "no",
  };
}

const kv = "etcdserverpb.KV";
const lease = "etcdserverpb.Lease";
const cluster = "etcdserverpb.Cluster";
const maintenance = "etcdserverpb.Maintenance";
const auth = "etcdserverpb.Auth";
const election = "v3electionpb.Election";
const lock = "v3lockpb.Lock";
const health = "grpc.health.v1.Health";
const reflection = "grpc.reflection.v1.ServerReflection";
const reflectionAlpha = "grpc.reflection.v1alpha.ServerReflection";

export const rpcTable: readonly Rpc[] = [
  rpc(kv, "Range", "keys", { learner: "serializable" }),
  rpc(kv, "RangeStream", "keys", { kind: "serverStream" }),
  rpc(kv, "Put", "keys"),
  rpc(kv, "DeleteRange", "keys"),
  rpc(kv, "Txn", "keys"),
  rpc(kv, "Compact", "root"),
  rpc("etcdserverpb.Watch", "Watch", "watch", { kind: "bidiStream" }),
  rpc(lease, "LeaseGrant", "login"),
  rpc(lease, "LeaseRevoke", "login"),
  rpc(lease, "LeaseKeepAlive", "keys", { kind: "bidiStream" }),
  rpc(lease, "LeaseTimeToLive", "login"),
  rpc(lease, "LeaseLeases", "login"),
  rpc(cluster, "MemberAdd", "root"),
  rpc(cluster, "MemberRemove", "root"),
  rpc(cluster, "MemberUpdate", "root"),
  rpc(cluster, "MemberList", "login"),
  rpc(cluster, "MemberPromote", "root"),
  rpc(maintenance, "Alarm", "login"),
  rpc(maintenance, "Status", "login", { learner: "yes" }),
  rpc(maintenance, "Defragment", "root"),
  rpc(maintenance, "Hash", "root"),
  rpc(maintenance, "HashKV", "root"),
  rpc(maintenance, "Snapshot", "root", { kind: "serverStream", learner: "yes" }),
  rpc(maintenance, "MoveLeader", "root"),
  rpc(maintenance, "Downgrade", "root"),
  rpc(auth, "AuthEnable", "root"),
  rpc(auth, "AuthDisable", "root"),
  rpc(auth, "AuthStatus", "open"),
  rpc(auth, "Authenticate", "open"),
  rpc(auth, "UserAdd", "root"),
  rpc(auth, "UserGet", "self"),
  rpc(auth, "UserList", "root"),
  rpc(auth, "UserDelete", "root"),
  rpc(auth, "UserChangePassword", "root"),
  rpc(auth, "UserGrantRole", "root"),
  rpc(auth, "UserRevokeRole", "root"),
  rpc(auth, "RoleAdd", "root"),
  rpc(auth, "RoleGet", "self"),
  rpc(auth, "RoleList", "root"),
  rpc(auth, "RoleDelete", "root"),
  rpc(auth, "RoleGrantPermission", "root"),
  rpc(auth, "RoleRevokePermission", "root"),
  rpc(election, "Campaign", "recipe"),
  rpc(election, "Proclaim", "recipe"),
  rpc(election, "Leader", "recipe"),
  rpc(election, "Observe", "recipe", { kind: "serverStream" }),
  rpc(election, "Resign", "recipe"),
  rpc(lock, "Lock", "recipe"),
  rpc(lock, "Unlock", "recipe"),
  rpc(health, "Check", "open"),
  rpc(health, "Watch", "open", { kind: "serverStream" }),
  rpc(reflection, "ServerReflectionInfo", "open", { kind: "bidiStream", learner: "yes" }),
  rpc(reflectionAlpha, "ServerReflectionInfo", "open", { kind: "bidiStream", learner: "yes" }),
];

export function rpcPath({ service, method }: Rpc): string {
  return `/${service}/${method}`;
}
