// Learners that become voters by themselves (the feature gate AutoPromoteLearners), under writes
// and with the leader killed on the way.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemberListRequest, MemberListResponse } from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";
import type { MemberProcess } from "../support/processes.ts";
import { cluster, deadlineMs, GrowingCluster } from "./growing-cluster.ts";
import { WriteLoad } from "./write-load.ts";

async function learnersOf(client: KvClient): Promise<(boolean | undefined)[]> {
  const path = `${cluster}MemberList`;
  const request = { linearizable: true };
  const { members } = await client.call(
    path,
    MemberListRequest,
    MemberListResponse,
    request,
    deadlineMs,
  );
  return members.map((member) => member.isLearner);
}

async function leaderOf(members: readonly MemberProcess[]): Promise<MemberProcess> {
  for (const member of members) {
    const client = new KvClient(member.endpoint);
    const { header, leader } = await client.status();
    client.close();
    if (header?.memberId === leader) {
      return member;
    }
  }
  throw new Error("no leader");
}

test("a learner is promoted under writes; the next leader goes on where one was killed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "quorate-promotion-"));
  const grown = new GrowingCluster(directory, ["--feature-gates=AutoPromoteLearners=true"]);
  try {
    await (await grown.prepare("m1")).start();
    const [first] = grown.members as [MemberProcess];
    const client = new KvClient(first.endpoint);
    const load = new WriteLoad([first.endpoint], 4);
    for (const name of ["m2", "m3"]) {
      await grown.join(name, true);
      await expect
        .poll(() => learnersOf(client), { timeout: 20_000 })
        .toEqual(grown.members.map(() => false));
    }
    await load.progress(50, 20_000);
    await load.stop();
    client.close();
    expect(first.log).toContain("promoted a learner that has caught up");
    const page = await (await fetch(`http://${first.endpoint}/metrics`)).text();
    expect(page).toMatch(/^etcd_server_learner_promote_successes 2$/m);

    const voters = [...grown.members];
    const leader = await leaderOf(voters);
    const { member: last } = await grown.add("m4", true);
    await leader.stop("SIGKILL");
    const left = voters.filter((member) => member !== leader);
    const before = left.map(({ log }) => log.length);
    await last.start();
    const other = new KvClient((left[0] as MemberProcess).endpoint);
    await expect
      .poll(() => learnersOf(other).catch(() => []), { timeout: 30_000 })
      .toEqual([false, false, false, false]);
    const promoters = left.filter(({ log }, i) => log.slice(before[i]).includes("promoted a"));
    expect(promoters).toHaveLength(1);
    await other.put("after", "v", deadlineMs);
    other.close();
  } finally {
    await grown.stop();
  }
}, 120_000);
