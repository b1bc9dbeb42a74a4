// What the suite of the client runs against: Quorate, and etcd where it is installed. One node.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Quorate } from "../../src/sdk/index.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses } from "../support/processes.ts";

export const targetNames = ["quorate", "etcd"] as const;
export type TargetName = (typeof targetNames)[number];

/** A running store; `await using` stops it and removes its data. */
export interface Target extends AsyncDisposable {
  readonly endpoints: readonly string[];
}

/** Whether `name` can be started here. */
export function isInstalled(name: TargetName): boolean {
  return name === "quorate" || spawnSync("etcd", ["--version"]).status === 0;
}

export async function startTarget(name: TargetName): Promise<Target> {
  return name === "quorate" ? await ClusterProcesses.start(1) : await startEtcd();
}

async function startEtcd(): Promise<Target> {
  const [clientPort, peerPort] = await freePorts(2);
  const directory = mkdtempSync(join(tmpdir(), "quorate-etcd-"));
  const [clientUrl, peerUrl] = [clientPort, peerPort].map((port) => `http://127.0.0.1:${port}`);
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
  const endpoint = `127.0.0.1:${clientPort}`;
  await answering(endpoint);
  return {
    endpoints: [endpoint],
    [Symbol.asyncDispose]: async () => {
      await stopped(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function answering(endpoint: string): Promise<void> {
  await using store = new Quorate({ endpoints: [endpoint], dialTimeoutMs: 20_000 });
  await store.get("ready", { timeoutMs: 20_000 });
}

async function stopped(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await ended;
}
