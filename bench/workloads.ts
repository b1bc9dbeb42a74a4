// What is measured: each workload prepares a store once and then makes requests.

import {
  Compare,
  CompareResult,
  CompareTarget,
  LeaseGrantRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../src/wire/index.ts";
import { closedLoop, type LoadResult } from "./load/closed-loop.ts";
import { LoadConnection } from "./load/connection.ts";

const kv = "/etcdserverpb.KV/";
const valueBytes = 256;
const value = new Uint8Array(valueBytes).fill(120);

export interface Request {
  readonly path: string;
  readonly message: Uint8Array;
}

export function keyOf(n: number): Uint8Array {
  return Buffer.from(`bench/${String(n).padStart(10, "0")}`);
}

function random(bound: number): number {
  return Math.floor(Math.random() * bound);
}

export function put(keys: number): Request {
  const request = PutRequest.create({ key: keyOf(random(keys)), value });
  return { path: `${kv}Put`, message: PutRequest.encode(request) };
}

export function range(keys: number, serializable: boolean): Request {
  const request = RangeRequest.create({ key: keyOf(random(keys)), serializable });
  return { path: `${kv}Range`, message: RangeRequest.encode(request) };
}

export function mixed(keys: number): Request {
  return Math.random() < 0.2 ? put(keys) : range(keys, false);
}

export function scan(keys: number, length: number): Request {
  const first = random(Math.max(1, keys - length));
  const request = RangeRequest.create({
    key: keyOf(first),
    rangeEnd: keyOf(first + length),
    limit: length,
  });
  return { path: `${kv}Range`, message: RangeRequest.encode(request) };
}

export function compareAndPut(keys: number): Request {
  const key = keyOf(random(keys));
  const compare = Compare.create({
    key,
    target: CompareTarget.CREATE,
    result: CompareResult.GREATER,
    targetUnion: { kind: "createRevision", value: 0 },
  });
  const request = TxnRequest.create({
    compare: [compare],
    success: [{ request: { kind: "requestPut", value: PutRequest.create({ key, value }) } }],
    failure: [],
  });
  return { path: `${kv}Txn`, message: TxnRequest.encode(request) };
}

export function leaseGrant(): Request {
  const request = LeaseGrantRequest.create({ ttl: 600 });
  return { path: "/etcdserverpb.Lease/LeaseGrant", message: LeaseGrantRequest.encode(request) };
}

/**
 * Puts keys 0 to `keys` - 1, fifty a transaction: what fits a frame, and four of them the window
 * that a server grants at first. The load connection looks at neither.
 */
export async function fill(endpoints: readonly string[], keys: number): Promise<void> {
  let next = 0;
  const batch = 50;
  const result = await closedLoop({
    endpoints,
    inFlight: 4 * endpoints.length,
    connections: endpoints.length,
    seconds: 600,
    requestsMax: Math.ceil(keys / batch),
    next: () => {
      const success = [];
      for (let i = 0; i < batch && next < keys; i++) {
        const request = PutRequest.create({ key: keyOf(next++), value });
        success.push({ request: { kind: "requestPut" as const, value: request } });
      }
      const message = TxnRequest.encode(TxnRequest.create({ success }));
      return { path: `${kv}Txn`, message };
    },
  });
  if (result.errors > 0) {
    throw new Error(`${result.errors} of the filling transactions failed`);
  }
}

/** `watchers` watches of one key, on streams of their own; puts go on, deliveries are counted. */
export async function watchFanOut(
  endpoints: readonly string[],
  watchers: number,
  seconds: number,
): Promise<LoadResult> {
  const key = keyOf(0);
  // WatchCreateRequest { key } inside WatchRequest.create_request, both field 1.
  const create = Buffer.concat([
    Buffer.from([0x0a, key.length + 2, 0x0a, key.length]),
    Buffer.from(key),
  ]);
  const connections = await Promise.all(
    endpoints.flatMap((endpoint) => {
      const [host, port] = endpoint.split(":") as [string, string];
      return Array.from({ length: 4 }, () => LoadConnection.open(host, Number(port)));
    }),
  );
  let created = 0;
  let delivered = 0;
  for (let i = 0; i < watchers; i++) {
    let first = true;
    const connection = connections[i % connections.length] as LoadConnection;
    const write = connection.openStream("/etcdserverpb.Watch/Watch", {
      onMessage() {
        if (first) {
          first = false;
          created++;
        } else {
          delivered++;
        }
      },
      onEnd() {},
    });
    write(create);
  }
  const untilMs = performance.now() + 20_000;
  while (created < watchers) {
    if (performance.now() > untilMs) {
      throw new Error(`only ${created} of ${watchers} watches were created`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const message = PutRequest.encode(PutRequest.create({ key, value }));
  const startMs = performance.now();
  const puts = await closedLoop({
    endpoints,
    inFlight: 4,
    connections: 1,
    seconds,
    next: () => ({ path: `${kv}Put`, message }),
  });
  const wanted = (puts.requests - puts.errors) * watchers;
  const deliveredByMs = performance.now() + 10_000;
  while (delivered < wanted && performance.now() < deliveredByMs) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const elapsed = (performance.now() - startMs) / 1000;
  for (const connection of connections) {
    connection.close();
  }
  return { ...puts, requests: delivered, perSecond: delivered / elapsed, seconds: elapsed };
}
