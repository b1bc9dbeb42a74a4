// etcdctl's commands for operators: members, endpoints, snapshots, checks, users and roles.

import { existsSync, statSync } from "node:fs";
import { expect } from "vitest";
import { eventually } from "../targets.ts";
import type { EtcdctlScene } from "./scene.ts";

type Cases = Readonly<Record<string, (scene: EtcdctlScene) => Promise<void>>>;

/** Adds a learner that never starts, and removes it after. */
async function withLearner(scene: EtcdctlScene, use: (id: string) => Promise<void>): Promise<void> {
  let id = "";
  const add = ["member", "add", "new", "--learner", "--peer-urls=http://127.0.0.1:9"];
  // A cluster that has just started is not healthy enough for a change, for five seconds.
  await eventually(
    () => scene.run({}, ...add),
    ({ exit, out }) => {
      expect(exit).toBe(0);
      expect(out).toContain('\nETCD_NAME="new"\nETCD_INITIAL_CLUSTER="');
      id = /^Member +([0-9a-f]{1,16}) added to cluster/.exec(out)?.[1] ?? "";
    },
    20_000,
  );
  await use(id);
  expect(await scene.ctl("member", "remove", id)).toContain(" removed from cluster ");
}

async function memberChanges(scene: EtcdctlScene): Promise<void> {
  await withLearner(scene, async (id) => {
    const url = "http://127.0.0.1:10";
    const updated = await scene.ctl("member", "update", id, `--peer-urls=${url}`);
    expect(updated).toContain(" updated in cluster ");
    expect(await scene.ctl("member", "list")).toContain(`${id}, unstarted, , ${url}, , true\n`);
    const early = await scene.run({}, "member", "promote", id);
    expect([early.exit, early.err]).toEqual([
      1,
      "Error: etcdserver: can only promote a learner member which is in sync with leader\n",
    ]);
  });
  const size = scene.endpoints.length;
  expect((await scene.ctl("member", "list", "-w", "table")).split("\n")).toHaveLength(5 + size);
}

async function endpointHealth(scene: EtcdctlScene): Promise<void> {
  for (const args of [[], ["--cluster"]]) {
    const out = await scene.everywhere("endpoint", "health", ...args);
    expect(out.match(/ is healthy: successfully committed proposal: took = /g)).toHaveLength(
      scene.endpoints.length,
    );
  }
}

async function endpointStatus(scene: EtcdctlScene): Promise<void> {
  for (const format of ["simple", "json", "fields", "table"]) {
    const out = await scene.everywhere("endpoint", "status", "--cluster", "-w", format);
    expect(out.match(/3\.6\.\d+/g)).toHaveLength(scene.endpoints.length);
  }
}

async function endpointHashKv(scene: EtcdctlScene): Promise<void> {
  const hashes = async (...args: string[]): Promise<number> => {
    const out = await scene.everywhere("endpoint", "hashkv", ...args);
    const found = out
      .trim()
      .split("\n")
      .map((line) => line.split(", ")[1]);
    expect(found).toHaveLength(scene.endpoints.length);
    return new Set(found).size;
  };
  const put = JSON.parse(await scene.ctl("put", "hashed", "1", "-w", "json")) as {
    readonly header: { readonly revision: number };
  };
  const rev = `--rev=${put.header.revision}`;
  expect(await hashes(rev)).toBe(1);
  expect(await hashes(rev, "--cluster")).toBe(1);
}

async function alarm(scene: EtcdctlScene): Promise<void> {
  expect(await scene.ctl("alarm", "list")).toBe("");
  expect(await scene.ctl("alarm", "disarm")).toBe("");
}

async function snapshot(scene: EtcdctlScene): Promise<void> {
  const [file, data] = [scene.path("snapshot.db"), scene.path("restored")];
  expect(await scene.ctl("snapshot", "save", file)).toBe(`Snapshot saved at ${file}\n`);
  expect(statSync(file).size % 512).toBe(32);
  const told = JSON.parse(await scene.ctl("snapshot", "status", file, "-w", "json")) as object;
  expect(told).toMatchObject({ totalKey: expect.any(Number) as number });
  const restored = await scene.run(
    {},
    ...["snapshot", "restore", file, `--data-dir=${data}`, `--wal-dir=${scene.path("wal")}`],
    ...["--name=m", "--initial-cluster=m=http://127.0.0.1:1", "--skip-hash-check=false"],
    ...["--initial-cluster-token=t", "--initial-advertise-peer-urls=http://127.0.0.1:1"],
  );
  expect(restored.exit).toBe(0);
  expect(existsSync(`${data}/member/snap/db`)).toBe(true);
  // Of etcd's own files, so nothing that a server of ours has a part in.
  expect((await scene.run({}, "defrag", `--data-dir=${data}`)).exit).toBe(0);
}

async function defrag(scene: EtcdctlScene): Promise<void> {
  expect(await scene.ctl("defrag")).toBe(
    `Finished defragmenting etcd member[${scene.endpoints[0]}]\n`,
  );
  const all = await scene.ctl("defrag", "--cluster");
  expect(all.match(/^Finished /gm)).toHaveLength(scene.endpoints.length);
}

async function moveLeader(scene: EtcdctlScene): Promise<void> {
  interface Status {
    readonly Status: { readonly header: { readonly member_id: bigint }; readonly leader: bigint };
  }
  const raw = await scene.everywhere("endpoint", "status", "-w", "json");
  const statuses = JSON.parse(raw.replaceAll(/:(\d{16,})/g, ':"$1"')) as readonly Status[];
  const id = (value: bigint): string => BigInt(value).toString(16);
  const leader = id(statuses[0]?.Status.leader ?? 0n);
  const others = statuses.map(({ Status }) => id(Status.header.member_id));
  const other = others.find((each) => each !== leader) ?? leader;
  expect(await scene.everywhere("move-leader", other)).toBe(
    `Leadership transferred from ${leader} to ${other}\n`,
  );
}

