// The hash behind a snapshot: SHA-256 of the file before it. A database is a multiple of 512 bytes
// long, so that 32 bytes more show that there is a hash (etcdctl's rule).

import { createHash } from "node:crypto";
import { bytesToHex, DecodeError, equalBytes } from "../base/index.ts";
import type { ByteSource } from "./bytes.ts";

export const snapshotHashBytes = 32;
const alignmentBytes = 512;
const chunkBytes = 1024 * 1024;

/**
 * Size of the database in a snapshot file, its hash checked unless that is skipped. Throws
 * DecodeError when there is no hash or it does not match.
 */
export async function databaseSize(
  source: ByteSource,
  options: { readonly skipHashCheck: boolean },
): Promise<number> {
  const hasHash = source.sizeBytes % alignmentBytes === snapshotHashBytes;
  const sizeBytes = hasHash ? source.sizeBytes - snapshotHashBytes : source.sizeBytes;
  if (options.skipHashCheck) {
    return sizeBytes;
  }
  if (!hasHash) {
    throw new DecodeError(
      "snapshot missing hash: the file is cut off, or a copy of a database, for which there is " +
        "--skip-hash-check",
    );
  }
  const hash = createHash("sha256");
  for (let at = 0; at < sizeBytes; at += chunkBytes) {
    hash.update(await source.read(at, Math.min(chunkBytes, sizeBytes - at)));
  }
  const computed = hash.digest();
  const expected = await source.read(sizeBytes, snapshotHashBytes);
  if (!equalBytes(computed, expected)) {
    throw new DecodeError(
      `expected sha256 ${bytesToHex(expected)}, got ${bytesToHex(computed)}: the file is damaged`,
    );
  }
  return sizeBytes;
}
