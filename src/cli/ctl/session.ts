// A lease that is kept alive, and the queue of keys that locks and elections are made of (as etcd's
// package concurrency): each member of a queue puts a key, named by its lease, under the queue's
// name, and has its turn when no key that was made before its own is left.

import { type Client, prefixRange } from "../../client/index.ts";
import {
  Compare,
  CompareTarget,
  PutRequest,
  RangeRequest,
  RangeRequestSortOrder,
  RangeRequestSortTarget,
  RequestOp,
} from "../../wire/index.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { bytesOf } from "./raw-text.ts";

/** Is over when its lease is gone; `close` gives the lease back. */
export class Session implements AsyncDisposable {
  readonly lease: bigint;
  /** Aborted when the lease is gone, whatever the reason. */
  readonly over: AbortSignal;
  readonly #client: Client;
  readonly #stop = new AbortController();

  private constructor(client: Client, lease: bigint) {
    this.#client = client;
    this.lease = lease;
    const over = new AbortController();
    this.over = over.signal;
    void this.#keep().finally(() => over.abort());
  }

  static async open(client: Client, ttlSeconds: number): Promise<Session> {
    const { id } = await client.leaseGrant({ ttl: ttlSeconds });
    return new Session(client, id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#client.leaseRevoke(this.lease).catch(() => {});
  }

  async #keep(): Promise<void> {
    try {
      const { signal } = this.#stop;
      for await (const _ of this.#client.leaseKeepAlive(this.lease, { signal })) {
        // Each renewal is as good as the next.
      }
    } catch {
      // A lease that cannot be renewed is lost.
    }
  }
}

/** A key in a queue. */
export interface Place {
  readonly key: Uint8Array;
  readonly createRevision: number;
}

function only(key: Uint8Array): RequestOp {
  return RequestOp.create({
    request: { kind: "requestRange", value: RangeRequest.create({ key }) },
  });
}

/** Takes a place in the queue `name`; one that is there already keeps its turn and gets `value`. */
export async function enter(
  client: Client,
  session: Session,
  name: string,
  value: Uint8Array,
): Promise<Place> {
  const key = bytesOf(`${name}/${BigInt.asUintN(64, session.lease).toString(16)}`);
  const put = PutRequest.create({ key, value, lease: session.lease });
  const absent = Compare.create({
    key,
    target: CompareTarget.CREATE,
    targetUnion: { kind: "createRevision", value: 0 },
  });
  const reply = await client.txn({
    compare: [absent],
    success: [RequestOp.create({ request: { kind: "requestPut", value: put } })],
    failure: [only(key)],
  });
  const [first] = reply.responses;
  const found = first?.response?.kind === "responseRange" ? first.response.value.kvs[0] : undefined;
  return { key, createRevision: found?.createRevision ?? reply.header?.revision ?? 0 };
}

/**
 * Waits until every key under `name` that is older than `place` is gone; resolves with the revision
 * at which that was so. Rejects when `stop` aborts, or when the place itself is gone.
 */
export async function awaitTurn(
  client: Client,
  name: string,
  place: Place,
  stop: AbortSignal,
): Promise<number> {
  for (;;) {
    checkStop(stop);
    const before = await client.range(
      {
        ...prefixRange(bytesOf(`${name}/`)),
        sortOrder: RangeRequestSortOrder.DESCEND,
        sortTarget: RangeRequestSortTarget.CREATE,
        limit: 1,
        maxCreateRevision: place.createRevision - 1,
      },
      { signal: stop },
    );
    const revision = before.header?.revision ?? 0;
    const [last] = before.kvs;
    if (last === undefined) {
      const own = await client.range({ key: place.key }, { signal: stop });
      if (own.kvs[0]?.createRevision !== place.createRevision) {
        throw new CommandError(exitCodes.error, "session expired");
      }
      return own.header?.revision ?? revision;
    }
    await awaitDelete(client, last.key, revision + 1, stop);
  }
}

async function awaitDelete(
  client: Client,
  key: Uint8Array,
  startRevision: number,
  stop: AbortSignal,
): Promise<void> {
  await using watcher = client.watch({ key, startRevision }, { signal: stop });
  for await (const { events } of watcher) {
    if (events.some(({ type }) => type === 1)) {
      return;
    }
  }
}

/** Fails when it is time to stop, as etcdctl does. */
export function checkStop(stop: AbortSignal): void {
  if (stop.aborted) {
    throw new CommandError(exitCodes.error, "context canceled");
  }
}

/** Resolves when one of the signals aborts. */
export function firstOf(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const any = AbortSignal.any([...signals]);
    if (any.aborted) {
      resolve();
    }
    any.addEventListener("abort", () => resolve(), { once: true });
  });
}
