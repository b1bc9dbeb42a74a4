// etcdctl endpoint, member, alarm, move-leader and what else an operator types, against one node
// and three. What is not served yet must fail as an older etcd would: with a word, not a hang.

import { describe, expect, test } from "vitest";
import { etcdctlInstalled, print, run, RunningEtcdctl } from "./etcdctl.ts";
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

describe.runIf(etcdctlInstalled).each(roles)("%s, changed", (role) => {
  test("member add, update, promote and remove, of a learner that never starts", async () => {
    const { client, ctl, fails, size } = use(role);
    const peer = "--peer-urls=http://127.0.0.1:9";
    let added = "";
    // A cluster that has just started is not healthy enough for a change, for five seconds.
    const add = (): Promise<string> => ctl(["member", "add", "new", "--learner", peer]);
    await eventually(add, (out) => {
      added = out;
    });
    const [, id = "", cluster = ""] =
      /^Member +([0-9a-f]{1,16}) added to cluster +([0-9a-f]{1,16})\n/.exec(added) ?? [];
    const told = (what: string): string =>
      `Member ${id.padStart(16)} ${what} cluster ${cluster.padStart(16)}\n`;
    expect(added).toContain('\nETCD_NAME="new"\nETCD_INITIAL_CLUSTER="');
    expect(added).toContain("new=http://127.0.0.1:9");
    expect(added).toContain('ETCD_INITIAL_CLUSTER_STATE="existing"\n');
    const line = async (): Promise<string | undefined> =>
      (await ctl(["member", "list"])).split("\n").find((text) => text.startsWith(id));
    expect(await line()).toBe(`${id}, unstarted, , http://127.0.0.1:9, , true`);
    expect(await ctl(["member", "update", id, "--peer-urls=http://127.0.0.1:10"])).toBe(
      told("updated in"),
    );
    await eventually(line, (text) => expect(text).toContain(", http://127.0.0.1:10, "));
    const refusals: [string[], string][] = [
      [["member", "promote", id], "can only promote a learner member which is in sync with leader"],
      [["member", "promote", "1"], "member not found"],
      [["member", "remove", "1"], "member not found"],
      [["member", "add", "x", "--peer-urls=http://127.0.0.1:10"], "Peer URLs already exists"],
      [["member", "add", "x", "--learner", "--peer-urls=http://127.0.0.1:11"], "too many learner"],
    ];
    for (const [args, words] of refusals) {
      const { exit, err } = await fails(args);
      expect([exit, err], args.join(" ")).toEqual([1, expect.stringContaining(words)]);
    }
    expect(await ctl(["member", "remove", id])).toBe(told("removed from"));
    expect((await client.call("memberList", { linearizable: true })).members).toHaveLength(size);
    expect((await fails(["member", "remove", id])).err).toContain("member not found");
    expect((await client.call("status")).errors).toEqual([]);
  });

  test("defrag", async () => {
    const { ctl, endpoint, endpoints } = use(role);
    expect(await ctl(["defrag"])).toBe(`Finished defragmenting etcd member[${endpoint}]\n`);
    const all = await ctl(["defrag", "--cluster"]);
    expect(all.match(/^Finished defragmenting etcd member/gm)).toHaveLength(endpoints.length);
  });

  test("make-mirror copies what is there and what comes", async () => {
    const { ctl, endpoint, prefix } = use(role);
    const destination = target(role === "one node" ? "leader of three" : "one node");
    await ctl(["put", `${prefix}a`, "1"]);
    using mirror = new RunningEtcdctl(endpoint, [
      "make-mirror",
      `--prefix=${prefix}`,
      `--dest-prefix=mirror/${prefix}`,
      destination.endpoint,
    ]);
    const mirrored = (): Promise<string> =>
      print(destination.endpoint, ["get", `mirror/${prefix}`, "--prefix"]);
    const pairs = (...names: string[]): string =>
      names.map((name) => `mirror/${prefix}${name}\n1\n`).join("");
    await eventually(mirrored, (out) => expect(out).toBe(pairs("a")));
    await ctl(["put", `${prefix}b`, "1"]);
    await ctl(["del", `${prefix}a`]);
    await eventually(mirrored, (out) => expect(out).toBe(pairs("b")));
    await mirror.interrupt();
  });
});
