// A member whose store has gone its own way is found, named, and stops no more than writes.

import { expect, test } from "vitest";
import { toMemberId } from "../../src/base/index.ts";
import { suspectsOf } from "../../src/node/corruption-check.ts";
import { AlarmType } from "../../src/wire/index.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { Calls } from "./calls.ts";
import { tamper } from "./tamper.ts";

const [a, b, c] = [toMemberId(1n), toMemberId(2n), toMemberId(3n)] as const;

test("a majority of all members says whose hash is wrong; without one it is nobody's", () => {
  const vote = (...hashes: number[]): (readonly [typeof a, { hash: number }])[] =>
    hashes.map((hash, i) => [[a, b, c][i] ?? a, { hash }] as const);
  expect(suspectsOf(vote(7, 7, 7), 3)).toEqual([]);
  expect(suspectsOf(vote(7, 7, 8), 3)).toEqual([c]);
  expect(suspectsOf(vote(8, 7, 7), 3)).toEqual([a]);
  expect(suspectsOf(vote(7, 8), 3)).toEqual([0n]);
  expect(suspectsOf(vote(7, 8), 2)).toEqual([0n]);
  expect(suspectsOf(vote(7), 3)).toEqual([]);
  expect(suspectsOf(vote(1, 2, 3), 3)).toEqual([0n]);
});

test("names the member whose store differs and refuses writes, not reads", async () => {
  await using cluster = await ClusterProcesses.start(3, ["--compact-hash-check-time=1s"]);
  const clients = cluster.members.map(({ endpoint }) => new Calls(endpoint));
  const statuses = await Promise.all(clients.map((client) => client.status()));
  const at = statuses.findIndex(({ header, leader }) => header?.memberId !== leader);
  const follower = cluster.members[at] as MemberProcess;
  const client = clients[(at + 1) % 3] as Calls;
  for (let i = 0; i < 50; i++) {
    await client.put(`k${i}`, `value-${i}-original`);
  }
  await client.compact(20);
  await expect
    .poll(() => cluster.members.some(({ log }) => log.includes("stores: they agree")), {
      timeout: 20_000,
    })
    .toBe(true);
  expect((await client.alarm()).alarms).toEqual([]);

  await follower.stop();
  expect(
    await tamper(follower.options.dataDirectory, "value-45-original", "value-45-ORIGINAL"),
  ).toBeGreaterThan(0);
  await follower.start();
  await client.compact(30);
  await expect
    .poll(async () => (await client.alarm()).alarms, { timeout: 20_000 })
    .toEqual([{ memberId: statuses[at]?.header?.memberId, alarm: AlarmType.CORRUPT }]);
  expect(cluster.members.some(({ log }) => log.includes("remove each suspect"))).toBe(true);
  await expect(client.put("more", "v")).rejects.toThrow(
    "15 DATA_LOSS: etcdserver: corrupt cluster",
  );
  await expect(client.compact(40)).rejects.toThrow("corrupt cluster");
  expect((await client.range({ key: Buffer.from("k45") })).count).toBe(1);
  for (const each of clients) {
    each.close();
  }
}, 90_000);
