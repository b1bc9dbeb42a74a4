// quorate check-data on the directory of a member that was killed, and on copies of it that are
// broken in every way that a disk, a copy or an operator breaks one.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { checkData } from "../../src/node/index.ts";
import type { CheckedData } from "../../src/node/index.ts";
import type { Finding } from "../../src/storage/index.ts";
import { writeHistory } from "../etcd-snapshot/history.ts";
import type { Written } from "../etcd-snapshot/history.ts";
import { KvClient } from "../support/kv-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

// Each runs several processes, one after the other.
vi.setConfig({ testTimeout: 90_000 });

const script = new URL("../../dist/cli/quorate.cjs", import.meta.url).pathname;

let directory: string;
let whole: string;
let written: Written;
let hash: number;
let sound: CheckedData;
let copies = 0;

interface Checked {
  readonly data: CheckedData;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
  readonly findings: readonly Finding[];
}

async function check(path: string): Promise<Checked> {
  const findings: Finding[] = [];
  const before = fingerprint(path);
  const data = await checkData(path, {
    onFinding: (finding) => findings.push(finding),
    onProgress: () => {},
  });
  expect(fingerprint(path)).toBe(before);
  const texts = (kind: string): string[] =>
    findings.filter((finding) => finding.kind === kind).map(({ what }) => what);
  return { data, findings, problems: texts("problem"), notes: texts("note") };
}

/** Names, bytes, owners and times of everything in a directory. */
function fingerprint(path: string): string {
  const sum = createHash("sha256");
  for (const name of (readdirSync(path, { recursive: true }) as string[]).sort()) {
    const found = lstatSync(join(path, name));
    sum.update(`${name} ${found.mode} ${found.uid} ${found.ctimeMs} ${found.size}\n`);
    if (found.isFile() && !name.endsWith(".wal")) {
      sum.update(readFileSync(join(path, name)));
    }
  }
  return sum.digest("hex");
}

function copyWhole(): string {
  copies++;
  const path = join(directory, `copy-${copies}`);
  execFileSync("cp", ["-a", "--sparse=always", whole, path]);
  return path;
}

/** A copy that `damage` has been done to, checked. */
async function damaged(damage: (path: string) => void): Promise<Checked> {
  const path = copyWhole();
  try {
    damage(path);
    return await check(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function flip(file: string, offset: number, mask = 0x10): void {
  const handle = openSync(file, "r+");
  const byte = Buffer.alloc(1);
  expect(readSync(handle, byte, 0, 1, offset)).toBe(1);
  byte[0] = (byte[0] ?? 0) ^ mask;
  writeSync(handle, byte, 0, 1, offset);
  closeSync(handle);
}

/** The one state directory, and in it the names that match. */
function stateFiles(path: string, pattern: RegExp): string[] {
  const state = readdirSync(path).find((name) => name.startsWith("state-")) ?? "";
  return readdirSync(join(path, state))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(path, state, name));
}

function segment(path: string): string {
  return join(path, "wal", readdirSync(join(path, "wal")).sort()[0] ?? "");
}

/** Where the zeros at the end of a segment begin. */
function usedBytes(file: string): number {
  const bytes = readFileSync(file);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) {
    end--;
  }
  return end;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-check-"));
  await using cluster = await ClusterProcesses.start(1);
  const member = cluster.members[0] as MemberProcess;
  written = await writeHistory(member.endpoint, 5, 3_000);
  const client = new KvClient(member.endpoint);
  hash = (await client.hashKv()).hash;
  client.close();
  await member.stop("SIGTERM");
  // Started again, so that the state has tables; killed, so that the log has more than the state.
  await member.start();
  written = await writeHistory(member.endpoint, 6, 400, written);
  const again = new KvClient(member.endpoint);
  hash = (await again.hashKv()).hash;
  again.close();
  await member.stop("SIGKILL");
  whole = join(directory, "whole");
  cpSync(member.options.dataDirectory, whole, { recursive: true, preserveTimestamps: true });
  chmodSync(whole, 0o700);
  sound = (await check(whole)).data;
}, 120_000);

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("a directory that holds", () => {
  test("is described, and its hash is the one that the member told", async () => {
    const { data, problems } = await check(whole);
    expect(problems).toEqual([]);
    expect(data.owner).toMatch(/^member [0-9a-f]+ of cluster [0-9a-f]+$/);
    expect(data.state).toMatchObject({
      hash,
      revision: written.revision,
      compactedRevision: written.compacted,
      leases: 2,
    });
  });

  test("passes on the command line, in words and as JSON", () => {
    const { status, stdout } = spawnSync(process.execPath, [script, "check-data", whole], {
      encoding: "utf8",
    });
    expect(stdout).toContain(`hash     ${hash} at revision ${written.revision}`);
    expect(stdout).toMatch(/\nNothing is wrong\.\n$/);
    expect(status).toBe(0);
    const json = spawnSync(process.execPath, [script, "check-data", "--json", whole], {
      encoding: "utf8",
    });
    expect(JSON.parse(json.stdout)).toMatchObject({ state: { hash }, findings: [] });
  });
});

