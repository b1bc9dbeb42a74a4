// make-mirror, export and import between Quorate and a real etcd 3.4, both ways, with the mirror
// killed and the destination away in between.

import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { connect, keyBytes } from "../../src/client/index.ts";
import { PutRequest, PutResponse } from "../../src/wire/index.ts";
import { EtcdServer, etcdInstalled } from "../etcd-snapshot/etcd-tools.ts";
import { writeHistory, type Written } from "../etcd-snapshot/history.ts";
import { control, printed, RunningControl } from "../support/control.ts";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { eventually } from "./targets.ts";

let directory: string;
let cluster: ClusterProcesses;
let member: MemberProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-mirror-"));
  cluster = await ClusterProcesses.start(1);
  member = cluster.members[0] as MemberProcess;
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** Pairs under a prefix, without it, in the order of keys. */
async function pairs(endpoint: string, prefix: string): Promise<string[]> {
  const client = new KvClient(endpoint);
  const { kvs } = await client.range(spanOf(prefix));
  client.close();
  return kvs.map(({ key, value }) => {
    const name = Buffer.from(key).toString("latin1").slice(prefix.length);
    return `${name}=${Buffer.from(value).toString("base64")}`;
  });
}

function spanOf(prefix: string): { key: Uint8Array; rangeEnd: Uint8Array } {
  const key = Buffer.from(prefix);
  const rangeEnd = Buffer.from(prefix);
  rangeEnd[rangeEnd.length - 1] = (rangeEnd.at(-1) ?? 0) + 1;
  return { key, rangeEnd };
}

async function remove(endpoint: string, prefix: string): Promise<void> {
  await printed([`--endpoints=${endpoint}`, "del", "--prefix", prefix]);
}

/** A history that is never compacted: what a mirror was away for must still be there. */
const uncompacted: Written = { revision: 1, compacted: Number.POSITIVE_INFINITY };

/** Kills and starts the mirror while the source is written; both must be the same in the end. */
async function mirrorThroughCuts(from: string, to: string, name: string): Promise<void> {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const prefix = `${name}/`;
  const checkpoint = join(directory, `${name}.mirror`);
  const args = [
    `--endpoints=${from}`,
    "make-mirror",
    "--prefix=key/",
    `--dest-prefix=${prefix}`,
    `--checkpoint=${checkpoint}`,
    to,
  ];
  let written = await writeHistory(from, seed, 300, uncompacted);
  for (let round = 0; round < 3; round++) {
    using mirror = new RunningControl(args);
    written = await writeHistory(from, seed + round, 300, written);
    await eventually(
      () => readFileSync(checkpoint, "utf8"),
      (text) => {
        expect(JSON.parse(text)).toMatchObject({ format: 1 });
      },
      30_000,
    );
    mirror.kill("SIGKILL");
    await mirror.end();
  }
  using mirror = new RunningControl(args);
  written = await writeHistory(from, seed + 9, 100, written);
  await eventually(
    async () => [await pairs(to, prefix), await pairs(from, "key/")] as const,
    ([copied, original]) => expect(copied).toEqual(original),
    30_000,
  );
  mirror.kill("SIGINT");
  const { exit, err } = await mirror.end();
  expect({ exit, err }).toEqual({ exit: 5, err: "" });
  expect(JSON.parse(readFileSync(checkpoint, "utf8"))).toMatchObject({
    revision: written.revision,
    copyFrom: null,
  });
}

