// A member compares its store with the others' before it serves (InitialCorruptCheck): one whose
// store has gone its own way refuses to serve, and says so; the others go on.

import { afterAll, beforeAll, expect, test } from "vitest";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { Calls } from "./calls.ts";
import { tamper } from "./tamper.ts";

let cluster: ClusterProcesses;
let leader: MemberProcess;
let followers: readonly [MemberProcess, MemberProcess];

beforeAll(async () => {
  cluster = await ClusterProcesses.start(3, [
    "--experimental-initial-corrupt-check",
    "--compact-hash-check-time=0s",
  ]);
  const statuses = await Promise.all(
    cluster.members.map(async (member) => {
      const client = new Calls(member.endpoint);
      try {
        return await client.status();
      } finally {
        client.close();
      }
    }),
  );
  const at = statuses.findIndex(({ header, leader: id }) => header?.memberId === id);
  leader = cluster.members[at] as MemberProcess;
  const [first, second] = cluster.members.filter((member) => member !== leader);
  followers = [first as MemberProcess, second as MemberProcess];
  const client = new Calls(leader.endpoint);
  for (let i = 0; i < 50; i++) {
    await client.put(`k${i}`, `value-${i}-original`);
  }
  client.close();
}, 90_000);
afterAll(() => cluster[Symbol.asyncDispose]());

test("a member whose store agrees serves, and says that it has looked", async () => {
  const [member] = followers;
  expect(member.log).toContain("starting initial corruption check");
  await member.stop();
  const before = member.log.length;
  await member.start();
  expect(member.log.slice(before)).toContain("initial corruption checking passed; no corruption");
}, 60_000);

test("a member whose store differs refuses to serve, names the fault and harms nobody", async () => {
  const [member] = followers;
  await member.stop();
  const { dataDirectory } = member.options;
  expect(await tamper(dataDirectory, "value-45-original", "value-45-ORIGINAL")).toBeGreaterThan(0);
  const before = member.log.length;
  await expect(member.start()).rejects.toThrow("found data inconsistency with peers");
  const log = member.log.slice(before);
  expect(log).not.toContain("ready to serve client requests");
  expect(log).toMatch(/the hashes at revision \d+ are [0-9a-f]+: \d+, /);
  expect(member.running).toBe(false);
  const client = new Calls(leader.endpoint);
  await client.put("more", "v");
  expect((await client.alarm()).alarms).toEqual([]);
  client.close();
}, 60_000);

test("where two of three are there and differ, neither can be told to be right", async () => {
  const [bad, absent] = followers;
  await absent.stop();
  await expect(bad.start()).rejects.toThrow("found data inconsistency with peers");
  await absent.start();
  expect(absent.log).toContain("some members could not be compared");
  // The wrong one is put right: what was damaged is damaged back.
  expect(
    await tamper(bad.options.dataDirectory, "value-45-ORIGINAL", "value-45-original"),
  ).toBeGreaterThan(0);
  await bad.start();
}, 90_000);
