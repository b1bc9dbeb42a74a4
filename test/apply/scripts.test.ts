// Golden scripts of apply: test/scripts/apply/*.txt.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runScript } from "./script.ts";

const folder = fileURLToPath(new URL("../scripts/apply/", import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("apply scripts", () => {
  it("are there", () => {
    expect(names.length).toBeGreaterThanOrEqual(6);
  });

  it.each(names)("%s", async (name) => {
    const path = `${folder}${name}`;
    await expect(runScript(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
  });
});
