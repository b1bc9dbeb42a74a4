// etcdserverpb.Lease.
//
// Grants and revocations go through the log. Renewals do not: the leader keeps the clocks, and the
// node asks it, wherever it is.

import { type LeaseId, toLeaseId } from "../base/index.ts";
import type { ReplyBytes, Service, StreamCall } from "../grpc/index.ts";
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
      LeaseGrant: { kind: "unary", handle: (bytes) => grant(api, quota, bytes) },
      LeaseRevoke: { kind: "unary", handle: (bytes) => revoke(api, bytes) },
      LeaseKeepAlive: { kind: "stream", handle: (call) => new KeepAliveStream(api, call).start() },
      LeaseTimeToLive: { kind: "unary", handle: (bytes) => timeToLive(api, bytes) },
      LeaseLeases: { kind: "unary", handle: (bytes) => leases(api, bytes) },
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

async function grant(api: ApiContext, quota: QuotaGate, bytes: Uint8Array): Promise<ReplyBytes> {
  const request = LeaseGrantRequest.decode(bytes);
  quota.check(leaseCostBytes);
  // Raised here, not where it is applied: members may differ in this setting while it is changed.
  const ttl = Math.max(request.ttl, leaseTtlSecondsMin(api.options.electionTimeoutMs));
  const id = request.id === 0n ? randomLeaseId(api) : request.id;
  const body = LeaseGrantRequest.encode({ ttl, id });
  const result = expectKind(await api.handle.propose("leaseGrant", body), "leaseGrant");
  return LeaseGrantResponse.encode({
    header: api.headerMessage(result.revision),
    id: result.id,
    ttl: result.ttlSeconds,
    error: "",
  });
}

async function revoke(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { revision } = expectKind(await api.handle.propose("leaseRevoke", bytes), "leaseRevoke");
  return api.headerField(revision);
}

async function timeToLive(api: ApiContext, bytes: Uint8Array): Promise<ReplyBytes> {
  const { id, keys } = LeaseTimeToLiveRequest.decode(bytes);
  const lease = await api.handle.leaseTimeToLive(toLeaseId(id), keys);
  return LeaseTimeToLiveResponse.encode({
    header: api.currentHeader(),
    id,
    ttl: lease.ttlSeconds,
    grantedTtl: lease.grantedTtlSeconds,
    keys: lease.keys,
  });
}

function leases(api: ApiContext, bytes: Uint8Array): ReplyBytes | Promise<ReplyBytes> {
  LeaseLeasesRequest.decode(bytes);
  return api.handle.read<ReplyBytes>(false, (state) =>
    LeaseLeasesResponse.encode({
      header: api.headerMessage(state.store.revision),
      leases: state.leaseIds().map((id) => ({ id })),
    }),
  );
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
    this.#api.handle.leaseKeepAlive(toLeaseId(id)).then(
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
      this.#call.end(toRpcError(error, this.#api.logger));
    }
  }
}
