// What the Lock and Election services are made of: the steps of etcd's concurrency recipes, taken
// on the node itself. The keys are the clients' too, so an etcd client that runs the recipe by
// itself and one that asks the service wait for each other.
//
// A contender puts "<name>/<its lease in hex>" once; the oldest key under the name holds. Who waits
// watches the youngest key older than its own, so that one departure wakes one waiter.

import {
  concatBytes,
  grpcStatus,
  QuorateError,
  type Revision,
  toRevision,
  utf8,
} from "../base/index.ts";
import { type CallContext, RpcError } from "../grpc/index.ts";
import type {
  CommandKind,
  CommandResult,
  TxnOpResult,
  TxnResult,
  WatchEvent,
  WatchOptions,
} from "../node/handle.ts";
import {
  Compare,
  CompareTarget,
  DeleteRangeRequest,
  KeyValue,
  LeaseGrantRequest,
  PutRequest,
  RangeRequest,
  RangeRequestSortOrder as SortOrder,
  RangeRequestSortTarget as SortTarget,
  type RequestOp,
  TxnRequest,
} from "../wire/index.ts";
import { permit } from "./callers.ts";
import type { ApiContext } from "./context.ts";
import { expectKind } from "./errors.ts";
import { randomLeaseId } from "./lease.ts";
import { leaseCostBytes, type QuotaGate, txnCost } from "./quota.ts";
import { rangeQuery } from "./range-query.ts";

/** Granted when the client brings no lease; nobody keeps it alive. */
const sessionTtlSeconds = 60;
const slash = 0x2f;

/** etcd's services act as clients of their own server, and a client's error is Unknown to gRPC. */
export function recipeError(error: unknown): unknown {
  return error instanceof QuorateError ? new RpcError(grpcStatus.unknown, error.message) : error;
}

export function unknownError(message: string): RpcError {
  return new RpcError(grpcStatus.unknown, message);
}

/** Aborts when the client of `call` goes. */
export function cancelSignal(call: CallContext): AbortSignal {
  const controller = new AbortController();
  call.onCancel(() => controller.abort());
  return controller.signal;
}

/** A pair found, and the revision of the store when it was. */
export interface Found {
  readonly pair: KeyValue | undefined;
  readonly revision: Revision;
}

export class Recipes {
  readonly #api: ApiContext;
  readonly #quota: QuotaGate;
  readonly #call: CallContext;

  /** `call` is whom all steps are taken for: each needs what it would need by itself. */
  constructor(api: ApiContext, quota: QuotaGate, call: CallContext) {
    this.#api = api;
    this.#quota = quota;
    this.#call = call;
  }

