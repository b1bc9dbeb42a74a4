// quoratectl prints what etcdctl prints: both are run with the same arguments on the same server,
// and what they write and how they exit is compared byte by byte.
//
// Where etcdctl is not installed this is skipped; with CI=true it must be there.

import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runControl } from "../../src/cli/ctl/main.ts";
import { MemoryIo } from "../support/memory-io.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

const version = spawnSync("etcdctl", ["version"], { encoding: "utf8" });
const hasEtcdctl = version.status === 0;
if (!hasEtcdctl) {
  console.info("etcdctl is not installed: quoratectl is not compared with it");
}

interface Outcome {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

let cluster: ClusterProcesses;
let member: MemberProcess;
let lease = "";

function etcdctl(args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync("etcdctl", args, {
    encoding: "latin1",
    input: "",
    timeout: 20_000,
    env: { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: member.endpoint },
  });
  // etcdctl's client logs its retries among its errors.
  const err = stderr.replaceAll(/^\{"level".*\n/gm, "");
  return { exit: status, out: stdout, err };
}

/** Fields that etcdctl 3.4 does not know yet. */
const newer = /,"(?:storageVersion|dbSizeQuota|downgradeInfo|hash_revision)":(?:"[^"]*"|\d+|\{\})/g;

async function quoratectl(args: readonly string[]): Promise<Outcome> {
  const io = new MemoryIo();
  const exit = await runControl(args, { ETCDCTL_ENDPOINTS: member.endpoint }, io);
  return { exit, out: io.out.replaceAll(newer, ""), err: io.err.replaceAll(/^Hint: .*\n/gm, "") };
}

beforeAll(async () => {
  if (!hasEtcdctl) {
    return;
  }
  cluster = await ClusterProcesses.create(1);
  [member] = cluster.members as [MemberProcess];
  await member.start();
  const put = (...args: string[]): void => {
    expect(etcdctl(["put", ...args]).out).toBe("OK\n");
  };
  put("a", "1");
  put("a", "2");
  put("b", "x");
  put("k", 'v"\t\u0001é\n');
  put("html", "<&>\u2028");
  put("empty", "--ignore-lease=false", "--", "-1");
  etcdctl(["del", "b"]);
  lease = etcdctl(["lease", "grant", "6000"]).out.split(" ")[1] ?? "";
  put("leased", "1", `--lease=${lease}`);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const forms = ["simple", "json", "fields"];

/** Replies that every form has. Only what stays the same when it is asked twice. */
const everyForm: readonly (readonly string[])[] = [
  ["get", "a"],
  ["get", "a", "l"],
  ["get", "", "--prefix"],
  ["get", "", "--from-key", "--limit=2"],
  ["get", "", "--prefix", "--keys-only"],
  ["get", "", "--prefix", "--sort-by=MODIFY", "--order=DESCEND"],
  ["get", "none"],
  ["get", "a", "--rev=2"],
  ["get", "--consistency=s", "a"],
  ["del", "none"],
  ["lease", "list"],
  ["lease", "timetolive", "123"],
  ["lease", "timetolive", "123", "--keys"],
  ["member", "list"],
  ["endpoint", "status"],
  ["endpoint", "hashkv"],
  ["endpoint", "hashkv", "--cluster"],
];

const others: readonly (readonly string[])[] = [
  ["get", "", "--prefix", "--print-value-only"],
  ["get", "", "--prefix", "--hex"],
  ["member", "list", "-w", "table"],
  ["endpoint", "status", "-w=table"],
  ["endpoint", "hashkv", "-w=table", "--rev=3"],
  ["alarm", "list"],
  ["alarm", "list", "-w", "json"],
];

const refusals: readonly (readonly string[])[] = [
  ["get"],
  ["get", "a", "-w", "table"],
  ["get", "a", "-w", "bad"],
  ["get", "a", "--prefix", "--from-key"],
  ["get", "a", "b", "--prefix"],
  ["get", "a", "--order=x"],
  ["get", "a", "--sort-by=x"],
  ["get", "a", "--consistency=x"],
  ["get", "a", "--rev=100"],
  ["get", "a", "--print-value-only", "-w", "json"],
  ["put"],
  ["put", "a"],
  ["put", "", "x"],
  ["put", "a", "x", "--lease=123"],
  ["put", "a", "x", "--ignore-value"],
  ["put", "none", "--ignore-value"],
  ["del"],
  ["del", ""],
  ["lease", "grant"],
  ["lease", "grant", "99999999999"],
  ["lease", "revoke", "123"],
  ["lease", "keep-alive", "123", "--once"],
  ["compaction"],
  ["compaction", "99"],
  ["watch", "a", "b", "--prefix"],
];

describe.skipIf(!hasEtcdctl)("quoratectl prints what etcdctl prints", () => {
  const cases = [
    ...everyForm.flatMap((args) => forms.map((form) => [...args, "-w", form])),
    ...others,
    ...refusals,
  ].map((args) => ({ args, name: args.join(" ") }));

  it.each(cases)("$name", async ({ args }) => {
    // Sizes on disk may change between the two; then they are asked again.
    const same = async (): Promise<void> => expect(await quoratectl(args)).toEqual(etcdctl(args));
    await vi.waitFor(same, { timeout: 5_000, interval: 100 });
  });

  it("for a lease, but for the time that is left", async () => {
    const settle = ({ out, ...rest }: Outcome): Outcome => ({
      ...rest,
      out: out.replaceAll(/(?<=remaining\(|"ttl":|"TTL" : )\d+/g, "N"),
    });
    for (const form of forms) {
      for (const args of [
        ["lease", "timetolive", lease],
        ["lease", "timetolive", lease, "--keys"],
        ["lease", "keep-alive", lease, "--once"],
      ]) {
        const all = [...args, "-w", form];
        expect(settle(await quoratectl(all))).toEqual(settle(etcdctl(all)));
      }
    }
  });

  it("for compaction and a watch of what is gone", async () => {
    expect(etcdctl(["compaction", "3"]).out).toBe("compacted revision 3\n");
    for (const args of [
      ["compaction", "3"],
      ["get", "a", "--rev=1"],
      ["watch", "a", "--rev=1"],
    ]) {
      expect(await quoratectl(args)).toEqual(etcdctl(args));
    }
  });
});

it("runs where it must", () => {
  expect(hasEtcdctl || process.env["CI"] !== "true").toBe(true);
});
