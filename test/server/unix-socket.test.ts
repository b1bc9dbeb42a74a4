// Clients on a unix socket, and what a dead process leaves of it.

import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

const run = promisify(execFile);

let folder = "";
let path = "";
let cluster: ClusterProcesses;
let member: MemberProcess;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quorate-socket-"));
  path = join(folder, "clients.sock");
  // The last of the flags counts: the socket beside the port.
  const [port] = await freePorts(1);
  cluster = await ClusterProcesses.create(1, [
    `--listen-client-urls=http://127.0.0.1:${port},unix://${path}`,
    `--advertise-client-urls=unix://${path}`,
    `--listen-metrics-urls=unix://${join(folder, "metrics.sock")}`,
  ]);
  member = cluster.members[0] as MemberProcess;
  await member.start();
}, 60_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function get(socketPath: string, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: url }, (reply) => {
      let text = "";
      reply.on("data", (chunk: Buffer) => (text += chunk.toString()));
      reply.on("end", () => resolve(text));
    })
      .once("error", reject)
      .end();
  });
}

test("gRPC and HTTP are served on the socket, for its own user alone", async () => {
  const client = new KvClient(`unix:${path}`);
  await client.put("a", "1");
  expect((await client.range({ key: Buffer.from("a") })).count).toBe(1);
  client.close();
  expect(await get(path, "/health")).toBe('{"health":"true","reason":""}');
  expect(await get(join(folder, "metrics.sock"), "/metrics")).toContain("etcd_server_has_leader 1");
  expect((await stat(path)).mode & 0o077).toBe(0);
});

test("etcdctl reaches it by a unix:// endpoint", async () => {
  const { stdout } = await run("etcdctl", [`--endpoints=unix://${path}`, "get", "a"], {
    env: { ...process.env, ETCDCTL_API: "3" },
  });
  expect(stdout).toBe("a\n1\n");
});

test("over TLS too", async () => {
  const secure = join(folder, "secure.sock");
  await using other = await ClusterProcesses.start(1, [
    "--auto-tls",
    `--listen-client-urls=unixs://${secure}`,
    `--advertise-client-urls=unixs://${secure}`,
  ]);
  expect(other.members).toHaveLength(1);
  const flags = ["--insecure-transport=false", "--insecure-skip-tls-verify"];
  const { stdout } = await run(
    "etcdctl",
    [`--endpoints=unixs://${secure}`, ...flags, "put", "a", "b"],
    {
      env: { ...process.env, ETCDCTL_API: "3" },
    },
  );
  expect(stdout).toBe("OK\n");
  await expect(
    run("etcdctl", [`--endpoints=unix://${secure}`, "--command-timeout=2s", "get", "a"], {
      env: { ...process.env, ETCDCTL_API: "3" },
    }),
  ).rejects.toThrow("context deadline exceeded");
}, 60_000);

test("a socket left by a killed process is taken over, one in use is not", async () => {
  await member.stop("SIGKILL");
  expect(existsSync(path)).toBe(true);
  await member.start();
  expect(await get(path, "/health")).toContain("true");
  await member.stop();
  expect(existsSync(path)).toBe(false);

  const other = createServer();
  await new Promise<void>((resolve) => other.listen(path, resolve));
  await expect(member.start()).rejects.toThrow(`cannot listen on ${path}: the address is in use`);
  await new Promise((resolve) => other.close(resolve));
  writeFileSync(path, "somebody's file");
  await expect(member.start()).rejects.toThrow(`cannot listen on ${path}`);
  expect(existsSync(path)).toBe(true);
}, 60_000);
