// Users and roles as replicated state: on members that were away, that are refilled by a snapshot,
// that were all killed; and commands of the cluster itself, which no user sends.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { auth, logIn, passwordOf, setUpUsers } from "./auth-support.ts";
import { bytes, expectRefused, RawClient } from "./raw-client.ts";
import { eventually, leaderOf } from "./targets.ts";

let cluster: ClusterProcesses;
let clients: RawClient[];
let leader: MemberProcess;
beforeAll(async () => {
  cluster = await ClusterProcesses.start(3, [
    "--bcrypt-cost=4",
    "--snapshot-count=50",
    "--snapshot-catchup-entries=20",
    "--quota-backend-bytes=8000000",
    "--auto-compaction-mode=revision",
    "--auto-compaction-retention=100",
  ]);
  clients = cluster.endpoints.map((endpoint) => new RawClient(endpoint));
  // Asked before authentication is on: it asks without a token.
  leader = await leaderOf(cluster);
  await setUpUsers(clients[0] as RawClient);
});
afterAll(async () => {
  for (const client of clients) {
    client[Symbol.dispose]();
  }
  await cluster[Symbol.asyncDispose]();
});

async function users(client: RawClient): Promise<unknown> {
  const token = await logIn(client, "root");
  const { users: names } = await auth(client, "userList", {}, token);
  const { authRevision, enabled } = await auth(client, "status");
  const roles = (await auth(client, "userGet", { name: "user" }, token)).roles;
  const { perm } = await auth(client, "roleGet", { role: "some" }, token);
  return { names, authRevision, enabled, roles, perm };
}

describe("three members", () => {
  test("agree after one was away for longer than the log goes back", async () => {
    const [, second] = clients as [RawClient, RawClient];
    const away = cluster.members.find((member) => member !== leader) as MemberProcess;
    const near = clients[cluster.members.indexOf(leader)] ?? second;
    await away.stop("SIGKILL");
    const token = await logIn(near, "root");
    await auth(near, "userAdd", { name: "late", password: passwordOf("late") }, token);
    await auth(near, "grantRole", { user: "late", role: "some" }, token);
    await auth(near, "userDelete", { name: "stranger" }, token);
    for (let i = 0; i < 400; i++) {
      await near.call("put", { key: bytes(`mine/${i}`) }, { metadata: { token } });
    }
    await away.start();
    const there = clients[cluster.members.indexOf(away)] ?? second;
    await eventually(
      () => logIn(there, "late"),
      (given) => expect(given).not.toBe(""),
    );
    expect(away.log).toContain("installed a received snapshot");
    const seen = await Promise.all(clients.map(users));
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    const late = await logIn(there, "late");
    const options = { metadata: { token: late } };
    await there.call("range", { key: bytes("mine/1"), serializable: true }, options);
    const other = there.call("range", { key: bytes("other"), serializable: true }, options);
    await expectRefused(other, 7, "etcdserver: permission denied");
  }, 90_000);

  test("know their users after all of them were killed", async () => {
    const [first] = clients as [RawClient];
    const before = await users(first);
    await Promise.all(cluster.members.map((member) => member.stop("SIGKILL")));
    await Promise.all(cluster.members.map((member) => member.start()));
    for (const client of clients) {
      await eventually(
        () => users(client),
        (after) => expect(after).toEqual(before),
      );
    }
    const refused = first.call("range", { key: bytes("mine/1"), serializable: true });
    await expectRefused(refused, 3, "etcdserver: user name is empty");
  });

  test("let leases run out, compact and raise alarms by themselves", async () => {
    const [first] = clients as [RawClient];
    const root = await logIn(first, "root");
    const options = { metadata: { token: root } };
    const { id } = await first.call("grant", { ttl: 2 }, options);
    await first.call("put", { key: bytes("mine/brief"), lease: id }, options);
    await eventually(
      () => first.call("range", { key: bytes("mine/brief") }, options),
      ({ count }) => expect(count).toBe(0),
      15_000,
    );
    const value = new Uint8Array(400_000);
    let refusal: unknown;
    for (let i = 0; i < 60 && refusal === undefined; i++) {
      const put = first.call("put", { key: bytes(`mine/big${i}`), value }, options);
      refusal = await put.then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    expect(refusal).toMatchObject({ code: 8 });
    await eventually(
      () => first.call("alarm", {}, options),
      ({ alarms }) => expect(alarms.length).toBeGreaterThan(0),
    );
  }, 60_000);
});