describe.skipIf(!etcdInstalled())("between Quorate and etcd 3.4", () => {
  test("a mirror goes on after it was killed, both ways", async () => {
    await using etcd = await EtcdServer.start(join(directory, "etcd"));
    await mirrorThroughCuts(etcd.endpoint, member.endpoint, "from-etcd");
    await mirrorThroughCuts(member.endpoint, etcd.endpoint, "from-quorate");
    // Everything, one time.
    const out = await printed([
      ...[`--endpoints=${etcd.endpoint}`, "make-mirror", "--once", "--no-dest-prefix"],
      ...["--prefix=from-quorate/", "--max-txn-ops=7", member.endpoint],
    ]);
    expect(Number(out)).toBeGreaterThan(100);
    const bare = await pairs(etcd.endpoint, "from-quorate/");
    const keys = await printed([
      `--endpoints=${member.endpoint}`,
      "get",
      "--from-key",
      "",
      "-w=json",
    ]);
    const here = (JSON.parse(keys) as { kvs: { key: string }[] }).kvs.map(({ key }) =>
      Buffer.from(key, "base64").toString("latin1"),
    );
    for (const pair of bare) {
      expect(here).toContain(pair.split("=")[0]);
    }
  }, 120_000);

  test("--once has everything that was there when it began, deletes too", async () => {
    await using etcd = await EtcdServer.start(join(directory, "etcd-once"));
    const checkpoint = join(directory, "once.mirror");
    const client = connect({ endpoints: [etcd.endpoint] });
    const change = async (round: number): Promise<number> => {
      let revision = 0;
      for (let i = 0; i < 60; i++) {
        const key = keyBytes(`key/${(round * 37 + i * 7) % 90}`);
        const { header } =
          i % 3 === 2
            ? await client.deleteRange({ key })
            : await client.put({ key, value: keyBytes(`${round} ${i}`) });
        revision = header?.revision ?? 0;
      }
      return revision;
    };
    let newest = await change(0);
    for (let round = 0; round < 4; round++) {
      await printed([
        ...[`--endpoints=${etcd.endpoint}`, "make-mirror", "--once", "--prefix=key/"],
        ...["--dest-prefix=once/", `--checkpoint=${checkpoint}`, member.endpoint],
      ]);
      expect(await pairs(member.endpoint, "once/")).toEqual(await pairs(etcd.endpoint, "key/"));
      const { revision, copyFrom } = JSON.parse(readFileSync(checkpoint, "utf8")) as {
        revision: number;
        copyFrom: unknown;
      };
      expect({ revision, copyFrom }).toEqual({ revision: newest, copyFrom: null });
      newest = await change(round + 1);
    }
    const args = [`--endpoints=${etcd.endpoint}`, "make-mirror", "--once", "--rev=1"];
    await printed([...args, "--prefix=key/", "--dest-prefix=first/", member.endpoint]);
    expect(await pairs(member.endpoint, "first/")).toEqual(await pairs(etcd.endpoint, "key/"));
    client.close();
  }, 90_000);

  test("get --stream prints what get prints, with etcd piece by piece", async () => {
    await using etcd = await EtcdServer.start(join(directory, "etcd-stream"));
    for (const endpoint of [etcd.endpoint, member.endpoint]) {
      const written = await writeHistory(endpoint, 3, 1_500);
      const args = [`--endpoints=${endpoint}`, "get", "--prefix", "key/"];
      for (const more of [
        [],
        ["--limit=450"],
        ["--keys-only"],
        [`--rev=${written.revision - 5}`],
      ]) {
        const whole = await printed([...args, ...more]);
        expect(whole.length).toBeGreaterThan(1_000);
        expect(await printed([...args, ...more, "--stream"])).toBe(whole);
      }
    }
  }, 90_000);

  test("an export of etcd, imported, is the same to the byte", async () => {
    await using etcd = await EtcdServer.start(join(directory, "etcd-export"));
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    const rng = new SeededRng(seed);
    const client = new KvClient(etcd.endpoint);
    const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => rng.below(256));
    for (let i = 0; i < 200; i++) {
      const key = Buffer.concat([Buffer.from("bin/"), bytes(1 + rng.below(20))]);
      const put = PutRequest.create({ key, value: bytes(rng.below(200)) });
      await client.call("/etcdserverpb.KV/Put", PutRequest, PutResponse, put, 10_000);
    }
    client.close();
    const lines = await printed([`--endpoints=${etcd.endpoint}`, "export", "bin/"]);
    const file = join(directory, "export.jsonl");
    writeFileSync(file, lines);
    await printed([`--endpoints=${member.endpoint}`, "import", file]);
    expect(await pairs(member.endpoint, "bin/")).toEqual(await pairs(etcd.endpoint, "bin/"));
  }, 60_000);
});

describe("the destination", () => {
  test("may be away for a while, and may have too much", async () => {
    await using other = await ClusterProcesses.start(1);
    const away = other.members[0] as MemberProcess;
    const from = `--endpoints=${member.endpoint}`;
    await printed([from, "put", "away/a", "1"]);
    await printed([`--endpoints=${away.endpoint}`, "put", "away/surplus", "x"]);
    using mirror = new RunningControl([
      from,
      "make-mirror",
      "--prune",
      "--prefix=away/",
      away.endpoint,
    ]);
    await eventually(
      () => pairs(away.endpoint, "away/"),
      (found) => {
        expect(found).toEqual([`a=${Buffer.from("1").toString("base64")}`]);
      },
      30_000,
    );
    await away.stop("SIGKILL");
    await printed([from, "put", "away/b", "2"]);
    await printed([from, "del", "away/a"]);
    await eventually(
      () => mirror.err,
      (text) => {
        expect(text).toContain("the destination does not answer, trying again");
      },
      30_000,
    );
    await away.start();
    await eventually(
      () => pairs(away.endpoint, "away/"),
      (found) => {
        expect(found).toEqual([`b=${Buffer.from("2").toString("base64")}`]);
      },
      30_000,
    );
    expect(mirror.err).toContain("the destination answers again");
  }, 90_000);

  test("must not be the source, and a checkpoint must be this mirror's", async () => {
    const from = `--endpoints=${member.endpoint}`;
    const circle = await control([from, "make-mirror", "--prefix=a", member.endpoint]);
    expect(circle).toMatchObject({ exit: 128, err: expect.stringContaining("overlap") });
    await using other = await ClusterProcesses.start(1);
    const checkpoint = join(directory, "other.mirror");
    const to = other.endpoints[0] as string;
    const args = [from, "make-mirror", "--once", `--checkpoint=${checkpoint}`, to];
    await printed([...args, "--prefix=a/"]);
    const foreign = await control([...args, "--prefix=b/"]);
    expect(foreign).toMatchObject({ exit: 1, err: expect.stringContaining("belongs to another") });
    const nobody = await control([from, "make-mirror", "127.0.0.1:1"]);
    expect(nobody).toMatchObject({ exit: 2, err: expect.stringContaining("the destination") });
  }, 60_000);

  test("is told when the changes to go on from are compacted", async () => {
    await using other = await ClusterProcesses.start(1);
    const from = `--endpoints=${member.endpoint}`;
    const checkpoint = join(directory, "compacted.mirror");
    const args = [from, "make-mirror", "--once", `--checkpoint=${checkpoint}`, "--prefix=c/"];
    const to = other.endpoints[0] as string;
    await printed([from, "put", "c/a", "1"]);
    await printed([...args, to]);
    await printed([from, "del", "c/a"]);
    const put = await printed([from, "put", "c/b", "2", "-w=json"]);
    const { revision } = (JSON.parse(put) as { header: { revision: number } }).header;
    await printed([from, "compaction", String(revision)]);
    const lost = await control([...args, to]);
    expect(lost).toMatchObject({ exit: 1, err: expect.stringContaining("--prune") });
    rmSync(checkpoint);
    await printed([...args, "--prune", to]);
    expect(await pairs(to, "c/")).toEqual(await pairs(member.endpoint, "c/"));
  }, 60_000);
});

