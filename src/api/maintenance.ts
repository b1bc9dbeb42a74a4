// etcdserverpb.Maintenance: what an operator asks of one member. Snapshot is in snapshot.ts.
//
// Defragment begins to give disk space back and answers at once; reads and writes go on. Downgrade
// answers as an etcd that cannot be downgraded: there is no older format to go back to, so no
// target is valid and no job is ever under way.

import {
  emptyBytes,
  grpcStatus,
  idToHex,
  noMember,
  QuorateError,
  toMemberId,
  toRevision,
} from "../base/index.ts";
import { type CallContext, type ReplyBytes, RpcError, type Service } from "../grpc/index.ts";
import type { Alarm, StateReader } from "../node/handle.ts";
import {
  AlarmRequest,
  AlarmRequestAlarmAction,
  AlarmResponse,
  AlarmType,
  DefragmentRequest,
  DowngradeRequest,
  DowngradeRequestDowngradeAction,
  DowngradeResponse,
  HashKVRequest,
  HashKVResponse,
  HashRequest,
  HashResponse,
  MoveLeaderRequest,
  StatusRequest,
  StatusResponse,
} from "../wire/index.ts";
import type { ApiContext } from "./context.ts";
import { expectKind } from "./errors.ts";
import { snapshot } from "./snapshot.ts";

export function maintenanceService(api: ApiContext): Service {
  return {
    name: "etcdserverpb.Maintenance",
    methods: {
      Alarm: { kind: "unary", handle: (bytes, call) => alarm(api, bytes, call) },
      Status: { kind: "unary", handle: (bytes) => status(api, bytes) },
      Hash: { kind: "unary", handle: (bytes) => hash(api, bytes) },
      HashKV: { kind: "unary", handle: (bytes) => hashKv(api, bytes) },
      Defragment: { kind: "unary", handle: (bytes) => defragment(api, bytes) },
      Downgrade: { kind: "unary", handle: (bytes) => downgrade(api, bytes) },
      Snapshot: { kind: "stream", handle: (call) => snapshot(api, call) },
      MoveLeader: { kind: "unary", handle: (bytes) => moveLeader(api, bytes) },
    },
  };
}

const alarmTypes = { noSpace: AlarmType.NOSPACE, corrupt: AlarmType.CORRUPT } as const;

type WireAlarm = { readonly memberId: bigint; readonly alarm: number };

function toWire(alarm: Alarm): WireAlarm {
  return { memberId: alarm.memberId, alarm: alarmTypes[alarm.kind] };
}

/** The alarms of a type, or all for NONE. */
function alarmsOf(state: StateReader, type: number): WireAlarm[] {
  const alarms = state.alarms().map(toWire);
  return type === AlarmType.NONE ? alarms : alarms.filter(({ alarm }) => alarm === type);
}

async function alarm(api: ApiContext, bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
  const request = AlarmRequest.decode(bytes);
  switch (request.action) {
    case AlarmRequestAlarmAction.GET: {
      const alarms = await api.handle.read(true, (state) => alarmsOf(state, request.alarm));
      return alarmReply(api, alarms);
    }
    case AlarmRequestAlarmAction.ACTIVATE:
    case AlarmRequestAlarmAction.DEACTIVATE: {
      // Answers with what it raised or disarmed.
      const result = await api.handle.propose("alarm", bytes, api.callerOf(call));
      const { alarms } = expectKind(result, "alarm");
      return alarmReply(api, alarms.map(toWire));
    }
    default:
      throw new RpcError(grpcStatus.invalidArgument, `unknown alarm action ${request.action}`);
  }
}

function alarmReply(api: ApiContext, alarms: readonly WireAlarm[]): ReplyBytes {
  return AlarmResponse.encode({ header: api.currentHeader(), alarms });
}

function status(api: ApiContext, bytes: Uint8Array): ReplyBytes | Promise<ReplyBytes> {
  StatusRequest.decode(bytes);
  return api.handle.read<ReplyBytes>(false, (state) => {
    const now = api.handle.status();
    const errors = now.leader === noMember ? [new QuorateError("noLeader").message] : [];
    for (const { memberId, kind } of state.alarms()) {
      // An AlarmMember as Go prints it, which operators' scripts look for.
      errors.push(`memberID:${memberId} alarm:${kind === "noSpace" ? "NOSPACE" : "CORRUPT"}`);
    }
    return StatusResponse.encode({
      header: api.headerMessage(now.revision),
      version: api.options.etcdVersion,
      dbSize: now.sizeBytes,
      leader: now.leader,
      raftIndex: now.commit,
      raftTerm: now.term,
      raftAppliedIndex: now.applied,
      errors,
      dbSizeInUse: now.sizeInUseBytes,
      isLearner: now.isLearner,
      storageVersion: api.options.storageVersion,
      dbSizeQuota: Math.max(0, now.quotaBytes),
      downgradeInfo: { enabled: false, targetVersion: "" },
    });
  });
}

async function hash(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  HashRequest.decode(bytes);
  const value = await api.handle.hash();
  return HashResponse.encode({ header: api.currentHeader(), hash: value });
}

async function hashKv(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { revision } = HashKVRequest.decode(bytes);
  const result = await api.handle.hashKv(revision <= 0 ? 0 : toRevision(revision));
  return HashKVResponse.encode({
    header: api.currentHeader(),
    hash: result.hash,
    // etcd's mark for "never compacted".
    compactRevision: result.compactedRevision === 0 ? -1 : result.compactedRevision,
    hashRevision: result.hashRevision,
  });
}

function defragment(api: ApiContext, bytes: Uint8Array): ReplyBytes {
  DefragmentRequest.decode(bytes);
  api.handle.reclaimSpace();
  // This response has no header, in etcd too.
  return emptyBytes;
}

function downgrade(api: ApiContext, bytes: Uint8Array): ReplyBytes {
  const { action, version } = DowngradeRequest.decode(bytes);
  switch (action) {
    case DowngradeRequestDowngradeAction.VALIDATE:
    case DowngradeRequestDowngradeAction.ENABLE:
      throw new QuorateError(
        isVersion(version) ? "invalidDowngradeVersion" : "wrongDowngradeVersionFormat",
      );
    case DowngradeRequestDowngradeAction.CANCEL:
      // Without a job to cancel etcd only writes to its log.
      api.logger.warn({}, "no downgrade is under way");
      return DowngradeResponse.encode({
        header: api.currentHeader(),
        version: api.options.storageVersion.split(".").slice(0, 2).join("."),
      });
    default:
      throw new RpcError(grpcStatus.unknown, "etcdserver: unknown downgrade action");
  }
}

/** "3.5", or a whole version, as Go's semver package reads it after etcd has put ".0" behind. */
function isVersion(text: string): boolean {
  return /^\d+\.\d+(?:\.\d+)?$/.test(text);
}

async function moveLeader(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { targetId } = MoveLeaderRequest.decode(bytes);
  const { isLeader, memberId, leader } = api.handle.status();
  if (!isLeader) {
    throw new QuorateError("notLeader");
  }
  const target = toMemberId(targetId);
  await api.handle.moveLeader(target);
  api.logger.info(
    { from: idToHex(memberId), was: idToHex(leader), to: idToHex(target) },
    "leadership moved on request",
  );
  // This response has no header, in etcd too.
  return emptyBytes;
}
