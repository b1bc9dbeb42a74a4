// Who has a data directory open, found without touching its lock. LevelDB's lock is a POSIX record
// lock, which Linux lists for every process that this one can see.

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "./durable-files.ts";

const lockName = "LOCK";

/** The process that has the store in `statePath` open, as a number; undefined when none is seen. */
export async function holderOf(statePath: string): Promise<number | undefined> {
  const inode = await inodeOf(join(statePath, lockName));
  const locks = await readFile("/proc/locks", "utf8").catch(() => "");
  for (const line of locks.split("\n")) {
    // "1: POSIX  ADVISORY  WRITE 4711 08:01:131 0 EOF"
    const match = /^\d+: POSIX +\w+ +WRITE (\d+) \S+:(\d+) /.exec(line);
    if (match !== null && Number(match[2]) === inode) {
      return Number(match[1]);
    }
  }
  return undefined;
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if (errorCode(error) === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}
