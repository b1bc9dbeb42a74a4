// Real members for tests: the built server, each in its own process and data directory, on
// loopback ports. Everything started here is stopped by its own process id.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";

const serverScript = new URL("../../dist/cli/quorate.cjs", import.meta.url).pathname;

export interface MemberOptions {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly dataDirectory: string;
  readonly flags: readonly string[];
  /** Added to the environment of the tests. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/** One server process, which may be killed and started again on the same data. */
export class MemberProcess {
  readonly options: MemberOptions;
  #child: ChildProcess | undefined;
  #log = "";

  constructor(options: MemberOptions) {
    this.options = options;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.options.clientPort}`;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Everything that this member has printed, over all its lives. */
  get log(): string {
    return this.#log;
  }

  /** Starts the process; `ready` resolves when it says that it serves. */
  async start(options: { readonly waitMs?: number } = {}): Promise<void> {
    const { name, clientPort, peerPort, dataDirectory, flags, environment } = this.options;
    const child = spawn(
      process.execPath,
      [
        serverScript,
        `--name=${name}`,
        `--data-dir=${dataDirectory}`,
        `--listen-client-urls=http://127.0.0.1:${clientPort}`,
        `--advertise-client-urls=http://127.0.0.1:${clientPort}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
        ...flags,
      ],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } },
    );
    this.#child = child;
    const ready = this.#watch(child);
    await withTimeout(
      ready,
      options.waitMs ?? 40_000,
      () => `${name} did not start:\n${this.#log}`,
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Sends `signal` and resolves when the process has ended. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined) {
      return;
    }
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    await withTimeout(ended, 20_000, () => `${this.options.name} did not stop:\n${this.#log}`);
  }

  #watch(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const onText = (text: Buffer): void => {
        this.#log += text.toString();
        if (text.includes("ready to serve client requests")) {
          resolve();
        }
      };
      child.stdout?.on("data", onText);
      child.stderr?.on("data", onText);
      child.once("exit", (code, signal) => {
        if (this.#child === child) {
          this.#child = undefined;
        }
        reject(new Error(`${this.options.name} ended (${code ?? signal}):\n${this.#log}`));
      });
    });
  }
}

/** Some members of one cluster. `await using` stops them and removes their data. */
export class ClusterProcesses {
  readonly members: readonly MemberProcess[];
  readonly #directory: string;

  private constructor(members: readonly MemberProcess[], directory: string) {
    this.members = members;
    this.#directory = directory;
  }

  static async create(size: number, flags: readonly string[] = []): Promise<ClusterProcesses> {
    const directory = await mkdtemp(join(tmpdir(), "quorate-test-"));
    const ports = await freePorts(size * 2);
    const names = Array.from({ length: size }, (_, i) => `node${i + 1}`);
    const initialCluster = names
      .map((name, i) => `${name}=http://127.0.0.1:${ports[size + i]}`)
      .join(",");
    const members = names.map(
      (name, i) =>
        new MemberProcess({
          name,
          clientPort: ports[i] as number,
          peerPort: ports[size + i] as number,
          dataDirectory: join(directory, name),
          flags: [`--initial-cluster=${initialCluster}`, ...flags],
        }),
    );
    return new ClusterProcesses(members, directory);
  }

  static async start(size: number, flags: readonly string[] = []): Promise<ClusterProcesses> {
    const cluster = await ClusterProcesses.create(size, flags);
    try {
      await Promise.all(cluster.members.map((member) => member.start()));
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  get endpoints(): string[] {
    return this.members.map((member) => member.endpoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop("SIGKILL")));
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export async function withTimeout<T>(
  promise: Promise<T>,
  ms: number,
  message: () => string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
