// Members killed with -9 under a write load: no acknowledged write may be missing afterwards, all
// members must hold the same, and a killed leader may stop writes for 2.5 s at most.

import { expect, test } from "vitest";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { WriteLoad } from "./write-load.ts";

/** Longest gap in acknowledged writes after the kill of a leader, milliseconds. */
const gapMsMax = 2_500;
/** A killed member serves again within this, milliseconds. */
const restartMsMax = 5_000;

async function leaderOf(cluster: ClusterProcesses): Promise<MemberProcess> {
  for (let attempt = 0; attempt < 100; attempt++) {
    for (const member of cluster.members) {
      const client = new KvClient(member.endpoint);
      try {
        const status = await client.status();
        if (status.leader !== 0n && status.leader === status.header?.memberId) {
          return member;
        }
      } catch {
        // Not serving yet.
      } finally {
        client.close();
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("no leader");
}

async function expectWhole(cluster: ClusterProcesses, load: WriteLoad): Promise<void> {
  const clients = cluster.members.map((member) => new KvClient(member.endpoint));
  try {
    for (const client of clients) {
      expect(await load.problems(client)).toEqual([]);
    }
    const revision = Math.max(
      ...(await Promise.all(clients.map((client) => client.hashKv()))).map(
        (reply) => reply.header?.revision ?? 0,
      ),
    );
    const hashes = await Promise.all(clients.map((client) => client.hashKv(revision)));
    expect(new Set(hashes.map((reply) => reply.hash)).size).toBe(1);
  } finally {
    for (const client of clients) {
      client.close();
    }
  }
}

async function killAndRestart(member: MemberProcess): Promise<void> {
  await member.stop("SIGKILL");
  const startedMs = performance.now();
  await member.start();
  expect(performance.now() - startedMs).toBeLessThan(restartMsMax);
}

test("each of three members killed in turn loses no acknowledged write", async () => {
  await using cluster = await ClusterProcesses.start(3);
  const load = new WriteLoad(cluster.endpoints, 8);
  await load.progress(500, 20_000);
  for (const member of cluster.members) {
    await killAndRestart(member);
    await load.progress(300, 20_000);
  }
  await load.stop();
  expect(load.acknowledgedCount).toBeGreaterThan(1_000);
  await expectWhole(cluster, load);
}, 120_000);

test("a killed leader stops writes for 2.5 s at most", async () => {
  await using cluster = await ClusterProcesses.start(3);
  const load = new WriteLoad(cluster.endpoints, 8);
  for (let round = 0; round < 3; round++) {
    await load.progress(300, 20_000);
    const leader = await leaderOf(cluster);
    load.restartGap();
    await leader.stop("SIGKILL");
    await load.progress(300, 20_000);
    expect(load.longestGapMs()).toBeLessThan(gapMsMax);
    await leader.start();
  }
  await load.stop();
  await expectWhole(cluster, load);
}, 120_000);

test("all three members killed at once lose no acknowledged write", async () => {
  await using cluster = await ClusterProcesses.start(3);
  const load = new WriteLoad(cluster.endpoints, 8);
  for (let round = 0; round < 3; round++) {
    await load.progress(300, 20_000);
    await Promise.all(cluster.members.map((member) => member.stop("SIGKILL")));
    await Promise.all(cluster.members.map((member) => member.start()));
  }
  await load.progress(300, 20_000);
  await load.stop();
  await expectWhole(cluster, load);
}, 120_000);

test("a single member killed under load serves again within 5 s and has lost nothing", async () => {
  await using cluster = await ClusterProcesses.start(1);
  const load = new WriteLoad(cluster.endpoints, 64);
  for (let round = 0; round < 5; round++) {
    await load.progress(2_000, 20_000);
    await killAndRestart(cluster.members[0] as MemberProcess);
  }
  await load.stop();
  await expectWhole(cluster, load);
}, 120_000);
