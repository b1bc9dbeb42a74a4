// Small file operations whose effect survives a power cut. A file made or renamed is there for
// sure only after its directory was synced.

import { constants } from "node:fs";
import type { Dirent } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StorageError } from "../base/index.ts";

export const fileMode = 0o600;
export const directoryMode = 0o700;

/** The code of a system error, such as "ENOENT"; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

/** Wraps a failure of the file system, so that whoever gets it knows to stop the node. */
export function storageFailure(what: string, error: unknown): StorageError {
  if (error instanceof StorageError) {
    return error;
  }
  const text = error instanceof Error ? error.message : String(error);
  return new StorageError(`${what}: ${text}`, { cause: error });
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes durable the files directly in `path`, their names and the name of `path` itself. */
export async function syncTree(path: string): Promise<void> {
  for (const entry of (await listDirectory(path)) ?? []) {
    if (entry.isFile()) {
      const handle = await open(join(path, entry.name), constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
  await syncDirectory(path);
  await syncDirectory(dirname(path));
}

/** Makes a directory (not its parents) and makes that durable. An existing one is fine. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: directoryMode });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") {
      throw error;
    }
  }
  await syncDirectory(dirname(path));
}

/** Replaces `path` by `bytes` whole: after a crash it holds the old content or the new. */
export async function writeFileAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  await writeNewFile(temporary, bytes);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Writes and syncs a file that must not exist; never follows a link left there. */
export async function writeNewFile(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "wx", fileMode);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Entries of a directory by name; undefined when it does not exist. */
export async function listDirectory(path: string): Promise<Dirent[] | undefined> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (errorCode(error) === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}

/** Bytes of all files directly in `path`; files that vanish meanwhile do not count. */
export async function directorySizeBytes(path: string): Promise<number> {
  const entries = (await listDirectory(path)) ?? [];
  let total = 0;
  for (const entry of entries) {
    if (entry.isFile()) {
      total += await fileSizeBytes(join(path, entry.name));
    }
  }
  return total;
}

async function fileSizeBytes(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") {
      return 0;
    }
    throw error;
  }
}
