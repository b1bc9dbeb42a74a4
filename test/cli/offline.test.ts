// What etcdutl does: hashkv, restore with a log elsewhere, defrag and migrate, on files.

import { execFile } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writeHistory } from "../etcd-snapshot/history.ts";
import type { Written } from "../etcd-snapshot/history.ts";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

// Each runs several processes, one after the other.
vi.setConfig({ testTimeout: 90_000 });

const script = new URL("../../dist/cli/quoratectl.js", import.meta.url).pathname;
const run = promisify(execFile);

let directory: string;
let cluster: ClusterProcesses;
let member: MemberProcess;
let file: string;
let written: Written;
/** What the member says of its newest revision, and of one in the middle. */
let hashes: { readonly newest: number; readonly middle: number };
let middle: number;

async function quoratectl(...args: string[]): Promise<string> {
  return (await run(process.execPath, [script, ...args])).stdout;
}

async function failing(...args: string[]): Promise<{ code: number; stderr: string }> {
  return run(process.execPath, [script, ...args]).then(
    () => ({ code: 0, stderr: "" }),
    (error: unknown) => error as { code: number; stderr: string },
  );
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-offline-"));
  file = join(directory, "saved.db");
  cluster = await ClusterProcesses.start(1);
  member = cluster.members[0] as MemberProcess;
  written = await writeHistory(member.endpoint, 21, 2_000);
  middle = written.compacted + ((written.revision - written.compacted) >> 1);
  const client = new KvClient(member.endpoint);
  hashes = {
    newest: (await client.hashKv()).hash,
    middle: (await client.hashKv(middle)).hash,
  };
  client.close();
  await quoratectl(`--endpoints=${member.endpoint}`, "snapshot", "save", file);
  await member.stop("SIGKILL");
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("hashkv of a snapshot and of a killed member's data is what the member said", async () => {
  const { revision, compacted } = written;
  for (const path of [file, member.options.dataDirectory]) {
    expect(await quoratectl("hashkv", path)).toBe(`${hashes.newest}, ${revision}, ${compacted}\n`);
    const json = await quoratectl("hashkv", path, `--rev=${middle}`, "-w=json");
    expect(JSON.parse(json)).toEqual({
      hash: hashes.middle,
      hashRevision: middle,
      compactRevision: compacted,
    });
  }
  const old = await failing("hashkv", file, `--rev=${compacted - 1}`);
  expect(old.code).toBe(1);
  expect(old.stderr).toContain(`history goes from ${compacted} to ${revision}`);
  expect((await failing("hashkv", join(directory, "absent"))).stderr).toContain("no such file");
});

test("a restore puts the log where --wal-dir says, and the member starts on it", async () => {
  const data = join(directory, "apart");
  const logs = join(directory, "logs");
  const { peerPort } = member.options;
  await quoratectl(
    "snapshot",
    "restore",
    file,
    `--data-dir=${data}`,
    `--wal-dir=${logs}`,
    "--initial-memory-map-size=1024",
    "--name=node1",
    `--initial-cluster=node1=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
  );
  expect(lstatSync(join(data, "wal")).isSymbolicLink()).toBe(true);
  expect(lstatSync(join(logs, "wal")).isDirectory()).toBe(true);
  const [restored] = (await ClusterProcesses.create(1)).members;
  const moved = restored as MemberProcess;
  Object.assign(moved.options, { dataDirectory: data, peerPort, flags: [] });
  await moved.start();
  const client = new KvClient(moved.endpoint);
  expect((await client.hashKv()).hash).toBe(hashes.newest);
  await client.put("after", "restore");
  client.close();
  await moved.stop("SIGKILL");
  const checked = await quoratectl("hashkv", data);
  expect(checked).toContain(`, ${written.revision + 1}, ${written.compacted}`);
});

test("defrag --data-dir works on a stopped member only, and keeps what is there", async () => {
  const { dataDirectory } = member.options;
  expect(await quoratectl("defrag", `--data-dir=${dataDirectory}`)).toContain(
    `Finished defragmenting the data in ${dataDirectory}`,
  );
  expect(await quoratectl("hashkv", dataDirectory)).toContain(`${hashes.newest}, `);
  await member.start();
  const { code, stderr } = await failing("defrag", `--data-dir=${dataDirectory}`);
  expect(code).toBe(1);
  expect(stderr).toContain(`is in use by process ${member.pid}`);
  await member.stop("SIGTERM");
});

test("migrate says that there is nothing to do, and what to do with etcd's data", async () => {
  const own = ["migrate", `--data-dir=${member.options.dataDirectory}`];
  expect(await quoratectl(...own, "--target-version=3.5")).toContain("Nothing to do");
  expect(await failing(...own, "--target-version=x")).toMatchObject({ code: 128 });
  const foreign = join(directory, "etcd");
  mkdirSync(join(foreign, "member"), { recursive: true });
  const { stderr } = await failing("migrate", `--data-dir=${foreign}`, "--target-version=3.5");
  expect(stderr).toContain(`quoratectl snapshot restore ${foreign}/member/snap/db`);
});
