// Backups on their way between Quorate and a real etcd 3.4, in both directions.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { restoreSnapshot } from "../../src/node/index.ts";
import { ClusterProcesses } from "../support/processes.ts";
import { EtcdServer, etcdctl, etcdInstalled, restoreIntoEtcd } from "./etcd-tools.ts";
import { readHistory, writeHistory } from "./history.ts";

const operations = 4_000;
const restoreDefaults = {
  token: "etcd-cluster",
  skipHashCheck: false,
  bumpRevision: 0,
  markCompacted: false,
  rng: new SeededRng(1),
};

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "quorate-snapshot-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Users and roles; what the two systems print of them is the same. */
async function addAccounts(endpoint: string): Promise<string[]> {
  const run = (...args: string[]): Promise<string> => etcdctl(`--endpoints=${endpoint}`, ...args);
  await run("role", "add", "reader");
  await run("role", "grant-permission", "reader", "read", "key/", "key0");
  await run("role", "grant-permission", "reader", "readwrite", "one");
  await run("user", "add", "ann:secret");
  await run("user", "grant-role", "ann", "reader");
  await run("user", "add", "bot", "--no-password");
  return readAccounts(endpoint);
}

async function readAccounts(endpoint: string): Promise<string[]> {
  const commands = [
    ["user", "list"],
    ["role", "list"],
    ["role", "get", "reader"],
    ["user", "get", "ann"],
    ["user", "get", "bot"],
  ];
  return Promise.all(commands.map((args) => etcdctl(`--endpoints=${endpoint}`, ...args)));
}

describe.skipIf(!etcdInstalled())("with etcd 3.4", () => {
  test("a snapshot of Quorate, restored into etcd, shows the same history", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    await withDirectory(async (directory) => {
      await using quorate = await ClusterProcesses.start(1);
      const endpoint = quorate.endpoints[0] as string;
      const written = await writeHistory(endpoint, seed, operations);
      const shown = await readHistory(endpoint, written);
      const accounts = await addAccounts(endpoint);
      const file = join(directory, "quorate.db");
      await etcdctl(`--endpoints=${endpoint}`, "snapshot", "save", file);
      // This runs bbolt's own check of every page, and names the newest revision.
      const status = await etcdctl("snapshot", "status", file, "-w=json");
      expect(JSON.parse(status)).toMatchObject({ revision: written.revision });
      await using etcd = await EtcdServer.start(await restoreIntoEtcd(file, directory));
      expect(await readHistory(etcd.endpoint, written)).toEqual(shown);
      expect(await readAccounts(etcd.endpoint)).toEqual(accounts);
      // Writing makes bbolt split and merge the pages that we made.
      const more = await writeHistory(etcd.endpoint, seed + 1, 1_000, written);
      expect(more.revision).toBeGreaterThan(written.revision + 500);
      const again = join(directory, "etcd.db");
      await etcdctl(`--endpoints=${etcd.endpoint}`, "snapshot", "save", again);
      await etcdctl("snapshot", "status", again);
    });
  }, 120_000);

  test("a snapshot of etcd, restored into Quorate, shows the same history", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    await withDirectory(async (directory) => {
      const file = join(directory, "etcd.db");
      await using etcd = await EtcdServer.start(join(directory, "etcd"));
      const written = await writeHistory(etcd.endpoint, seed, operations);
      const shown = await readHistory(etcd.endpoint, written);
      const accounts = await addAccounts(etcd.endpoint);
      await etcdctl(`--endpoints=${etcd.endpoint}`, "snapshot", "save", file);
      await using cluster = await ClusterProcesses.create(3);
      for (const { options } of cluster.members) {
        await restoreSnapshot(file, {
          ...restoreDefaults,
          dataDirectory: options.dataDirectory,
          name: options.name,
          members: cluster.members.map((member) => ({
            name: member.options.name,
            peerUrls: [`http://127.0.0.1:${member.options.peerPort}`],
          })),
        });
      }
      await Promise.all(cluster.members.map((member) => member.start()));
      for (const endpoint of cluster.endpoints) {
        expect(await readHistory(endpoint, written)).toEqual(shown);
      }
      expect(await readAccounts(cluster.endpoints[0] as string)).toEqual(accounts);
      // And goes on from there, on the member's disk too.
      const endpoint = cluster.endpoints[0] as string;
      const more = await writeHistory(endpoint, seed + 1, 1_000, written);
      expect(more.revision).toBeGreaterThan(written.revision + 500);
      const later = await readHistory(endpoint, more);
      for (const member of cluster.members) {
        await member.stop("SIGKILL");
      }
      await Promise.all(cluster.members.map((member) => member.start()));
      expect(await readHistory(endpoint, more)).toEqual(later);
    });
  }, 120_000);
});
