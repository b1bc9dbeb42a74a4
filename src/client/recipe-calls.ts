// Locks and elections that the server runs (v3lockpb, v3electionpb). Both wait on the server: give
// `timeoutMs` (Number.POSITIVE_INFINITY for no limit) or a signal.

import {
  CampaignRequest,
  type CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  LockRequest,
  type LockResponse,
  ProclaimRequest,
  type ProclaimResponse,
  ResignRequest,
  type ResignResponse,
  UnlockRequest,
  type UnlockResponse,
} from "../wire/index.ts";
import { AuthCalls } from "./auth-calls.ts";
import type { CallOptions } from "./channels.ts";
import { messagesOf } from "./messages.ts";
import { methods, observePath } from "./methods.ts";

/** The calls of the Election and Lock services, as part of Client. */
export class RecipeCalls extends AuthCalls {
  /** Stands for election, and resolves once elected. */
  campaign(
    request: Partial<CampaignRequest>,
    options: CallOptions = {},
  ): Promise<CampaignResponse> {
    return this.channels.call(methods.campaign, CampaignRequest.create(request), options);
  }

  /** Changes what the leader says of itself. */
  proclaim(
    request: Partial<ProclaimRequest>,
    options: CallOptions = {},
  ): Promise<ProclaimResponse> {
    return this.channels.call(methods.proclaim, ProclaimRequest.create(request), options);
  }

  leader(request: Partial<LeaderRequest>, options: CallOptions = {}): Promise<LeaderResponse> {
    return this.channels.call(methods.leader, LeaderRequest.create(request), options);
  }

  /**
   * What leaders say, as it changes, from one member, for as long as the iteration goes on. Fails
   * with ClientError when the member does; the next call begins with the leader of then.
   */
  async *observe(request: Partial<LeaderRequest>): AsyncGenerator<LeaderResponse, undefined> {
    const token = await this.channels.token();
    const bytes = LeaderRequest.encode(LeaderRequest.create(request));
    const options = { token, requireLeader: true };
    const channel = await this.channels.forStream();
    for await (const reply of messagesOf(channel, observePath, bytes, options)) {
      yield LeaderResponse.decode(reply);
    }
  }

  resign(request: Partial<ResignRequest>, options: CallOptions = {}): Promise<ResignResponse> {
    return this.channels.call(methods.resign, ResignRequest.create(request), options);
  }

  /** Resolves once the lock is held; it is for as long as the lease lives, or until `unlock`. */
  lock(request: Partial<LockRequest>, options: CallOptions = {}): Promise<LockResponse> {
    return this.channels.call(methods.lock, LockRequest.create(request), options);
  }

  unlock(request: Partial<UnlockRequest>, options: CallOptions = {}): Promise<UnlockResponse> {
    return this.channels.call(methods.unlock, UnlockRequest.create(request), options);
  }
}
