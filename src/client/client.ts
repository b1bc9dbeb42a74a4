// The client: the calls of the API with their messages, on top of channels that fail over.

import {
  AlarmRequest,
  type AlarmResponse,
  CompactionRequest,
  type CompactionResponse,
  type DefragmentResponse,
  DeleteRangeRequest,
  type DeleteRangeResponse,
  DowngradeRequest,
  type DowngradeResponse,
  HashKVRequest,
  type HashKVResponse,
  type HashResponse,
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
  RangeResponse,
  RangeStreamResponse,
  SnapshotRequest,
  SnapshotResponse,
  type StatusResponse,
  TxnRequest,
  type TxnResponse,
  type WatchCreateRequest,
} from "../wire/index.ts";
import { type CallOptions, Channels } from "./channels.ts";
import type { Balancing } from "./endpoints.ts";
import { keepAlive, keepAliveOnce } from "./keep-alive.ts";
import { messagesOf } from "./messages.ts";
import { methods, rangeStreamPath, snapshotPath } from "./methods.ts";
import { RecipeCalls } from "./recipe-calls.ts";
import { Renewals } from "./renewals.ts";
import type { TlsOptions } from "./tls.ts";
import type { UserOptions } from "./tokens.ts";
import { Watcher, type WatchOptions } from "./watcher.ts";

export interface ClientOptions {
  /**
   * "host:port", with or without "http://"; "https://host:port" for TLS; "unix:path". At least one.
   */
  readonly endpoints: readonly string[];
  /** TLS: for endpoints with "https://", and for those that name no scheme. */
  readonly tls?: TlsOptions | undefined;
  /** The user that all calls are made as; logged in when first needed, and again when need be. */
  readonly auth?: UserOptions | undefined;
  /** A token that all calls carry, from a log-in made before; in place of `auth`. */
  readonly token?: string | undefined;
  /** Bytes of the largest request and the largest reply; unlimited when not given. */
  readonly requestBytesMax?: number | undefined;
  readonly replyBytesMax?: number | undefined;
  /** Milliseconds until a call gives up; 5,000 when not given. */
  readonly callTimeoutMs?: number | undefined;
  /** Milliseconds for which a call goes on when no endpoint takes a connection; 2,000. */
  readonly dialTimeoutMs?: number | undefined;
  /** "first" (when not given) stays with one endpoint until it fails; "spread" uses all in turn. */
  readonly balancing?: Balancing | undefined;
  /**
   * While calls, watches or renewals are under way, a connection on which nothing came for so many
   * milliseconds is pinged; 6,000. etcd's servers refuse pings more often than every 5 s.
   */
  readonly pingIntervalMs?: number | undefined;
  /** Milliseconds without an answer after which a connection is dead; 4,000. */
  readonly pingTimeoutMs?: number | undefined;
}

/** Calls reject with ClientError. Fields of a request that are not given are zero. */
export class Client extends RecipeCalls implements AsyncDisposable {
  readonly #renewals: Renewals;

  /** Throws RangeError for what is no endpoint, TypeError for certificates that are not any. */
  constructor(options: ClientOptions) {
    super(
      new Channels({
        endpoints: options.endpoints,
        tls: options.tls,
        auth: options.auth,
        token: options.token,
        requestBytesMax: options.requestBytesMax,
        replyBytesMax: options.replyBytesMax,
        balancing: options.balancing ?? "first",
        callTimeoutMs: options.callTimeoutMs ?? 5_000,
        dialTimeoutMs: options.dialTimeoutMs ?? 2_000,
        pingIntervalMs: options.pingIntervalMs ?? 6_000,
        pingTimeoutMs: options.pingTimeoutMs ?? 4_000,
      }),
    );
    this.#renewals = new Renewals(this.channels);
  }

  get endpoints(): readonly string[] {
    return this.channels.endpoints;
  }

  range(request: Partial<RangeRequest>, options: CallOptions = {}): Promise<RangeResponse> {
    return this.channels.call(methods.range, RangeRequest.create(request), options);
  }

  /**
   * A range in pieces, all as of one revision, from one member; header and count come with the last
   * one. etcd before 3.7 does not know the call, and answers with status unimplemented.
   */
  async *rangeStream(request: Partial<RangeRequest>): AsyncGenerator<RangeResponse, undefined> {
    const options = { token: await this.channels.token(), requireLeader: false };
    const bytes = RangeRequest.encode(RangeRequest.create(request));
    const channel = await this.channels.forStream();
    for await (const reply of messagesOf(channel, rangeStreamPath, bytes, options)) {
      yield RangeStreamResponse.decode(reply).rangeResponse ?? RangeResponse.create({});
    }
  }

  put(request: Partial<PutRequest>, options: CallOptions = {}): Promise<PutResponse> {
    return this.channels.call(methods.put, PutRequest.create(request), options);
  }

  deleteRange(
    request: Partial<DeleteRangeRequest>,
    options: CallOptions = {},
  ): Promise<DeleteRangeResponse> {
    return this.channels.call(methods.deleteRange, DeleteRangeRequest.create(request), options);
  }

  txn(request: Partial<TxnRequest>, options: CallOptions = {}): Promise<TxnResponse> {
    const message = TxnRequest.create(request);
    const method = onlyReads(message) ? methods.readTxn : methods.txn;
    return this.channels.call(method, message, options);
  }

  compact(
    request: Partial<CompactionRequest>,
    options: CallOptions = {},
  ): Promise<CompactionResponse> {
    return this.channels.call(methods.compact, CompactionRequest.create(request), options);
  }

