// A test of one's own that kills the leader: node --test examples/testing.test.js

import assert from "node:assert/strict";
import { test } from "node:test";
import { Quorate } from "quorate";
import { startTestCluster } from "quorate/testing";

void test("what was written is there after the leader was killed", async () => {
  const cluster = await startTestCluster();
  const store = new Quorate({ endpoints: cluster.endpoints });
  await store.put("a", "1");

  const old = await cluster.killLeader();
  assert.equal((await store.get("a", { timeoutMs: 20_000 }))?.value, "1");

  await old.start();
  await cluster.isolate(); // the new leader is cut off from the others
  const leader = await cluster.leader();
  assert.ok(leader.status().isLeader);
  cluster.heal();

  store.close();
  await cluster.close();
});
