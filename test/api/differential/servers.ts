// The two servers that get the same requests: a member of ours and Debian's etcd.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { freePorts } from "../../support/ports.ts";

export function etcdInstalled(): boolean {
  return spawnSync("etcd", ["--version"]).status === 0;
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

  static async start(): Promise<EtcdProcess> {
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
      ],
      { stdio: "ignore" },
    );
    return new EtcdProcess(`127.0.0.1:${clientPort}`, child, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export type Outcome =
  | { readonly kind: "reply"; readonly bytes: Uint8Array }
  | { readonly kind: "error"; readonly code: number; readonly message: string };

/** Unary calls in raw bytes. */
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

  call(path: string, request: Uint8Array): Promise<Outcome> {
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        same,
        same,
        Buffer.from(request),
        new Metadata(),
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

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
