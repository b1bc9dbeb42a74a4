// The preloaded library of shim.c: built when there is a compiler, and commanded through a file.

import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const source = join(import.meta.dirname, "shim.c");

export type ShimCommand =
  | { readonly on: "sync"; readonly does: "fail" | "sleep"; readonly argument: number }
  | { readonly on: "write"; readonly does: "fail" | "short"; readonly argument: number };

/** Compiles the library into `directory`; undefined when the machine has no gcc. */
export async function buildShim(directory: string): Promise<string | undefined> {
  const library = join(directory, "shim.so");
  try {
    await run("gcc", ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"]);
    return library;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}

/** The disk of one member, as the library sees it. */
export class Shim {
  readonly environment: Readonly<Record<string, string>>;
  readonly #commandFile: string;

  constructor(library: string, dataDirectory: string, commandFile: string) {
    this.#commandFile = commandFile;
    this.environment = {
      LD_PRELOAD: library,
      CHAOS_SHIM_PREFIX: dataDirectory,
      CHAOS_SHIM_COMMAND: commandFile,
    };
  }

  async order({ on, does, argument }: ShimCommand): Promise<void> {
    await writeFile(this.#commandFile, `${on} ${does} ${argument}`);
  }

  async clear(): Promise<void> {
    await rm(this.#commandFile, { force: true });
  }
}
