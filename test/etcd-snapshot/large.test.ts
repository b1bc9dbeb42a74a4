// 100,000 keys with history, leases, users, roles, authentication and an alarm, as a backup from
// Quorate to a real etcd 3.4 and the other way round; and what memory such a backup takes.

import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Client, connect, keyBytes } from "../../src/client/index.ts";
import { type HistoryRow, writeSnapshot } from "../../src/etcd-snapshot/index.ts";
import type { Row } from "../../src/storage/engine.ts";
import {
  AlarmRequestAlarmAction,
  AlarmType,
  PutRequest,
  type RequestOp,
} from "../../src/wire/index.ts";
import { control, printed, RunningControl } from "../support/control.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";
import { EtcdServer, etcdInstalled, restoreIntoEtcd } from "./etcd-tools.ts";

const keys = 100_000;
const perTxn = 120;
const atOnce = 8;
const root = "--user=root:secret";

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "quorate-large-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function putOf(key: string, value: string, lease: bigint): RequestOp {
  const request = PutRequest.create({ key: keyBytes(key), value: keyBytes(value), lease });
  return { request: { kind: "requestPut", value: request } };
}

/** Everything once, a fifth of it twice, a tenth deleted; a compaction in between. */
async function fill(client: Client): Promise<number> {
  const leases = [7n, 2n ** 62n + 1n];
  for (const id of leases) {
    await client.leaseGrant({ id, ttl: 36_000 });
  }
  const name = (i: number): string => `large/${String(i).padStart(6, "0")}`;
  const put = async (from: number, to: number, text: string): Promise<void> => {
    const starts = Array.from(
      { length: Math.ceil((to - from) / perTxn) },
      (_, i) => from + i * perTxn,
    );
    const next = starts.values();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const start of next) {
          const end = Math.min(to, start + perTxn);
          const success = Array.from({ length: end - start }, (_, i) =>
            putOf(
              name(start + i),
              `${text} ${start + i}`,
              i % 5 === 0 ? (leases[i % 2] ?? 0n) : 0n,
            ),
          );
          await client.txn({ success });
        }
      }),
    );
  };
  await put(0, keys, "first");
  const { header } = await client.range({ key: keyBytes(name(0)) });
  await client.compact({ revision: (header?.revision ?? 0) - 100, physical: true });
  await put(0, keys / 5, "second");
  await client.deleteRange({ key: keyBytes(name(keys - keys / 10)), rangeEnd: keyBytes("large0") });
  const last = await client.range({ key: keyBytes(name(0)) });
  return last.header?.revision ?? 0;
}

/** Users, roles, authentication on, and an alarm that somebody raised. */
async function secure(endpoint: string, client: Client, alarm: AlarmType): Promise<void> {
  const at = `--endpoints=${endpoint}`;
  await printed([at, "role", "add", "reader"]);
  await printed([at, "role", "grant-permission", "--prefix", "reader", "read", "large/0"]);
  await printed([at, "user", "add", "root:secret"]);
  await printed([at, "user", "add", "ann:apple"]);
  await printed([at, "user", "grant-role", "root", "root"]).catch(() => "");
  await printed([at, "user", "grant-role", "ann", "reader"]);
  const memberId = (await client.status(endpoint)).header?.memberId ?? 0n;
  const action = AlarmRequestAlarmAction.ACTIVATE;
  await printed([at, "auth", "enable"]);
  const asRoot = connect({ endpoints: [endpoint], auth: { username: "root", password: "secret" } });
  await asRoot.alarm({ action, memberId, alarm });
  asRoot.close();
}

interface Shown {
  readonly hash: string;
  readonly leases: string;
  readonly accounts: readonly string[];
  readonly own: string;
  readonly denied: number | null;
  readonly foreign: number | null;
}

