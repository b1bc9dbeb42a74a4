// The same seeds give the same lives: in a fresh process each, with another pool of threads, other
// lives played before them, and while other processes keep the machine busy.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { rootDirectory } from "./root.ts";

const lives = 100;
const tsx = join(rootDirectory, "node_modules/tsx/dist/cli.mjs");
const main = join(rootDirectory, "test/sim/main.ts");

function hashes(poolThreads: number, jobs: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const what = ["--no-corpus", "--hash", "--secs", "1", "--seeds", `1..${lives}`];
    const child = spawn(process.execPath, [tsx, main, ...what, "--jobs", String(jobs)], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(poolThreads) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", () =>
      resolve(output.split("\n").filter((line) => /^\d+ [0-9a-f]{8}$/.test(line))),
    );
  });
}

/** Runs `work` while so many processes do nothing but run. */
async function underLoad<T>(processes: number, work: () => Promise<T>): Promise<T> {
  const busy = Array.from({ length: processes }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
  try {
    return await work();
  } finally {
    for (const each of busy) {
      each.kill("SIGKILL");
    }
  }
}

it(`plays ${lives} lives alike in another process`, { timeout: 600_000 }, async () => {
  const first = await hashes(2, 1);
  const second = await underLoad(2, () => hashes(16, 2));
  expect(first).toHaveLength(lives);
  expect(new Set(first).size).toBe(lives);
  expect(second).toEqual(first);
});
