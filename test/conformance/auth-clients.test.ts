// Authentication through clients that others wrote, and the JSON gateway: etcdctl 3.4 with --user
// and every user, role and auth command it has, and the npm client etcd3.

import { Etcd3, EtcdAuthenticationFailedError, EtcdPermissionDeniedError } from "etcd3";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ClusterProcesses } from "../support/processes.ts";
import { auth, logIn, passwordOf, setUpUsers } from "./auth-support.ts";
import { etcdctlInstalled, RunningEtcdctl, run } from "./etcdctl.ts";
import { bytes } from "./raw-client.ts";
import { roles, useTargets } from "./targets.ts";

const noUser = "Error: etcdserver: user name is empty\n";
const denied = "Error: etcdserver: permission denied\n";

describe.skipIf(!etcdctlInstalled).each([1, 3])("etcdctl against %i", (size) => {
  let cluster: ClusterProcesses;
  let turn = 0;
  beforeAll(async () => {
    cluster = await ClusterProcesses.start(size);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  /** What it prints, and its exit; each time on the next member. */
  async function control(...args: string[]): Promise<[number | null, string]> {
    turn++;
    const endpoint = cluster.endpoints[turn % size] ?? "";
    const { exit, out, err } = await run(endpoint, args);
    return [exit, `${out}${err}`];
  }
  const asRoot = "--user=root:r00t";
  const asAlice = "--user=alice:s3cret";

  test("before authentication is on", async () => {
    const script: [string[], number, string][] = [
      [["auth", "enable"], 1, "Error: etcdserver: root user does not exist\n"],
      [["user", "add", "root:r00t"], 0, "User root created\n"],
      [["user", "add", "root:r00t"], 1, "Error: etcdserver: user name already exists\n"],
      [["user", "grant-role", "root", "root"], 0, "Role root is granted to user root\n"],
      [["user", "grant-role", "root", "root"], 0, "Role root is granted to user root\n"],
      [["role", "get", "root"], 1, "Error: etcdserver: role name not found\n"],
      [["role", "add", "r"], 0, "Role r created\n"],
      [["role", "add", "r"], 1, "Error: etcdserver: role name already exists\n"],
      [["role", "grant-permission", "r", "readwrite", "p/", "--prefix"], 0, "Role r updated\n"],
      [["role", "grant-permission", "r", "read", "k"], 0, "Role r updated\n"],
      [["role", "grant-permission", "r", "write", "z", "--from-key"], 0, "Role r updated\n"],
      [
        ["role", "grant-permission", "r", "read", "b", "a"],
        1,
        "Error: etcdserver: invalid auth management\n",
      ],
      [
        ["role", "get", "r"],
        0,
        "Role r\nKV Read:\n\tk\n\t[p/, p0) (prefix p/)\n" +
          "KV Write:\n\t[p/, p0) (prefix p/)\n\t[z, <open ended>\n",
      ],
      [["user", "add", "alice:x"], 0, "User alice created\n"],
      [["user", "add", "cert", "--no-password"], 0, "User cert created\n"],
      [["user", "grant-role", "alice", "r"], 0, "Role r is granted to user alice\n"],
      [["user", "grant-role", "alice", "q"], 1, "Error: etcdserver: role name not found\n"],
      [["user", "grant-role", "bob", "r"], 1, "Error: etcdserver: user name not found\n"],
      [["user", "list"], 0, "alice\ncert\nroot\n"],
      [["role", "list"], 0, "r\n"],
      [["user", "get", "alice"], 0, "User: alice\nRoles: r\n"],
      [
        ["user", "revoke-role", "alice", "q"],
        1,
        "Error: etcdserver: role is not granted to the user\n",
      ],
      [["put", "k", "1"], 0, "OK\n"],
      [["put", "p/1", "1"], 0, "OK\n"],
      [["put", "other", "1"], 0, "OK\n"],
    ];
    for (const [args, exit, text] of script) {
      expect([args, ...(await control(...args))]).toEqual([args, exit, text]);
    }
    const passwd = ["user", "passwd", "alice", "--interactive=false"];
    const changed = await run(cluster.endpoints[0] ?? "", passwd, { input: "s3cret\n" });
    expect(changed).toEqual({ exit: 0, out: "Password updated\n", err: "" });
    expect(await control("auth", "enable")).toEqual([0, "Authentication Enabled\n"]);
  });

  test("while it is on", async () => {
    const wrong = "Error: etcdserver: authentication failed, invalid user ID or password\n";
    const script: [string[], number, string][] = [
      [["get", "k"], 1, noUser],
      [["put", "k", "2"], 1, noUser],
      [["del", "k"], 1, noUser],
      [["auth", "disable"], 1, noUser],
      [["user", "list"], 1, noUser],
      [["member", "list"], 1, noUser],
      [
        ["lease", "grant", "60"],
        1,
        "Error: failed to grant lease (etcdserver: user name is empty)\n",
      ],
      [["--user=alice:wrong", "get", "k"], 2, wrong],
      [["--user=bob:s3cret", "get", "k"], 2, wrong],
      [[asAlice, "get", "k"], 0, "k\n1\n"],
      [[asAlice, "put", "k", "2"], 1, denied],
      [[asAlice, "get", "other"], 1, denied],
      [[asAlice, "get", "", "--prefix"], 1, denied],
      [[asAlice, "get", "k", "--from-key"], 1, denied],
      [[asAlice, "put", "p/1", "2", "--prev-kv"], 0, "OK\np/1\n1\n"],
      [[asAlice, "put", "z/1", "1"], 0, "OK\n"],
      [[asAlice, "put", "z/1", "1", "--prev-kv"], 1, denied],
      [[asAlice, "del", "z", "--from-key"], 0, "1\n"],
      [[asAlice, "del", "", "--prefix"], 1, denied],
      [[asAlice, "user", "get", "alice"], 0, "User: alice\nRoles: r\n"],
      [[asAlice, "user", "get", "root"], 1, denied],
      [[asAlice, "role", "list"], 1, denied],
      [[asAlice, "user", "add", "eve:x"], 1, denied],
      [[asAlice, "auth", "disable"], 1, denied],
      [[asAlice, "compaction", "2"], 1, denied],
      [[asAlice, "member", "remove", "1234"], 1, denied],
      [[asAlice, "lock", "p/lock", "echo", "held"], 0, "held\n"],
      [[asRoot, "get", "", "--prefix", "--keys-only"], 0, "k\n\nother\n\np/1\n\n"],
      [[asRoot, "user", "delete", "root"], 1, "Error: etcdserver: invalid auth management\n"],
      [
        [asRoot, "role", "revoke-permission", "r", "k"],
        0,
        "Permission of key k is revoked from role r\n",
      ],
      [[asAlice, "get", "k"], 1, denied],
      [[asRoot, "role", "delete", "r"], 0, "Role r deleted\n"],
      [[asRoot, "user", "get", "alice"], 0, "User: alice\nRoles:\n"],
      [[asRoot, "user", "delete", "alice"], 0, "User alice deleted\n"],
      [[asAlice, "get", "p/1"], 2, wrong],
      [[asRoot, "auth", "disable"], 0, "Authentication Disabled\n"],
      [["get", "k"], 0, "k\n1\n"],
      [[asRoot, "get", "k"], 0, "k\n1\n"],
    ];
    for (const [args, exit, text] of script) {
      expect([args, ...(await control(...args))]).toEqual([args, exit, text]);
    }
  }, 90_000);

  test("watches that may be and that may not", async () => {
    const [endpoint = ""] = cluster.endpoints;
    for (const args of [
      ["user", "add", "bob:b0b"],
      ["role", "add", "w"],
      ["role", "grant-permission", "w", "read", "seen"],
      ["user", "grant-role", "bob", "w"],
      ["auth", "enable"],
    ]) {
      expect([args, (await run(endpoint, args)).exit]).toEqual([args, 0]);
    }
    using watcher = new RunningEtcdctl(endpoint, ["--user=bob:b0b", "watch", "seen"]);
    const blind = await run(endpoint, ["--user=bob:b0b", "watch", "seen", "--prefix"]);
    expect(blind.exit).not.toBe(0);
    expect(blind.err).toContain("permission denied");
    for (let i = 0; !watcher.out.includes("PUT"); i++) {
      expect((await run(endpoint, [asRoot, "put", "seen", String(i)])).exit).toBe(0);
    }
    await watcher.until("PUT\nseen\n");
    expect((await run(endpoint, [asRoot, "auth", "disable"])).exit).toBe(0);
  });
});

const target = useTargets();
const clients: Etcd3[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) {
    client.close();
  }
});

