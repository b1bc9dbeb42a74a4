// Making a log, and opening one. What is read of it, kept and refused is wal-reader.ts's business;
// here a torn end is cut, and its bytes are kept beside it in a `.broken` file.

import { rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { HardState, SnapshotMeta } from "../base/index.ts";
import {
  makeDirectory,
  removeTree,
  storageFailure,
  syncDirectory,
  writeNewFile,
} from "./durable-files.ts";
import { FileWal } from "./file-wal.ts";
import { BatchEncoder } from "./wal-codec.ts";
import type { Wal, WalIdentity, WalRecovered } from "./wal-contract.ts";
import { readLog } from "./wal-reader.ts";
import type { ReadLog, TornTail } from "./wal-reader.ts";
import {
  closeSegment,
  openSegment,
  prepareSegment,
  removeUnfinishedSegments,
  segmentPath,
  segmentSizeBytesDefault,
  writeFully,
} from "./wal-segments.ts";

export interface WalOptions {
  /** Size of segments made from now on, bytes; 64 MiB unless told. */
  readonly segmentSizeBytes?: number | undefined;
}

/** What a new log begins with; a restored member starts at a snapshot. */
export interface WalBeginning {
  readonly identity: WalIdentity;
  /** Any number that a client cannot know. */
  readonly salt: number;
  readonly hardState?: HardState | undefined;
  readonly snapshot?: SnapshotMeta | undefined;
}

/** Makes a log, whole or not at all: it has its name only once everything in it is durable. */
export async function createWal(
  directory: string,
  beginning: WalBeginning,
  options: WalOptions = {},
): Promise<void> {
  const temporary = `${directory}.tmp`;
  const sizeBytes = options.segmentSizeBytes ?? segmentSizeBytesDefault;
  try {
    await removeTree(temporary);
    await makeDirectory(temporary);
    await prepareSegment(temporary, 1, sizeBytes);
    const encoder = new BatchEncoder(beginning.salt);
    encoder.begin({ offset: 0, chain: 0 }, 64 * 1024);
    encoder.segmentHeader({
      sequence: 1,
      identity: beginning.identity,
      salt: beginning.salt,
      previousChain: 0,
      sizeBytes,
    });
    encoder.batch({
      hardState: beginning.hardState,
      entries: [],
      snapshot: beginning.snapshot,
    });
    const file = await openSegment(segmentPath(temporary, 1));
    await writeFully(file, encoder.end().bytes, 0);
    await closeSegment(file);
    await rename(temporary, directory);
    await syncDirectory(dirname(directory));
  } catch (error) {
    throw storageFailure(`making the write-ahead log ${directory}`, error);
  }
}

/** Opens a log. Throws CorruptionError, naming file and offset, when it cannot be trusted. */
export async function openWal(
  directory: string,
  options: WalOptions = {},
): Promise<{ readonly wal: Wal; readonly recovered: WalRecovered }> {
  try {
    return await openReadLog(directory, await readLog(directory), options);
  } catch (error) {
    throw storageFailure(`opening the write-ahead log ${directory}`, error);
  }
}

/** All has been read before anything is changed: a log that is refused stays as it was found. */
async function openReadLog(
  directory: string,
  log: ReadLog,
  options: WalOptions,
): Promise<{ readonly wal: Wal; readonly recovered: WalRecovered }> {
  const { identity, hardState, snapshot, entries, tornTail, ...rest } = log;
  await removeUnfinishedSegments(directory);
  if (tornTail !== undefined) {
    await cutTornTail(tornTail);
  }
  const last = rest.segments.at(-1)?.sequence ?? 0;
  const file = await openSegment(segmentPath(directory, last));
  const segmentSizeBytes = options.segmentSizeBytes ?? segmentSizeBytesDefault;
  const wal = new FileWal({
    directory,
    identity,
    hardState,
    snapshot,
    segmentSizeBytes,
    file,
    ...rest,
  });
  return { wal, recovered: { identity, hardState, snapshot, entries } };
}

/** Keeps the torn bytes in a file of their own, then makes the place zero again. */
async function cutTornTail({ path, from, bytes }: TornTail): Promise<void> {
  const kept = join(dirname(path), `${basename(path)}.${from}.broken`);
  await removeTree(kept);
  await writeNewFile(kept, bytes);
  await syncDirectory(dirname(path));
  const file = await openSegment(path);
  try {
    await writeFully(file, new Uint8Array(bytes.length), from);
  } finally {
    await closeSegment(file);
  }
}