describe("import", () => {
  const from = (): string => `--endpoints=${member.endpoint}`;

  test("writes nothing of a file that is cut off or wrong, and says where", async () => {
    await printed([from(), "put", "x/1", "one"]);
    await printed([from(), "put", "x/2", "two\nlines"]);
    const file = join(directory, "whole.jsonl");
    expect(await printed([from(), "export", "x/", `--output=${file}`])).toContain(
      "2 keys exported",
    );
    await remove(member.endpoint, "x/");
    const whole = readFileSync(file, "utf8");
    const cut = join(directory, "cut.jsonl");
    writeFileSync(cut, whole);
    truncateSync(cut, whole.lastIndexOf('{"end"'));
    const failures: [string, string, RegExp][] = [
      ["cut", readFileSync(cut, "utf8"), /line 4: the end is missing: the file is cut off/],
      ["half", whole.slice(0, whole.length >> 1), /line \d: (?:it is not JSON|the end is missing)/],
      ["fewer", whole.replace(/^.*x\/1.*\n/m, ""), /the export had 2 keys, and 1 are here/],
      ["bad", '{"key":{"base64":"%"},"value":"1"}\n', /line 1: "key" is neither/],
      ["none", '{"value":"1"}\n', /line 1: it has no "key"/],
    ];
    for (const [name, text, message] of failures) {
      const path = join(directory, `${name}.jsonl`);
      writeFileSync(path, text);
      const { exit, err } = await control([from(), "import", path]);
      expect({ name, exit, err }).toMatchObject({ exit: 3, err: expect.stringMatching(message) });
      expect(await pairs(member.endpoint, "x/")).toEqual([]);
    }
    expect(await printed([from(), "import", "--dry-run", file])).toContain("2 keys would be");
    expect(await pairs(member.endpoint, "x/")).toEqual([]);
    expect(await printed([from(), "import", file])).toContain("2 keys imported");
    expect(await pairs(member.endpoint, "x/")).toHaveLength(2);
    const absent = await control([from(), "import", join(directory, "absent")]);
    expect(absent).toMatchObject({ exit: 6, err: expect.stringContaining("ENOENT") });
  }, 60_000);

  test("keeps leases, prefixes and what exists, when asked to", async () => {
    const grant = await printed([from(), "lease", "grant", "600"]);
    const lease = /lease (\w+) granted/.exec(grant)?.[1] ?? "";
    await printed([from(), "put", "l/a", "1", `--lease=${lease}`]);
    const lines = await printed([from(), "export", "l/"]);
    expect(lines).toContain(`{"lease":"${lease}","granted_ttl":600`);
    await using other = await ClusterProcesses.start(1);
    const to = `--endpoints=${other.endpoints[0] ?? ""}`;
    await printed([to, "import", "--leases", "--prefix=l/", "--dest-prefix=m/"], { input: lines });
    const got = await printed([to, "get", "m/a", "-w=json"]);
    expect(BigInt.asUintN(64, BigInt(/"lease":(-?\d+)/.exec(got)?.[1] ?? "0")).toString(16)).toBe(
      BigInt(`0x${lease}`).toString(16),
    );
    await printed([to, "put", "l/a", "mine"]);
    const skipped = await printed([to, "import", "--skip-existing"], { input: lines });
    expect(skipped).toContain("0 keys imported, 1 skipped");
    expect(await printed([to, "get", "l/a", "--print-value-only"])).toBe("mine\n");
  }, 60_000);
});
