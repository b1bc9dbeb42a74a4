// The server process from start to exit, on a real port and a real data directory.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, keyBytes } from "../../src/client/index.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { freePorts } from "../support/ports.ts";

const command = fileURLToPath(new URL("../../dist/cli/quorate.cjs", import.meta.url));

let folder = "";
let cluster: ClusterProcesses;
let member: MemberProcess;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quorate-lifecycle-"));
  cluster = await ClusterProcesses.create(1);
  [member] = cluster.members as [MemberProcess];
  await member.start();
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function dataDir(name: string): string {
  return `--data-dir=${join(folder, "made", name)}`;
}

/** Starts a second server that must fail; its exit code and the last line of its log. */
function startSecond(...args: string[]): { readonly status: number | null; readonly line: string } {
  const { status, stderr } = spawnSync(process.execPath, [command, ...args], {
    encoding: "utf8",
    timeout: 20_000,
  });
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  return { status, line: (JSON.parse(last) as { readonly msg: string }).msg };
}

function urls(clientPort: number, peerPort: number): string[] {
  return [
    `--listen-client-urls=http://127.0.0.1:${clientPort}`,
    `--advertise-client-urls=http://127.0.0.1:${clientPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
  ];
}

describe("a server that runs", () => {
  it("serves clients", async () => {
    await using client = connect({ endpoints: [member.endpoint] });
    await client.put({ key: keyBytes("a"), value: keyBytes("1") });
    const { count } = await client.range({ key: keyBytes("a") });
    expect(count).toBe(1);
  });

  it("has a pool of 16 threads once it is used", () => {
    // Only Linux shows the threads of a process as files.
    if (process.platform !== "linux") {
      return;
    }
    const threads = readdirSync(`/proc/${member.pid}/task`).length;
    const bare = spawnSync(process.execPath, [
      "-e",
      "console.log(require('fs').readdirSync('/proc/self/task').length)",
    ]);
    expect(threads - Number(bare.stdout.toString())).toBeGreaterThanOrEqual(16);
  });

  it("keeps others from its data directory", async () => {
    const ports = await freePorts(2);
    const { dataDirectory, name } = member.options;
    const flags = [`--name=${name}`, `--data-dir=${dataDirectory}`];
    const { status, line } = startSecond(...flags, ...urls(ports[0] ?? 0, ports[1] ?? 0));
    expect(status).toBe(1);
    expect(line).toContain(`failed to start: the data directory ${dataDirectory} is in use`);
  });

  it("keeps others from its ports", async () => {
    const [port = 0] = await freePorts(1);
    const { clientPort, peerPort } = member.options;
    const client = startSecond(dataDir("second"), ...urls(clientPort, port));
    expect(client.status).toBe(1);
    expect(client.line).toMatch(
      new RegExp(`^failed to start: cannot listen on 127.0.0.1:${clientPort}: the address is`),
    );
    const peer = startSecond(dataDir("third"), ...urls(port, peerPort));
    expect(peer.status).toBe(1);
    expect(peer.line).toMatch(
      new RegExp(`^failed to start: cannot listen on 127.0.0.1:${peerPort}: the address is`),
    );
  });

  it("stops when it is told to, and starts again on its data", async () => {
    await member.stop("SIGTERM");
    expect(member.log).toContain('"msg":"stopped"');
    await member.start();
    await using client = connect({ endpoints: [member.endpoint] });
    const { kvs } = await client.range({ key: keyBytes("a") });
    expect(kvs.map((kv) => Buffer.from(kv.value).toString())).toEqual(["1"]);
  });
});