describe.each(roles)("others: %s", (role) => {
  beforeAll(async () => {
    const { client } = target(role);
    const { enabled } = await auth(client, "status");
    if (!enabled) {
      await setUpUsers(client);
    }
  });

  test("the npm client logs in, is told what it may not, and logs in again", async () => {
    const { endpoint, client } = target(role);
    const options = { hosts: endpoint };
    const login = { username: "user", password: passwordOf("user") };
    const open = (more = {}): Etcd3 => {
      const opened = new Etcd3({ ...options, ...more });
      clients.push(opened);
      return opened;
    };
    const user = open({ auth: login });
    await user.put("mine/npm").value("1");
    expect(await user.get("mine/npm").string()).toBe("1");
    await expect(user.get("other").string()).rejects.toThrow(EtcdPermissionDeniedError);
    const stranger = open({ auth: { username: "user", password: "no" } });
    await expect(stranger.get("mine/npm").string()).rejects.toThrow(EtcdAuthenticationFailedError);
    const nobody = open();
    await expect(nobody.get("mine/npm").string()).rejects.toThrow("user name is empty");
    const watcher = await user.watch().prefix("mine/").create();
    const seen = new Promise<string>((resolve) => {
      watcher.on("put", (kv) => resolve(kv.value.toString()));
    });
    await user.put("mine/npm").value("2");
    expect(await seen).toBe("2");
    const lease = user.lease(60);
    await lease.put("mine/leased").value("x");
    await lease.revoke();
    expect(await user.get("mine/leased").string()).toBeNull();
    // Its token goes with the password; the client takes another by itself.
    const root = await logIn(client, "root");
    await auth(client, "changePassword", { name: "user", password: passwordOf("user") }, root);
    expect(await user.get("mine/npm").string()).toBe("2");
  });

  test("the JSON gateway takes a token as `authorization`", async () => {
    const base = `http://${target(role).endpoint}/v3`;
    const post = async (path: string, body: object, headers = {}): Promise<[number, unknown]> => {
      const request = { method: "POST", body: JSON.stringify(body), headers };
      const response = await fetch(`${base}${path}`, request);
      return [response.status, await response.json()];
    };
    const key = Buffer.from("mine/json").toString("base64");
    const [status, answer] = await post("/auth/authenticate", {
      name: "user",
      password: passwordOf("user"),
    });
    expect(status).toBe(200);
    const { token } = answer as { token: string };
    const authorization = { Authorization: token };
    expect((await post("/kv/put", { key, value: "dg==" }, authorization))[0]).toBe(200);
    expect(await post("/kv/range", { key }, authorization)).toMatchObject([
      200,
      { kvs: [{ key, value: "dg==" }] },
    ]);
    const other = Buffer.from("other").toString("base64");
    expect(await post("/kv/range", { key: other }, authorization)).toEqual([
      403,
      { code: 7, message: "etcdserver: permission denied", details: [] },
    ]);
    expect(await post("/kv/range", { key })).toEqual([
      400,
      { code: 3, message: "etcdserver: user name is empty", details: [] },
    ]);
    expect(await post("/kv/range", { key }, { Authorization: "Bearer nonsense" })).toEqual([
      401,
      { code: 16, message: "etcdserver: invalid auth token", details: [] },
    ]);
  });

  test("a hash made by etcd is good here", async () => {
    const { client } = target(role);
    const root = await logIn(client, "root");
    const name = `moved-${role}`.replaceAll(" ", "-");
    // Of "rootpw", by etcd 3.4.23.
    const hash = "$2a$10$VfpNYZFla0a/W7Uk5e/sMuTDuhnkJcqbqObypMQsVmXr3sPywHT0e";
    const hashedPassword = Buffer.from(hash).toString("base64");
    await auth(client, "userAdd", { name, hashedPassword }, root);
    const { token } = await auth(client, "authenticate", { name, password: "rootpw" });
    expect(token).not.toBe("");
  });

  test("who has no password cannot log in with one", async () => {
    const { client } = target(role);
    const root = await logIn(client, "root");
    const name = `blank-${role}`.replaceAll(" ", "-");
    await auth(client, "userAdd", { name, password: "" }, root);
    const empty = auth(client, "authenticate", { name, password: "" });
    await expect(empty).rejects.toMatchObject({ code: 3 });
    const long = auth(client, "userAdd", { name: "long", password: "x".repeat(73) }, root);
    await expect(long).rejects.toMatchObject({
      code: 2,
      details: "bcrypt: password length exceeds 72 bytes",
    });
    await client.call("range", { key: bytes("k") }, { metadata: { token: root } });
  });
});
