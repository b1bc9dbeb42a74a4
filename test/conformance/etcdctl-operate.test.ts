// etcdctl endpoint, member, alarm, move-leader and what else an operator types, against one node
// and three. What is not served yet must fail as an older etcd would: with a word, not a hang.

import { describe, expect, test } from "vitest";
import { etcdctlInstalled, print, run } from "./etcdctl.ts";
import { eventually, freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets();

function use(role: (typeof roles)[number]) {
  const at = target(role);
  return {
    ...at,
    prefix: freshPrefix("ctl"),
    every: at.endpoints.join(","),
    ctl: (args: readonly string[], endpoints = at.endpoint) => print(endpoints, args),
    fails: (args: readonly string[], endpoints = at.endpoint) => run(endpoints, args),
  };
}

interface EndpointStatus {
  readonly Endpoint: string;
  readonly Status: {
    readonly header: { readonly member_id: number; readonly raft_term: number };
    readonly version: string;
    readonly leader: number;
  };
}

describe.runIf(etcdctlInstalled).concurrent.each(roles)("%s", (role) => {
  test("endpoint health, of one and of the cluster", async () => {
    const { endpoint, endpoints, fails } = use(role);
    // It says so on standard error.
    const own = await fails(["endpoint", "health"]);
    expect(own.exit).toBe(0);
    expect(own.out + own.err).toMatch(
      new RegExp(`^${endpoint} is healthy: successfully committed proposal: took = [\\d.]+m?s\n$`),
    );
    const all = await fails(["endpoint", "health", "--cluster"]);
    expect(all.exit).toBe(0);
    const healthy = (all.out + all.err).match(/is healthy/g);
    expect(healthy).toHaveLength(endpoints.length);
    const json = await fails(["endpoint", "health", "-w", "json"]);
    expect(JSON.parse(json.out)).toEqual([
      { endpoint, health: true, took: expect.any(String) as string },
    ]);
  });

  test("endpoint status, in every format", async () => {
    const { ctl, endpoint, endpoints, every, size } = use(role);
    const isLeader = role !== "follower of three";
    const simple = await ctl(["endpoint", "status"]);
    expect(simple).toMatch(
      new RegExp(
        `^${endpoint}, [0-9a-f]{1,16}, 3\\.6\\.\\d+, [\\d.]+ [kMG]?B, ${isLeader}, false, \\d+, \\d+, \\d+, \n$`,
      ),
    );
    const statuses = JSON.parse(
      await ctl(["endpoint", "status", "-w", "json"], every),
    ) as EndpointStatus[];
    expect(statuses.map((status) => status.Endpoint)).toEqual(endpoints);
    expect(new Set(statuses.map(({ Status }) => Status.leader)).size).toBe(1);
    expect(new Set(statuses.map(({ Status }) => Status.header.raft_term)).size).toBe(1);
    const table = await ctl(["endpoint", "status", "--cluster", "-w", "table"]);
    expect(table.match(/\| true \| +false \|| true \| +false \|/g)?.length).toBeGreaterThan(0);
    expect(table.split("\n").filter((line) => line.includes("| http://"))).toHaveLength(size);
    expect(await ctl(["endpoint", "status", "-w", "fields"])).toContain('"Version" : "3.6.');
  });

  test("members", async () => {
    const { ctl, endpoints, size } = use(role);
    const list = (await ctl(["member", "list"])).trim().split("\n");
    expect(list).toHaveLength(size);
    const line = /^([0-9a-f]{1,16}), started, (node\d), (http:\/\/\S+), (http:\/\/\S+), false$/;
    const clients = list.map((text) => line.exec(text)?.[4]);
    expect(new Set(clients)).toEqual(new Set(endpoints.map((endpoint) => `http://${endpoint}`)));
    const json = JSON.parse(await ctl(["member", "list", "-w", "json"])) as {
      readonly members: readonly unknown[];
    };
    expect(json.members).toHaveLength(size);
    expect(await ctl(["member", "list", "-w", "table"])).toContain("| IS LEARNER |");
  });

  test("alarms: none, and none to disarm", async () => {
    const { ctl } = use(role);
    expect(await ctl(["alarm", "list"])).toBe("");
    expect(await ctl(["alarm", "disarm"])).toBe("");
  });

  test("the leader is moved only through itself, and only to a member", async () => {
    const { fails } = use(role);
    const words =
      role === "follower of three" ? "no leader endpoint given at" : "bad leader transferee";
    const { exit, err } = await fails(["move-leader", "1234"]);
    expect(exit).not.toBe(0);
    expect(err).toContain(words);
  });

  test("auth: off", async () => {
    const { ctl, prefix } = use(role);
    await ctl(["--user=root:secret", "version"]);
    await ctl(["put", `${prefix}a`, "1"]);
    expect(await ctl(["get", `${prefix}a`, "--print-value-only"])).toBe("1\n");
  });

  test("an endpoint that is not there", async () => {
    const { fails } = use(role);
    const args = ["get", "k", "--dial-timeout=300ms", "--command-timeout=1s"];
    const { exit, err } = await fails(args, "127.0.0.1:1");
    expect(exit).toBe(1);
    expect(err).toContain("context deadline exceeded");
    // With one that is there beside it, it is served all the same.
    const { endpoint, ctl } = use(role);
    expect(await ctl(["get", "none"], `127.0.0.1:1,${endpoint}`)).toBe("");
  });
});

describe.runIf(etcdctlInstalled).each(roles)("%s, hashed", (role) => {
  test("endpoint hashkv: the same on all members, at any revision", async () => {
    const { client, ctl, endpoints, every } = use(role);
    const { header } = await client.call("put", { key: Buffer.from(freshPrefix("hash")) });
    const hashes = async (...args: string[]): Promise<string[]> => {
      const out = await ctl(["endpoint", "hashkv", ...args], every);
      const lines = out.trim().split("\n");
      expect(lines.map((line) => line.split(", ")[0])).toEqual(endpoints);
      return lines.map((line) => line.split(", ")[1] ?? "");
    };
    const now = await hashes();
    expect(new Set(now).size).toBe(1);
    const revision = header?.revision ?? 0;
    expect(await hashes(`--rev=${revision}`)).toEqual(now);
    const before = await hashes(`--rev=${revision - 1}`);
    expect(new Set(before).size).toBe(1);
    expect(before).not.toEqual(now);
    const json = await ctl(["endpoint", "hashkv", "--cluster", "-w", "json"]);
    expect((JSON.parse(json) as readonly unknown[]).length).toBe(endpoints.length);
  });

  test("move-leader", async () => {
    if (role !== "leader of three") {
      return;
    }
    const { client, ctl, every } = use(role);
    const { members } = await client.call("memberList");
    const { leader } = await client.call("status");
    const other = members.find((member) => member.id !== leader);
    const id = (other?.id ?? 0n).toString(16);
    expect(await ctl(["move-leader", id], every)).toBe(
      `Leadership transferred from ${leader.toString(16)} to ${id}\n`,
    );
    await eventually(
      async () => (await client.call("status")).leader,
      (value) => expect(value).toBe(other?.id),
    );
    expect(await ctl(["move-leader", leader.toString(16)], every)).toContain(" transferred ");
    await eventually(
      async () => (await client.call("status")).leader,
      (value) => expect(value).toBe(leader),
    );
  });
});
