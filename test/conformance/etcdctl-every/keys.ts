// etcdctl's commands on keys, leases, locks, elections and mirrors.

import { expect } from "vitest";
import { eventually } from "../targets.ts";
import type { EtcdctlScene } from "./scene.ts";

type Cases = Readonly<Record<string, (scene: EtcdctlScene) => Promise<void>>>;

async function revisionOf(scene: EtcdctlScene, key: string): Promise<number> {
  const out = await scene.ctl("get", key, "-w", "fields");
  return Number(/"ModRevision" : (\d+)/.exec(out)?.[1]);
}

async function grantOf(scene: EtcdctlScene, ttl: number): Promise<string> {
  const out = await scene.ctl("lease", "grant", String(ttl));
  return /^lease ([0-9a-f]{16}) granted with TTL\(\d+s\)\n$/.exec(out)?.[1] ?? "";
}

async function put(scene: EtcdctlScene): Promise<void> {
  const lease = await grantOf(scene, 600);
  expect(await scene.ctl("put", "put/a", "1", `--lease=${lease}`)).toBe("OK\n");
  expect(await scene.typed("2", "put", "put/a", "--ignore-lease")).toBe("OK\n");
  expect(await scene.ctl("put", "put/a", "--ignore-value", "--prev-kv")).toBe("OK\nput/a\n2\n");
  const json = JSON.parse(await scene.ctl("put", "put/b", "3", "-w", "json")) as object;
  expect(json).toMatchObject({ header: { revision: expect.any(Number) as number } });
}

async function get(scene: EtcdctlScene): Promise<void> {
  for (const name of ["b", "a", "c"]) {
    await scene.ctl("put", `get/${name}`, name);
  }
  const values = (...args: string[]): Promise<string> =>
    scene.ctl("get", ...args, "--print-value-only");
  expect(await values("get/a")).toBe("a\n");
  expect(await values("get/", "--prefix")).toBe("a\nb\nc\n");
  expect(await values("get/", "--prefix", "--limit=2", "--consistency=s")).toBe("a\nb\n");
  expect(await values("get/b", "--from-key", "--limit=1")).toBe("b\n");
  expect(await values("get/", "--prefix", "--order=DESCEND", "--sort-by=CREATE")).toBe("c\na\nb\n");
  expect(await scene.ctl("get", "get/", "--prefix", "--keys-only")).toBe(
    "get/a\n\nget/b\n\nget/c\n\n",
  );
  const revision = await revisionOf(scene, "get/a");
  await scene.ctl("put", "get/a", "new");
  expect(await values("get/a", `--rev=${revision}`)).toBe("a\n");
  expect(await scene.ctl("get", "get/b", "--hex")).toBe("\\x67\\x65\\x74\\x2f\\x62\n\\x62\n");
  expect((await scene.ctl("get", "get/b", "-w", "protobuf")).length).toBeGreaterThan(20);
}

async function del(scene: EtcdctlScene): Promise<void> {
  for (const name of ["a", "b", "c"]) {
    await scene.ctl("put", `~del/${name}`, name);
  }
  expect(await scene.ctl("del", "~del/a", "--prev-kv")).toBe("1\n~del/a\na\n");
  expect(await scene.ctl("del", "~del/", "--prefix")).toBe("2\n");
  await scene.ctl("put", "~del/z", "z");
  expect(await scene.ctl("del", "~del/z", "--from-key")).toBe("1\n");
}

async function txn(scene: EtcdctlScene): Promise<void> {
  const input = 'create("txn/a") = "0"\n\nput txn/a 1\n\nget txn/a\n\n';
  expect(await scene.typed(input, "txn")).toBe("SUCCESS\n\nOK\n");
  expect(await scene.typed(input, "txn", "-i")).toMatch(/FAILURE\n\ntxn\/a\n1\n$/);
}

async function compaction(scene: EtcdctlScene): Promise<void> {
  await scene.ctl("put", "compaction", "1");
  const first = await revisionOf(scene, "compaction");
  await scene.ctl("put", "compaction", "2");
  expect(await scene.ctl("compaction", String(first))).toBe(`compacted revision ${first}\n`);
  const last = await revisionOf(scene, "compaction");
  const done = await scene.ctl("compaction", String(last), "--physical");
  expect(done).toBe(`compacted revision ${last}\n`);
}

