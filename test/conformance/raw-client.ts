// Every call of the etcd v3 API on grpc-js, typed and never retried, and its streams as things to
// send to and wait on: for cases that say exactly what goes in and what has to come out.

import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { expect } from "vitest";
import * as wire from "../../src/wire/index.ts";
import { withTimeout } from "../support/processes.ts";

interface Codec<T> {
  create(partial?: Partial<T>): T;
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

function method<Q, A>(path: string, request: Codec<Q>, reply: Codec<A>) {
  return { path, request, reply };
}

const kv = "/etcdserverpb.KV";
const lease = "/etcdserverpb.Lease";
const maintenance = "/etcdserverpb.Maintenance";
const election = "/v3electionpb.Election";

/** The unary calls that are served. */
export const unaryMethods = {
  range: method(`${kv}/Range`, wire.RangeRequest, wire.RangeResponse),
  put: method(`${kv}/Put`, wire.PutRequest, wire.PutResponse),
  deleteRange: method(`${kv}/DeleteRange`, wire.DeleteRangeRequest, wire.DeleteRangeResponse),
  txn: method(`${kv}/Txn`, wire.TxnRequest, wire.TxnResponse),
  compact: method(`${kv}/Compact`, wire.CompactionRequest, wire.CompactionResponse),
  grant: method(`${lease}/LeaseGrant`, wire.LeaseGrantRequest, wire.LeaseGrantResponse),
  revoke: method(`${lease}/LeaseRevoke`, wire.LeaseRevokeRequest, wire.LeaseRevokeResponse),
  timeToLive: method(
    `${lease}/LeaseTimeToLive`,
    wire.LeaseTimeToLiveRequest,
    wire.LeaseTimeToLiveResponse,
  ),
  leases: method(`${lease}/LeaseLeases`, wire.LeaseLeasesRequest, wire.LeaseLeasesResponse),
  memberList: method(
    "/etcdserverpb.Cluster/MemberList",
    wire.MemberListRequest,
    wire.MemberListResponse,
  ),
  memberAdd: method(
    "/etcdserverpb.Cluster/MemberAdd",
    wire.MemberAddRequest,
    wire.MemberAddResponse,
  ),
  memberRemove: method(
    "/etcdserverpb.Cluster/MemberRemove",
    wire.MemberRemoveRequest,
    wire.MemberRemoveResponse,
  ),
  memberUpdate: method(
    "/etcdserverpb.Cluster/MemberUpdate",
    wire.MemberUpdateRequest,
    wire.MemberUpdateResponse,
  ),
  memberPromote: method(
    "/etcdserverpb.Cluster/MemberPromote",
    wire.MemberPromoteRequest,
    wire.MemberPromoteResponse,
  ),
  alarm: method(`${maintenance}/Alarm`, wire.AlarmRequest, wire.AlarmResponse),
  status: method(`${maintenance}/Status`, wire.StatusRequest, wire.StatusResponse),
  hash: method(`${maintenance}/Hash`, wire.HashRequest, wire.HashResponse),
  hashKv: method(`${maintenance}/HashKV`, wire.HashKVRequest, wire.HashKVResponse),
  defragment: method(`${maintenance}/Defragment`, wire.DefragmentRequest, wire.DefragmentResponse),
  downgrade: method(`${maintenance}/Downgrade`, wire.DowngradeRequest, wire.DowngradeResponse),
  moveLeader: method(`${maintenance}/MoveLeader`, wire.MoveLeaderRequest, wire.MoveLeaderResponse),
  lock: method("/v3lockpb.Lock/Lock", wire.LockRequest, wire.LockResponse),
  unlock: method("/v3lockpb.Lock/Unlock", wire.UnlockRequest, wire.UnlockResponse),
  campaign: method(`${election}/Campaign`, wire.CampaignRequest, wire.CampaignResponse),
  proclaim: method(`${election}/Proclaim`, wire.ProclaimRequest, wire.ProclaimResponse),
  electionLeader: method(`${election}/Leader`, wire.LeaderRequest, wire.LeaderResponse),
  resign: method(`${election}/Resign`, wire.ResignRequest, wire.ResignResponse),
  healthCheck: method(
    "/grpc.health.v1.Health/Check",
    wire.HealthCheckRequest,
    wire.HealthCheckResponse,
  ),
};

type Methods = typeof unaryMethods;
type RequestOf<M extends keyof Methods> = ReturnType<Methods[M]["request"]["decode"]>;
type ReplyOf<M extends keyof Methods> = ReturnType<Methods[M]["reply"]["decode"]>;

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Whom a client trusts, and what it shows, both in PEM. */
export interface ClientTls {
  readonly ca: string;
  readonly pair?: { readonly cert: string; readonly key: string } | undefined;
}

const defaultDeadlineMs = 20_000;

/** A client of one endpoint. */
export class RawClient implements Disposable {
  /** The paths of all calls made. */
  readonly called = new Set<string>();
  readonly #client: Client;

  constructor(endpoint: string, tls?: ClientTls) {
    this.#client = new Client(endpoint, credentialsOf(tls), {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  call<M extends keyof Methods>(
    name: M,
    request: Partial<RequestOf<M>> = {},
    options: CallOptions = {},
  ): Promise<ReplyOf<M>> {
    const { path, request: codec, reply } = unaryMethods[name];
    // One entry of the table: its request and its codec belong together, which TypeScript cannot
    // follow through the union of all entries.
    const pair = codec as unknown as Codec<RequestOf<M>>;
    return this.bytes(path, pair.encode(pair.create(request)), options).then(
      (bytes) => reply.decode(bytes) as ReplyOf<M>,
    );
  }

