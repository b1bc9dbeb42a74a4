// What etcdutl does with files: the hash of a data directory or a snapshot, and giving back space.

import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CorruptionError, SeededRng } from "../base/index.ts";
import { inspectDirectory, openDataDirectory } from "../storage/index.ts";
import type { Finding } from "../storage/index.ts";
import type { HashResult } from "./handle.ts";
import { hashState, replayLog } from "./offline-state.ts";
import { openState } from "./replicated-state.ts";
import type { OpenedState } from "./replicated-state.ts";
import { restoreSnapshot } from "./restore-snapshot.ts";
import type { Engine } from "../storage/engine.ts";

const memoryBudgetBytes = 64 * 1024 * 1024;

export interface OfflineHashOptions {
  /** 0 for the newest. */
  readonly revision: number;
  readonly onProgress: (text: string) => void;
}

/**
 * HashKV of a data directory, which is not changed, or of a snapshot, of etcd or Quorate. Throws
 * StorageError or DecodeError in words for an operator.
 */
export async function hashOffline(path: string, options: OfflineHashOptions): Promise<HashResult> {
  return (await stat(path)).isDirectory()
    ? hashDirectory(path, options)
    : hashSnapshot(path, options);
}

async function hashDirectory(path: string, options: OfflineHashOptions): Promise<HashResult> {
  const { revision, onProgress } = options;
  const findings: Finding[] = [];
  const { state: shadow, log, close } = await inspectDirectory(path, (one) => findings.push(one));
  try {
    const problem = findings.find(({ kind }) => kind === "problem");
    if (problem !== undefined || shadow === undefined || log === undefined) {
      throw new CorruptionError(`${problem?.what}. quorate check-data ${path} tells all`);
    }
    const opened = await open(shadow.engine);
    await replayLog(opened, log, (done, total) => onProgress(`replaying ${done} of ${total}`));
    return await hashState(shadow.engine, opened.state.store, revision, (blocks) =>
      onProgress(`${blocks} blocks of history`),
    );
  } finally {
    await close();
  }
}

/**
 * A snapshot becomes a store first, on the disk: which rows count can be told only with an index
 * of all keys, and that has no bound in memory.
 */
async function hashSnapshot(path: string, options: OfflineHashOptions): Promise<HashResult> {
  const { revision, onProgress } = options;
  const directory = await mkdtemp(join(tmpdir(), "quorate-hash-"));
  const dataDirectory = join(directory, "data");
  try {
    await restoreSnapshot(path, {
      dataDirectory,
      name: "hash",
      members: [{ name: "hash", peerUrls: ["http://localhost:2380"] }],
      token: "hash",
      skipHashCheck: true,
      bumpRevision: 0,
      markCompacted: false,
      rng: new SeededRng(1),
      onProgress: (bytes, total) => onProgress(`${bytes} of ${total} bytes read`),
    });
    const disk = await openDataDirectory(dataDirectory);
    try {
      const { state } = await open(disk.engine);
      return await hashState(disk.engine, state.store, revision, (blocks) =>
        onProgress(`${blocks} blocks of history`),
      );
    } finally {
      await disk.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function open(engine: Engine): Promise<OpenedState> {
  return openState(engine, {
    memoryBudgetBytes,
    progressNotifyIntervalMs: 0,
    rng: new SeededRng(1),
  });
}

/** Sizes of the store on the disk, bytes. */
export interface Defragmented {
  readonly beforeBytes: number;
  readonly afterBytes: number;
}

/** Gives the disk space of what was deleted back, in the directory of a member that is stopped. */
export async function defragmentData(path: string): Promise<Defragmented> {
  const disk = await openDataDirectory(path);
  try {
    const beforeBytes = disk.engine.sizeBytes();
    await disk.engine.reclaim?.();
    return { beforeBytes, afterBytes: disk.engine.sizeBytes() };
  } finally {
    await disk.close();
  }
}