async function users(scene: EtcdctlScene): Promise<void> {
  const script: [string[], string][] = [
    [["role", "add", "r"], "Role r created\n"],
    [["role", "grant-permission", "r", "readwrite", "p/", "--prefix"], "Role r updated\n"],
    [["role", "grant-permission", "r", "read", "z", "--from-key"], "Role r updated\n"],
    [["user", "add", "plain:pw"], "User plain created\n"],
    [["user", "add", "flagged", "--new-user-password=pw"], "User flagged created\n"],
    [["user", "add", "certified", "--no-password"], "User certified created\n"],
    [["user", "grant-role", "plain", "r"], "Role r is granted to user plain\n"],
    [["user", "get", "plain"], "User: plain\nRoles: r\n"],
    [["role", "list"], "r\n"],
  ];
  for (const [args, out] of script) {
    expect([args, await scene.ctl(...args)]).toEqual([args, out]);
  }
  const added = await scene.typed("pw\n", "user", "add", "typed", "--interactive=false");
  expect(added).toBe("User typed created\n");
  const passwd = ["user", "passwd", "plain", "--interactive=false"];
  expect(await scene.typed("other\n", ...passwd)).toBe("Password updated\n");
  const named = ["certified", "flagged", "plain", ...(scene.secured ? ["root"] : []), "typed"];
  expect(await scene.ctl("user", "list")).toBe(named.map((name) => `${name}\n`).join(""));
  expect(await scene.ctl("user", "get", "plain", "--detail")).toContain("[p/, p0) (prefix p/)");
  expect(await scene.ctl("role", "get", "r")).toContain("\t[z, <open ended>\n");
  await scene.ctl("role", "revoke-permission", "r", "p/", "--prefix");
  await scene.ctl("role", "revoke-permission", "r", "z", "--from-key");
  expect(await scene.ctl("role", "get", "r")).toBe("Role r\nKV Read:\nKV Write:\n");
  expect(await scene.ctl("user", "revoke-role", "plain", "r")).toBe(
    "Role r is revoked from user plain\n",
  );
  expect(await scene.ctl("role", "delete", "r")).toBe("Role r deleted\n");
  for (const name of ["certified", "flagged", "plain", "typed"]) {
    expect(await scene.ctl("user", "delete", name)).toBe(`User ${name} deleted\n`);
  }
}

async function authentication(scene: EtcdctlScene): Promise<void> {
  if (!scene.secured) {
    const early = await scene.run({}, "auth", "enable");
    expect([early.exit, early.err]).toEqual([1, "Error: etcdserver: root user does not exist\n"]);
    // Off already, which is no error.
    expect(await scene.ctl("auth", "disable")).toBe("Authentication Disabled\n");
    return;
  }
  const wrong = await scene.run({}, "--user=root:wrong", "get", "k");
  expect(wrong.err).toContain("authentication failed, invalid user ID or password");
  expect(await scene.ctl("auth", "disable")).toBe("Authentication Disabled\n");
  expect(await scene.ctl("auth", "enable")).toBe("Authentication Enabled\n");
}

async function checkDataScale(scene: EtcdctlScene): Promise<void> {
  const flags = ["--load=s", "--prefix=/scale/", "--auto-compact", "--auto-defrag"];
  // Which reads /metrics too, and there trusts what the system trusts, whatever --cacert says.
  const env = scene.caFile === undefined ? {} : { SSL_CERT_FILE: scene.caFile };
  using check = scene.startWith({ env, input: "" }, "check", "datascale", ...flags);
  const { exit, out } = await check.end(180_000);
  expect([exit, out]).toEqual([
    0,
    expect.stringMatching(/PASS: Approximate system memory used : [\d.]+ MB\.\n$/),
  ]);
  expect(await scene.ctl("get", "/scale/", "--prefix", "--limit=1")).toBe("");
}

async function local(scene: EtcdctlScene): Promise<void> {
  expect(await scene.ctl("version")).toContain("etcdctl version: 3.4.");
  expect(await scene.ctl("help")).toContain("COMMANDS:");
  for (const shell of ["bash", "fish", "powershell", "zsh"]) {
    expect(await scene.ctl("completion", shell, "--no-descriptions")).toContain("etcdctl");
  }
}

export const operateCases: Cases = {
  "member add": memberChanges,
  "member update": memberChanges,
  "member promote": memberChanges,
  "member list": memberChanges,
  "member remove": memberChanges,
  "endpoint health": endpointHealth,
  "endpoint status": endpointStatus,
  "endpoint hashkv": endpointHashKv,
  "alarm list": alarm,
  "alarm disarm": alarm,
  "snapshot save": snapshot,
  "snapshot status": snapshot,
  "snapshot restore": snapshot,
  defrag,
  "move-leader": moveLeader,
  "user add": users,
  "user get": users,
  "user list": users,
  "user passwd": users,
  "user grant-role": users,
  "user revoke-role": users,
  "user delete": users,
  "role add": users,
  "role get": users,
  "role list": users,
  "role grant-permission": users,
  "role revoke-permission": users,
  "role delete": users,
  "auth enable": authentication,
  "auth disable": authentication,
  "check datascale": checkDataScale,
  version: local,
  help: local,
  "completion bash": local,
  "completion fish": local,
  "completion powershell": local,
  "completion zsh": local,
};
