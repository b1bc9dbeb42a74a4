// Calls on the services as a transport would make them, without one.

import {
  type Clock,
  concatBytes,
  MetricsRegistry,
  SeededRng,
  silentLogger,
  type Timer,
} from "../../src/base/index.ts";
import { type Api, type ApiOptions, createApi } from "../../src/api/index.ts";
import type {
  CallContext,
  MethodHandler,
  ReplyBytes,
  RpcError,
  StreamCall,
} from "../../src/grpc/index.ts";
import { FakeNode } from "./fake-node.ts";

/** Time that passes when a test says so. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { dueMs: number; callback: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }
  soon(callback: () => void): void {
    setImmediate(callback);
  }
  get timers(): number {
    return this.#timers.length;
  }
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.#nowMs);
    for (const { callback } of due) {
      callback();
    }
  }
}

export interface World {
  readonly node: FakeNode;
  readonly clock: ManualClock;
  readonly metrics: MetricsRegistry;
  readonly api: Api;
  /** A unary call; resolves with the joined reply. */
  call(path: string, request: Uint8Array, metadata?: Record<string, string>): Promise<Uint8Array>;
  stream(path: string, metadata?: Record<string, string>): FakeStream;
}

export function makeWorld(options: Partial<ApiOptions> = {}): World {
  const node = new FakeNode();
  const clock = new ManualClock();
  const metrics = new MetricsRegistry();
  const api = createApi({
    handle: node,
    clock,
    rng: new SeededRng(7),
    logger: silentLogger,
    metrics,
    etcdVersion: "3.6.7",
    storageVersion: "3.6.0",
    requestBytesMax: 1024 * 1024,
    txnOpsMax: 128,
    electionTimeoutMs: 1000,
    ...options,
  });
  return {
    node,
    clock,
    metrics,
    api,
    call: async (path, request, metadata = {}) => {
      const handler = handlerOf(api, path);
      if (handler.kind !== "unary") {
        throw new Error(`${path} is a stream`);
      }
      return joined(await handler.handle(request, new FakeCall(path, metadata)));
    },
    stream: (path, metadata = {}) => {
      const handler = handlerOf(api, path);
      if (handler.kind !== "stream") {
        throw new Error(`${path} is unary`);
      }
      const call = new FakeStream(path, metadata);
      handler.handle(call);
      return call;
    },
  };
}

export function handlerOf(api: Api, path: string): MethodHandler {
  const [, serviceName, method] = path.split("/");
  const service = api.services.find(({ name }) => name === serviceName);
  const handler = service?.methods[method ?? ""];
  if (handler === undefined) {
    throw new Error(`no handler for ${path}`);
  }
  return handler;
}

export function joined(reply: ReplyBytes): Uint8Array {
  return reply instanceof Uint8Array ? reply : concatBytes(reply);
}

export class FakeCall implements CallContext {
  readonly path: string;
  readonly peer = { address: "127.0.0.1:1", certificateCommonName: undefined };
  readonly deadlineMs = undefined;
  cancelled = false;
  readonly #metadata: Record<string, string>;
  readonly #cancelCallbacks: (() => void)[] = [];

  constructor(path: string, metadata: Record<string, string> = {}) {
    this.path = path;
    this.#metadata = metadata;
  }
  metadata(name: string): string | undefined {
    return this.#metadata[name];
  }
  onCancel(callback: () => void): void {
    this.#cancelCallbacks.push(callback);
  }
  /** The client goes. */
  cancel(): void {
    this.cancelled = true;
    for (const callback of this.#cancelCallbacks) {
      callback();
    }
  }
}

export class FakeStream extends FakeCall implements StreamCall {
  readonly written: Uint8Array[] = [];
  /** How the server ended it: undefined = not yet, null = OK. */
  ended: RpcError | null | undefined;
  paused = false;
  /** Writes beyond this many are answered with "wait". */
  writesUntilFull = Number.POSITIVE_INFINITY;
  readonly queuedBytes = 0;
  #onMessage: (message: Uint8Array) => void = () => {};
  #onHalfClose: () => void = () => {};
  #onDrain: (() => void)[] = [];

  onMessage(callback: (message: Uint8Array) => void): void {
    this.#onMessage = callback;
  }
  onHalfClose(callback: () => void): void {
    this.#onHalfClose = callback;
  }
  onDrain(callback: () => void): void {
    this.#onDrain.push(callback);
  }
  write(message: ReplyBytes): boolean {
    if (this.ended === undefined && !this.cancelled) {
      this.written.push(joined(message));
    }
    return this.written.length < this.writesUntilFull;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(error?: RpcError): void {
    this.ended ??= error ?? null;
  }

  send(message: Uint8Array): void {
    this.#onMessage(message);
  }
  halfClose(): void {
    this.#onHalfClose();
  }
  drain(): void {
    this.writesUntilFull = Number.POSITIVE_INFINITY;
    for (const callback of this.#onDrain) {
      callback();
    }
  }
}

/** Lets everything that is waiting for a promise go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