  #propose(kind: CommandKind, encoded: Uint8Array): Promise<CommandResult> {
    return this.#api.handle.propose(kind, encoded, this.#api.callerOf(this.#call));
  }

  /** The lease as the client gave it, or a new one. */
  async session(lease: bigint): Promise<bigint> {
    if (lease !== 0n) {
      return lease;
    }
    this.#quota.check(leaseCostBytes);
    const request = LeaseGrantRequest.encode({
      ttl: sessionTtlSeconds,
      id: randomLeaseId(this.#api),
    });
    const result = await this.#propose("leaseGrant", request);
    return expectKind(result, "leaseGrant").id;
  }

  async txn(partial: Partial<TxnRequest>): Promise<TxnResult> {
    const request = TxnRequest.create(partial);
    this.#quota.check(txnCost(request));
    const encoded = TxnRequest.encode(request);
    if (encoded.length > this.#api.options.requestBytesMax) {
      throw new QuorateError("requestTooLarge");
    }
    return expectKind(await this.#propose("txn", encoded), "txn");
  }

  /** Deletes one key; resolves with the revision after it. */
  async delete(key: Uint8Array): Promise<Revision> {
    const encoded = DeleteRangeRequest.encode(DeleteRangeRequest.create({ key }));
    const result = await this.#propose("deleteRange", encoded);
    return expectKind(result, "deleteRange").revision;
  }

  /** The first pair of a range, linearizably. */
  async first(request: Partial<RangeRequest>): Promise<Found> {
    const query = rangeQuery(RangeRequest.create({ ...request, limit: 1 }));
    const caller = this.#api.callerOf(this.#call);
    return await this.#api.handle.read(true, ({ store, auth }) => {
      permit(auth.checkRead(caller, query.key, query.rangeEnd));
      const stored = store.range(query).kvs[0];
      const pair = stored === undefined ? undefined : KeyValue.decode(stored.message);
      return { pair, revision: store.revision };
    });
  }

  /** The oldest key under a prefix: the holder's. */
  oldest(prefix: Uint8Array): Promise<Found> {
    return this.first(oldestOf(prefix));
  }

  /** Waits until no key under the prefix is as old as `createRevisionMax` or older. */
  async waitForOlder(
    prefix: Uint8Array,
    createRevisionMax: number,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const { pair, revision } = await this.first({
        ...prefixRange(prefix),
        sortTarget: SortTarget.CREATE,
        sortOrder: SortOrder.DESCEND,
        maxCreateRevision: createRevisionMax,
      });
      if (pair === undefined) {
        return;
      }
      await this.watch({ key: pair.key }, revision, signal, (events) =>
        events.some(({ event }) => event.kind === "delete") ? true : undefined,
      );
    }
  }

  /**
   * Watches a range for what comes after `revision` until `onEvents` returns something; resolves
   * with that, or with undefined when history was compacted and the caller must look again.
   * Rejects when the signal aborts.
   */
  async watch<T>(
    range: { readonly key: Uint8Array; readonly rangeEnd?: Uint8Array },
    revision: Revision,
    signal: AbortSignal,
    onEvents: (events: readonly WatchEvent[], revision: Revision) => T | undefined,
  ): Promise<T | undefined> {
    if (signal.aborted) {
      throw cancelled();
    }
    const options = watchAfter(range, revision);
    const { auth } = this.#api.handle;
    permit(auth.checkRead(this.#api.callerOf(this.#call), options.key, options.rangeEnd));
    let stop = (): void => {};
    try {
      return await new Promise<T | undefined>((resolve, reject) => {
        const onAbort = (): void => reject(cancelled());
        const stream = this.#api.handle.openWatchStream({
          writable: true,
          notify: (notice) => {
            if (notice.kind === "events") {
              const value = onEvents(notice.events, notice.revision);
              if (value !== undefined) {
                resolve(value);
              }
            } else if (notice.kind === "refused") {
              reject(unknownError(notice.reason));
            } else if (notice.kind === "compacted") {
              resolve(undefined);
            }
          },
        });
        signal.addEventListener("abort", onAbort);
        stop = () => {
          signal.removeEventListener("abort", onAbort);
          stream.close();
        };
        stream.create(options);
      });
    } finally {
      stop();
    }
  }
}

function cancelled(): RpcError {
  return new RpcError(grpcStatus.cancelled, "context canceled");
}

function watchAfter(
  range: { readonly key: Uint8Array; readonly rangeEnd?: Uint8Array },
  revision: Revision,
): WatchOptions {
  return {
    key: range.key,
    rangeEnd: range.rangeEnd ?? new Uint8Array(0),
    watchId: 0n,
    startRevision: toRevision(revision + 1),
    previous: false,
    progressNotify: false,
    noPut: false,
    noDelete: false,
    fragment: false,
  };
}

export function prefixOf(name: Uint8Array): Uint8Array {
  return concatBytes([name, new Uint8Array([slash])]);
}

/** A contender's key: the lease as Go prints an int64 in hex. */
export function contenderKey(prefix: Uint8Array, lease: bigint): Uint8Array {
  return concatBytes([prefix, utf8(BigInt.asIntN(64, lease).toString(16))]);
}

/** All keys under a prefix that ends in "/". */
export function prefixRange(prefix: Uint8Array): { key: Uint8Array; rangeEnd: Uint8Array } {
  const rangeEnd = new Uint8Array(prefix);
  rangeEnd[prefix.length - 1] = slash + 1;
  return { key: prefix, rangeEnd };
}

export function oldestOf(prefix: Uint8Array): Partial<RangeRequest> {
  return {
    ...prefixRange(prefix),
    sortTarget: SortTarget.CREATE,
    sortOrder: SortOrder.ASCEND,
    limit: 1,
  };
}

export function getOp(request: Partial<RangeRequest>): RequestOp {
  return { request: { kind: "requestRange", value: RangeRequest.create(request) } };
}

export function putOp(request: Partial<PutRequest>): RequestOp {
  return { request: { kind: "requestPut", value: PutRequest.create(request) } };
}

export function deleteOp(key: Uint8Array): RequestOp {
  return { request: { kind: "requestDeleteRange", value: DeleteRangeRequest.create({ key }) } };
}

/** Holds when the key was created at that revision; 0 = when there is no such key. */
export function createdAt(key: Uint8Array, revision: number): Compare {
  return Compare.create({
    target: CompareTarget.CREATE,
    key,
    targetUnion: { kind: "createRevision", value: revision },
  });
}

/** The first pair that a range inside a txn gave. */
export function pairOf(result: TxnOpResult | undefined): KeyValue | undefined {
  const stored = result?.kind === "range" ? result.range.kvs[0] : undefined;
  return stored === undefined ? undefined : KeyValue.decode(stored.message);
}