/** What the two systems must show alike. */
async function show(endpoint: string, revision: number): Promise<Shown> {
  const at = `--endpoints=${endpoint}`;
  const json = await printed([at, root, "endpoint", "hashkv", `--rev=${revision}`, "-w=json"]);
  const ann = [at, "--user=ann:apple"];
  return {
    hash: /"hash":(\d+),"compact_revision":(\d+)/.exec(json)?.slice(1).join(" at ") ?? json,
    leases: (await printed([at, root, "lease", "list"])).split("\n").sort().join("\n"),
    accounts: await Promise.all(
      [
        ["user", "list"],
        ["role", "get", "reader"],
        ["user", "get", "ann"],
      ].map((words) => printed([at, root, ...words])),
    ),
    own: await printed([...ann, "get", "--prefix", "large/00001"]),
    denied: (await control([...ann, "get", "large/1"])).exit,
    foreign: (await control([at, "--user=ann:wrong", "get", "large/0"])).exit,
  };
}

describe.skipIf(!etcdInstalled())("100,000 keys", () => {
  test("from Quorate to etcd 3.4, and from there to Quorate again", async () => {
    await withDirectory(async (directory) => {
      await using cluster = await ClusterProcesses.start(1);
      const endpoint = cluster.endpoints[0] as string;
      const client = connect({ endpoints: [endpoint], callTimeoutMs: 60_000 });
      const revision = await fill(client);
      // One that lasts: Quorate takes NOSPACE back once there is space.
      await secure(endpoint, client, AlarmType.CORRUPT);
      client.close();
      const file = join(directory, "quorate.db");
      await printed([`--endpoints=${endpoint}`, root, "snapshot", "save", file]);
      await printed([`--endpoints=${endpoint}`, root, "alarm", "disarm"]);
      const shown = await show(endpoint, revision);
      expect(shown).toMatchObject({ denied: 1, foreign: 2 });
      await using etcd = await EtcdServer.start(await restoreIntoEtcd(file, directory));
      const at = `--endpoints=${etcd.endpoint}`;
      expect(await printed([at, root, "alarm", "disarm"])).toContain("CORRUPT");
      expect(await show(etcd.endpoint, revision)).toEqual(shown);
      await backAgain(directory, etcd.endpoint);
    });
  }, 240_000);
});

