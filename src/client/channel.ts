// One endpoint: a grpc-js channel that carries raw bytes.

import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { type GrpcStatus, grpcStatus } from "../base/index.ts";
import { ClientError } from "./client-error.ts";
import type { UnaryMethod } from "./methods.ts";

/** Streams of encoded messages. */
export type ByteStream = ClientDuplexStream<Uint8Array, Uint8Array>;

export interface CallLimits {
  /** When the call must end, milliseconds since the epoch; undefined for never. */
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const channelOptions = {
  // The server refuses what is too large; here only the reply counts, and it may be of any size.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // A cable that was cut is noticed within 16 s. etcd's servers allow no ping more often than 5 s.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 6_000,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 2_000,
} as const;

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The error of a call as ours, with grpc-js's prefix removed. */
export function toClientError(error: ServiceError): ClientError {
  return new ClientError(error.code as GrpcStatus, error.details, { cause: error });
}

/** Whether a call failed before anything of it was sent. */
export function neverSent(error: ClientError): boolean {
  return (
    error.status === grpcStatus.unavailable &&
    /^(?:No connection established|Name resolution failed)/.test(error.message)
  );
}

export class Channel {
  readonly endpoint: string;
  readonly #client: Client;

  /** `endpoint` is "host:port", with or without "http://". */
  constructor(endpoint: string) {
    this.endpoint = endpoint;
    const address = endpoint.replace(/^http:\/\//, "").replace(/\/$/, "");
    this.#client = new Client(address, credentials.createInsecure(), channelOptions);
  }

  /** One call, tried once. Rejects with ClientError. */
  unary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    limits: CallLimits,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const { signal, deadline } = limits;
      const call = this.#client.makeUnaryRequest(
        method.path,
        (message: Request) => toBuffer(method.encode(message)),
        (bytes: Buffer) => method.decode(bytes),
        request,
        new Metadata(),
        deadline === undefined ? {} : { deadline },
        (error, response) => {
          signal?.removeEventListener("abort", cancel);
          if (error !== null) {
            reject(toClientError(error));
          } else if (response === undefined) {
            reject(new ClientError(grpcStatus.internal, "a call ended without a reply"));
          } else {
            resolve(response);
          }
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      if (signal?.aborted === true) {
        cancel();
      }
    });
  }

  /** Opens a stream of bytes. With `requireLeader` a member without a leader ends it. */
  stream(path: string, requireLeader: boolean): ByteStream {
    const metadata = new Metadata();
    if (requireLeader) {
      metadata.set("hasleader", "true");
    }
    return this.#client.makeBidiStreamRequest(
      path,
      (bytes: Uint8Array) => toBuffer(bytes),
      (bytes: Buffer): Uint8Array => bytes,
      metadata,
    );
  }

  close(): void {
    this.#client.close();
  }
}
