// With authentication on, both programs are let in, and refused, in the same words.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, keyBytes } from "../../../src/client/index.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import { etcdctl, hasEtcdctl, quoratectl, type RunOptions, withoutRevisions } from "./both.ts";

let cluster: ClusterProcesses;
let endpoint = "";

beforeAll(async () => {
  cluster = await ClusterProcesses.start(1);
  endpoint = cluster.endpoints[0] ?? "";
  const client = connect({ endpoints: [endpoint] });
  await client.put({ key: keyBytes("/app/a"), value: keyBytes("1") });
  await client.userAdd({ name: "root", password: "secret" });
  await client.userAdd({ name: "alice", password: "pass:word" });
  await client.roleAdd({ name: "reader" });
  const perm = { permType: 0, key: keyBytes("/app/"), rangeEnd: keyBytes("/app0") };
  await client.roleGrantPermission({ name: "reader", perm });
  await client.userGrantRole({ user: "alice", role: "reader" });
  client.close();
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

async function both(line: string, options: RunOptions = {}) {
  const all = { ...options, env: { ETCDCTL_ENDPOINTS: endpoint, ...options.env } };
  const args = line.split(" ");
  const theirs = withoutRevisions(etcdctl(args, all));
  const ours = withoutRevisions(await quoratectl(args, all));
  expect(ours).toEqual(theirs);
  return ours;
}

const root = "--user=root:secret";

describe.skipIf(!hasEtcdctl)("with authentication", () => {
  it("is switched on, and the role root given, by either", async () => {
    for (const run of [quoratectl, etcdctl]) {
      const options = { env: { ETCDCTL_ENDPOINTS: endpoint } };
      const on = await run(["auth", "enable"], options);
      expect(on).toEqual({ exit: 0, out: "Authentication Enabled\n", err: "" });
      const status = await quoratectl(["auth", "status", root], options);
      expect(status.out).toMatch(/^Authentication Status: true\nAuthRevision: \d+\n$/);
      const off = await run(["auth", "disable", root], options);
      expect(off).toEqual({ exit: 0, out: "Authentication Disabled\n", err: "" });
    }
    const again = await quoratectl(["auth", "enable"], { env: { ETCDCTL_ENDPOINTS: endpoint } });
    expect(again.exit).toBe(0);
  });

  it.each([
    "get /app/a",
    "put /app/a 2",
    "lease list",
    "user list",
    `get /app/a ${root}`,
    `get /app/a ${root} -w fields`,
    "get /app/a --user root --password secret",
    "get /app/a --user=root:wrong",
    "get /app/a --user=nobody:x",
    "get /app/ --prefix --user=alice:pass:word",
    "get other --user=alice:pass:word",
    "put /app/a 2 --user=alice:pass:word",
    "del /app/a --user=alice:pass:word",
    "user get alice --user=alice:pass:word",
    "user get root --user=alice:pass:word",
    "role get reader --user=alice:pass:word",
    "role list --user=alice:pass:word",
    "member list --user=alice:pass:word",
    "endpoint hashkv --user=alice:pass:word",
    "compaction 1 --user=alice:pass:word",
    `user get alice --detail ${root}`,
    `role list -w json ${root}`,
    `role get root ${root}`,
    `user delete root ${root}`,
  ])("%s", async (line) => {
    await both(line);
  });

  it("takes the user from variables, and asks for a password that is missing", async () => {
    await both("get /app/a", { env: { ETCDCTL_USER: "root:secret" } });
    await both("get /app/a", { env: { ETCDCTL_USER: "root", ETCDCTL_PASSWORD: "secret" } });
    const env = { ETCDCTL_ENDPOINTS: endpoint, QUORATECTL_USER: "alice", ETCDCTL_USER: "nobody" };
    const asked = await quoratectl(["get", "/app/a"], { env, input: "pass:word\n" });
    expect(asked).toEqual({ exit: 0, out: "Password: \n/app/a\n1\n", err: "" });
  });

  it("takes a token in place of a user", async () => {
    const client = connect({ endpoints: [endpoint] });
    const { token } = await client.authenticate({ name: "root", password: "secret" });
    client.close();
    const run = (...args: string[]) => quoratectl(args, { env: { ETCDCTL_ENDPOINTS: endpoint } });
    const taken = await run("get", "/app/a", `--auth-jwt-token=${token}`);
    expect(taken).toEqual({ exit: 0, out: "/app/a\n1\n", err: "" });
    const refused = await run("get", "/app/a", "--auth-jwt-token=nonsense");
    expect(refused).toEqual({ exit: 1, out: "", err: "Error: etcdserver: invalid auth token\n" });
    const both = await run("get", "/app/a", "--auth-jwt-token=x", root);
    expect(both.exit).toBe(128);
  });

  it("keeps messages within the limits that are given", async () => {
    const run = (...args: string[]) =>
      quoratectl([...args, root], { env: { ETCDCTL_ENDPOINTS: endpoint } });
    const put = await run("put", "big", "x".repeat(2_000), "--max-request-bytes=1000");
    expect(put).toMatchObject({ exit: 1, out: "" });
    expect(put.err).toMatch(/larger than/);
    expect((await run("put", "big", "x".repeat(2_000))).exit).toBe(0);
    expect((await run("get", "big", "--max-recv-bytes=1000")).err).toMatch(/larger than/);
  });

  it("counts a member that denies a read as healthy", async () => {
    const { exit, err } = await quoratectl(["endpoint", "health", "--user=alice:pass:word"], {
      env: { ETCDCTL_ENDPOINTS: endpoint },
    });
    expect({ exit, err }).toMatchObject({ exit: 0, err: expect.stringContaining("is healthy") });
  });

  it("is switched off", async () => {
    await both(`auth disable ${root}`);
    await both("get /app/a");
  });
});
