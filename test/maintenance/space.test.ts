// A full store: refused at the quota, and writable again by itself once there is room.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { Calls } from "./calls.ts";

const controlScript = new URL("../../dist/cli/quoratectl.js", import.meta.url).pathname;
const mebibyte = 1024 * 1024;
const quotaBytes = 40 * mebibyte;

async function fill(client: Calls): Promise<unknown> {
  const value = randomBytes(128 * 1024);
  for (let i = 0; i < 1_000; i++) {
    try {
      await client.putBytes(`fill/${i}`, value);
    } catch (error) {
      return error;
    }
  }
  throw new Error("the quota did not stop the writes");
}

test("fills, refuses, and takes writes again after delete and compact, without a disarm", async () => {
  await using cluster = await ClusterProcesses.start(3, [`--quota-backend-bytes=${quotaBytes}`]);
  const member = cluster.members[0] as MemberProcess;
  const client = new Calls(member.endpoint);
  expect(String(await fill(client))).toContain("etcdserver: mvcc: database space exceeded");
  await expect.poll(async () => (await client.alarm()).alarms.length).toBe(1);
  expect((await client.status()).errors.join()).toContain("alarm:NOSPACE");
  expect(cluster.members.some(({ log }) => log.includes("nears its quota"))).toBe(true);
  const full = await client.status();
  expect(full.dbSize).toBeGreaterThan(0.9 * quotaBytes);
  expect((await client.range({ key: Buffer.from("fill/0") })).count).toBe(1);

  const { header, deleted } = await client.deleteFrom("fill/");
  expect(deleted).toBeGreaterThan(100);
  await expect(client.put("small", "v")).rejects.toThrow("database space exceeded");
  await client.compact(header?.revision ?? 0);
  await client.put("compacted", "x").catch(() => undefined);
  await expect
    .poll(() => client.put("again", "v").then(String, String), { timeout: 25_000, interval: 200 })
    .not.toContain("exceeded");
  expect((await client.alarm()).alarms).toEqual([]);
  expect(cluster.members.some(({ log }) => log.includes("NOSPACE disarmed"))).toBe(true);

  // The disk of every member gets its space back too.
  for (const { endpoint } of cluster.members) {
    const other = new Calls(endpoint);
    await expect
      .poll(async () => (await other.status()).dbSize, { timeout: 25_000, interval: 500 })
      .toBeLessThan(full.dbSize / 2);
    other.close();
  }
  client.close();
}, 120_000);

test("defrag answers at once, to quoratectl too, and the data stays", async () => {
  await using cluster = await ClusterProcesses.start(1);
  const member = cluster.members[0] as MemberProcess;
  const client = new Calls(member.endpoint);
  await client.putBytes("k", randomBytes(1000));
  await client.defragment();
  const { stdout } = await promisify(execFile)(process.execPath, [
    controlScript,
    `--endpoints=${member.endpoint}`,
    "defrag",
  ]);
  expect(stdout).toContain(`Finished defragmenting etcd member[${member.endpoint}]`);
  await expect.poll(() => member.log.includes("gave disk space back")).toBe(true);
  expect((await client.range({ key: Buffer.from("k") })).count).toBe(1);
  client.close();
});
