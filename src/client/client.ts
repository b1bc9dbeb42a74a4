// The client: the calls of the API with their messages, on top of channels that fail over.

import {
  AlarmRequest,
  type AlarmResponse,
  CompactionRequest,
  type CompactionResponse,
  type DefragmentResponse,
  DeleteRangeRequest,
  type DeleteRangeResponse,
  HashKVRequest,
  type HashKVResponse,
  LeaseGrantRequest,
  type LeaseGrantResponse,
  type LeaseKeepAliveResponse,
  type LeaseLeasesResponse,
  type LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
  MemberAddRequest,
  type MemberAddResponse,
  MemberListRequest,
  type MemberListResponse,
  type MemberPromoteResponse,
  type MemberRemoveResponse,
  type MemberUpdateResponse,
  type MoveLeaderResponse,
  PutRequest,
  type PutResponse,
  RangeRequest,
  type RangeResponse,
  type SnapshotResponse,
  type StatusResponse,
  TxnRequest,
  type TxnResponse,
  type WatchCreateRequest,
} from "../wire/index.ts";
import { Channel } from "./channel.ts";
import { type CallOptions, Channels } from "./channels.ts";
import { keepAlive, keepAliveOnce } from "./keep-alive.ts";
import { methods, type UnaryMethod } from "./methods.ts";
import { snapshotMessages } from "./snapshot.ts";
import { Watcher, type WatchOptions } from "./watcher.ts";

export interface ClientOptions {
  /** "host:port", with or without "http://"; at least one. */
  readonly endpoints: readonly string[];
  /** Milliseconds until a call gives up; 5,000 when not given. */
  readonly callTimeoutMs?: number;
  /** Milliseconds for which a call goes on when no endpoint takes a connection; 2,000. */
  readonly dialTimeoutMs?: number;
}

/** Calls reject with ClientError. Fields of a request that are not given are zero. */
export class Client implements AsyncDisposable {
  readonly #channels: Channels;

