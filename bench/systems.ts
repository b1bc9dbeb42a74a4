// The systems under test, each a cluster of real processes on loopback, with what they cost.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RangeRequest, StatusRequest, StatusResponse } from "../src/wire/index.ts";
import { LoadConnection } from "./load/connection.ts";

export type SystemName = "quorate" | "etcd";

const serverScript = new URL("../dist/cli/quorate.cjs", import.meta.url).pathname;
const ticksPerSecond = 100;
const pageBytes = 4096;

export function hasEtcd(): boolean {
  return spawnSync("etcd", ["--version"]).status === 0;
}

export function etcdVersion(): string {
  return execFileSync("etcd", ["--version"]).toString().split("\n")[0] ?? "";
}

export interface Usage {
  /** Of all members since their start, seconds. */
  readonly cpuSeconds: number;
  /** Of the largest member, bytes. */
  readonly residentBytes: number;
}

interface Node {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

export class System {
  readonly name: SystemName;
  /** The leader's first, so that a row with one request in flight meets the leader of both. */
  endpoints: readonly string[];
  readonly size: number;
  readonly #nodes: readonly Node[];
  readonly #directory: string;
  readonly #flags: readonly string[];
  /** For Node itself, such as --cpu-prof. */
  readonly #nodeFlags: readonly string[];
  #children: ChildProcess[] = [];
  #peakResidentBytes = 0;

  private constructor(
    name: SystemName,
    nodes: readonly Node[],
    directory: string,
    flags: readonly string[],
    nodeFlags: readonly string[],
  ) {
    this.name = name;
    this.size = nodes.length;
    this.#nodes = nodes;
    this.#directory = directory;
    this.#flags = flags;
    this.#nodeFlags = nodeFlags;
    this.endpoints = nodes.map((node) => `127.0.0.1:${node.clientPort}`);
  }

  /** Tries again when one does not start: a port that was free a moment ago may be taken. */
  static async start(
    name: SystemName,
    size: number,
    flags: readonly string[] = [],
    nodeFlags: readonly string[] = [],
    triesLeft = 3,
  ): Promise<System> {
    const directory = await mkdtemp(join(tmpdir(), `bench-${name}-`));
    const nodes: Node[] = [];
    for (let i = 1; i <= size; i++) {
      nodes.push({ name: `n${i}`, clientPort: await freePort(), peerPort: await freePort() });
    }
    const system = new System(name, nodes, directory, flags, nodeFlags);
    try {
      await system.launch();
    } catch (error) {
      await system.stop();
      if (triesLeft === 0) {
        throw error;
      }
      return System.start(name, size, flags, nodeFlags, triesLeft - 1);
    }
    return system;
  }

  /** Starts every member and waits for an answer. */
  async launch(): Promise<void> {
    const cluster = this.#nodes.map((n) => `${n.name}=http://127.0.0.1:${n.peerPort}`).join(",");
    this.#children = this.#nodes.map((node) => {
      const client = `http://127.0.0.1:${node.clientPort}`;
      const peer = `http://127.0.0.1:${node.peerPort}`;
      const flags = [
        `--name=${node.name}`,
        `--data-dir=${join(this.#directory, node.name)}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=${cluster}`,
        "--quota-backend-bytes=8589934592",
        "--log-level=error",
        ...(this.name === "etcd" ? ["--logger=zap"] : this.#flags),
      ];
      const said = openSync(join(this.#directory, `${node.name}.log`), "a");
      const [command, args] =
        this.name === "etcd"
          ? ["etcd", flags]
          : [process.execPath, [...this.#nodeFlags, serverScript, ...flags]];
      const child = spawn(command, args, { stdio: ["ignore", said, said] });
      closeSync(said);
      return child;
    });
    await this.firstAnswer();
    this.endpoints = await leaderFirst(this.endpoints);
  }

  /** Resolves when every member has answered a linearizable read. */
  async firstAnswer(): Promise<void> {
    const message = RangeRequest.encode(RangeRequest.create({ key: Uint8Array.of(1) }));
    for (const endpoint of this.endpoints) {
      const untilMs = performance.now() + 60_000;
      while (!(await answers(endpoint, message))) {
        if (performance.now() > untilMs) {
          throw new Error(`${this.name} at ${endpoint} does not answer`);
        }
        // Throws for a member that has ended.
        this.usage();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  usage(): Usage {
    let cpuSeconds = 0;
    let residentBytes = 0;
    for (const [i, child] of this.#children.entries()) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`member ${i + 1} of ${this.name} has ended: ${this.#lastWords(i)}`);
      }
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ");
      cpuSeconds += (Number(fields?.[11]) + Number(fields?.[12])) / ticksPerSecond;
      residentBytes = Math.max(residentBytes, Number(fields?.[21]) * pageBytes);
    }
    this.#peakResidentBytes = Math.max(this.#peakResidentBytes, residentBytes);
    return { cpuSeconds, residentBytes };
  }

  #lastWords(member: number): string {
    const name = this.#nodes[member]?.name ?? "";
    return readFileSync(join(this.#directory, `${name}.log`), "utf8").slice(-2_000);
  }

  /** The most that any member ever took, as far as the kernel remembers and `usage` has seen. */
  get peakResidentBytes(): number {
    let peak = this.#peakResidentBytes;
    for (const child of this.#children) {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024);
    }
    return peak;
  }

  /** The process that led when the members were started. */
  leaderPid(): number {
    const port = Number(this.endpoints[0]?.split(":")[1]);
    return this.#children[this.#nodes.findIndex((node) => node.clientPort === port)]?.pid ?? 0;
  }

  /** Ends every process with `signal`; the data stays. */
  async halt(signal: NodeJS.Signals): Promise<void> {
    await Promise.all(
      this.#children.map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) {
              resolve();
              return;
            }
            child.once("exit", () => resolve());
            child.kill(signal);
          }),
      ),
    );
    this.#children = [];
  }

  async stop(): Promise<void> {
    await this.halt("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function leaderFirst(endpoints: readonly string[]): Promise<string[]> {
  const leads = await Promise.all(endpoints.map(isLeader));
  return [...endpoints].sort(
    (a, b) => Number(leads[endpoints.indexOf(b)]) - Number(leads[endpoints.indexOf(a)]),
  );
}

async function isLeader(endpoint: string): Promise<boolean> {
  const [host, port] = endpoint.split(":") as [string, string];
  const connection = await LoadConnection.open(host, Number(port), true);
  const reply = await new Promise<readonly Buffer[] | undefined>((resolve) => {
    const message = StatusRequest.encode({});
    connection.call("/etcdserverpb.Maintenance/Status", message, resolve);
  });
  connection.close();
  const status = StatusResponse.decode(Buffer.concat(reply ?? []).subarray(5));
  return status.leader === status.header?.memberId;
}

async function answers(endpoint: string, message: Uint8Array): Promise<boolean> {
  const [host, port] = endpoint.split(":") as [string, string];
  let connection: LoadConnection;
  try {
    connection = await LoadConnection.open(host, Number(port));
  } catch {
    return false;
  }
  const answered = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), 1_000);
    connection.call("/etcdserverpb.KV/Range", message, (reply) => {
      clearTimeout(timer);
      resolve(reply !== undefined);
    });
  });
  const result = await answered;
  connection.close();
  return result;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
