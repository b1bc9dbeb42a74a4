// etcdctl watch, lease, lock and elect: what goes on for a while, against one node and three.

import { describe, expect, test } from "vitest";
import { etcdctlInstalled, print, run, RunningEtcdctl, type RunOptions } from "./etcdctl.ts";
import { eventually, freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets(["--watch-progress-notify-interval=200ms"]);

function use(role: (typeof roles)[number]) {
  const { endpoint, endpoints } = target(role);
  const ctl = (args: readonly string[], options?: RunOptions): Promise<string> =>
    print(endpoint, args, options);
  return {
    endpoint,
    endpoints,
    prefix: freshPrefix("ctl"),
    ctl,
    start: (args: readonly string[], options?: RunOptions) =>
      new RunningEtcdctl(endpoint, args, options),
    /** A lease id, as etcdctl prints it. */
    async grant(ttl: number): Promise<string> {
      const out = await ctl(["lease", "grant", String(ttl)]);
      return /^lease ([0-9a-f]{16}) granted/.exec(out)?.[1] ?? "";
    },
    async revisionOf(key: string): Promise<number> {
      const out = await ctl(["get", key, "-w", "fields"]);
      return Number(/"ModRevision" : (\d+)/.exec(out)?.[1]);
    },
  };
}

describe.runIf(etcdctlInstalled).concurrent.each(roles)("%s", (role) => {
  test("watch: a history, then what happens", async () => {
    const { ctl, prefix, revisionOf, start } = use(role);
    await ctl(["put", `${prefix}a`, "1"]);
    const revision = await revisionOf(`${prefix}a`);
    await ctl(["put", `${prefix}b`, "2"]);
    await ctl(["del", `${prefix}a`]);
    using watch = start(["watch", prefix, "--prefix", `--rev=${revision}`]);
    await watch.until(`DELETE\n${prefix}a\n\n`);
    await ctl(["put", `${prefix}c`, "3"]);
    await watch.until(`${prefix}c\n3\n`);
    expect(watch.out).toBe(
      `PUT\n${prefix}a\n1\nPUT\n${prefix}b\n2\nDELETE\n${prefix}a\n\nPUT\n${prefix}c\n3\n`,
    );
    await watch.interrupt();
  });

  test("watch: previous pairs, ranges, one key, formats", async () => {
    const { ctl, prefix, revisionOf, start } = use(role);
    await ctl(["put", `${prefix}a`, "old"]);
    const rev = `--rev=${(await revisionOf(`${prefix}a`)) + 1}`;
    await ctl(["put", `${prefix}a`, "new"]);
    await ctl(["put", `${prefix}b`, "in"]);
    await ctl(["put", `${prefix}c`, "out"]);
    await ctl(["del", `${prefix}a`]);
    using previous = start(["watch", `${prefix}a`, rev, "--prev-kv"]);
    using range = start(["watch", `${prefix}a`, `${prefix}c`, rev]);
    using json = start(["watch", `${prefix}b`, rev, "-w", "json"]);
    await previous.until("DELETE\n");
    await range.until("DELETE\n");
    await json.until("\n");
    const key = `${prefix}a`;
    expect(previous.out).toBe(`PUT\n${key}\nold\n${key}\nnew\nDELETE\n${key}\nnew\n${key}\n\n`);
    expect(range.out).toBe(`PUT\n${key}\nnew\nPUT\n${prefix}b\nin\nDELETE\n${key}\n\n`);
    expect(JSON.parse(json.out)).toMatchObject({
      Header: { revision: expect.any(Number) },
      Events: [{ kv: { key: Buffer.from(`${prefix}b`).toString("base64") } }],
      Canceled: false,
      Created: false,
    });
  });

  test("watch: interactive, and a command for each event", async () => {
    const { ctl, endpoint, prefix, start } = use(role);
    using watch = start(["watch", "-i"]);
    // Two watches over one stream; each is there once it shows its first event.
    watch.type(`watch ${prefix}a\nwatch ${prefix}b\n`);
    const put = async (name: string): Promise<void> => {
      for (let i = 0; i < 100 && !watch.out.includes(`${prefix}${name}\n`); i++) {
        await ctl(["put", `${prefix}${name}`, "x"]);
      }
    };
    await put("a");
    await put("b");
    await watch.until(`PUT\n${prefix}b\nx\n`);
    expect(watch.out).toContain(`PUT\n${prefix}a\nx\n`);
    await ctl(["put", `${prefix}k`, "v"]);
    const shell = "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE";
    using command = new RunningEtcdctl(endpoint, [
      "watch",
      `${prefix}k`,
      "--rev=1",
      "--",
      "sh",
      "-c",
      shell,
    ]);
    await command.until(`"PUT" "${prefix}k" "v"\n`);
  });

  test("lease: grant, list, time to live, renewal, revocation", async () => {
    const { ctl, endpoint, grant, prefix, start } = use(role);
    expect(await ctl(["lease", "grant", "60"])).toMatch(
      /^lease [0-9a-f]{16} granted with TTL\(60s\)\n$/,
    );
    const lease = await grant(50);
    await ctl(["put", `${prefix}b`, "x", `--lease=${lease}`]);
    await ctl(["put", `${prefix}a`, "x", `--lease=${lease}`]);
    expect(await ctl(["lease", "list"])).toContain(`${lease}\n`);
    expect(await ctl(["lease", "timetolive", lease])).toMatch(
      new RegExp(`^lease ${lease} granted with TTL\\(50s\\), remaining\\((4\\d|50)s\\)\n$`),
    );
    expect(await ctl(["lease", "timetolive", lease, "--keys"])).toContain(
      `attached keys([${prefix}a ${prefix}b])\n`,
    );
    expect(await ctl(["lease", "keep-alive", "--once", lease])).toBe(
      `lease ${lease} keepalived with TTL(50)\n`,
    );
    using renewing = start(["lease", "keep-alive", lease]);
    await renewing.until(`lease ${lease} keepalived with TTL(50)\n`);
    expect(await ctl(["lease", "revoke", lease])).toBe(`lease ${lease} revoked\n`);
    expect(await ctl(["get", prefix, "--prefix"])).toBe("");
    expect(await ctl(["lease", "timetolive", lease])).toBe(`lease ${lease} already expired\n`);
    const gone = await run(endpoint, ["lease", "revoke", lease]);
    expect(gone).toMatchObject({
      exit: 1,
      err: "Error: failed to revoke lease (etcdserver: requested lease not found)\n",
    });
    const once = await run(endpoint, ["lease", "keep-alive", "--once", lease]);
    expect(once.exit).not.toBe(0);
  });

  test("lease: a short one expires, a renewed one does not", async () => {
    const { ctl, grant, prefix, start } = use(role);
    // Long enough for a put by a machine that is busy.
    const [renewed, short] = [await grant(5), await grant(5)];
    using renewing = start(["lease", "keep-alive", renewed]);
    await ctl(["put", `${prefix}short`, "x", `--lease=${short}`]);
    await ctl(["put", `${prefix}renewed`, "x", `--lease=${renewed}`]);
    using watch = start(["watch", prefix, "--prefix", "--rev=1"]);
    await watch.until(`DELETE\n${prefix}short\n`);
    expect(await ctl(["get", prefix, "--prefix", "--keys-only"])).toBe(`${prefix}renewed\n\n`);
    await renewing.interrupt();
    await watch.until(`DELETE\n${prefix}renewed\n`);
  });

  test("lock: one at a time, over all members", async () => {
    const { ctl, endpoints, prefix } = use(role);
    const name = `${prefix}lock`;
    using first = new RunningEtcdctl(endpoints[0] ?? "", ["lock", name]);
    await first.until(/\/[0-9a-f]+\n/);
    const key = first.out.trim();
    expect(key).toMatch(new RegExp(`^${name}/[0-9a-f]+$`));
    using second = new RunningEtcdctl(endpoints.at(-1) ?? "", ["lock", name]);
    await eventually(
      async () => (await ctl(["get", name, "--prefix", "--keys-only"])).trim().split("\n\n"),
      (value) => expect(value).toHaveLength(2),
    );
    expect(second.out).toBe("");
    // Interrupted, it unlocks.
    await first.interrupt();
    await second.until(/\/[0-9a-f]+\n/);
    expect(second.out).not.toBe(first.out);
    await second.interrupt();
    const shell = ["lock", name, "--ttl=5", "--", "sh", "-c", "echo holds $ETCD_LOCK_KEY; exit 7"];
    const { exit, out } = await run(endpoints[0] ?? "", shell);
    expect(out).toMatch(new RegExp(`^holds ${name}/[0-9a-f]+\n$`));
    // etcdctl itself ends with 1 when the command does not end well.
    expect(exit).toBe(1);
    expect(await ctl(["get", name, "--prefix"])).toBe("");
  });

  test("elect: a leader, its observers, its successor", async () => {
    const { endpoints, prefix, start } = use(role);
    const name = `${prefix}election`;
    using observer = start(["elect", "-l", name]);
    using first = start(["elect", name, "one"]);
    await first.until("one\n");
    await observer.until("one\n");
    using second = new RunningEtcdctl(endpoints.at(-1) ?? "", ["elect", name, "two"]);
    await first.interrupt();
    await second.until("two\n");
    await observer.until("two\n");
    expect(observer.out).toMatch(new RegExp(`^${name}/[0-9a-f]+\none\n${name}/[0-9a-f]+\ntwo\n$`));
  });
});

describe.runIf(etcdctlInstalled).each(roles)("%s, compacted", (role) => {
  test("watch: from a compacted revision it ends with the reason", async () => {
    const { ctl, endpoint, prefix, revisionOf } = use(role);
    await ctl(["put", `${prefix}a`, "1"]);
    await ctl(["put", `${prefix}a`, "2"]);
    await ctl(["compaction", String(await revisionOf(`${prefix}a`))]);
    const { exit, err } = await run(endpoint, ["watch", `${prefix}a`, "--rev=1"]);
    expect(exit).toBe(5);
    expect(err).toContain(
      "watch was canceled (etcdserver: mvcc: required revision has been compacted)",
    );
  });
});