describe("what cannot be checked", () => {
  test("is refused with exit code 2: in use, foreign, empty, absent", async () => {
    await using cluster = await ClusterProcesses.start(1);
    const member = cluster.members[0] as MemberProcess;
    const exits = (path: string): { status: number | null; stdout: string } =>
      spawnSync(process.execPath, [script, "check-data", path], { encoding: "utf8" });
    const held = exits(member.options.dataDirectory);
    expect(held.stdout).toContain(`is in use by process ${member.pid}`);
    expect(held.status).toBe(2);
    const foreign = join(directory, "foreign");
    mkdirSync(join(foreign, "member"), { recursive: true });
    expect(exits(foreign)).toMatchObject({
      status: 2,
      stdout: expect.stringContaining("data directory of etcd"),
    });
    expect(exits(join(directory, "absent"))).toMatchObject({
      status: 2,
      stdout: expect.stringContaining("holds no data of a member"),
    });
    expect(exits("--nonsense").status).toBe(2);
  }, 60_000);
});

describe("damage to the log", () => {
  test("a flipped bit in a record", async () => {
    const { problems } = await damaged((path) => flip(segment(path), 4_096));
    expect(problems.join("\n")).toMatch(/\.wal at offset \d+: a record is damaged/);
  });

  test("a flipped bit in a segment's header", async () => {
    const { problems } = await damaged((path) => flip(segment(path), 20));
    expect(problems.join("\n")).toMatch(/at offset 0: its header is damaged/);
  });

  test("a segment cut short", async () => {
    const { problems } = await damaged((path) => truncateSync(segment(path), 100_000));
    expect(problems.join("\n")).toContain("the file has lost its end");
  });

  test("a segment that is gone, and a log that is gone", async () => {
    const noSegment = await damaged((path) => rmSync(segment(path)));
    expect(noSegment.problems.join("\n")).toMatch(/no segment with a log|is missing before it/);
    const noLog = await damaged((path) => rmSync(join(path, "wal"), { recursive: true }));
    expect(noLog.problems.join("\n")).toContain("no segment with a log");
    expect(noLog.data.state?.keys).toBeGreaterThan(100);
  });

  test("a log whose disk is not there", async () => {
    const { problems, findings } = await damaged((path) => {
      rmSync(join(path, "wal"), { recursive: true });
      symlinkSync("/nowhere/wal", join(path, "wal"));
    });
    expect(problems.join()).toContain("leads to /nowhere/wal, which is not there");
    expect(findings[0]?.advice).not.toContain("member remove");
  });

  test("a torn end is no damage, and is told of", async () => {
    const { problems, notes } = await damaged((path) => {
      const file = segment(path);
      const bytes = readFileSync(file);
      bytes.fill(0, usedBytes(file) - 6, usedBytes(file));
      writeFileSync(file, bytes);
    });
    expect(problems).toEqual([]);
    expect(notes.join("\n")).toContain("the last write is torn");
  });
});

