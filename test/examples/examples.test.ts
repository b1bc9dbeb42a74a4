// Every example under examples/ runs as it stands, on a cluster, and prints what it says it prints.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestCluster, type TestCluster } from "../../src/testing/index.ts";

const run = promisify(execFile);
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples");
const names = readdirSync(folder).filter((name) => name.endsWith(".js"));
const timeoutMs = 60_000;
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
});

afterAll(() => cluster.close());

/** The comment at the end that begins with "prints". */
function promisedOutput(name: string): string {
  const text = readFileSync(join(folder, name), "utf8");
  const [, promised] = text.split("\n// prints\n");
  if (promised === undefined) {
    throw new Error(`${name} does not say what it prints`);
  }
  return promised.replace(/^\/\/ ?/gm, "");
}

describe("examples", () => {
  it("are there", () => {
    expect(names.length).toBeGreaterThan(8);
  });

  it.each(names.filter((name) => !name.endsWith(".test.js")))(
    "%s prints what it says",
    async (name) => {
      const { stdout, stderr } = await run(
        process.execPath,
        [join(folder, name), ...cluster.endpoints],
        { timeout: timeoutMs },
      );
      expect(stderr).toBe("");
      expect(stdout).toBe(promisedOutput(name));
    },
    timeoutMs,
  );

  it.each(names.filter((name) => name.endsWith(".test.js")))(
    "%s passes",
    async (name) => {
      const file = join(folder, name);
      const { stdout } = await run(process.execPath, ["--test", file], { timeout: timeoutMs });
      expect(stdout).toMatch(/^# fail 0$/m);
      expect(stdout).toMatch(/^# pass [1-9]/m);
    },
    timeoutMs,
  );
});
