// What the log's tests share: values to write, and reading a log back.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { ClusterId, Entry, MemberId } from "../../src/base/index.ts";
import type { WalIdentity, WalRecovered } from "../../src/storage/wal-contract.ts";
import { createWal, openWal } from "../../src/storage/index.ts";

export { entries, entry, hardState, meta } from "./values.ts";

export const identity: WalIdentity = { clusterId: 0xfeedn as ClusterId, memberId: 7n as MemberId };

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "quorate-test-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function newWal(directory: string, segmentSizeBytes: number): Promise<string> {
  const path = join(directory, "wal");
  await createWal(path, { identity, salt: 0x5a17 }, { segmentSizeBytes });
  return path;
}

/** Opens, closes, and gives what was found. */
export async function recover(path: string, segmentSizeBytes: number): Promise<WalRecovered> {
  const { wal, recovered } = await openWal(path, { segmentSizeBytes });
  await wal.close();
  return recovered;
}

/** Entries as `index.term:text`, short to compare. */
export function brief(list: readonly Entry[]): string[] {
  return list.map((e) => `${e.index}.${e.term}:${new TextDecoder().decode(e.data)}`);
}
