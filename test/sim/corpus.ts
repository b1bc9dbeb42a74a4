// Lives that failed once. Each is a file with all its options, so that it stays the same life when
// the way options are drawn from a seed changes; every run plays them first.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chooseOptions } from "./options.ts";
import type { SimOptions } from "./options.ts";
import { rootDirectory } from "./root.ts";
import type { Report } from "./run.ts";

const directory = join(rootDirectory, "test", "sim", "regressions");

export interface Regression {
  readonly name: string;
  /** What it showed when it was found. */
  readonly found: string;
  readonly options: SimOptions;
}

export function regressions(): Regression[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => {
      const { found, options } = JSON.parse(
        readFileSync(join(directory, name), "utf8"),
      ) as Regression;
      // Options that came later are the seed's.
      return { name, found, options: { ...chooseOptions(options.seed), ...options } };
    });
}

/** Writes a failing life to the corpus; returns the file's path. */
export function keep(report: Report): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `seed-${report.options.seed}.json`);
  const found = report.failure?.split("\n")[0] ?? "";
  writeFileSync(path, `${JSON.stringify({ found, options: report.options }, null, 2)}\n`);
  return path;
}
