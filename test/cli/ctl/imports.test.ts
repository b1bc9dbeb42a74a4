// quoratectl starts quickly because it loads nothing of the server; what does need the server's
// code, such as restore, loads it when it runs.

import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const staticImport = /^(?:import|export)\s+(?!type\s)(?:[^;"']*?\sfrom\s+)?["'](\.[^"']+)["']/gm;

/** Every file that is loaded with `entry`. */
function loadedWith(entry: string): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (!seen.has(path)) {
      seen.add(path);
      const text = readFileSync(join(root, path), "utf8");
      for (const [, specifier = ""] of text.matchAll(staticImport)) {
        visit(normalize(join(dirname(path), specifier)));
      }
    }
  };
  visit(entry);
  return seen;
}

it("loads nothing of the server", () => {
  const files = [...loadedWith("src/cli/quoratectl.ts")];
  expect(files.length).toBeGreaterThan(50);
  const allowed = /^src\/(?:base|wire|client|recipes)\/|^src\/cli\/(?:ctl\/|quoratectl|suggest)/;
  expect(files.filter((path) => !allowed.test(path))).toEqual([]);
});
