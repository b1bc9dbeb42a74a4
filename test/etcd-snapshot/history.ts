// Random history through any etcd API, and all that can be read of it again.

import { SeededRng } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import {
  CompactionRequest,
  CompactionResponse,
  HashKVRequest,
  HashKVResponse,
  KeyValue,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  PutRequest,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";

const waitMs = 20_000;
const all = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

export interface Written {
  readonly revision: number;
  readonly compacted: number;
}

/** Puts with and without leases, deletes, transactions of several, compactions. */
export async function writeHistory(
  endpoint: string,
  seed: number,
  operations: number,
  before: Written = { revision: 1, compacted: 0 },
): Promise<Written> {
  const rng = new SeededRng(seed);
  const client = new KvClient(endpoint);
  const leases = [101n, 2n ** 62n + 7n];
  for (const id of leases) {
    const request = LeaseGrantRequest.create({ id, ttl: 3_600 });
    const path = "/etcdserverpb.Lease/LeaseGrant";
    const granted = client.call(path, LeaseGrantRequest, LeaseGrantResponse, request, waitMs);
    await granted.catch((error: unknown) => {
      if (!String(error).includes("lease already exists")) {
        throw error;
      }
    });
  }
  let { revision, compacted } = before;
  const txn = (request: Partial<TxnRequest>): Promise<void> =>
    client
      .call("/etcdserverpb.KV/Txn", TxnRequest, TxnResponse, TxnRequest.create(request), waitMs)
      .then((reply) => {
        revision = Math.max(revision, reply.header?.revision ?? 0);
      });
  for (let done = 0; done < operations; done += 50) {
    await Promise.all(Array.from({ length: 50 }, () => txn(randomTxn(rng, leases))));
    const target = revision - rng.below(200);
    if (rng.below(30) === 0 && target > compacted) {
      compacted = target;
      const request = CompactionRequest.create({ revision: compacted, physical: true });
      const path = "/etcdserverpb.KV/Compact";
      await client.call(path, CompactionRequest, CompactionResponse, request, waitMs);
    }
  }
  client.close();
  return { revision, compacted };
}

function randomTxn(rng: Rng, leases: readonly bigint[]): Partial<TxnRequest> {
  const count = rng.below(10) === 0 ? 2 + rng.below(4) : 1;
  const first = rng.below(800);
  const operations = Array.from({ length: count }, (_, i) => {
    const key = new TextEncoder().encode(`key/${String(first + i).padStart(4, "0")}`);
    if (rng.below(8) === 0) {
      return { request: { kind: "requestDeleteRange" as const, value: deleteOf(key) } };
    }
    const value = new Uint8Array(rng.below(50) === 0 ? 6_000 + rng.below(9_000) : rng.below(300));
    value.fill(rng.below(256));
    const lease = rng.below(4) === 0 ? (leases[rng.below(leases.length)] ?? 0n) : 0n;
    return {
      request: { kind: "requestPut" as const, value: PutRequest.create({ key, value, lease }) },
    };
  });
  return { success: operations };
}

function deleteOf(key: Uint8Array): { key: Uint8Array; rangeEnd: Uint8Array; prevKv: boolean } {
  return { key, rangeEnd: new Uint8Array(0), prevKv: false };
}

/** Everything that a store shows of its history: the pairs at some revisions, leases, the hash. */
export interface Shown {
  readonly pairs: Readonly<Record<number, readonly string[]>>;
  readonly leases: readonly string[];
  readonly hash: number;
}

export async function readHistory(endpoint: string, written: Written): Promise<Shown> {
  const client = new KvClient(endpoint);
  const pairs: Record<number, readonly string[]> = {};
  const { revision, compacted } = written;
  const span = revision - compacted;
  for (const at of [compacted, compacted + 1, compacted + (span >> 1), revision - 1, revision]) {
    if (at > 1) {
      const request = RangeRequest.create({ ...all, revision: at });
      const path = "/etcdserverpb.KV/Range";
      const reply = await client.call(path, RangeRequest, RangeResponse, request, waitMs);
      pairs[at] = reply.kvs.map((pair) => Buffer.from(KeyValue.encode(pair)).toString("base64"));
    }
  }
  const hash = await client.call(
    "/etcdserverpb.Maintenance/HashKV",
    HashKVRequest,
    HashKVResponse,
    { revision },
    waitMs,
  );
  const shown = { pairs, leases: await readLeases(client), hash: hash.hash };
  client.close();
  return shown;
}

async function readLeases(client: KvClient): Promise<string[]> {
  const path = "/etcdserverpb.Lease/";
  const { leases } = await client.call(
    `${path}LeaseLeases`,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    {},
    waitMs,
  );
  const found: string[] = [];
  for (const { id } of leases) {
    const reply = await client.call(
      `${path}LeaseTimeToLive`,
      LeaseTimeToLiveRequest,
      LeaseTimeToLiveResponse,
      { id, keys: true },
      waitMs,
    );
    const keys = reply.keys.map((key) => Buffer.from(key).toString()).sort();
    found.push(`${id} ${reply.grantedTtl} ${keys.join()}`);
  }
  return found.sort();
}
