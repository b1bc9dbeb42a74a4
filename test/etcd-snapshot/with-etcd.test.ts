// Backups on their way between Quorate and a real etcd 3.4, in both directions.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ClusterProcesses } from "../support/processes.ts";
import { EtcdServer, etcdctl, etcdInstalled, restoreIntoEtcd } from "./etcd-tools.ts";
import { readHistory, writeHistory } from "./history.ts";

const operations = 4_000;

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "quorate-snapshot-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
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
      const file = join(directory, "quorate.db");
      await etcdctl(`--endpoints=${endpoint}`, "snapshot", "save", file);
      // This runs bbolt's own check of every page, and names the newest revision.
      const status = await etcdctl("snapshot", "status", file, "-w=json");
      expect(JSON.parse(status)).toMatchObject({ revision: written.revision });
      await using etcd = await EtcdServer.start(await restoreIntoEtcd(file, directory));
      expect(await readHistory(etcd.endpoint, written)).toEqual(shown);
      // Writing makes bbolt split and merge the pages that we made.
      const more = await writeHistory(etcd.endpoint, seed + 1, 1_000);
      expect(more.revision).toBeGreaterThan(written.revision + 500);
      const again = join(directory, "etcd.db");
      await etcdctl(`--endpoints=${etcd.endpoint}`, "snapshot", "save", again);
      await etcdctl("snapshot", "status", again);
    });
  }, 120_000);
});
