// The few calls that fault tests make, on grpc-js and with a deadline each. Never retries: what a
// test counts as acknowledged must be what one call said.

import { Client, credentials } from "@grpc/grpc-js";
import {
  HashKVRequest,
  HashKVResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  StatusRequest,
  StatusResponse,
} from "../../src/wire/index.ts";

interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

export class KvClient {
  readonly #client: Client;

  constructor(endpoint: string) {
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
    });
  }

  call<Q, A>(
    path: string,
    requestCodec: Codec<Q>,
    replyCodec: Codec<A>,
    request: Q,
    deadlineMs: number,
  ): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        (message: Q) => Buffer.from(requestCodec.encode(message)),
        (bytes: Buffer) => replyCodec.decode(bytes),
        request,
        { deadline: Date.now() + deadlineMs },
        (error, reply) => (error === null ? resolve(reply as A) : reject(error)),
      );
    });
  }

  put(key: string, value: string, deadlineMs = 2_000): Promise<PutResponse> {
    const request = PutRequest.create({ key: Buffer.from(key), value: Buffer.from(value) });
    return this.call("/etcdserverpb.KV/Put", PutRequest, PutResponse, request, deadlineMs);
  }

  range(request: Partial<RangeRequest>, deadlineMs = 10_000): Promise<RangeResponse> {
    const full = RangeRequest.create(request);
    return this.call("/etcdserverpb.KV/Range", RangeRequest, RangeResponse, full, deadlineMs);
  }

  hashKv(revision = 0): Promise<HashKVResponse> {
    const path = "/etcdserverpb.Maintenance/HashKV";
    return this.call(path, HashKVRequest, HashKVResponse, { revision }, 30_000);
  }

  status(): Promise<StatusResponse> {
    const path = "/etcdserverpb.Maintenance/Status";
    return this.call(path, StatusRequest, StatusResponse, {}, 2_000);
  }

  close(): void {
    this.#client.close();
  }
}