  /** A unary call with bytes that need not be a message. */
  bytes(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    this.called.add(path);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        (message: Uint8Array) => Buffer.from(message),
        (reply: Buffer) => reply,
        request,
        metadataOf(options),
        { deadline: Date.now() + (options.deadlineMs ?? defaultDeadlineMs) },
        (error, reply) => (error === null ? resolve(reply as Buffer) : reject(error)),
      );
      options.signal?.addEventListener("abort", () => call.cancel());
    });
  }

  watch(options: CallOptions = {}): RawStream<wire.WatchRequest, wire.WatchResponse> {
    const path = "/etcdserverpb.Watch/Watch";
    return this.stream(path, wire.WatchRequest, wire.WatchResponse, options);
  }

  keepAlive(): RawStream<wire.LeaseKeepAliveRequest, wire.LeaseKeepAliveResponse> {
    const path = `${lease}/LeaseKeepAlive`;
    return this.stream(path, wire.LeaseKeepAliveRequest, wire.LeaseKeepAliveResponse);
  }

  rangeStream(
    request: Partial<wire.RangeRequest>,
  ): RawStream<wire.RangeRequest, wire.RangeStreamResponse> {
    const path = `${kv}/RangeStream`;
    const stream = this.stream(path, wire.RangeRequest, wire.RangeStreamResponse);
    stream.send(wire.RangeRequest.create(request));
    stream.halfClose();
    return stream;
  }

  observe(name: Uint8Array): RawStream<wire.LeaderRequest, wire.LeaderResponse> {
    const path = `${election}/Observe`;
    const stream = this.stream(path, wire.LeaderRequest, wire.LeaderResponse);
    stream.send({ name });
    stream.halfClose();
    return stream;
  }

  stream<Q, A>(
    path: string,
    requestCodec: Codec<Q>,
    replyCodec: Codec<A>,
    options: CallOptions = {},
  ): RawStream<Q, A> {
    this.called.add(path);
    const call = this.#client.makeBidiStreamRequest(
      path,
      (message: Q | Uint8Array) =>
        Buffer.from(message instanceof Uint8Array ? message : requestCodec.encode(message)),
      (bytes: Buffer) => replyCodec.decode(bytes),
      metadataOf(options),
      { deadline: Date.now() + (options.deadlineMs ?? 120_000) },
    );
    return new RawStream<Q, A>(call);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function credentialsOf(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) {
    return credentials.createInsecure();
  }
  const { ca, pair } = tls;
  return pair === undefined
    ? credentials.createSsl(Buffer.from(ca))
    : credentials.createSsl(Buffer.from(ca), Buffer.from(pair.key), Buffer.from(pair.cert));
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    metadata.set(key, value);
  }
  return metadata;
}

/** One stream: what came is queued, `next` takes it in order. */
export class RawStream<Q, A> implements Disposable {
  readonly #call: ClientDuplexStream<Q | Uint8Array, A>;
  readonly #replies: A[] = [];
  #wake: () => void = () => {};
  #ended: { readonly code: number; readonly details: string } | undefined;

  constructor(call: ClientDuplexStream<Q | Uint8Array, A>) {
    this.#call = call;
    call.on("data", (reply: A) => {
      this.#replies.push(reply);
      this.#wake();
    });
    // The status says the same, in all cases.
    call.on("error", () => {});
    call.on("status", ({ code, details }: { code: number; details: string }) => {
      this.#ended = { code, details };
      this.#wake();
    });
  }

  send(message: Q | Uint8Array): void {
    this.#call.write(message);
  }

  halfClose(): void {
    this.#call.end();
  }

  /** The next reply; rejects when the stream ends first or nothing comes in time. */
  async next(timeoutMs = 10_000): Promise<A> {
    await this.#until(() => this.#replies.length > 0 || this.#ended !== undefined, timeoutMs);
    const reply = this.#replies.shift();
    if (reply === undefined) {
      throw new Error(`the stream ended: ${this.#ended?.code} ${this.#ended?.details}`);
    }
    return reply;
  }

  async take(count: number): Promise<A[]> {
    const replies: A[] = [];
    while (replies.length < count) {
      replies.push(await this.next());
    }
    return replies;
  }

  /** What came and was not taken. */
  get queued(): readonly A[] {
    return this.#replies;
  }

  /** How the stream ended. */
  async end(timeoutMs = 10_000): Promise<{ readonly code: number; readonly details: string }> {
    await this.#until(() => this.#ended !== undefined, timeoutMs);
    return this.#ended ?? { code: status.UNKNOWN, details: "" };
  }

  cancel(): void {
    this.#call.cancel();
  }

  async #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!condition()) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const leftMs = Math.max(1, endMs - performance.now());
      await withTimeout(woken, leftMs, () => `nothing came on the stream in ${timeoutMs} ms`);
    }
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
  }
}

/** The call fails with exactly this code and text. */
export async function expectRefused(
  call: Promise<unknown>,
  code: number,
  text: string,
): Promise<void> {
  const error: unknown = await call.then(
    (reply) => new Error(`it was answered: ${describe(reply)}`),
    (reason: unknown) => reason,
  );
  const { code: actual, details } = error as ServiceError;
  expect({ code: actual, text: details ?? (error as Error).message }).toEqual({ code, text });
}

function describe(reply: unknown): string {
  return JSON.stringify(reply, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

export function text(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString("latin1");
}

/** The end of the range of all keys that start with `prefix`. */
export function prefixEnd(prefix: string): Uint8Array {
  const end = Buffer.from(prefix, "latin1");
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return end;
}
