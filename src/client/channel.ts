// One endpoint: a grpc-js channel that carries raw bytes.

import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  Metadata,
} from "@grpc/grpc-js";
import { grpcStatus } from "../base/index.ts";
import type { ClientError } from "./client-error.ts";
import { errorOf, toClientError } from "./failures.ts";
import type { UnaryMethod } from "./methods.ts";
import { reachOf, type TlsOptions } from "./tls.ts";

/** Streams of encoded messages. */
export type ByteStream = ClientDuplexStream<Uint8Array, Uint8Array>;
export type ByteSource = ClientReadableStream<Uint8Array>;

export interface CallLimits {
  /** When the call must end, milliseconds since the epoch; undefined for never. */
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What all channels of a client have in common. */
export interface ChannelOptions {
  readonly tls: TlsOptions | undefined;
  /** While calls are under way: milliseconds without a byte until a ping, and until its answer. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly requestBytesMax: number | undefined;
  readonly replyBytesMax: number | undefined;
}

export interface StreamOptions {
  /** A member without a leader ends the stream. */
  readonly requireLeader: boolean;
  readonly token: string | undefined;
}

const channelOptions = {
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 2_000,
} as const;

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function metadataOf(token: string | undefined, requireLeader: boolean): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) {
    metadata.set("token", token);
  }
  if (requireLeader) {
    metadata.set("hasleader", "true");
  }
  return metadata;
}

export class Channel {
  /** As the user wrote it. */
  readonly endpoint: string;
  readonly #client: Client;
  /** Calls and streams under way: grpc-js lets them go on when a channel is closed. */
  readonly #active = new Set<{ cancel(): void }>();

  /** Throws RangeError for what is no endpoint, TypeError for bad certificates. */
  constructor(endpoint: string, options: ChannelOptions) {
    this.endpoint = endpoint;
    const reach = reachOf(endpoint, options.tls);
    this.#client = new Client(reach.target, reach.credentials, {
      ...channelOptions,
      // The server refuses what is too large, and a reply may be of any size.
      "grpc.max_send_message_length": options.requestBytesMax ?? -1,
      "grpc.max_receive_message_length": options.replyBytesMax ?? -1,
      "grpc.keepalive_time_ms": options.pingIntervalMs,
      "grpc.keepalive_timeout_ms": options.pingTimeoutMs,
      ...reach.options,
    });
  }

  /** Whether there is a connection, made now if need be: false when `waitMs` did not do. */
  async connected(waitMs: number): Promise<boolean> {
    const channel = this.#client.getChannel();
    const end = Date.now() + waitMs;
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state !== connectivityState.IDLE && state !== connectivityState.CONNECTING) {
        return state === connectivityState.READY;
      }
      const changed = await new Promise<boolean>((resolve) => {
        channel.watchConnectivityState(state, end, (error) => resolve(error === undefined));
      });
      if (!changed) {
        return false;
      }
    }
  }

  /** Whether a connection is being made: what is sent now would wait for it. */
  get dialling(): boolean {
    const state = this.#client.getChannel().getConnectivityState(true);
    return state === connectivityState.IDLE || state === connectivityState.CONNECTING;
  }

  /** One call, tried once. Rejects with ClientError. */
  unary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    limits: CallLimits,
    token?: string,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const { signal, deadline } = limits;
      const { endpoint } = this;
      let call: { cancel(): void } | undefined;
      const cancel = (): void => call?.cancel();
      const active = { cancel };
      this.#active.add(active);
      try {
        call = this.#client.makeUnaryRequest(
          method.path,
          (message: Request) => toBuffer(method.encode(message)),
          (bytes: Buffer) => method.decode(bytes),
          request,
          metadataOf(token, false),
          deadline === undefined ? {} : { deadline },
          (error, response) => {
            signal?.removeEventListener("abort", cancel);
            this.#active.delete(active);
            if (error !== null) {
              reject(toClientError(error, { endpoint, signal }));
            } else if (response === undefined) {
              reject(errorOf(grpcStatus.internal, "a call ended without a reply", { endpoint }));
            } else {
              resolve(response);
            }
          },
        );
      } catch (error) {
        this.#active.delete(active);
        reject(toClientError(error, { endpoint, signal }));
        return;
      }
      signal?.addEventListener("abort", cancel, { once: true });
      if (signal?.aborted === true) {
        cancel();
      }
    });
  }

  /** Opens a stream of bytes in both directions. Throws ClientClosedError on a closed channel. */
  stream(path: string, options: StreamOptions): ByteStream {
    return this.#opened(() =>
      this.#client.makeBidiStreamRequest(
        path,
        (bytes: Uint8Array) => toBuffer(bytes),
        (bytes: Buffer): Uint8Array => bytes,
        metadataOf(options.token, options.requireLeader),
      ),
    );
  }

  /** Sends `request` and gives what comes back, for as long as it comes. */
  source(path: string, request: Uint8Array, options: StreamOptions): ByteSource {
    return this.#opened(() =>
      this.#client.makeServerStreamRequest(
        path,
        (bytes: Uint8Array) => toBuffer(bytes),
        (bytes: Buffer): Uint8Array => bytes,
        request,
        metadataOf(options.token, options.requireLeader),
      ),
    );
  }

  #opened<Stream extends ByteStream | ByteSource>(open: () => Stream): Stream {
    try {
      const stream = open();
      this.#active.add(stream);
      stream.once("close", () => this.#active.delete(stream));
      // Stays: an error that comes when nobody reads any more must not end the process.
      stream.on("error", () => this.#active.delete(stream));
      return stream;
    } catch (error) {
      throw this.error(error);
    }
  }

  /** What a stream of this channel emitted, as ours. */
  error(cause: unknown): ClientError {
    return toClientError(cause, { endpoint: this.endpoint });
  }

  /** Ends all calls and streams. */
  close(): void {
    for (const call of [...this.#active]) {
      call.cancel();
    }
    this.#active.clear();
    this.#client.close();
  }
}