async function watch(scene: EtcdctlScene): Promise<void> {
  await scene.ctl("put", "watch/a", "1");
  const rev = `--rev=${await revisionOf(scene, "watch/a")}`;
  await scene.ctl("put", "watch/a", "2");
  using plain = scene.start("watch", "watch/", "--prefix", rev, "--prev-kv");
  await plain.until("PUT\nwatch/a\n1\nwatch/a\n2\n");
  using guided = scene.start("watch", "-i");
  guided.type(`watch watch/a ${rev}\n`);
  await guided.until("PUT\nwatch/a\n2\n");
  const shell = ["sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"];
  using command = scene.start("watch", "watch/a", rev, "--", ...shell);
  await command.until('"PUT" "watch/a" "2"\n');
  await plain.interrupt();
}

async function leaseGrant(scene: EtcdctlScene): Promise<void> {
  expect(await grantOf(scene, 600)).toMatch(/^[0-9a-f]{16}$/);
}

async function leaseTimeToLive(scene: EtcdctlScene): Promise<void> {
  const lease = await grantOf(scene, 600);
  await scene.ctl("put", "lease/ttl", "x", `--lease=${lease}`);
  const told = await scene.ctl("lease", "timetolive", lease, "--keys");
  expect(told).toMatch(/^lease [0-9a-f]{16} granted with TTL\(600s\), remaining\(\d+s\), /);
  expect(told).toMatch(/attached keys\(\[lease\/ttl\]\)\n$/);
}

async function leaseList(scene: EtcdctlScene): Promise<void> {
  const lease = await grantOf(scene, 600);
  const out = await scene.ctl("lease", "list");
  expect(out).toMatch(/^found \d+ leases\n/);
  expect(out).toContain(`${lease}\n`);
}

async function leaseKeepAlive(scene: EtcdctlScene): Promise<void> {
  const lease = await grantOf(scene, 600);
  const told = `lease ${lease} keepalived with TTL(600)\n`;
  expect(await scene.ctl("lease", "keep-alive", "--once", lease)).toBe(told);
  using renewing = scene.start("lease", "keep-alive", lease);
  await renewing.until(told);
}

async function leaseRevoke(scene: EtcdctlScene): Promise<void> {
  const lease = await grantOf(scene, 600);
  await scene.ctl("put", "lease/revoke", "x", `--lease=${lease}`);
  expect(await scene.ctl("lease", "revoke", lease)).toBe(`lease ${lease} revoked\n`);
  expect(await scene.ctl("get", "lease/revoke")).toBe("");
}

async function lock(scene: EtcdctlScene): Promise<void> {
  const held = await scene.ctl("lock", "lock", "--ttl=20", "--", "sh", "-c", "echo $ETCD_LOCK_KEY");
  expect(held).toMatch(/^lock\/[0-9a-f]+\n$/);
  using holder = scene.start("lock", "lock");
  await holder.until(/^lock\/[0-9a-f]+\n/);
  await holder.interrupt();
  expect(await scene.ctl("get", "lock/", "--prefix")).toBe("");
}

async function elect(scene: EtcdctlScene): Promise<void> {
  using leader = scene.start("elect", "election", "one");
  await leader.until("one\n");
  using observer = scene.start("elect", "-l", "election");
  await observer.until("one\n");
  await leader.interrupt();
}

async function makeMirror(scene: EtcdctlScene): Promise<void> {
  await scene.ctl("put", "mirror/a", "1");
  const own = (scene.endpoints[0] ?? "").replace("https://", "");
  const mirrored = (key: string) =>
    eventually(
      () => scene.ctl("get", key, "--print-value-only"),
      (out) => expect(out).toBe("1\n"),
    );
  const from = ["make-mirror", "--prefix=mirror/", ...scene.destination];
  const destination = scene.secured ? `https://${own}` : own;
  using prefixed = scene.start(...from, "--dest-prefix=mirrored/", destination);
  await mirrored("mirrored/a");
  using bare = scene.start(...from, "--no-dest-prefix", destination);
  await mirrored("a");
  await scene.ctl("put", "mirror/b", "1");
  await mirrored("mirrored/b");
  await prefixed.interrupt();
  await bare.interrupt();
}

export const keyCases: Cases = {
  put,
  get,
  del,
  txn,
  compaction,
  watch,
  "lease grant": leaseGrant,
  "lease timetolive": leaseTimeToLive,
  "lease list": leaseList,
  "lease keep-alive": leaseKeepAlive,
  "lease revoke": leaseRevoke,
  lock,
  elect,
  "make-mirror": makeMirror,
};
