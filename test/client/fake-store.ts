// A server that speaks just enough of the API to try a client on: it answers what a test tells it
// to, and keeps what it was asked. Listens on a free loopback port.

import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import {
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  type WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from "../../src/wire/index.ts";

const raw = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const same = (bytes: Buffer): Buffer => bytes;

function definition(path: string, streams: boolean) {
  return {
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: raw,
    requestDeserialize: same,
    responseSerialize: raw,
    responseDeserialize: same,
  };
}

type UnaryAnswer = Uint8Array | { readonly code: number; readonly details: string };

/** One open watch. */
export interface FakeWatch {
  readonly request: WatchCreateRequest;
  /** False when the transport has enough for now; `onDrain` then calls once it has not. */
  reply(response: Partial<WatchResponse>): boolean;
  onDrain(listener: () => void): void;
  /** Ends the stream as a member that goes away does. */
  fail(code: number, details: string): void;
}

export class FakeStore {
  readonly ranges: RangeRequest[] = [];
  readonly puts: PutRequest[] = [];
  readonly txns: TxnRequest[] = [];
  readonly watches: FakeWatch[] = [];
  onRange: () => UnaryAnswer = () => RangeResponse.encode(RangeResponse.create());
  onPut: () => UnaryAnswer = () => PutResponse.encode(PutResponse.create());
  onTxn: () => UnaryAnswer = () => TxnResponse.encode(TxnResponse.create());
  onWatch: (watch: FakeWatch) => void = (watch) => watch.reply({ created: true });
  onProgressRequest: (watch: FakeWatch) => void = () => {};
  progressRequests = 0;
  endpoint = "";
  #server = new Server();

  async start(port = 0): Promise<void> {
    const unary = (take: (bytes: Buffer) => void, answer: () => UnaryAnswer) => {
      return (call: ServerUnaryCall<Buffer, Uint8Array>, reply: sendUnaryData<Uint8Array>) => {
        take(call.request);
        const given = answer();
        if (given instanceof Uint8Array) {
          reply(null, given);
        } else {
          reply(given);
        }
      };
    };
    this.#server = new Server();
    this.#server.addService(
      {
        range: definition("/etcdserverpb.KV/Range", false),
        put: definition("/etcdserverpb.KV/Put", false),
        txn: definition("/etcdserverpb.KV/Txn", false),
        watch: definition("/etcdserverpb.Watch/Watch", true),
      },
      {
        range: unary(
          (bytes) => this.ranges.push(RangeRequest.decode(bytes)),
          () => this.onRange(),
        ),
        put: unary(
          (bytes) => this.puts.push(PutRequest.decode(bytes)),
          () => this.onPut(),
        ),
        txn: unary(
          (bytes) => this.txns.push(TxnRequest.decode(bytes)),
          () => this.onTxn(),
        ),
        watch: (call: ServerDuplexStream<Buffer, Uint8Array>) => this.#takeWatch(call),
      },
    );
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(
        `127.0.0.1:${port}`,
        ServerCredentials.createInsecure(),
        (error, took) => (error === null ? resolve(took) : reject(error)),
      );
    });
    this.endpoint = `127.0.0.1:${bound}`;
  }

  #takeWatch(call: ServerDuplexStream<Buffer, Uint8Array>): void {
    call.on("error", () => {});
    call.on("data", (bytes: Buffer) => {
      const union = WatchRequest.decode(bytes).requestUnion;
      const [open] = this.watches.slice(-1);
      if (union?.kind === "progressRequest" && open !== undefined) {
        this.progressRequests++;
        this.onProgressRequest(open);
      }
      if (union?.kind === "createRequest") {
        const watch: FakeWatch = {
          request: union.value,
          reply: (response) => call.write(WatchResponse.encode(WatchResponse.create(response))),
          onDrain: (listener) => void call.once("drain", listener),
          fail: (code, details) => call.emit("error", { code, details }),
        };
        this.watches.push(watch);
        this.onWatch(watch);
      }
    });
  }

  /** Drops every connection at once, as a killed process does. */
  stop(): void {
    this.#server.forceShutdown();
  }
}
