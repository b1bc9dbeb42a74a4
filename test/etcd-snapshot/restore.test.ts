// Restoring what is not whole is refused with the reason and leaves nothing behind; what can be
// asked of a restore: other revisions, all of them compacted.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { openMember, restoreSnapshot } from "../../src/node/index.ts";
import type { RestoreOptions } from "../../src/node/index.ts";
import { diskAt } from "../../src/storage/index.ts";
import { SnapshotRequest, SnapshotResponse } from "../../src/wire/index.ts";
import { Client, credentials } from "@grpc/grpc-js";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses } from "../support/processes.ts";
import type { MemberProcess } from "../support/processes.ts";
import { writeHistory } from "./history.ts";
import type { Written } from "./history.ts";

let directory: string;
let whole: Buffer;
let written: Written;
let made = 0;

/** Maintenance.Snapshot as it comes: every message checked, the blobs joined. */
async function download(endpoint: string): Promise<Buffer> {
  const client = new Client(endpoint, credentials.createInsecure());
  const call = client.makeServerStreamRequest(
    "/etcdserverpb.Maintenance/Snapshot",
    (request: SnapshotRequest) => Buffer.from(SnapshotRequest.encode(request)),
    (bytes: Buffer) => SnapshotResponse.decode(bytes),
    {},
  );
  const blobs: Uint8Array[] = [];
  let left: number | undefined;
  for await (const message of call as AsyncIterable<SnapshotResponse>) {
    expect(message.header).toBeUndefined();
    expect(message.version).toMatch(/^3\.\d+\.0$/);
    expect(message.blob.length).toBeLessThanOrEqual(32 * 1024);
    // What remains is of the file; its hash comes when nothing does.
    const before = left ?? message.remainingBytes + message.blob.length;
    expect(message.remainingBytes).toBe(Math.max(0, before - message.blob.length));
    left = message.remainingBytes;
    blobs.push(message.blob);
  }
  expect(left).toBe(0);
  expect(blobs.at(-1)?.length).toBe(32);
  client.close();
  return Buffer.concat(blobs);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "quorate-restore-"));
  await using cluster = await ClusterProcesses.start(1);
  const endpoint = cluster.endpoints[0] as string;
  written = await writeHistory(endpoint, 7, 1_500);
  whole = await download(endpoint);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function restore(file: Uint8Array, options: Partial<RestoreOptions> = {}): Promise<string> {
  made++;
  const path = join(directory, `file-${made}.db`);
  const dataDirectory = join(directory, `data-${made}`);
  await writeFile(path, file);
  try {
    await restoreSnapshot(path, {
      dataDirectory,
      name: "default",
      members: [{ name: "default", peerUrls: ["http://localhost:2380"] }],
      token: "etcd-cluster",
      skipHashCheck: false,
      bumpRevision: 0,
      markCompacted: false,
      rng: new SeededRng(1),
      ...options,
    });
  } catch (error) {
    expect(existsSync(dataDirectory)).toBe(false);
    throw error;
  }
  return dataDirectory;
}

async function pointOf(dataDirectory: string): Promise<Written> {
  const { disk, opened } = await openMember(
    diskAt(dataDirectory),
    "default",
    {
      members: [{ name: "default", peerUrls: ["http://localhost:2380"] }],
      token: "etcd-cluster",
      state: "new",
      forceNewCluster: false,
    },
    new SeededRng(1),
    {
      memoryBudgetBytes: 16 * 1024 * 1024,
      progressNotifyIntervalMs: 1_000,
      rng: new SeededRng(1),
    },
  );
  const { revision, compactedRevision } = opened.state.store;
  await disk.close();
  return { revision, compacted: compactedRevision };
}

describe("a snapshot file", () => {
  test("has the size that shows that it has a hash", () => {
    expect(whole.length % 512).toBe(32);
  });

  test("cut off is refused", async () => {
    await expect(restore(whole.subarray(0, 100_000))).rejects.toThrow("snapshot missing hash");
    const cut = whole.subarray(0, 65_536 + 32);
    await expect(restore(cut)).rejects.toThrow(/expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}/);
    const unchecked = restore(whole.subarray(0, 65_536), { skipHashCheck: true });
    await expect(unchecked).rejects.toThrow("the file is cut off");
  });

  test("altered is refused, wherever it was", async () => {
    for (const at of [0, 4_096 * 5 + 100, whole.length - 1]) {
      const altered = Buffer.from(whole);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await expect(restore(altered)).rejects.toThrow("expected sha256");
    }
  });

  test("that is something else is refused", async () => {
    await expect(restore(Buffer.alloc(8_192), { skipHashCheck: true })).rejects.toThrow(
      "not a database file",
    );
    await expect(restore(Buffer.alloc(0), { skipHashCheck: true })).rejects.toThrow(
      "not a database file",
    );
  });

  test("damaged inside, with its hash passed over, leaves nothing behind", async () => {
    const altered = Buffer.from(whole);
    // The first leaf of history says that it is another page.
    altered[4_096 * 3] = 0xee;
    await expect(restore(altered, { skipHashCheck: true })).rejects.toThrow("says that it is page");
  });
});

describe("a restore", () => {
  test("keeps the revisions, and does not go over what is there", async () => {
    const dataDirectory = await restore(whole);
    expect(await pointOf(dataDirectory)).toEqual(written);
    await expect(restore(whole, { dataDirectory })).rejects.toThrow("already holds the data");
    expect(await readFile(join(dataDirectory, "CURRENT"), "utf8")).not.toBe("");
  });

  test("bumps the revision and compacts everything when asked to", async () => {
    const options = { bumpRevision: 1_000_000, markCompacted: true };
    const dataDirectory = await restore(whole, options);
    const revision = written.revision + 1_000_000;
    expect(await pointOf(dataDirectory)).toEqual({ revision, compacted: revision });
  });

  test("serves what it was bumped to, compacts it away and starts again", async () => {
    await using cluster = await ClusterProcesses.create(1);
    const member = cluster.members[0] as MemberProcess;
    const { dataDirectory, peerPort } = member.options;
    await restore(whole, {
      dataDirectory,
      name: "node1",
      members: [{ name: "node1", peerUrls: [`http://127.0.0.1:${peerPort}`] }],
      bumpRevision: 1_000,
      markCompacted: true,
    });
    await member.start();
    const client = new KvClient(member.endpoint);
    const everything = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
    const before = await client.range(everything);
    expect(before.count).toBeGreaterThan(100);
    expect(before.header?.revision).toBe(written.revision + 1_000);
    const put = await client.put("key/new", "v");
    expect(put.header?.revision).toBe(written.revision + 1_001);
    await client.hashKv();
    await member.stop("SIGKILL");
    await member.start();
    const after = await client.range({ ...everything, revision: written.revision + 1_000 });
    expect(after.kvs).toEqual(before.kvs);
    client.close();
  });
});