  constructor(options: ClientOptions) {
    this.#channels = new Channels({
      endpoints: options.endpoints,
      callTimeoutMs: options.callTimeoutMs ?? 5_000,
      dialTimeoutMs: options.dialTimeoutMs ?? 2_000,
    });
  }

  get endpoints(): readonly string[] {
    return this.#channels.endpoints;
  }

  range(request: Partial<RangeRequest>, options: CallOptions = {}): Promise<RangeResponse> {
    return this.#channels.call(methods.range, RangeRequest.create(request), options);
  }

  put(request: Partial<PutRequest>, options: CallOptions = {}): Promise<PutResponse> {
    return this.#channels.call(methods.put, PutRequest.create(request), options);
  }

  deleteRange(
    request: Partial<DeleteRangeRequest>,
    options: CallOptions = {},
  ): Promise<DeleteRangeResponse> {
    return this.#channels.call(methods.deleteRange, DeleteRangeRequest.create(request), options);
  }

  txn(request: Partial<TxnRequest>, options: CallOptions = {}): Promise<TxnResponse> {
    return this.#channels.call(methods.txn, TxnRequest.create(request), options);
  }

  compact(
    request: Partial<CompactionRequest>,
    options: CallOptions = {},
  ): Promise<CompactionResponse> {
    return this.#channels.call(methods.compact, CompactionRequest.create(request), options);
  }

  /** Opens a watch; iterate the result. Fails only for what another endpoint would refuse too. */
  watch(request: Partial<WatchCreateRequest>, options: WatchOptions = {}): Watcher {
    return new Watcher(this.#channels, request, options);
  }

  leaseGrant(
    request: Partial<LeaseGrantRequest>,
    options: CallOptions = {},
  ): Promise<LeaseGrantResponse> {
    return this.#channels.call(methods.leaseGrant, LeaseGrantRequest.create(request), options);
  }

  leaseRevoke(id: bigint, options: CallOptions = {}): Promise<LeaseRevokeResponse> {
    return this.#channels.call(methods.leaseRevoke, { id }, options);
  }

  leaseTimeToLive(
    request: Partial<LeaseTimeToLiveRequest>,
    options: CallOptions = {},
  ): Promise<LeaseTimeToLiveResponse> {
    const message = LeaseTimeToLiveRequest.create(request);
    return this.#channels.call(methods.leaseTimeToLive, message, options);
  }

  leases(options: CallOptions = {}): Promise<LeaseLeasesResponse> {
    return this.#channels.call(methods.leaseLeases, {}, options);
  }

  /** Renews once; a lease that is gone has a TTL of 0 in the reply. */
  leaseKeepAliveOnce(id: bigint, options: CallOptions = {}): Promise<LeaseKeepAliveResponse> {
    return keepAliveOnce(this.#channels, id, options);
  }

  /** Renews for as long as it is iterated and the lease lives. */
  leaseKeepAlive(
    id: bigint,
    options: CallOptions = {},
  ): AsyncGenerator<LeaseKeepAliveResponse, void> {
    return keepAlive(this.#channels, id, options);
  }

  memberList(
    request: Partial<MemberListRequest>,
    options: CallOptions = {},
  ): Promise<MemberListResponse> {
    return this.#channels.call(methods.memberList, MemberListRequest.create(request), options);
  }

  memberAdd(
    request: Partial<MemberAddRequest>,
    options: CallOptions = {},
  ): Promise<MemberAddResponse> {
    return this.#channels.call(methods.memberAdd, MemberAddRequest.create(request), options);
  }

  memberRemove(id: bigint, options: CallOptions = {}): Promise<MemberRemoveResponse> {
    return this.#channels.call(methods.memberRemove, { id }, options);
  }

  memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<MemberUpdateResponse> {
    return this.#channels.call(methods.memberUpdate, { id, peerUrls }, options);
  }

  /** Makes a learner that has caught up a voter. */
  memberPromote(id: bigint, options: CallOptions = {}): Promise<MemberPromoteResponse> {
    return this.#channels.call(methods.memberPromote, { id }, options);
  }

  alarm(request: Partial<AlarmRequest>, options: CallOptions = {}): Promise<AlarmResponse> {
    return this.#channels.call(methods.alarm, AlarmRequest.create(request), options);
  }

  /** What the member at `endpoint` says of itself. */
  status(endpoint: string, options: CallOptions = {}): Promise<StatusResponse> {
    return this.#callTo(endpoint, methods.status, {}, options);
  }

  hashKv(
    endpoint: string,
    request: Partial<HashKVRequest>,
    options: CallOptions = {},
  ): Promise<HashKVResponse> {
    return this.#callTo(endpoint, methods.hashKv, HashKVRequest.create(request), options);
  }

  /** Has the member at `endpoint` give unused disk space back. */
  defragment(endpoint: string, options: CallOptions = {}): Promise<DefragmentResponse> {
    return this.#callTo(endpoint, methods.defragment, {}, options);
  }

  /** A backup of the member at `endpoint`, which takes its time; the blobs joined are the file. */
  async *snapshot(endpoint: string): AsyncGenerator<SnapshotResponse, undefined> {
    const channel = new Channel(endpoint);
    try {
      yield* snapshotMessages(channel);
    } finally {
      channel.close();
    }
  }

  /** `endpoint` must be the leader's. */
  moveLeader(
    endpoint: string,
    targetId: bigint,
    options: CallOptions = {},
  ): Promise<MoveLeaderResponse> {
    return this.#callTo(endpoint, methods.moveLeader, { targetId }, options);
  }

  close(): void {
    this.#channels.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** One call to one member, tried once. */
  async #callTo<Request, Response>(
    endpoint: string,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    const known = this.#channels.channelTo(endpoint);
    const channel = known ?? new Channel(endpoint);
    try {
      return await channel.unary(method, request, this.#channels.limitsOf(options));
    } finally {
      if (known === undefined) {
        channel.close();
      }
    }
  }
}

/** A client; connections are made when they are needed. */
export function connect(options: ClientOptions): Client {
  return new Client(options);
}
