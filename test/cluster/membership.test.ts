// Members that come and go while writes go on: growing from one to three to five and back,
// replacing a dead member, and a removed member that stays out.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
} from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";
import { MemberProcess } from "../support/processes.ts";
import { cluster, deadlineMs, eventually, GrowingCluster } from "./growing-cluster.ts";
import { WriteLoad } from "./write-load.ts";

async function idOf(client: KvClient): Promise<bigint> {
  return (await client.status()).header?.memberId ?? 0n;
}

const running: GrowingCluster[] = [];

async function newCluster(): Promise<GrowingCluster> {
  const grown = new GrowingCluster(await mkdtemp(join(tmpdir(), "quorate-grow-")));
  running.push(grown);
  await (await grown.prepare("m1")).start();
  return grown;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

async function expectEqualHashes(members: readonly MemberProcess[]): Promise<void> {
  const clients = members.map((member) => new KvClient(member.endpoint));
  const revisions = await Promise.all(
    clients.map(async (client) => (await client.range({ key: Buffer.from("x") })).header?.revision),
  );
  const revision = Math.min(...revisions.map((each) => each ?? 0));
  const hashes = await Promise.all(clients.map((client) => client.hashKv(revision)));
  expect(new Set(hashes.map((reply) => reply.hash)).size).toBe(1);
  for (const client of clients) {
    client.close();
  }
}

test("grows from one to three to five and back to one under writes", async () => {
  const grown = await newCluster();
  const load = new WriteLoad([(grown.members[0] as MemberProcess).endpoint], 8);
  const client = new KvClient((grown.members[0] as MemberProcess).endpoint);
  const ids: bigint[] = [];
  for (const name of ["m2", "m3", "m4", "m5"]) {
    ids.push(await grown.join(name));
    await load.progress(100, 20_000);
  }
  const list = await client.call(
    `${cluster}MemberList`,
    MemberListRequest,
    MemberListResponse,
    { linearizable: true },
    deadlineMs,
  );
  expect(list.members.map((member) => member.name).sort()).toEqual(["m1", "m2", "m3", "m4", "m5"]);
  await expectEqualHashes(grown.members);
  for (const [at, id] of ids.entries()) {
    await grown.remove(client, id);
    await load.progress(100, 20_000);
    const removed = grown.members[at + 1] as MemberProcess;
    await until(() => !removed.running);
    expect(removed.log).toContain("has been removed from the cluster");
  }
  await load.stop();
  expect(await load.problems(client)).toEqual([]);
  client.close();
}, 120_000);

test("a removed member's directory is refused, and a dead member is replaced", async () => {
  const grown = await newCluster();
  const client = new KvClient((grown.members[0] as MemberProcess).endpoint);
  await grown.join("m2");
  await grown.join("m3");
  const dead = grown.members[2] as MemberProcess;
  const deadClient = new KvClient(dead.endpoint);
  const deadId = await idOf(deadClient);
  deadClient.close();
  await client.put("before", "1");
  await dead.stop("SIGKILL");
  await grown.remove(client, deadId);
  await expect(dead.start()).rejects.toThrow(/removed/);
  grown.members.splice(2, 1);
  await grown.join("m4");
  await client.put("after", "2");
  await expectEqualHashes(grown.members);
  client.close();
}, 120_000);

test("a learner follows, is refused promotion while behind, and votes once promoted", async () => {
  const grown = await newCluster();
  const client = new KvClient((grown.members[0] as MemberProcess).endpoint);
  await client.put("k", "v");
  const id = await grown.join("m2", true);
  const learner = new KvClient((grown.members[1] as MemberProcess).endpoint);
  await expect(learner.put("k", "w")).rejects.toThrow(/rpc not supported for learner/);
  const reply = await eventually(() =>
    client.call(
      `${cluster}MemberPromote`,
      MemberPromoteRequest,
      MemberPromoteResponse,
      { id },
      deadlineMs,
    ),
  );
  expect(reply.members.every((member) => !member.isLearner)).toBe(true);
  await learner.put("k", "w");
  await expect(
    client.call(
      `${cluster}MemberPromote`,
      MemberPromoteRequest,
      MemberPromoteResponse,
      { id },
      deadlineMs,
    ),
  ).rejects.toThrow(/can only promote a learner member/);
  learner.close();
  client.close();
}, 60_000);

test("--force-new-cluster brings one survivor of three back", async () => {
  const grown = await newCluster();
  const client = new KvClient((grown.members[0] as MemberProcess).endpoint);
  await grown.join("m2");
  await grown.join("m3");
  await client.put("kept", "yes");
  await Promise.all(grown.members.map((member) => member.stop("SIGKILL")));
  const survivor = grown.members[0] as MemberProcess;
  const alone = new MemberProcess({
    ...survivor.options,
    flags: [...survivor.options.flags, "--force-new-cluster"],
  });
  grown.members.push(alone);
  await alone.start();
  const reply = await client.range({ key: Buffer.from("kept") });
  expect(Buffer.from(reply.kvs[0]?.value ?? []).toString()).toBe("yes");
  await client.put("and", "on");
  client.close();
}, 60_000);

async function until(condition: () => boolean): Promise<void> {
  const untilMs = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > untilMs) {
      throw new Error("the condition did not come true");
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
