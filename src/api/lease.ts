// etcdserverpb.Lease.
//
// Grants and revocations go through the log. Renewals do not: the leader keeps the clocks, and the
// node asks it, wherever it is.

import { type Caller, emptyBytes, type LeaseId, toLeaseId } from "../base/index.ts";
import type { CallContext, ReplyBytes, Service, StreamCall } from "../grpc/index.ts";
import type { AuthReader } from "../node/handle.ts";
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { expectKind, toRpcError } from "./errors.ts";
import { leaseCostBytes, type QuotaGate } from "./quota.ts";

/** Renewals of one stream under way; beyond it the client is asked to wait. */
const renewalsMax = 256;
const positive63Bits = (1n << 63n) - 1n;

export function leaseService(api: ApiContext, quota: QuotaGate): Service {
  return {
    name: "etcdserverpb.Lease",
    methods: {
      LeaseGrant: { kind: "unary", handle: (bytes, call) => grant(api, quota, bytes, call) },
      LeaseRevoke: { kind: "unary", handle: (bytes, call) => revoke(api, bytes, call) },
      LeaseKeepAlive: { kind: "stream", handle: (call) => new KeepAliveStream(api, call).start() },
      LeaseTimeToLive: { kind: "unary", handle: (bytes, call) => timeToLive(api, bytes, call) },
      LeaseLeases: { kind: "unary", handle: (bytes, call) => leases(api, bytes, call) },
    },
  };
}

/** A random positive int64, as etcd chooses when the client leaves the choice to it. */
export function randomLeaseId(api: ApiContext): LeaseId {
  for (;;) {
    const id = api.rng.next64() & positive63Bits;
    if (id !== 0n) {
      return toLeaseId(id);
    }
  }
}

/** The shortest lease, as in etcd: one and a half election timeouts, in whole seconds. */
function leaseTtlSecondsMin(electionTimeoutMs: number): number {
  return Math.ceil((1.5 * electionTimeoutMs) / 1000);
}

async function grant(
  api: ApiContext,
  quota: QuotaGate,
  bytes: Uint8Array,
  call: CallContext,
): Promise<ReplyBytes> {
  const request = LeaseGrantRequest.decode(bytes);
  quota.check(leaseCostBytes);
  // Raised here, not where it is applied: members may differ in this setting while it is changed.
  const ttl = Math.max(request.ttl, leaseTtlSecondsMin(api.options.electionTimeoutMs));
  const id = request.id === 0n ? randomLeaseId(api) : request.id;
  const body = LeaseGrantRequest.encode({ ttl, id });
  const proposed = api.handle.propose("leaseGrant", body, api.callerOf(call));
  const result = expectKind(await proposed, "leaseGrant");
  return LeaseGrantResponse.encode({
    header: api.headerMessage(result.revision),
    id: result.id,
    ttl: result.ttlSeconds,
    error: "",
  });
}

async function revoke(api: ApiContext, bytes: Uint8Array, call: CallContext): Promise<ReplyBytes> {
  const result = await api.handle.propose("leaseRevoke", bytes, api.callerOf(call));
  return api.headerField(expectKind(result, "leaseRevoke").revision);
}

async function timeToLive(
  api: ApiContext,
  bytes: Uint8Array,
  call: CallContext,
): Promise<ReplyBytes> {
  const { id, keys } = LeaseTimeToLiveRequest.decode(bytes);
  const lease = await api.handle.leaseTimeToLive(toLeaseId(id), keys);
  if (api.handle.auth.enabled) {
    // What is about to be told is what must be readable, by the permissions of now.
    const caller = api.callerOf(call);
    await api.handle.read(true, ({ auth }) => checkReadable(auth, caller, lease.keys));
  }
  return LeaseTimeToLiveResponse.encode({
    header: api.currentHeader(),
    id,
    ttl: lease.ttlSeconds,
    grantedTtl: lease.grantedTtlSeconds,
    keys: lease.keys,
  });
}