describe("damage to the state", () => {
  test("CURRENT altered, and gone", async () => {
    const altered = await damaged((path) => flip(join(path, "CURRENT"), 12));
    expect(altered.problems.join("\n")).toContain("CURRENT is damaged");
    const gone = await damaged((path) => rmSync(join(path, "CURRENT")));
    expect(gone.problems.join("\n")).toContain("CURRENT is missing");
  });

  test("the state's directory gone", async () => {
    const { problems, findings } = await damaged((path) => {
      const state = readdirSync(path).find((name) => name.startsWith("state-")) ?? "";
      rmSync(join(path, state), { recursive: true });
    });
    expect(problems).toHaveLength(1);
    expect(findings[0]?.advice).toContain("quoratectl member remove");
  });

  test("a table gone, cut and altered", async () => {
    const tables = stateFiles(whole, /\.ldb$/);
    expect(tables.length).toBeGreaterThan(0);
    const gone = await damaged((path) => rmSync(stateFiles(path, /\.ldb$/).at(-1) ?? ""));
    expect(gone.problems.join("\n")).toMatch(/missing files|no such file/i);
    const cut = await damaged((path) => {
      const file = stateFiles(path, /\.ldb$/).at(-1) ?? "";
      truncateSync(file, statSync(file).size >> 1);
    });
    expect(cut.problems.length).toBeGreaterThan(0);
    const altered = await damaged((path) => {
      const largest = stateFiles(path, /\.ldb$/).sort(
        (a, b) => statSync(b).size - statSync(a).size,
      );
      flip(largest[0] ?? "", statSync(largest[0] ?? "").size >> 1);
    });
    expect(altered.problems.length).toBeGreaterThan(0);
  });

  test("LevelDB's manifest gone", async () => {
    const { problems } = await damaged((path) => rmSync(stateFiles(path, /^MANIFEST/)[0] ?? ""));
    expect(problems.length).toBeGreaterThan(0);
  });

  test("a log and a state that do not belong together", async () => {
    await using cluster = await ClusterProcesses.start(1);
    const member = cluster.members[0] as MemberProcess;
    await member.stop("SIGTERM");
    const { problems } = await damaged((path) => {
      rmSync(join(path, "wal"), { recursive: true });
      cpSync(join(member.options.dataDirectory, "wal"), join(path, "wal"), { recursive: true });
    });
    expect(problems.join("\n")).toMatch(/one of them has lost what was durable/);
    const renamed = await damaged((path) => {
      const file = segment(path);
      cpSync(file, join(path, "wal", "0000000000000002.wal"));
      rmSync(file);
    });
    expect(renamed.problems.join("\n")).toContain("its header says that it is segment 1");
  }, 60_000);

  test("files of another owner, or that cannot be read", async () => {
    const isRoot = process.getuid?.() === 0;
    const { problems, findings } = await damaged((path) => {
      const file = stateFiles(path, /\.ldb$/)[0] ?? "";
      if (isRoot) {
        chownSync(file, 12_345, 12_345);
      } else {
        chmodSync(file, 0);
      }
    });
    expect(problems.join("\n")).toMatch(isRoot ? /\(user 12345\) does not belong/ : /denied/i);
    expect(findings[0]?.advice).toMatch(isRoot ? /^chown -R / : /read every file/);
  });
});

test("a bit flipped anywhere is found, or changes nothing that is read", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const rng = new SeededRng(seed);
  let found = 0;
  const rounds = 30;
  const logBytes = usedBytes(segment(whole));
  for (let round = 0; round < rounds; round++) {
    let where = "";
    const { data, problems, notes } = await damaged((path) => {
      const files = [
        segment(path),
        join(path, "CURRENT"),
        ...stateFiles(path, /^(?:CURRENT|MANIFEST-\d+|\d+\.(?:ldb|log))$/),
      ].filter((file) => statSync(file).size > 0);
      const file = files[rng.below(files.length)] ?? "";
      const size = file.endsWith(".wal") ? logBytes : statSync(file).size;
      const offset = rng.below(size);
      where = `round ${round}: ${file} at ${offset}`;
      flip(file, offset, 1 << rng.below(8));
    });
    found += problems.length > 0 ? 1 : 0;
    const isSame = data.state?.hash === sound.state?.hash && data.state?.keys === sound.state?.keys;
    expect(problems.length > 0 || notes.length > 0 || isSame, where).toBe(true);
  }
  expect(found).toBeGreaterThan(rounds / 3);
}, 120_000);
