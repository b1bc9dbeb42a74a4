// The preloaded library and what the harness makes of its notes. Where there is no compiler there
// is no library either, and `npm run chaos` says so.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { Shim, buildShim } from "./shim.ts";

const run = promisify(execFile);
let directory = "";
let library: string | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "quorate-shim-"));
  library = await buildShim(directory);
  if (library === undefined && process.env["CI"] === "true") {
    throw new Error("gcc must be installed under CI");
  }
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function shimOf(name: string): Promise<{ readonly data: string; readonly shim: Shim }> {
  const data = join(directory, name, "data");
  await mkdir(data, { recursive: true });
  return { data, shim: new Shim(library as string, data, join(directory, name, "shim")) };
}

/** What a process with that disk and clock prints. */
async function inNode(shim: Shim, script: string): Promise<string> {
  const env = { ...process.env, ...shim.environment };
  const { stdout } = await run(process.execPath, ["-e", script], { env });
  return stdout.trim();
}

const writes = (data: string): string => `
const fs = require("node:fs");
const synced = fs.openSync("${data}/synced", "w");
fs.writeSync(synced, "x".repeat(1000));
fs.fdatasyncSync(synced);
fs.writeSync(synced, "y".repeat(500));
const durable = fs.openSync("${data}/durable", fs.constants.O_DSYNC | fs.constants.O_CREAT | 1);
fs.writeSync(durable, "z".repeat(700));
fs.writeFileSync("${data}/never", "x".repeat(300));
`;

test("a power cut takes what was not synced, and nothing else", async (context) => {
  context.skip(library === undefined, "no compiler");
  for (let seed = 1; seed <= 6; seed++) {
    const { data, shim } = await shimOf(`power${seed}`);
    await inNode(shim, writes(data));
    const lostBytes = await shim.losePower(new SeededRng(seed));
    const sizes: number[] = [];
    for (const name of ["synced", "durable", "never"]) {
      sizes.push((await stat(join(data, name))).size);
    }
    const [synced = 0, durable = 0, never = 0] = sizes;
    expect(synced).toBeGreaterThanOrEqual(1000);
    expect(durable).toBe(700);
    expect(lostBytes).toBe(1500 + 300 - synced - never);
    expect(lostBytes).toBeGreaterThan(0);
    expect(String(await readFile(join(data, "synced")))).toMatch(/^x{1000}y*$/);
  }
});

test("reads fail while they shall, and only in the directory", async (context) => {
  context.skip(library === undefined, "no compiler");
  const { data, shim } = await shimOf("reads");
  await inNode(shim, writes(data));
  const reads = `
const fs = require("node:fs");
for (const path of ["${data}/durable", process.execPath]) {
  try {
    const file = fs.openSync(path);
    console.log(fs.readSync(file, Buffer.alloc(10), 0, 10, 0));
  } catch (error) {
    console.log(error.code);
  }
}`;
  await shim.order({ on: "read", does: "fail", argument: 5 });
  expect(await inNode(shim, reads)).toBe("EIO\n10");
  await shim.clear();
  expect(await inNode(shim, reads)).toBe("10\n10");
});

test("the wall clock is wrong by what was said, and time goes on evenly", async (context) => {
  context.skip(library === undefined, "no compiler");
  const { shim } = await shimOf("clock");
  const script = "console.log(Date.now() - performance.timeOrigin - performance.now())";
  const wall = "console.log(Date.now())";
  for (const errorMs of [7_200_000, -7_200_000]) {
    await shim.setClockError(errorMs);
    const before = Date.now();
    const shown = Number(await inNode(shim, wall)) - errorMs;
    expect(shown).toBeGreaterThanOrEqual(before - 1);
    expect(shown).toBeLessThanOrEqual(Date.now() + 1);
    expect(Math.abs(Number(await inNode(shim, script)))).toBeLessThan(60_000);
  }
});
