// Random requests beside KV: what is asked about leases, locks and elections that nobody else is
// in, members, alarms.

import type { SeededRng } from "../../../src/base/index.ts";
import * as wire from "../../../src/wire/index.ts";
import { bytes, callOf, leases, type RandomCall } from "./requests.ts";

/** The only lease that takes part in locks and elections: none waits for another. */
const holder = 11n;
const lockName = bytes("lock");
const electionName = bytes("election");
/** CORRUPT: the other one that there is clears itself here. */
const corrupt = 2;

export class OperateGenerator {
  readonly #rng: SeededRng;
  /** Raised by us and not disarmed. */
  #alarmed = false;

  constructor(rng: SeededRng) {
    this.#rng = rng;
  }

  next(): RandomCall {
    if (this.#alarmed && this.#rng.below(3) === 0) {
      this.#alarmed = false;
      return this.#alarm(2);
    }
    const draw = this.#rng.below(100);
    if (draw < 50) {
      return this.#lease();
    }
    if (draw < 85) {
      return this.#recipe();
    }
    return this.#maintain();
  }

  /** Ends what `next` may have raised. */
  disarm(): RandomCall {
    this.#alarmed = false;
    return this.#alarm(2);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#rng.below(list.length)] as T;
  }

  #lease(): RandomCall {
    const id = this.#pick(leases);
    switch (this.#rng.below(6)) {
      case 0:
      case 1: {
        const request = { id, keys: this.#rng.below(3) > 0 };
        const { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } = wire;
        const method = "Lease/LeaseTimeToLive";
        return callOf(method, request, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse);
      }
      case 2: {
        const { LeaseLeasesRequest, LeaseLeasesResponse } = wire;
        return callOf("Lease/LeaseLeases", {}, LeaseLeasesRequest, LeaseLeasesResponse);
      }
      case 3: {
        // Ids that exist, times beyond the bounds; a lease of its own, gone at once.
        const ttl = this.#pick([9_000_000_001, 2 ** 53 - 1]);
        const { LeaseGrantRequest, LeaseGrantResponse } = wire;
        const method = "Lease/LeaseGrant";
        return callOf(method, { id, ttl }, LeaseGrantRequest, LeaseGrantResponse);
      }
      default: {
        const { LeaseKeepAliveRequest, LeaseKeepAliveResponse } = wire;
        const method = "Lease/LeaseKeepAlive";
        const call = callOf(method, { id }, LeaseKeepAliveRequest, LeaseKeepAliveResponse);
        return { ...call, isStream: true };
      }
    }
  }

  #recipe(): RandomCall {
    const { LockRequest, LockResponse, UnlockRequest, UnlockResponse } = wire;
    const lease = this.#rng.below(8) === 0 ? 13n : holder;
    switch (this.#rng.below(4)) {
      case 0: {
        const request = { name: lockName, lease };
        return callOf("v3lockpb.Lock/Lock", request, LockRequest, LockResponse);
      }
      case 1: {
        const request = { key: bytes(this.#pick(["lock/b", "lock/none", "a"])) };
        return callOf("v3lockpb.Lock/Unlock", request, UnlockRequest, UnlockResponse);
      }
      case 2: {
        const request = { name: electionName, lease, value: bytes(`v${this.#rng.below(9)}`) };
        const { CampaignRequest, CampaignResponse } = wire;
        const method = "v3electionpb.Election/Campaign";
        return callOf(method, request, CampaignRequest, CampaignResponse);
      }
      default: {
        const name = bytes(this.#pick(["election", "none"]));
        const { LeaderRequest, LeaderResponse } = wire;
        const method = "v3electionpb.Election/Leader";
        return callOf(method, { name }, LeaderRequest, LeaderResponse);
      }
    }
  }

  #maintain(): RandomCall {
    switch (this.#rng.below(5)) {
      case 0:
        this.#alarmed = true;
        return this.#alarm(1);
      case 1:
        return this.#alarm(0);
      case 2: {
        const peerUrls = this.#pick([["nonsense"], ["http://127.0.0.1"], ["http://x:1/p"]]);
        const { MemberAddRequest, MemberAddResponse } = wire;
        return callOf("Cluster/MemberAdd", { peerUrls }, MemberAddRequest, MemberAddResponse);
      }
      case 3: {
        const { MemberRemoveRequest, MemberRemoveResponse } = wire;
        const method = "Cluster/MemberRemove";
        return callOf(method, { id: 12_345n }, MemberRemoveRequest, MemberRemoveResponse);
      }
      default: {
        const { MoveLeaderRequest, MoveLeaderResponse } = wire;
        const request = { targetId: 12_345n };
        const method = "Maintenance/MoveLeader";
        return callOf(method, request, MoveLeaderRequest, MoveLeaderResponse);
      }
    }
  }

  #alarm(action: number): RandomCall {
    const request = { action, memberId: 7n, alarm: corrupt };
    return callOf("Maintenance/Alarm", request, wire.AlarmRequest, wire.AlarmResponse);
  }
}