  /** Opens a watch; iterate the result. Fails only for what another endpoint would refuse too. */
  watch(request: Partial<WatchCreateRequest>, options: WatchOptions = {}): Watcher {
    return new Watcher(this.channels, request, options);
  }

  leaseGrant(
    request: Partial<LeaseGrantRequest>,
    options: CallOptions = {},
  ): Promise<LeaseGrantResponse> {
    return this.channels.call(methods.leaseGrant, LeaseGrantRequest.create(request), options);
  }

  leaseRevoke(id: bigint, options: CallOptions = {}): Promise<LeaseRevokeResponse> {
    return this.channels.call(methods.leaseRevoke, { id }, options);
  }

  leaseTimeToLive(
    request: Partial<LeaseTimeToLiveRequest>,
    options: CallOptions = {},
  ): Promise<LeaseTimeToLiveResponse> {
    const message = LeaseTimeToLiveRequest.create(request);
    return this.channels.call(methods.leaseTimeToLive, message, options);
  }

  leases(options: CallOptions = {}): Promise<LeaseLeasesResponse> {
    return this.channels.call(methods.leaseLeases, {}, options);
  }

  /** Renews once; a lease that is gone has a TTL of 0 in the reply. */
  leaseKeepAliveOnce(id: bigint, options: CallOptions = {}): Promise<LeaseKeepAliveResponse> {
    return keepAliveOnce(this.channels, this.#renewals, id, options);
  }

  /** Renews for as long as it is iterated and the lease lives. */
  leaseKeepAlive(
    id: bigint,
    options: CallOptions = {},
  ): AsyncGenerator<LeaseKeepAliveResponse, void> {
    return keepAlive(this.channels, this.#renewals, id, options);
  }

  memberList(
    request: Partial<MemberListRequest>,
    options: CallOptions = {},
  ): Promise<MemberListResponse> {
    return this.channels.call(methods.memberList, MemberListRequest.create(request), options);
  }

  memberAdd(
    request: Partial<MemberAddRequest>,
    options: CallOptions = {},
  ): Promise<MemberAddResponse> {
    return this.channels.call(methods.memberAdd, MemberAddRequest.create(request), options);
  }

  memberRemove(id: bigint, options: CallOptions = {}): Promise<MemberRemoveResponse> {
    return this.channels.call(methods.memberRemove, { id }, options);
  }

  memberUpdate(
    id: bigint,
    peerUrls: readonly string[],
    options: CallOptions = {},
  ): Promise<MemberUpdateResponse> {
    return this.channels.call(methods.memberUpdate, { id, peerUrls }, options);
  }

  /** Makes a learner that has caught up a voter. */
  memberPromote(id: bigint, options: CallOptions = {}): Promise<MemberPromoteResponse> {
    return this.channels.call(methods.memberPromote, { id }, options);
  }

  alarm(request: Partial<AlarmRequest>, options: CallOptions = {}): Promise<AlarmResponse> {
    return this.channels.call(methods.alarm, AlarmRequest.create(request), options);
  }

  /** What the member at `endpoint` says of itself. */
  status(endpoint: string, options: CallOptions = {}): Promise<StatusResponse> {
    return this.channels.callTo(endpoint, methods.status, {}, options);
  }

  hashKv(
    endpoint: string,
    request: Partial<HashKVRequest>,
    options: CallOptions = {},
  ): Promise<HashKVResponse> {
    return this.channels.callTo(endpoint, methods.hashKv, HashKVRequest.create(request), options);
  }

  /** Has the member at `endpoint` give unused disk space back. */
  defragment(endpoint: string, options: CallOptions = {}): Promise<DefragmentResponse> {
    return this.channels.callTo(endpoint, methods.defragment, {}, options);
  }

  /** A backup of the member at `endpoint`, which takes its time; the blobs joined are the file. */
  async *snapshot(endpoint: string): AsyncGenerator<SnapshotResponse, undefined> {
    const { channel, own } = this.channels.channelTo(endpoint);
    try {
      const token = await this.channels.token();
      const options = { token, requireLeader: false };
      for await (const bytes of messagesOf(
        channel,
        snapshotPath,
        SnapshotRequest.encode({}),
        options,
      )) {
        yield SnapshotResponse.decode(bytes);
      }
    } finally {
      if (own) {
        channel.close();
      }
    }
  }

  /** A checksum of all that the member at `endpoint` holds, as etcd's `Hash`. */
  hash(endpoint: string, options: CallOptions = {}): Promise<HashResponse> {
    return this.channels.callTo(endpoint, methods.hash, {}, options);
  }

  downgrade(
    request: Partial<DowngradeRequest>,
    options: CallOptions = {},
  ): Promise<DowngradeResponse> {
    return this.channels.call(methods.downgrade, DowngradeRequest.create(request), options);
  }

  /** `endpoint` must be the leader's. */
  moveLeader(
    endpoint: string,
    targetId: bigint,
    options: CallOptions = {},
  ): Promise<MoveLeaderResponse> {
    return this.channels.callTo(endpoint, methods.moveLeader, { targetId }, options);
  }

  /** Ends calls, watches and renewals, and closes all connections. Leases end by themselves. */
  close(): void {
    this.#renewals.close();
    this.channels.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** Whether a transaction changes nothing, whatever its conditions say. */
function onlyReads({ success, failure }: TxnRequest): boolean {
  return [...success, ...failure].every(
    ({ request }) =>
      request?.kind === "requestRange" ||
      (request?.kind === "requestTxn" && onlyReads(request.value)),
  );
}

/** A client; connections are made when they are needed. */
export function connect(options: ClientOptions): Client {
  return new Client(options);
}
