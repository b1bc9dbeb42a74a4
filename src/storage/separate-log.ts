// A log on a disk of its own (--wal-dir). The member's directory holds a link to it under the name
// that the log has otherwise, so whoever looks into the directory finds it there, told or not.
//
//   <wal-dir>/wal       the log
//   <wal-dir>/making    while it is made: for which member's directory
//   <wal-dir>/lock/     a store that whoever has the log open keeps locked, since a member's
//                       directory that was copied has a link to the same log
//
// The directory may be a mount point: nothing in it is renamed over it.

import { mkdir, readFile, readlink, rename, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { StorageError, fromUtf8, utf8 } from "../base/index.ts";
import {
  directoryMode,
  errorCode,
  listDirectory,
  makeDirectory,
  removeTree,
  syncDirectory,
  writeFileAtomically,
} from "./durable-files.ts";
import { StoreLockedError, createLevelEngine, openLevelEngine } from "./level-engine.ts";
import { createWal } from "./open-wal.ts";
import type { WalBeginning, WalOptions } from "./open-wal.ts";

const logName = "wal";
const makingName = "making";
const lockName = "lock";

/** Makes a log in `walDirectory` and links it as `link`, which comes last. */
export async function createSeparateLog(
  link: string,
  walDirectory: string,
  beginning: WalBeginning,
  options: WalOptions,
): Promise<void> {
  const directory = resolve(walDirectory);
  const real = join(directory, logName);
  const making = join(directory, makingName);
  const owner = dirname(resolve(link));
  await mkdir(dirname(directory), { recursive: true, mode: directoryMode });
  await makeDirectory(directory);
  if ((await listDirectory(real)) !== undefined) {
    const cutShort = await readFile(making).then(fromUtf8, () => undefined);
    if (cutShort !== owner) {
      throw new StorageError(
        `${directory} holds the log of another member, or of one whose data directory is gone: ` +
          "give another --wal-dir, or empty it",
      );
    }
    await removeTree(real);
  }
  await writeFileAtomically(making, utf8(owner));
  await createWal(real, beginning, options);
  await placeLink(link, real);
  await removeTree(making);
}

/** What keeps other processes from a log that is linked; undefined where the log is at home. */
export interface HeldLog {
  release(): Promise<void>;
}

/**
 * Sees that the log linked as `link` is there, is in `walDirectory` if that is given, and is nobody
 * else's. A log that was moved is linked anew when `walDirectory` says where it is now.
 */
export async function holdSeparateLog(
  link: string,
  walDirectory: string | undefined,
): Promise<HeldLog | undefined> {
  const target = await linkTarget(link);
  const wanted = walDirectory === undefined ? undefined : join(resolve(walDirectory), logName);
  if (target === undefined) {
    if (wanted !== undefined) {
      throw new StorageError(
        `--wal-dir=${walDirectory} is not where the log is: it stands in ${link}. With the member ` +
          `stopped, move it to ${wanted} and put a link to that in its place`,
      );
    }
    return undefined;
  }
  const real = wanted ?? target;
  if ((await listDirectory(real)) === undefined) {
    throw new StorageError(
      `the write-ahead log should be in ${real}, which is not there: is its disk mounted? A log ` +
        "that was moved is found by --wal-dir",
    );
  }
  if (real !== target) {
    if ((await listDirectory(target)) !== undefined) {
      throw new StorageError(`${link} leads to the log in ${target}, not to --wal-dir=${real}`);
    }
    await placeLink(link, real);
  }
  return lockLog(real);
}

async function lockLog(real: string): Promise<HeldLog> {
  const lock = join(dirname(real), lockName);
  try {
    const exists = (await listDirectory(lock)) !== undefined;
    const engine = await (exists ? openLevelEngine(lock) : createLevelEngine(lock));
    return { release: () => engine.close() };
  } catch (error) {
    if (error instanceof StoreLockedError) {
      throw new StorageError(`the write-ahead log in ${real} is in use by another process`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function placeLink(link: string, real: string): Promise<void> {
  const temporary = `${link}.tmp`;
  await removeTree(temporary);
  await symlink(real, temporary);
  await rename(temporary, link);
  await syncDirectory(dirname(link));
}

async function linkTarget(link: string): Promise<string | undefined> {
  try {
    return resolve(dirname(link), await readlink(link));
  } catch (error) {
    if (errorCode(error) === "EINVAL") {
      return undefined;
    }
    throw error;
  }
}
