// etcdctl put, get, del, txn and compaction with all their flags, against one node and three.

import { describe, expect, test } from "vitest";
import { etcdctlInstalled, print, run, type RunOptions } from "./etcdctl.ts";
import { RangeResponse } from "../../src/wire/index.ts";
import { freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets();

/** etcdctl on one endpoint, with keys that no other case uses. */
function use(role: (typeof roles)[number]) {
  const { endpoint } = target(role);
  const prefix = freshPrefix("ctl");
  return {
    prefix,
    ctl: (args: readonly string[], options?: RunOptions) => print(endpoint, args, options),
    fails: (args: readonly string[], options?: RunOptions) => run(endpoint, args, options),
    /** Puts each name with itself as the value. */
    async fill(...names: string[]): Promise<void> {
      for (const name of names) {
        await print(endpoint, ["put", prefix + name, name]);
      }
    },
    /** The revision of the last change of a key. */
    async revisionOf(name: string): Promise<number> {
      const out = await print(endpoint, ["get", prefix + name, "-w", "fields"]);
      return Number(/"ModRevision" : (\d+)/.exec(out)?.[1]);
    },
  };
}

describe.runIf(etcdctlInstalled).concurrent.each(roles)("%s", (role) => {
  test("put and get", async () => {
    const { ctl, prefix } = use(role);
    expect(await ctl(["put", `${prefix}a`, "hello"])).toBe("OK\n");
    expect(await ctl(["get", `${prefix}a`])).toBe(`${prefix}a\nhello\n`);
    expect(await ctl(["put", `${prefix}a`, "again", "--prev-kv"])).toBe(`OK\n${prefix}a\nhello\n`);
    expect(await ctl(["put", `${prefix}new`, "x", "--prev-kv"])).toBe("OK\n");
    expect(await ctl(["put", `${prefix}stdin`], { input: "from stdin" })).toBe("OK\n");
    expect(await ctl(["get", `${prefix}stdin`, "--print-value-only"])).toBe("from stdin\n");
    expect(await ctl(["put", `${prefix}e`, ""])).toBe("OK\n");
    expect(await ctl(["get", `${prefix}e`])).toBe(`${prefix}e\n\n`);
    expect(await ctl(["get", `${prefix}none`])).toBe("");
    expect(await ctl(["get", `${prefix}a`, "--hex"])).toMatch(/^(\\x[0-9a-f]{2})+\n\\x61\\x67/);
  });

  test("get: ranges, prefixes, order, limits", async () => {
    const { ctl, fill, prefix } = use(role);
    await fill("a", "c", "b");
    await ctl(["put", `${prefix}a`, "z"]);
    const values = (...args: string[]): Promise<string> =>
      ctl(["get", ...args, "--print-value-only"]);
    expect(await values(`${prefix}a`, `${prefix}c`)).toBe("z\nb\n");
    expect(await values(prefix, "--prefix")).toBe("z\nb\nc\n");
    expect(await values(prefix, "--prefix", "--limit=2")).toBe("z\nb\n");
    expect(await values(`${prefix}b`, "--from-key", "--limit=2")).toBe("b\nc\n");
    expect(await values(prefix, "--prefix", "--order=DESCEND")).toBe("c\nb\nz\n");
    expect(await values(prefix, "--prefix", "--sort-by=CREATE")).toBe("z\nc\nb\n");
    expect(await values(prefix, "--prefix", "--sort-by=VALUE")).toBe("b\nc\nz\n");
    expect(await values(prefix, "--prefix", "--sort-by=VERSION", "--order=DESCEND")).toMatch(
      /^z\n/,
    );
    expect(await values(prefix, "--prefix", "--sort-by=MODIFY", "--limit=2")).toBe("c\nb\n");
    expect(await values(prefix, "--prefix", "--sort-by=KEY", "--order=ASCEND")).toBe("z\nb\nc\n");
    expect(await values(prefix, "--prefix", "--consistency=s", "--limit=1")).not.toBe("");
    expect(await ctl(["get", prefix, "--prefix", "--keys-only"])).toBe(
      `${prefix}a\n\n${prefix}b\n\n${prefix}c\n\n`,
    );
  });

  test("get: the past", async () => {
    const { ctl, fails, fill, prefix, revisionOf } = use(role);
    await fill("a");
    const revision = await revisionOf("a");
    await ctl(["put", `${prefix}a`, "new"]);
    await ctl(["del", `${prefix}a`]);
    const past = await ctl(["get", `${prefix}a`, `--rev=${revision}`, "--print-value-only"]);
    expect(past).toBe("a\n");
    expect(await fails(["get", `${prefix}a`, "--rev=99999999"])).toMatchObject({
      exit: 1,
      err: "Error: etcdserver: mvcc: required revision is a future revision\n",
    });
  });

  test("get: every format", async () => {
    const { ctl, fill, prefix, revisionOf } = use(role);
    await fill("a");
    const mod = await revisionOf("a");
    const json = JSON.parse(await ctl(["get", `${prefix}a`, "-w", "json"])) as Record<
      string,
      unknown
    >;
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    expect(json).toMatchObject({
      header: { cluster_id: expect.any(Number), member_id: expect.any(Number) },
      kvs: [
        {
          key: base64(`${prefix}a`),
          create_revision: mod,
          mod_revision: mod,
          version: 1,
          value: base64("a"),
        },
      ],
      count: 1,
    });
    const fields = await ctl(["get", `${prefix}a`, "-w", "fields"]);
    expect(fields).toMatch(/^"ClusterID" : \d+\n"MemberID" : \d+\n"Revision" : \d+\n/);
    expect(fields).toContain(
      `"Key" : "${prefix}a"\n"CreateRevision" : ${mod}\n"ModRevision" : ${mod}\n` +
        `"Version" : 1\n"Value" : "a"\n"Lease" : 0\n"More" : false\n"Count" : 1\n`,
    );
    const message = Buffer.from(await ctl(["get", `${prefix}a`, "-w", "protobuf"]), "latin1");
    expect(RangeResponse.decode(message)).toMatchObject({ count: 1, more: false });
  });

  test("put: keeping the value or the lease", async () => {
    const { ctl, fails, prefix } = use(role);
    const key = `${prefix}k`;
    const granted = await ctl(["lease", "grant", "60"]);
    const lease = /lease ([0-9a-f]{16}) /.exec(granted)?.[1] ?? "";
    await ctl(["put", key, "1", `--lease=${lease}`]);
    expect(await ctl(["put", key, "2", "--ignore-lease"])).toBe("OK\n");
    const fields = await ctl(["get", key, "-w", "fields"]);
    expect(fields).toContain(`"Lease" : ${BigInt(`0x${lease}`)}\n`);
    expect(await ctl(["put", key, "--ignore-value"])).toBe("OK\n");
    expect(await ctl(["get", key, "-w", "fields"])).toContain('"Value" : "2"\n"Lease" : 0\n');
    const failures: [string[], string][] = [
      [["put", `${prefix}none`, "--ignore-value"], "etcdserver: key not found"],
      [["put", `${prefix}none`, "x", "--ignore-lease"], "etcdserver: key not found"],
      [["put", key, "x", "--lease=1"], "etcdserver: requested lease not found"],
      [["put", "", "x"], "etcdserver: key is not provided"],
      [["get", ""], "etcdserver: key is not provided"],
    ];
    for (const [args, words] of failures) {
      expect(await fails(args), args.join(" ")).toEqual({
        exit: 1,
        out: "",
        err: `Error: ${words}\n`,
      });
    }
    await ctl(["lease", "revoke", lease]);
  });

  test("del", async () => {
    const { ctl, fill, prefix } = use(role);
    await fill("a", "b", "c", "d", "e");
    expect(await ctl(["del", `${prefix}a`])).toBe("1\n");
    expect(await ctl(["del", `${prefix}a`])).toBe("0\n");
    expect(await ctl(["del", `${prefix}b`, "--prev-kv"])).toBe(`1\n${prefix}b\nb\n`);
    expect(await ctl(["del", `${prefix}c`, `${prefix}d`])).toBe("1\n");
    expect(await ctl(["del", prefix, "--prefix", "--prev-kv"])).toBe(
      `2\n${prefix}d\nd\n${prefix}e\ne\n`,
    );
    expect(await ctl(["get", prefix, "--prefix"])).toBe("");
  });

  test("txn by standard input", async () => {
    const { ctl, fill, prefix, revisionOf } = use(role);
    await fill("a", "b");
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    const mod = await revisionOf("a");
    const sections = (...parts: string[]): RunOptions => ({
      input: parts.map((part) => (part === "" ? "\n" : `${part}\n\n`)).join(""),
    });
    const holds = [
      `mod("${a}") = "${mod}"`,
      `mod("${a}") < "${mod + 1}"`,
      `create("${a}") > "${mod - 1}"`,
      `ver("${b}") = "1"`,
      `version("${b}") < "2"`,
      `value("${b}") = "b"`,
      `val("${b}") > "a"`,
      `create("${prefix}none") = "0"`,
    ].join("\n");
    const then = `put ${a} then\nget ${a}\ndel ${b}`;
    expect(await ctl(["txn"], sections(holds, then, `put ${a} else`))).toBe(
      `SUCCESS\n\nOK\n\n${a}\nthen\n\n1\n`,
    );
    const failing = `value("${a}") = "b"`;
    expect(await ctl(["txn"], sections(failing, `put ${a} x`, `get ${a}`))).toBe(
      `FAILURE\n\n${a}\nthen\n`,
    );
    const guided = await ctl(["txn", "-i"], sections(`ver("${a}") > "0"`, `get ${a}`, ""));
    expect(guided).toContain("compares:\n");
    expect(guided).toMatch(new RegExp(`SUCCESS\n\n${a}\nthen\n$`));
    const json = await ctl(["txn", "-w", "json"], sections(failing, "", `get ${a}`));
    expect(JSON.parse(json)).toMatchObject({ responses: [{ Response: expect.anything() }] });
  });

  test("txn: what is refused", async () => {
    const { fails, prefix } = use(role);
    const twice = { input: `\nput ${prefix}a 1\nput ${prefix}a 2\n\n\n` };
    expect(await fails(["txn"], twice)).toMatchObject({
      exit: 1,
      err: "Error: etcdserver: duplicate key given in txn request\n",
    });
    const many = Array.from({ length: 129 }, (_, i) => `put ${prefix}${i} x`).join("\n");
    expect(await fails(["txn"], { input: `\n${many}\n\n\n` })).toMatchObject({
      exit: 1,
      err: "Error: etcdserver: too many operations in txn request\n",
    });
  });
});

describe.runIf(etcdctlInstalled).each(roles)("%s, compacted", (role) => {
  test("compaction, physical too", async () => {
    const { ctl, fails, fill, prefix, revisionOf } = use(role);
    await fill("a");
    const first = await revisionOf("a");
    await fill("a", "b", "a");
    const kept = await revisionOf("b");
    expect(await ctl(["compaction", String(kept)])).toBe(`compacted revision ${kept}\n`);
    const compacted = "Error: etcdserver: mvcc: required revision has been compacted\n";
    expect(await fails(["compact", String(kept)])).toMatchObject({ exit: 1, err: compacted });
    expect(await fails(["get", `${prefix}a`, `--rev=${first}`])).toMatchObject({
      exit: 1,
      err: compacted,
    });
    expect(await fails(["compaction", "99999999"])).toMatchObject({
      exit: 1,
      err: "Error: etcdserver: mvcc: required revision is a future revision\n",
    });
    const last = await revisionOf("a");
    expect(await ctl(["compaction", String(last), "--physical"])).toBe(
      `compacted revision ${last}\n`,
    );
    expect(await ctl(["get", prefix, "--prefix", "--print-value-only"])).toBe("a\nb\n");
  });
});
