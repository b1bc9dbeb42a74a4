// Golden scripts of the store: test/scripts/mvcc/*.txt.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runScript } from "./script.ts";

const folder = fileURLToPath(new URL("../scripts/mvcc/", import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("mvcc scripts", () => {
  it("are there", () => {
    expect(names.length).toBeGreaterThanOrEqual(8);
  });

  it.each(names)("%s", async (name) => {
    const path = `${folder}${name}`;
    await expect(runScript(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
  });
});
