// Debian's etcd and etcdctl 3.4, for backups on their way between the two systems.

import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { credentials, Client } from "@grpc/grpc-js";
import { freePorts } from "../support/ports.ts";

const run = promisify(execFile);

/** Whether both are there. With CI=true they must be, so that no test is passed over unseen. */
export function etcdInstalled(): boolean {
  const found = ["etcd", "etcdctl"].every((name) => spawnSync(name, ["--version"]).status !== null);
  if (!found) {
    if (process.env["CI"] === "true") {
      throw new Error("etcd and etcdctl are not installed");
    }
    process.stderr.write("etcd and etcdctl are not installed: their tests are skipped\n");
  }
  return found;
}

/** What a command of etcdctl prints. */
export async function etcdctl(...args: string[]): Promise<string> {
  const { stdout } = await run("etcdctl", args, {
    env: { ...process.env, ETCDCTL_API: "3" },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** A single etcd on a data directory; `await using` stops it. */
export class EtcdServer {
  readonly endpoint: string;
  readonly #child: ChildProcess;

  private constructor(endpoint: string, child: ChildProcess) {
    this.endpoint = endpoint;
    this.#child = child;
  }

  /** An empty directory makes a new cluster. `flags` are for an etcd that was restored. */
  static async start(dataDirectory: string, flags: readonly string[] = []): Promise<EtcdServer> {
    const [clientPort, peerPort] = await freePorts(2);
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const child = spawn(
      "etcd",
      [
        `--data-dir=${dataDirectory}`,
        `--listen-client-urls=${clientUrl}`,
        `--advertise-client-urls=${clientUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
        "--logger=zap",
        ...flags,
      ],
      { stdio: "ignore" },
    );
    const endpoint = `127.0.0.1:${clientPort}`;
    await untilReachable(endpoint);
    return new EtcdServer(endpoint, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await ended;
    }
  }
}

async function untilReachable(endpoint: string): Promise<void> {
  const client = new Client(endpoint, credentials.createInsecure());
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve()));
  });
  client.close();
}

/** Makes a data directory of etcd from a snapshot. */
export async function restoreIntoEtcd(file: string, directory: string): Promise<string> {
  const dataDirectory = join(directory, "etcd-restored");
  await etcdctl("snapshot", "restore", file, `--data-dir=${dataDirectory}`);
  return dataDirectory;
}
