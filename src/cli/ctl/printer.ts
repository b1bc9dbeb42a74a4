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

export interface Printer {
  get(reply: RangeResponse): void;
  put(reply: wire.PutResponse): void;
  del(reply: wire.DeleteRangeResponse): void;
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
    ...printer,
  };
}
