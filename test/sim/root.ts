// Where the project begins, whether the simulator runs from its sources or compiled.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The nearest folder above this file that holds a package.json. */
export const rootDirectory: string = above(dirname(fileURLToPath(import.meta.url)));

function above(directory: string): string {
  return existsSync(join(directory, "package.json")) ? directory : above(dirname(directory));
}
