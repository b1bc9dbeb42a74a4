// The built command as a process: what it prints, where, and how it exits.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const command = join(root, "dist/cli/quorate.cjs");

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  expect(existsSync(command), "run `npm run build` first").toBe(true);
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    encoding: "utf8",
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

describe("quorate", () => {
  it("prints its version, and etcd's on a line of its own", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly version: string;
    };
    expect(run("--version")).toEqual({
      status: 0,
      stdout:
        `etcd Version: 3.6.14\nquorate Version: ${version}\n` +
        `Node.js Version: ${process.version}\nOS/Arch: ${process.platform}/${process.arch}\n`,
      stderr: "",
    });
    expect(run("-version", "--emulate-version=3.5.30").stdout).toContain("etcd Version: 3.5.30\n");
  });

  it("prints help in groups", () => {
    const { status, stdout } = run("--help");
    expect(status).toBe(0);
    expect(stdout).toContain(
      "\nCluster:\n  --initial-advertise-peer-urls 'http://localhost:2380'\n",
    );
    for (const line of stdout.split("\n")) {
      expect(line.length).toBeLessThanOrEqual(100);
    }
  });

  it("refuses an unknown flag in one line", () => {
    expect(run("--lisen-peer-urls", "x")).toEqual({
      status: 2,
      stdout: "",
      stderr: "quorate: unknown flag --lisen-peer-urls (did you mean --listen-peer-urls?)\n",
    });
  });

  it("refuses settings that do not fit in one line", () => {
    expect(run("--election-timeout=100")).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "quorate: --election-timeout[100ms] should be at least as 5 times as " +
        "--heartbeat-interval[100ms]\n",
    });
  });
});
