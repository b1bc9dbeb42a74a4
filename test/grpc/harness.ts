// A server of either kind behind a client port, with a service made for testing, and a grpc-js
// client that sends and takes raw bytes.

import {
  type CallOptions,
  type ClientDuplexStream,
  Client,
  credentials,
  type ChannelOptions,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { fromUtf8, type GrpcStatus, utf8 } from "../../src/base/index.ts";
import {
  type CallContext,
  ClientPort,
  type ClientPortOptions,
  clientPortLimits,
  createGrpcServer,
  type GrpcServerKind,
  type GrpcServerOptions,
  RpcError,
  type Service,
  type StreamCall,
} from "../../src/grpc/index.ts";

export const kinds: readonly GrpcServerKind[] = ["grpc-js", "direct"];

/** What the handlers saw, for assertions from outside. */
export interface Seen {
  cancelled: string[];
  ended: { path: string; status: GrpcStatus }[];
  streams: StreamCall[];
  calls: CallContext[];
}

export function testService(seen: Seen): Service {
  const text = (bytes: Uint8Array): string => fromUtf8(bytes);
  const note = (call: CallContext): void => {
    seen.calls.push(call);
    call.onCancel(() => seen.cancelled.push(call.path));
  };
  return {
    name: "test.Echo",
    methods: {
      Unary: { kind: "unary", handle: (request) => request },
      Parts: {
        kind: "unary",
        handle: (request) => [utf8("<"), request, utf8(">")],
      },
      /** "count:size" answers one message of so many parts of so many bytes. */
      ManyParts: {
        kind: "unary",
        handle: (request) => {
          const [count, size] = text(request).split(":").map(Number);
          return Array.from({ length: count ?? 0 }, (_, i) => new Uint8Array(size ?? 0).fill(i));
        },
      },
      Later: {
        kind: "unary",
        handle: (request) => new Promise((resolve) => setImmediate(() => resolve(request))),
      },
      /** "13:text" answers status 13 with that text. */
      Fail: {
        kind: "unary",
        handle: (request) => {
          const [status, ...message] = text(request).split(":");
          throw new RpcError(Number(status) as GrpcStatus, message.join(":"));
        },
      },
      FailLater: {
        kind: "unary",
        handle: (request) => {
          const [status, ...message] = text(request).split(":");
          return Promise.reject(new RpcError(Number(status) as GrpcStatus, message.join(":")));
        },
      },
      Metadata: {
        kind: "unary",
        handle: (request, call) => utf8(call.metadata(text(request)) ?? "(none)"),
      },
      Hang: {
        kind: "unary",
        handle: (_request, call) => {
          note(call);
          return new Promise(() => {});
        },
      },
      /** "count:size" answers count messages of size bytes, waiting for drain. */
      Download: { kind: "stream", handle: download },
      /** Adds up what the client sends; answers "messages:bytes" at half-close. */
      Upload: { kind: "stream", handle: upload },
      Chat: { kind: "stream", handle: (call) => chat(call, seen) },
      /** Writes one message, then fails. */
      FailStream: {
        kind: "stream",
        handle: (call) => {
          call.onMessage((message) => {
            call.write(message);
            call.end(new RpcError(9, "after one"));
          });
        },
      },
      /** Fails before any message. */
      RefuseStream: {
        kind: "stream",
        handle: (call) => call.end(new RpcError(7, "not you")),
      },
      Control: {
        kind: "stream",
        handle: (call) => {
          note(call);
          seen.streams.push(call);
        },
      },
    },
  };
}

function download(call: StreamCall): void {
  call.onMessage((request) => {
    const [count = 0, size = 0] = fromUtf8(request).split(":").map(Number);
    let sent = 0;
    const pump = (): void => {
      while (sent < count) {
        const message = new Uint8Array(size).fill(sent % 251);
        sent++;
        if (!call.write(message) && sent < count) {
          return;
        }
      }
      call.end();
    };
    call.onDrain(pump);
    pump();
  });
}

function upload(call: StreamCall): void {
  let messages = 0;
  let bytes = 0;
  call.onMessage((message) => {
    messages++;
    bytes += message.length;
  });
  call.onHalfClose(() => {
    call.write(utf8(`${messages}:${bytes}`));
    call.end();
  });
}

function chat(call: StreamCall, seen: Seen): void {
  seen.calls.push(call);
  call.onCancel(() => seen.cancelled.push(call.path));
  call.onMessage((message) => call.write(message));
  call.onHalfClose(() => call.end());
}

export interface Harness {
  readonly port: ClientPort;
  readonly address: string;
  readonly portNumber: number;
  readonly seen: Seen;
  client(options?: ChannelOptions): RawClient;
  close(): Promise<void>;
}

export async function startServer(
  kind: GrpcServerKind,
  options: Partial<GrpcServerOptions> = {},
  portOptions: Partial<ClientPortOptions> = {},
): Promise<Harness> {
  const seen: Seen = { cancelled: [], ended: [], streams: [], calls: [] };
  const grpc = createGrpcServer(kind, {
    receiveMessageBytesMax: 2 * 1024 * 1024,
    concurrentStreamsMax: 1_024,
    keepAliveMinTimeMs: 5_000,
    keepAliveIntervalMs: 7_200_000,
    keepAliveTimeoutMs: 20_000,
    onCallEnd: (path, status) => seen.ended.push({ path, status }),
    ...options,
  });
  grpc.register(testService(seen));
  const port = new ClientPort({
    ...clientPortLimits,
    grpc,
    http: undefined,
    tls: undefined,
    ...portOptions,
  });
  const plaintext = portOptions.tls === undefined;
  const bound = await port.listen({ host: "127.0.0.1", port: 0, plaintext, tls: !plaintext });
  const address = `127.0.0.1:${bound.port}`;
  const clients: RawClient[] = [];
  return {
    port,
    address,
    portNumber: bound.port,
    seen,
    client(channelOptions) {
      const client = new RawClient(address, channelOptions);
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) {
        client.close();
      }
      await port.close(200);
    },
  };
}

