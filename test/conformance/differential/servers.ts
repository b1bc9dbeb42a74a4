// The two servers that get the same requests: a member of ours and Debian's etcd.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { freePorts } from "../../support/ports.ts";
import { withTimeout } from "../../support/processes.ts";

export function etcdInstalled(): boolean {
  const installed = spawnSync("etcd", ["--version"]).status === 0;
  if (!installed && process.env["CI"] === "true") {
    throw new Error("etcd must be installed under CI");
  }
  return installed;
}

/** A single etcd in a process of its own; `await using` stops it and removes its data. */
export class EtcdProcess {
  readonly endpoint: string;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(endpoint: string, child: ChildProcess, directory: string) {
    this.endpoint = endpoint;
    this.#child = child;
    this.#directory = directory;
  }

  static async start(flags: readonly string[] = []): Promise<EtcdProcess> {
    const directory = await mkdtemp(join(tmpdir(), "quorate-etcd-"));
    const [clientPort, peerPort] = await freePorts(2);
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const child = spawn(
      "etcd",
      [
        `--data-dir=${directory}`,
        `--listen-client-urls=${clientUrl}`,
        `--advertise-client-urls=${clientUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
        ...flags,
      ],
      { stdio: "ignore" },
    );
    return new EtcdProcess(`127.0.0.1:${clientPort}`, child, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGKILL");
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export type Outcome =
  | { readonly kind: "reply"; readonly bytes: Uint8Array }
  | { readonly kind: "error"; readonly code: number; readonly message: string };

function same(bytes: Buffer): Buffer {
  return bytes;
}

/** Messages in raw bytes, both ways; all that came are kept. */
export class ByteStream {
  readonly replies: Uint8Array[] = [];
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  #ended: Error | undefined;
  #wake: () => void = () => {};

  constructor(call: ClientDuplexStream<Buffer, Buffer>) {
    this.#call = call;
    call.on("data", (bytes: Buffer) => {
      this.replies.push(bytes);
      this.#wake();
    });
    call.on("error", (error) => {
      this.#ended = error;
      this.#wake();
    });
  }

  send(message: Uint8Array): void {
    this.#call.write(Buffer.from(message));
  }

  /** Resolves once `check` holds; rejects when the stream fails or 20 s pass. */
  async until(check: (replies: readonly Uint8Array[]) => boolean): Promise<void> {
    while (!check(this.replies)) {
      if (this.#ended !== undefined) {
        throw this.#ended;
      }
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await withTimeout(woken, 20_000, () => "nothing came on a stream");
    }
  }

  cancel(): void {
    this.#call.cancel();
  }
}

/** Calls in raw bytes. */
export class RawClient {
  readonly #client: Client;

  constructor(endpoint: string) {
    this.#client = new Client(endpoint, credentials.createInsecure());
  }

  /** Resolves once the server takes connections. */
  untilReady(waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + waitMs, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  }

  call(path: string, request: Uint8Array, token?: string): Promise<Outcome> {
    const metadata = new Metadata();
    if (token !== undefined) {
      metadata.set("token", token);
    }
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        same,
        same,
        Buffer.from(request),
        metadata,
        { deadline: Date.now() + 10_000 },
        (error: ServiceError | null, bytes: Buffer | undefined) =>
          resolve(
            error === null && bytes !== undefined
              ? { kind: "reply", bytes }
              : { kind: "error", code: error?.code ?? -1, message: error?.details ?? "" },
          ),
      );
    });
  }

  stream(path: string): ByteStream {
    return new ByteStream(this.#client.makeBidiStreamRequest(path, same, same, new Metadata()));
  }

  /** A stream of one request; its one reply. */
  async streamCall(path: string, request: Uint8Array): Promise<Outcome> {
    const stream = this.stream(path);
    stream.send(request);
    try {
      await stream.until((replies) => replies.length > 0);
      return { kind: "reply", bytes: stream.replies[0] ?? new Uint8Array() };
    } catch (error) {
      const { code, details } = error as ServiceError;
      return { kind: "error", code, message: details };
    } finally {
      stream.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
