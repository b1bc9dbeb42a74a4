// Looking at a member's directory and changing nothing in it: what is there, what is wrong with it,
// and its log and state, opened as far as they can be.

import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { CorruptionError, StorageError, idToHex } from "../base/index.ts";
import { hasDataDirectory } from "./data-directory.ts";
import { holderOf } from "./directory-lock.ts";
import { adviceToRejoin } from "./rejoin-advice.ts";
import { openShadow, verifyTables } from "./shadow.ts";
import type { Shadow } from "./shadow.ts";
import { pointerName, readPointer, stateName, stateNumber } from "./state-pointer.ts";
import type { StatePointer } from "./state-pointer.ts";
import { readLog } from "./wal-reader.ts";
import type { ReadLog } from "./wal-reader.ts";

/** A problem must be mended before the member can run; a note is for information. */
export interface Finding {
  readonly kind: "problem" | "note";
  readonly what: string;
  readonly advice: string;
}

export type Report = (finding: Finding) => void;

export interface InspectedDirectory {
  readonly pointer: StatePointer | undefined;
  readonly log: ReadLog | undefined;
  readonly state: Shadow | undefined;
  close(): Promise<void>;
}

/**
 * Throws StorageError when there is nothing to check: no data directory of Quorate, or one that is
 * in use, which changes while it is read.
 */
export async function inspectDirectory(path: string, report: Report): Promise<InspectedDirectory> {
  if (!(await hasDataDirectory(path)) && (await stateNames(path)).length === 0) {
    throw new StorageError(`${path} holds no data of a member`);
  }
  await checkOwners(path, report);
  const pointer = await attempt(report, () => findPointer(path));
  if (pointer !== undefined) {
    await refuseHeld(path, pointer);
  }
  await noteLeftovers(path, pointer, report);
  const log = await attempt(report, () => findLog(path));
  if (log?.tornTail !== undefined) {
    const { path: file, from, bytes } = log.tornTail;
    report({
      kind: "note",
      what: `${file} at offset ${from}: the last write is torn (${bytes.length} bytes)`,
      advice:
        "Nothing acknowledged is in it. The next start cuts it and keeps the bytes beside it.",
    });
  }
  const state = pointer === undefined ? undefined : await findState(path, pointer, report);
  return { pointer, log, state, close: async () => state?.close() };
}

/** LevelDB's files first, each for itself, so that damage is named as closely as it can be. */
async function findState(
  path: string,
  pointer: StatePointer,
  report: Report,
): Promise<Shadow | undefined> {
  const statePath = join(path, stateName(pointer.state));
  await attempt(report, () => verifyTables(statePath, (error) => report(problemOf(error))));
  return attempt(report, () => openShadow(statePath));
}

/** What damage throws becomes a problem of its own, advice apart. */
async function attempt<T>(report: Report, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    report(problemOf(error));
    return undefined;
  }
}

export function problemOf(error: unknown): Finding {
  const text = error instanceof Error ? error.message : String(error);
  const isDamage = error instanceof CorruptionError;
  const what = text.replace(`. ${adviceToRejoin}`, "").replace(` ${adviceToRejoin}`, "");
  return {
    kind: "problem",
    what,
    advice: isDamage ? adviceToRejoin : "See that this user may read every file in the directory.",
  };
}

/** The log may be a link to another disk (--wal-dir), which may not be there. */
async function findLog(path: string): Promise<ReadLog> {
  const place = join(path, "wal");
  const target = await readlink(place).catch(() => undefined);
  if (target !== undefined && (await stat(place).catch(() => undefined)) === undefined) {
    throw new StorageError(`${place} leads to ${target}, which is not there: is its disk mounted?`);
  }
  return readLog(place);
}

async function findPointer(path: string): Promise<StatePointer> {
  const pointer = await readPointer(path);
  if (pointer === undefined) {
    throw new CorruptionError(`${join(path, pointerName)} is missing: the state is lost`);
  }
  return pointer;
}

async function refuseHeld(path: string, pointer: StatePointer): Promise<void> {
  const holder = await holderOf(join(path, stateName(pointer.state)));
  if (holder !== undefined) {
    throw new StorageError(
      `${path} is in use by process ${holder}: stop the member first, or check a copy`,
    );
  }
}

async function stateNames(path: string): Promise<string[]> {
  const names = await readdir(path).catch(() => []);
  return names.filter((name) => stateNumber(name) !== undefined);
}

async function noteLeftovers(
  path: string,
  pointer: StatePointer | undefined,
  report: Report,
): Promise<void> {
  if (pointer === undefined) {
    return;
  }
  for (const name of (await stateNames(path)).filter((one) => one !== stateName(pointer.state))) {
    report({
      kind: "note",
      what: `${join(path, name)} is a state that is not in use`,
      advice: "It was left by a crash. The next start removes it.",
    });
  }
}

/** A member that runs as the directory's owner must be able to open everything in it. */
async function checkOwners(path: string, report: Report): Promise<void> {
  const { uid, mode } = await lstat(path);
  if ((mode & 0o077) !== 0) {
    report({
      kind: "note",
      what: `${path} can be opened by other users (mode ${(mode & 0o777).toString(8)})`,
      advice: `chmod 700 ${path}`,
    });
  }
  const strangers: string[] = [];
  for (const name of await readdir(path, { recursive: true }).catch(() => [])) {
    const found = await lstat(join(path, name)).catch(() => undefined);
    if (found !== undefined && found.uid !== uid) {
      strangers.push(`${join(path, name)} (user ${found.uid})`);
    }
  }
  if (strangers.length > 0) {
    const more = strangers.length > 1 ? ` and ${strangers.length - 1} more` : "";
    report({
      kind: "problem",
      what: `${strangers[0]}${more} does not belong to the owner of ${path} (user ${uid})`,
      advice: `chown -R ${uid} ${path}`,
    });
  }
}

/** Whose the directory is, for a heading. */
export function describeIdentity(log: ReadLog): string {
  const { clusterId, memberId } = log.identity;
  return `member ${idToHex(memberId)} of cluster ${idToHex(clusterId)}`;
}
