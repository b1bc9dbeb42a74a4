// The same seeds give the same lives in two fresh processes, one of which has another pool of
// threads and competes with a busy one.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const here = dirname(fileURLToPath(import.meta.url));
const lives = 100;

function hashes(poolThreads: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [
        join(here, "../../node_modules/tsx/dist/cli.mjs"),
        join(here, "main.ts"),
        "--no-corpus",
        "--hash",
        "--secs",
        "1",
        "--seeds",
        `1..${lives}`,
      ],
      {
        env: { ...process.env, UV_THREADPOOL_SIZE: String(poolThreads) },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
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

it(`plays ${lives} lives alike in another process`, { timeout: 300_000 }, async () => {
  const [first, second] = await Promise.all([hashes(2), hashes(16)]);
  expect(first).toHaveLength(lives);
  expect(new Set(first).size).toBe(lives);
  expect(second).toEqual(first);
});
