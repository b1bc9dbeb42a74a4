// Users whose tokens do not live as long as the client, on Quorate and on etcd.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  AuthFailedError,
  type Client,
  connect,
  keyBytes,
  PermissionDeniedError,
  prefixRange,
} from "../../src/client/index.ts";
import { PermissionType } from "../../src/wire/index.ts";
import { isInstalled, startTarget, type Target, targetNames } from "../sdk/targets.ts";

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

async function allowAlice(root: Client): Promise<void> {
  const key = keyBytes("a");
  await root.userAdd({ name: "root", password: "r" });
  await root.roleAdd({ name: "root" });
  await root.userGrantRole({ user: "root", role: "root" });
  await root.userAdd({ name: "alice", password: "a" });
  await root.roleAdd({ name: "as" });
  const perm = { permType: PermissionType.READWRITE, key, rangeEnd: prefixRange("a").rangeEnd };
  await root.roleGrantPermission({ name: "as", perm });
  await root.userGrantRole({ user: "alice", role: "as" });
}

describe.each(targetNames.filter(isInstalled))("users of %s", (name) => {
  let target: Target;
  const users: Client[] = [];
  const as = (username: string, password: string): Client => {
    const client = connect({ endpoints: target.endpoints, auth: { username, password } });
    users.push(client);
    return client;
  };
  let alice: Client;
  let root: Client;

  beforeAll(async () => {
    target = await startTarget(name);
    root = as("root", "r");
    alice = as("alice", "a");
    // While authentication is off, clients with a user work, and are asked for nothing.
    await allowAlice(root);
    await alice.put({ key: keyBytes("a0") });
    await root.authEnable();
  });
  afterAll(async () => {
    for (const client of users) {
      client.close();
    }
    await target?.[Symbol.asyncDispose]();
  });

  it("log in when authentication comes on", async () => {
    await alice.put({ key: keyBytes("a1") });
    expect(await errorOf(alice.put({ key: keyBytes("b") }))).toBeInstanceOf(PermissionDeniedError);
    expect((await root.userGet({ name: "alice" })).roles).toEqual(["as"]);
  });

  it("are told of a wrong password, by whatever they do", async () => {
    const wrong = as("alice", "x");
    expect(await errorOf(wrong.put({ key: keyBytes("a") }))).toBeInstanceOf(AuthFailedError);
    const watcher = wrong.watch({ key: keyBytes("a") });
    expect(await errorOf(watcher.opened())).toBeInstanceOf(AuthFailedError);
    expect(await errorOf(wrong.leaseKeepAliveOnce(7n))).toBeInstanceOf(AuthFailedError);
  });

  it("are logged in again when the server has forgotten them, and write once", async () => {
    const watcher = alice.watch(prefixRange("a2"));
    await watcher.opened();
    const { id } = await alice.leaseGrant({ ttl: 60 });
    expect((await alice.leaseKeepAliveOnce(id)).ttl).toBe(60);
    await target.restart();
    await alice.put({ key: keyBytes("a2") });
    for await (const { events } of watcher) {
      expect(events.map(({ kv }) => kv?.version)).toEqual([1]);
      break;
    }
    expect((await alice.leaseKeepAliveOnce(id)).ttl).toBeGreaterThan(0);
    const [kv] = (await alice.range({ key: keyBytes("a2") })).kvs;
    expect(kv?.version).toBe(1);
  });

  it("go on when rights change, which makes old tokens old", async () => {
    await root.userGrantRole({ user: "alice", role: "root" });
    await alice.put({ key: keyBytes("b") });
    await root.userRevokeRole({ name: "alice", role: "root" });
    expect(await errorOf(alice.put({ key: keyBytes("b") }))).toBeInstanceOf(PermissionDeniedError);
    await alice.put({ key: keyBytes("a3") });
  });
});
