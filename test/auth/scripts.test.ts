// Golden scripts of authentication: test/scripts/auth/*.txt.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runScript } from "./script.ts";

const folder = fileURLToPath(new URL("../scripts/auth/", import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("auth scripts", () => {
  it("are there", () => {
    expect(names.length).toBeGreaterThanOrEqual(4);
  });

  it.each(names)("%s", async (name) => {
    const path = `${folder}${name}`;
    await expect(runScript(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
  });
});
