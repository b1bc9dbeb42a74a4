// quoratectl's snapshot verbs beside etcdctl's, on the same server and the same files.

import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClusterProcesses } from "../support/processes.ts";
import { etcdctl, etcdInstalled } from "./etcd-tools.ts";
import { writeHistory } from "./history.ts";

const script = new URL("../../dist/cli/quoratectl.js", import.meta.url).pathname;
const run = promisify(execFile);

let directory: string;
let cluster: ClusterProcesses;
let file: string;

async function quoratectl(...args: string[]): Promise<string> {
  return (await run(process.execPath, [script, ...args])).stdout;
}

function failing(...args: string[]): { readonly exit: number | null; readonly error: string } {
  const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { exit: status, error: stderr };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "quorate-ctl-"));
  file = join(directory, "saved.db");
  cluster = await ClusterProcesses.start(1);
  await writeHistory(cluster.endpoints[0] as string, 11, 1_000);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test("save writes the whole file or none", async () => {
  const endpoint = `--endpoints=${cluster.endpoints[0]}`;
  expect(await quoratectl(endpoint, "snapshot", "save", file)).toBe(`Snapshot saved at ${file}\n`);
  expect((await readFile(file)).length % 512).toBe(32);
  expect(existsSync(`${file}.part`)).toBe(false);
  const several = failing("--endpoints=a:1,b:2", "snapshot", "save", join(directory, "no.db"));
  expect(several.exit).toBe(128);
  expect(several.error).toContain("snapshot must be requested to one selected node");
  const nobody = failing("--endpoints=127.0.0.1:1", "snapshot", "save", join(directory, "no.db"));
  // As etcdctl ends whatever stops a save.
  expect(nobody.exit).toBe(5);
  expect(existsSync(join(directory, "no.db.part"))).toBe(false);
});

describe.skipIf(!etcdInstalled())("status", () => {
  for (const form of ["simple", "table", "json", "fields"]) {
    test(`prints what etcdctl prints, as ${form}`, async () => {
      const args = ["snapshot", "status", file, `--write-out=${form}`];
      expect(await quoratectl(...args)).toBe(await etcdctl(...args));
    });
  }
});

test.skipIf(!etcdInstalled())("defrag prints what etcdctl prints", async () => {
  const args = [`--endpoints=${cluster.endpoints[0]}`, "defrag"];
  expect(await quoratectl(...args)).toBe(await etcdctl(...args));
});

test("restore makes a directory that a server starts on", async () => {
  await using restored = await ClusterProcesses.create(1);
  const member = restored.members[0] ?? expect.fail("a member");
  const { dataDirectory, name, peerPort } = member.options;
  const url = `http://127.0.0.1:${peerPort}`;
  const printed = await quoratectl(
    "snapshot",
    "restore",
    file,
    `--data-dir=${dataDirectory}`,
    `--name=${name}`,
    `--initial-cluster=${name}=${url}`,
    `--initial-advertise-peer-urls=${url}`,
  );
  expect(printed).toMatch(/^Restored .* at revision \d+\n$/);
  await member.start();
  const get = (endpoint: string | undefined): Promise<string> =>
    quoratectl(`--endpoints=${endpoint}`, "get", "key/", "key0");
  expect(await get(member.endpoint)).toBe(await get(cluster.endpoints[0]));
});

test("restore refuses bad files and flags in one line", async () => {
  const dataDirectory = join(directory, "refused");
  const restore = (...args: string[]): { readonly exit: number | null; readonly error: string } =>
    failing("snapshot", "restore", `--data-dir=${dataDirectory}`, ...args);
  const bump = restore(file, "--bump-revision=5");
  expect(bump).toMatchObject({ exit: 128 });
  expect(bump.error).toContain("--mark-compacted required");
  const name = restore(file, "--name=x");
  expect(name.error).toContain("couldn't find local name");
  const absent = restore(join(directory, "absent.db"));
  expect(absent.error).toMatch(/^Error: opening .*ENOENT[^\n]*\n$/);
  await truncate(file, 50_000);
  const cut = restore(file);
  expect(cut).toMatchObject({ exit: 1 });
  expect(cut.error).toMatch(/^Error: snapshot missing hash[^\n]*\n$/);
  expect(existsSync(dataDirectory)).toBe(false);
});
