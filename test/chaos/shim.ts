// The preloaded library of shim.c: built when there is a compiler, and commanded through a file.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { open, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Rng } from "../../src/base/index.ts";

const run = promisify(execFile);
const source = join(import.meta.dirname, "shim.c");

export type ShimCommand =
  | { readonly on: "sync"; readonly does: "fail" | "sleep"; readonly argument: number }
  | { readonly on: "write"; readonly does: "fail" | "short"; readonly argument: number }
  | { readonly on: "read"; readonly does: "fail"; readonly argument: number };

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
  readonly #dataDirectory: string;
  readonly #commandFile: string;
  readonly #syncedFile: string;
  readonly #clockFile: string;

  /** Its own files begin with `base`. */
  constructor(library: string, dataDirectory: string, base: string) {
    this.#dataDirectory = dataDirectory;
    this.#commandFile = `${base}.command`;
    this.#syncedFile = `${base}.synced`;
    this.#clockFile = `${base}.clock`;
    this.environment = {
      LD_PRELOAD: library,
      CHAOS_SHIM_PREFIX: dataDirectory,
      CHAOS_SHIM_COMMAND: this.#commandFile,
      CHAOS_SHIM_SYNCED: this.#syncedFile,
      CHAOS_SHIM_CLOCK: this.#clockFile,
    };
    writeFileSync(this.#clockFile, new Uint8Array(8));
  }

  async order({ on, does, argument }: ShimCommand): Promise<void> {
    await writeFile(this.#commandFile, `${on} ${does} ${argument}`);
  }

  async clear(): Promise<void> {
    await rm(this.#commandFile, { force: true });
  }

  /** By how much the member's wall clock is wrong from now on. */
  async setClockError(ms: number): Promise<void> {
    const file = await open(this.#clockFile, "r+");
    try {
      await file.write(new Uint8Array(BigInt64Array.of(BigInt(ms)).buffer), 0, 8, 0);
    } finally {
      await file.close();
    }
  }

  /**
   * Takes from the files of a member that was killed what no sync had made durable, as a power cut
   * does: all of it, or a part. Returns the bytes taken.
   */
  async losePower(rng: Rng): Promise<number> {
    const durable = await this.#durable();
    let lostBytes = 0;
    for (const name of (await readdir(this.#dataDirectory, { recursive: true })).sort()) {
      const path = join(this.#dataDirectory, name);
      const status = await stat(path);
      const kept = durable.get(status.ino) ?? 0;
      if (status.isFile() && kept < status.size) {
        const left = rng.below(2) === 0 ? kept : kept + rng.below(status.size - kept);
        lostBytes += status.size - left;
        await truncate(path, left);
      }
    }
    return lostBytes;
  }

  async #durable(): Promise<Map<number, number>> {
    const sizes = new Map<number, number>();
    for (const line of (await readFile(this.#syncedFile, "utf8")).trimEnd().split("\n")) {
      const [inode = 0, size = 0] = line.split(" ").map(Number);
      sizes.set(inode, size);
    }
    return sizes;
  }
}
