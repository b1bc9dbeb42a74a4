// What is measured: each workload prepares a store once and then makes requests.

import {
  CompactionRequest,
  Compare,
  CompareResult,
  CompareTarget,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
  TxnRequest,
} from "../src/wire/index.ts";
import { closedLoop, type LoadResult, summarize } from "./load/closed-loop.ts";
import { LoadConnection } from "./load/connection.ts";

const kv = "/etcdserverpb.KV/";
/** Bytes of a value, where nothing else is said. */
export const valueBytesDefault = 256;
const values = new Map<number, Uint8Array>();

function valueOf(bytes: number): Uint8Array {
  let value = values.get(bytes);
  if (value === undefined) {
    value = new Uint8Array(bytes).fill(120);
    values.set(bytes, value);
  }
  return value;
}

const value = valueOf(valueBytesDefault);

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

export function put(keys: number, valueBytes: number = valueBytesDefault): Request {
  const request = PutRequest.create({ key: keyOf(random(keys)), value: valueOf(valueBytes) });
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

/** Compacts at the present revision, and does not wait for the space to be freed. */
export async function compact(endpoints: readonly string[]): Promise<void> {
  const empty = await ask(endpoints, `${kv}Range`, range(1, false).message);
  const revision = RangeResponse.decode(empty).header?.revision ?? 0;
  await ask(endpoints, `${kv}Compact`, CompactionRequest.encode({ revision, physical: false }));
}

/** One call to the first endpoint; the message of its reply. */
async function ask(
  endpoints: readonly string[],
  path: string,
  message: Uint8Array,
): Promise<Uint8Array> {
  const [host, port] = (endpoints[0] as string).split(":") as [string, string];
  const connection = await LoadConnection.open(host, Number(port), true);
  const reply = await new Promise<readonly Buffer[] | undefined>((resolve) => {
    connection.call(path, message, resolve);
  });
  connection.close();
  if (reply === undefined) {
    throw new Error(`${path} failed at ${host}:${port}`);
  }
  return Buffer.concat(reply).subarray(5);
}

/** `inFlight` streams, each of which keeps one lease alive as fast as it is answered. */
export async function leaseKeepAlive(
  endpoints: readonly string[],
  inFlight: number,
  seconds: number,
): Promise<LoadResult> {
  const path = "/etcdserverpb.Lease/LeaseKeepAlive";
  const granted = await ask(endpoints, "/etcdserverpb.Lease/LeaseGrant", leaseGrant().message);
  const message = LeaseKeepAliveRequest.encode({ id: LeaseGrantResponse.decode(granted).id });
  const connections = await Promise.all(
    Array.from({ length: 10 }, (_, i) => {
      const [host, port] = (endpoints[i % endpoints.length] as string).split(":");
      return LoadConnection.open(host as string, Number(port));
    }),
  );
  const latencies: number[] = [];
  let errors = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  await Promise.all(
    Array.from({ length: inFlight }, (_, i) => {
      const connection = connections[i % connections.length] as LoadConnection;
      return new Promise<void>((resolve) => {
        let sentMs = performance.now();
        const write = connection.openStream(path, {
          onMessage: () => {
            const nowMs = performance.now();
            latencies.push(nowMs - sentMs);
            sentMs = nowMs;
            if (nowMs < endMs) {
              write(message);
            } else {
              resolve();
            }
          },
          onEnd: () => {
            errors += performance.now() < endMs ? 1 : 0;
            resolve();
          },
        });
        write(message);
      });
    }),
  );
  const elapsed = (performance.now() - startMs) / 1000;
  connections.forEach((connection) => connection.close());
  return summarize(latencies, errors, elapsed);
}

/**
 * Puts keys 0 to `keys` - 1, as many a transaction as fit a frame, fifty at most, and twelve
 * transactions under way: the load connection looks at no window of the server's.
 */
export async function fill(
  endpoints: readonly string[],
  keys: number,
  valueBytes: number = valueBytesDefault,
): Promise<void> {
  let next = 0;
  const batch = Math.max(1, Math.min(50, Math.floor(15_000 / (valueBytes + 40))));
  const result = await closedLoop({
    endpoints,
    inFlight: 12,
    connections: 3,
    seconds: 7_200,
    requestsMax: Math.ceil(keys / batch),
    next: () => {
      const success = [];
      for (let i = 0; i < batch && next < keys; i++) {
        const request = PutRequest.create({ key: keyOf(next++), value: valueOf(valueBytes) });
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