function leases(
  api: ApiContext,
  bytes: Uint8Array,
  call: CallContext,
): ReplyBytes | Promise<ReplyBytes> {
  LeaseLeasesRequest.decode(bytes);
  const caller = api.callerOf(call);
  return api.handle.read<ReplyBytes>(false, (state) => {
    const ids = state.leaseIds();
    if (state.auth.checkRoot(caller) !== undefined) {
      permit(state.auth.checkLogin(caller));
      for (const id of ids) {
        checkReadable(state.auth, caller, state.store.leaseKeys(id));
      }
    }
    return LeaseLeasesResponse.encode({
      header: api.headerMessage(state.store.revision),
      leases: ids.map((id) => ({ id })),
    });
  });
}

function checkReadable(
  auth: AuthReader,
  caller: Caller | undefined,
  keys: readonly Uint8Array[],
): void {
  permit(auth.checkLogin(caller));
  for (const key of keys) {
    permit(auth.checkRead(caller, key, emptyBytes));
  }
}

/**
 * One LeaseKeepAlive stream: answers in the order of the requests, each with the header of the
 * moment its request came, so that a revision in it is never ahead of the renewal. A lease that is
 * gone has TTL 0; any failure ends the stream.
 */
class KeepAliveStream {
  readonly #api: ApiContext;
  readonly #call: StreamCall;
  /** Answers in order; undefined while one is not there yet. */
  readonly #answers: (Uint8Array | undefined)[] = [];
  /** How many answers were sent, so that a place in the queue has a lasting number. */
  #sent = 0;
  #halfClosed = false;
  #ended = false;
  #blocked = false;

  constructor(api: ApiContext, call: StreamCall) {
    this.#api = api;
    this.#call = call;
  }

  start(): void {
    this.#call.onMessage((bytes) => this.#renew(bytes));
    this.#call.onHalfClose(() => {
      this.#halfClosed = true;
      this.#flush();
    });
    this.#call.onDrain(() => {
      this.#blocked = false;
      this.#flush();
    });
    this.#call.onCancel(() => {
      this.#ended = true;
    });
  }

  #renew(bytes: Uint8Array): void {
    if (this.#ended) {
      return;
    }
    let id: bigint;
    try {
      id = LeaseKeepAliveRequest.decode(bytes).id;
    } catch (error) {
      this.#fail(error);
      return;
    }
    const header = this.#api.currentHeader();
    const place = this.#sent + this.#answers.length;
    this.#answers.push(undefined);
    this.#keepAlive(toLeaseId(id)).then(
      (ttl) => {
        const answer = LeaseKeepAliveResponse.encode({ header, id, ttl });
        this.#answers[place - this.#sent] = answer;
        this.#flush();
      },
      (error: unknown) => this.#fail(error),
    );
    if (this.#answers.length >= renewalsMax) {
      this.#call.pause();
    }
  }

  /** Whoever keeps a lease alive decides about its keys, and must be permitted to write them. */
  async #keepAlive(id: LeaseId): Promise<number> {
    const { handle } = this.#api;
    if (handle.auth.enabled) {
      const caller = this.#api.callerOf(this.#call);
      await handle.read(true, (state) => {
        permit(state.auth.checkLogin(caller));
        permit(state.checkLease(caller, id));
      });
    }
    return handle.leaseKeepAlive(id);
  }

  #flush(): void {
    const wasFull = this.#answers.length >= renewalsMax;
    while (!this.#ended && !this.#blocked && this.#answers[0] !== undefined) {
      this.#blocked = !this.#call.write(this.#answers[0]);
      this.#answers.shift();
      this.#sent++;
    }
    if (wasFull && this.#answers.length < renewalsMax) {
      this.#call.resume();
    }
    if (this.#halfClosed && this.#answers.length === 0 && !this.#ended) {
      this.#ended = true;
      this.#call.end();
    }
  }

  #fail(error: unknown): void {
    if (!this.#ended) {
      this.#ended = true;
      this.#api.streamFailures.leaseKeepAlive.inc();
      this.#call.end(toRpcError(error, this.#api.logger));
    }
  }
}
