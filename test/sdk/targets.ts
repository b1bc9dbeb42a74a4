// What the suite of the client runs against: Quorate, and etcd where it is installed. One node.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClientError } from "../../src/client/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses } from "../support/processes.ts";

export const targetNames = ["quorate", "etcd"] as const;
export type TargetName = (typeof targetNames)[number];

/** A running store; `await using` stops it and removes its data. */
export interface Target extends AsyncDisposable {
  readonly endpoints: readonly string[];
  /** Kills it and starts it again on its data. */
  restart(): Promise<void>;
}

/** Whether `name` can be started here. */
export function isInstalled(name: TargetName): boolean {
  return name === "quorate" || spawnSync("etcd", ["--version"]).status === 0;
}

export async function startTarget(name: TargetName): Promise<Target> {
  return name === "quorate" ? await startQuorate() : await startEtcd();
}

async function startQuorate(): Promise<Target> {
  const cluster = await ClusterProcesses.start(1);
  const [member] = cluster.members;
  return {
    endpoints: cluster.endpoints,
    restart: async () => {
      await member?.stop("SIGKILL");
      await member?.start();
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

async function startEtcd(): Promise<Target> {
  const [clientPort, peerPort] = await freePorts(2);
  const directory = mkdtempSync(join(tmpdir(), "quorate-etcd-"));
  const [clientUrl, peerUrl] = [clientPort, peerPort].map((port) => `http://127.0.0.1:${port}`);
  const args = [
    `--data-dir=${directory}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
  ];
  const endpoint = `127.0.0.1:${clientPort}`;
  let child = spawn("etcd", args, { stdio: "ignore" });
  await answering(endpoint);
  return {
    endpoints: [endpoint],
    restart: async () => {
      await stopped(child);
      child = spawn("etcd", args, { stdio: "ignore" });
      await answering(endpoint);
    },
    [Symbol.asyncDispose]: async () => {
      await stopped(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function answering(endpoint: string): Promise<void> {
  await using store = new Quorate({ endpoints: [endpoint], dialTimeoutMs: 20_000 });
  // A call that is answered whether or not authentication is on.
  await store.client
    .authenticate({ name: "nobody" }, { timeoutMs: 20_000 })
    .catch((error: unknown) => {
      if (!(error instanceof ClientError) || error.code === undefined) {
        throw error;
      }
    });
}

async function stopped(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await ended;
}