/** etcd writes more, raises its own alarm, and is saved; the damaged file is refused, then not. */
async function backAgain(directory: string, from: string): Promise<void> {
  const auth = { username: "root", password: "secret" };
  const client = connect({ endpoints: [from], auth, callTimeoutMs: 60_000 });
  for (let i = 0; i < 200; i++) {
    const key = keyBytes(`large/${String(i * 11).padStart(6, "0")}`);
    await (i % 4 === 0
      ? client.deleteRange({ key })
      : client.put({ key, value: keyBytes(`etcd ${i}`), lease: 7n }));
  }
  const { header } = await client.leaseGrant({ id: 99n, ttl: 36_000 });
  const memberId = header?.memberId ?? 0n;
  const action = AlarmRequestAlarmAction.ACTIVATE;
  await client.alarm({ action, memberId, alarm: AlarmType.NOSPACE });
  const { revision = 0 } = (await client.range({ key: keyBytes("large/") })).header ?? {};
  client.close();
  const shown = await show(from, revision);
  const file = join(directory, "etcd.db");
  await printed([`--endpoints=${from}`, root, "snapshot", "save", file]);
  await using cluster = await ClusterProcesses.create(1);
  const member = cluster.members[0] as MemberProcess;
  const { name, peerPort, dataDirectory } = member.options;
  const restore = (path: string): string[] => [
    ...["snapshot", "restore", path, `--data-dir=${dataDirectory}`, `--name=${name}`],
    `--initial-cluster=${name}=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
  ];
  await refusesDamaged(directory, file, restore, dataDirectory);
  await printed(restore(file));
  await member.start();
  expect(await show(member.endpoint, revision)).toEqual(shown);
  // What raised the alarm is judged anew, so writing is allowed.
  const at = `--endpoints=${member.endpoint}`;
  expect(await printed([at, root, "alarm", "list"])).toBe("");
  expect(await printed([at, root, "put", "after", "restore"])).toBe("OK\n");
}

async function refusesDamaged(
  directory: string,
  whole: string,
  restore: (from: string) => string[],
  dataDirectory: string,
): Promise<void> {
  const bytes = readFileSync(whole);
  const damaged = join(directory, "damaged.db");
  const refused = async (reason: RegExp): Promise<void> => {
    const before = readdirSync(join(dataDirectory, "..")).sort();
    const { exit, err } = await control(restore(damaged));
    expect({ exit, err }).toMatchObject({ exit: 1, err: expect.stringMatching(reason) });
    expect(existsSync(dataDirectory)).toBe(false);
    expect(readdirSync(join(dataDirectory, "..")).sort()).toEqual(before);
  };
  writeFileSync(damaged, bytes);
  truncateSync(damaged, bytes.length - 10_000);
  await refused(/the file is cut off/);
  const altered = Buffer.from(bytes);
  altered[bytes.length >> 1] = (altered[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(damaged, altered);
  await refused(/expected sha256 .*: the file is damaged/);
}

/** The most memory that a process has had, bytes; 0 once it is gone. */
function peakBytes(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return 1_024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

test("a client saves a large store with the memory of a small one", async () => {
  await withDirectory(async (directory) => {
    await using cluster = await ClusterProcesses.start(1);
    const endpoint = cluster.endpoints[0] as string;
    const client = connect({ endpoints: [endpoint], callTimeoutMs: 60_000 });
    const fillWith = async (from: number, to: number): Promise<void> => {
      for (let i = from; i < to; i++) {
        await client.put({ key: keyBytes(`big/${i}`), value: randomBytes(1_000_000) });
      }
    };
    const saved = async (): Promise<number> => {
      const file = join(directory, "big.db");
      using save = new RunningControl([`--endpoints=${endpoint}`, "snapshot", "save", file]);
      let most = 0;
      const timer = setInterval(() => {
        most = Math.max(most, peakBytes(save.pid));
      }, 10);
      expect((await save.end(120_000)).exit).toBe(0);
      clearInterval(timer);
      return most;
    };
    await fillWith(0, 10);
    const small = await saved();
    await fillWith(10, 120);
    // One that kept the file would need 110 MB more.
    expect((await saved()) - small).toBeLessThan(60_000_000);
    client.close();
  });
}, 240_000);

test("a server writes a large history with a few megabytes at a time", async () => {
  const value = randomBytes(65_000);
  const rows = 16_000;
  let mostBytes = 0;
  let writtenBytes = 0;
  const look = (): void => {
    mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
  };
  const empty = async function* (): AsyncGenerator<readonly Row[]> {};
  const history = async function* (): AsyncGenerator<readonly HistoryRow[]> {
    for (let revision = 2; revision < rows + 2; revision++) {
      yield [{ revision, sub: 0, isTombstone: false, keyValue: value }];
      look();
    }
  };
  const before = process.memoryUsage().arrayBuffers;
  const sizeBytes = await writeSnapshot(
    {
      write: (_, bytes) => {
        writtenBytes += bytes.length;
        look();
        return Promise.resolve();
      },
    },
    {
      index: 1,
      term: 1,
      conf: { voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
      storageVersion: "3.6.0",
      compactedRevision: 0,
      members: [],
      removed: [],
      alarms: [],
      auth: { enabled: false, revision: 0 },
      users: empty(),
      roles: empty(),
      leases: empty(),
      history: history(),
    },
  );
  expect(writtenBytes).toBe(sizeBytes);
  expect(sizeBytes).toBeGreaterThan(1_000_000_000);
  // What waits for the collector counts, too.
  expect(mostBytes - before).toBeLessThan(250_000_000);
}, 120_000);