export class RawClient {
  readonly raw: Client;

  constructor(
    address: string,
    options: ChannelOptions = {},
    credential = credentials.createInsecure(),
  ) {
    this.raw = new Client(address, credential, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      ...options,
    });
  }

  /** Rejects with grpc-js's ServiceError. */
  unary(
    method: string,
    request: Uint8Array | string,
    options: CallOptions = {},
    metadata = new Metadata(),
  ): Promise<Buffer> {
    const bytes = typeof request === "string" ? utf8(request) : request;
    const path = method.startsWith("/") ? method : `/test.Echo/${method}`;
    return new Promise((resolve, reject) => {
      this.raw.makeUnaryRequest(
        path,
        toBuffer,
        (reply: Buffer) => reply,
        bytes,
        metadata,
        options,
        (error: ServiceError | null, reply?: Buffer) =>
          error === null ? resolve(reply ?? Buffer.alloc(0)) : reject(error),
      );
    });
  }

  stream(method: string, options: CallOptions = {}): ClientDuplexStream<Uint8Array, Buffer> {
    return this.raw.makeBidiStreamRequest(
      `/test.Echo/${method}`,
      toBuffer,
      (reply: Buffer) => reply,
      new Metadata(),
      options,
    );
  }

  close(): void {
    this.raw.close();
  }
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A TCP proxy whose connections can be cut, for clients that vanish. */
export async function startProxy(target: number): Promise<{
  readonly address: string;
  cut(): void;
  close(): void;
}> {
  const sockets = new Set<Socket>();
  const listener = createServer((inner) => {
    const outer = connect(target, "127.0.0.1");
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    inner.pipe(outer);
    outer.pipe(inner);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of sockets) {
      socket.destroy();
    }
    sockets.clear();
  };
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    cut,
    close() {
      cut();
      listener.close();
    },
  };
}

/** The failure of a call, which must fail. */
export async function failureOf(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("the call was expected to fail");
}

/** All messages of a stream and the status that ended it. */
export function collect(
  stream: ClientDuplexStream<Uint8Array, Buffer>,
): Promise<{ messages: Buffer[]; code: number; details: string }> {
  const messages: Buffer[] = [];
  return new Promise((resolve) => {
    stream.on("data", (message: Buffer) => messages.push(message));
    stream.on("error", () => {});
    stream.on("status", (status) =>
      resolve({ messages, code: status.code, details: status.details }),
    );
  });
}

/** Resolves when `condition` holds; fails after `timeoutMs`. */
export async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) {
      throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
