// One command line through Debian's etcdctl and through quoratectl, on the same server: what each
// printed and how it exited, with what cannot be equal taken out.

import { spawn, spawnSync } from "node:child_process";
import { runControl } from "../../../src/cli/ctl/main.ts";
import { MemoryIo } from "../../support/memory-io.ts";

export interface Outcome {
  readonly exit: number | null;
  /** A character a byte. */
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const etcdctlVersion = spawnSync("etcdctl", ["version"], {
  encoding: "utf8",
  env: { ...process.env, ETCDCTL_API: "3" },
});

export const hasEtcdctl = etcdctlVersion.status === 0;

if (!hasEtcdctl) {
  if (process.env["CI"] === "true") {
    throw new Error("etcdctl must be installed under CI");
  }
  console.info("etcdctl is not installed: quoratectl is not compared with it");
}

/** The environment without what would speak for either program. */
function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:ETCDCTL|QUORATECTL)_/.test(name)),
  );
}

/** Lines that etcdctl's client logs among its errors. */
const logged = /^(?:\{"level".*|\S+ \S+ [WC] \| pkg\/flags: .*|stty: .*)\n/gm;

/** As `etcdctl`, while other things go on. */
export function etcdctlBeside(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const env = { ...cleanEnvironment(), ETCDCTL_API: "3", ...options.env };
  return new Promise((resolve, reject) => {
    const child = spawn("etcdctl", args, { env, timeout: 20_000 });
    let out = "";
    let err = "";
    child.stdout.setEncoding("latin1").on("data", (chunk: string) => {
      out += chunk;
    });
    child.stderr.setEncoding("latin1").on("data", (chunk: string) => {
      err += chunk;
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    child.once("error", reject);
    child.once("close", (exit) => resolve({ exit, out, err: err.replaceAll(logged, "") }));
  });
}

export function etcdctl(args: readonly string[], options: RunOptions = {}): Outcome {
  const { status, stdout, stderr } = spawnSync("etcdctl", args, {
    input: options.input ?? "",
    timeout: 20_000,
    env: { ...cleanEnvironment(), ETCDCTL_API: "3", ...options.env },
  });
  return {
    exit: status,
    out: stdout.toString("latin1"),
    err: stderr.toString("latin1").replaceAll(logged, ""),
  };
}

/** Fields of replies that etcdctl 3.4 does not know yet. */
const newer = /,"(?:storageVersion|dbSizeQuota|downgradeInfo|hash_revision)":(?:"[^"]*"|\d+|\{\})/g;

export async function quoratectl(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const io = new MemoryIo(options.input);
  const exit = await runControl(args, { ...cleanEnvironment(), ...options.env }, io);
  return {
    exit,
    out: io.out.replaceAll(newer, ""),
    err: Buffer.from(io.err)
      .toString("latin1")
      .replaceAll(/^Hint: .*\n/gm, ""),
  };
}

/** What differs from one write to the next: revisions. */
export function withoutRevisions({ out, ...rest }: Outcome): Outcome {
  return {
    ...rest,
    out: out
      .replaceAll(/"((?:\w+_)?revision)":\d+/g, '"$1":N')
      .replaceAll(/"((?:\w+)?Revision)" : \d+/g, '"$1" : N'),
  };
}
