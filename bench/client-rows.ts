// What the client costs: Quorate beside grpc-js with nothing around it (same messages, same
// codecs), and beside the npm client of etcd. All on one connection to one member, in this process,
// whose core is the bottleneck. Run with --rows=client.

import { performance } from "node:perf_hooks";
import { Client, credentials } from "@grpc/grpc-js";
import { Etcd3 } from "etcd3";
import { Quorate } from "../src/sdk/index.ts";
import { PutRequest, PutResponse, RangeRequest, RangeResponse } from "../src/wire/index.ts";
import type { LoadResult } from "./load/closed-loop.ts";
import type { Row } from "./rows.ts";
import { keyOf } from "./workloads.ts";

interface Subject {
  readonly name: string;
  open(endpoint: string): {
    get(key: string): Promise<unknown>;
    put(key: string, value: string): Promise<unknown>;
    close(): void;
  };
}

const value = "x".repeat(256);

interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

function rawCall<Q, A>(client: Client, path: string, codecs: readonly [Codec<Q>, Codec<A>]) {
  const [request, reply] = codecs;
  return (message: Q): Promise<A> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        (each: Q) => Buffer.from(request.encode(each)),
        (bytes: Buffer) => reply.decode(bytes),
        message,
        (error, answer) => (error === null ? resolve(answer as A) : reject(error)),
      );
    });
}

const subjects: readonly Subject[] = [
  {
    name: "quorate",
    open: (endpoint) => {
      const store = new Quorate({ endpoints: [endpoint] });
      return {
        get: (key) => store.get(key),
        put: (key, written) => store.put(key, written),
        close: () => store.close(),
      };
    },
  },
  {
    name: "grpc-js",
    open: (endpoint) => {
      const client = new Client(endpoint, credentials.createInsecure());
      const range = rawCall(client, "/etcdserverpb.KV/Range", [RangeRequest, RangeResponse]);
      const put = rawCall(client, "/etcdserverpb.KV/Put", [PutRequest, PutResponse]);
      return {
        get: (key) => range(RangeRequest.create({ key: Buffer.from(key) })),
        put: (key, written) =>
          put(PutRequest.create({ key: Buffer.from(key), value: Buffer.from(written) })),
        close: () => client.close(),
      };
    },
  },
  {
    name: "etcd3",
    open: (endpoint) => {
      const client = new Etcd3({ hosts: `http://${endpoint}` });
      return {
        get: (key) => client.get(key).string(),
        put: (key, written) => client.put(key).value(written).exec(),
        close: () => client.close(),
      };
    },
  },
];

async function loop(
  inFlight: number,
  seconds: number,
  next: () => Promise<unknown>,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let errors = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  const one = async (): Promise<void> => {
    for (let sentMs = performance.now(); sentMs < endMs; sentMs = performance.now()) {
      await next().catch(() => errors++);
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  const took = (performance.now() - startMs) / 1000;
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return {
    requests: latencies.length,
    errors,
    seconds: took,
    perSecond: (latencies.length - errors) / took,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

function row(subject: Subject, verb: "get" | "put", inFlight: number): Row {
  return {
    name: `client ${subject.name} ${verb}, ${inFlight}`,
    run: async (endpoints, keys, seconds) => {
      const client = subject.open(endpoints[0] ?? "");
      const key = (): string =>
        Buffer.from(keyOf(Math.floor(Math.random() * keys))).toString("latin1");
      try {
        return await loop(inFlight, seconds, () =>
          verb === "get" ? client.get(key()) : client.put(key(), value),
        );
      } finally {
        client.close();
      }
    },
  };
}

export const clientRows: readonly Row[] = (["get", "put"] as const).flatMap((verb) =>
  [1, 100].flatMap((inFlight) => subjects.map((subject) => row(subject, verb, inFlight))),
);
