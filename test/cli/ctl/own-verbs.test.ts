// Verbs that etcdctl does not have, where no terminal is needed: tree, diff, revert, contexts, and
// an example in the help of every verb.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { verbs } from "../../../src/cli/ctl/verbs.ts";
import { control, type Outcome, printed } from "../../support/control.ts";
import { ClusterProcesses } from "../../support/processes.ts";

// Each runs several processes, one after the other.
vi.setConfig({ testTimeout: 90_000 });

let directory: string;
let cluster: ClusterProcesses;
let at: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "quorate-own-"));
  cluster = await ClusterProcesses.start(1);
  at = `--endpoints=${cluster.endpoints[0] ?? ""}`;
}, 60_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function put(key: string, value: string): Promise<number> {
  const json = await printed([at, "put", key, value, "-w=json"]);
  return (JSON.parse(json) as { header: { revision: number } }).header.revision;
}

test("tree draws keys by level, counts below a depth, and is JSON when asked", async () => {
  for (const key of ["t/a", "t/b", "t/b/c", "t/b/d/e", "t/z"]) {
    await put(key, "v");
  }
  expect(await printed([at, "tree", "t/"])).toBe(
    [
      "t/ (5)",
      "├── a",
      "├── b",
      "├── b/ (2)",
      "│   ├── c",
      "│   └── d/ (1)",
      "│       └── e",
      "└── z",
      "",
    ].join("\n"),
  );
  expect(await printed([at, "tree", "--depth=1", "t/"])).toContain("├── b/ (2)\n└── z");
  expect(JSON.parse(await printed([at, "tree", "t/b/", "-w=json"]))).toEqual({
    name: "t/b/",
    key: false,
    keys: 2,
    children: [
      { name: "c", key: true, keys: 1 },
      { name: "d/", key: false, keys: 1, children: [{ name: "e", key: true, keys: 1 }] },
    ],
  });
  expect(await printed([at, "tree", "nothing/"])).toBe("nothing/ (0)\n");
});

test("diff shows a key's last change, and what changed below a prefix", async () => {
  const first = await put("d/a", "one\ntwo\nthree");
  await put("d/a", "one\n2\nthree");
  await put("d/b", "new");
  expect(await printed([at, "diff", "d/a"])).toContain(
    "@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n \\ No newline at end\n",
  );
  const prefix = [at, "diff", "--prefix", `--from=${first}`, "d/"];
  expect(await printed([...prefix, "--keys-only"])).toBe("~ d/a\n+ d/b\n");
  expect(await printed([...prefix, `--to=${first}`])).toBe("");
  expect(await printed(prefix)).toContain(`--- d/b at revision ${first} (no such key)`);
  const none = await control([at, "diff", "d/none"]);
  expect(none).toMatchObject({ exit: 128, err: expect.stringContaining("there is no key") });
  const future = await control([at, "diff", "--from=1000000", "d/a"]);
  expect(future).toMatchObject({ exit: 1, err: expect.stringContaining("future revision") });
});

test("revert brings a prefix back, but not over what somebody writes meanwhile", async () => {
  const lease = /lease (\w+)/.exec(await printed([at, "lease", "grant", "600"]))?.[1] ?? "";
  await printed([at, "put", "v/leased", "x", `--lease=${lease}`]);
  const revision = await put("v/a", "old");
  await put("v/a", "new");
  await put("v/b", "new");
  await printed([at, "del", "v/leased"]);
  const args = [at, "revert", "--prefix", `--rev=${revision}`, "v/"];
  const asked = await control(args);
  expect(asked).toMatchObject({ exit: 128, err: expect.stringContaining("--yes") });
  const dry = await printed([...args, "--dry-run"]);
  expect(dry).toBe("~ v/a\n- v/b\n+ v/leased\nnothing was written\n");
  expect(await printed([...args, "--yes"])).toContain("3 keys are again what they were");
  expect(await printed([at, "get", "--prefix", "v/"])).toBe("v/a\nold\nv/leased\nx\n");
  const keys = await printed([at, "lease", "timetolive", "--keys", lease]);
  expect(keys).toContain("[v/leased]");
  expect(await printed([...args, "--yes"])).toContain("nothing has changed");
});

describe("contexts", () => {
  const file = (): string => join(directory, "quorate", "contexts.json");
  const run = (...args: string[]): Promise<Outcome> =>
    control(args, { env: { XDG_CONFIG_HOME: directory } });
  const good = async (...args: string[]): Promise<string> => {
    const outcome = await run(...args);
    expect(outcome).toMatchObject({ exit: 0 });
    return outcome.out;
  };

  test("are added, listed, used, shown and deleted; flags stand before them", async () => {
    const endpoint = at.replace("--endpoints=", "");
    await put("context", "here");
    expect(await good("context", "add", "away", "--endpoints=127.0.0.1:1")).toContain("in use");
    await good("context", "add", "home", at, "--command-timeout=9s");
    expect(await good("context", "list")).toBe(`* away  127.0.0.1:1\n  home  ${endpoint}\n`);
    expect((await run("--dial-timeout=300ms", "get", "context")).exit).toBe(1);
    expect(await good("--context=home", "get", "context", "--print-value-only")).toBe("here\n");
    await good("context", "use", "home");
    expect(await good("get", "context", "--print-value-only")).toBe("here\n");
    expect(await good("context", "show")).toBe(
      `home:\n  --endpoints=${endpoint}\n  --command-timeout=9s\n`,
    );
    // Who names a cluster gets nothing of the context.
    await good("context", "add", "home", "--endpoints=127.0.0.1:1", "--user=ann", "--replace");
    expect(await good(at, "get", "context", "--print-value-only")).toBe("here\n");
    expect(await run("context", "use", "hom")).toMatchObject({
      exit: 1,
      err: expect.stringContaining("did you mean home?"),
    });
    const again = await run("context", "add", "home", at);
    expect(again).toMatchObject({ exit: 1, err: expect.stringContaining("--replace") });
    await good("context", "delete", "home");
    expect(await good("context", "list", "-w=json")).toBe('{"current":null,"names":["away"]}\n');
    await good("context", "delete", "away");
  }, 60_000);

  test("keep no password unless asked to, and are for their owner only", async () => {
    const kept = await run("context", "add", "secret", at, "--user=ann:apple");
    expect(kept.err).toContain("the password is not stored");
    expect(readFileSync(file(), "utf8")).not.toContain("apple");
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    await good("context", "add", "open", at, "--user=ann:apple", "--store-password");
    expect(readFileSync(file(), "utf8")).toContain("ann:apple");
    expect(await good("context", "show", "open")).toContain("--user=ann:***");
    writeFileSync(file(), "{");
    const broken = await run("get", "a");
    expect(broken).toMatchObject({ exit: 1, err: expect.stringContaining("cannot be used") });
    rmSync(file());
  });
});

test("every verb has an example, and its help shows it", async () => {
  expect(verbs.length).toBeGreaterThan(40);
  for (const { name, examples } of verbs) {
    expect({ name, count: examples.length }).not.toEqual({ name, count: 0 });
    const words = name.split(" ");
    const isOf = (example: string): boolean => words.every((word) => example.includes(word));
    expect({ name, ok: examples.some(isOf) }).toEqual({ name, ok: true });
  }
  expect(await printed(["help", "make-mirror"])).toContain("quoratectl make-mirror other:2379");
});
