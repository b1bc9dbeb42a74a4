// One member as a client sees it: calls that are made once, and streams.

import { Client, credentials } from "@grpc/grpc-js";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import {
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";

interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

export class Endpoint {
  readonly name: string;
  readonly kv: KvClient;
  readonly #streams: Client;

  constructor(name: string, address: string) {
    this.name = name;
    this.kv = new KvClient(address);
    this.#streams = new Client(address, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** A watch of all keys; `onEnd` is called once, however it ends. Returns how to end it. */
  watch(
    startRevision: number,
    onResponse: (response: WatchResponse) => void,
    onEnd: (why: string) => void,
  ): () => void {
    const stream = this.#open("/etcdserverpb.Watch/Watch", WatchRequest, WatchResponse);
    let isOver = false;
    const end = (why: string): void => {
      if (!isOver) {
        isOver = true;
        stream.cancel();
        onEnd(why);
      }
    };
    stream.on("data", (response: WatchResponse) => {
      if (!isOver) {
        onResponse(response);
      }
    });
    stream.on("error", (error: Error) => end(error.message));
    stream.on("end", () => end("the stream ended"));
    const value = WatchCreateRequest.create({
      key: new Uint8Array(1),
      rangeEnd: new Uint8Array(1),
      startRevision,
      progressNotify: true,
      prevKv: true,
    });
    stream.write({ requestUnion: { kind: "createRequest", value } });
    return () => end("given up");
  }

  /** Renews once. Resolves with the seconds granted anew, 0 when the lease is gone. */
  keepAlive(id: bigint, deadlineMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const path = "/etcdserverpb.Lease/LeaseKeepAlive";
      const stream = this.#open(path, LeaseKeepAliveRequest, LeaseKeepAliveResponse);
      const timer = setTimeout(() => stream.cancel(), deadlineMs);
      stream.on("data", (response: LeaseKeepAliveResponse) => {
        resolve(response.ttl);
        stream.end();
      });
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("the stream ended")));
      stream.on("close", () => clearTimeout(timer));
      stream.write({ id });
    });
  }

  close(): void {
    this.kv.close();
    this.#streams.close();
  }

  #open<Q, A>(path: string, request: Codec<Q>, reply: Codec<A>): ClientDuplexStream<Q, A> {
    return this.#streams.makeBidiStreamRequest(
      path,
      (message: Q) => Buffer.from(request.encode(message)),
      (bytes: Buffer) => reply.decode(bytes),
    );
  }
}
