// Giving space back to the disk. LevelDB frees what was deleted or replaced only when it merges the
// tables that hold it, which for old rows may be never. So it is told to, one slice of the keys at
// a time: a slice is merged in one go on a thread of the pool, and after it comes a rest as long as
// it took, so that the merges that writing needs find the disk half idle.

import { assert } from "../base/index.ts";
import { reservedFrom } from "./engine-records.ts";

/** What of classic-level's API the `level` package does not declare. */
interface Compactable {
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
  approximateSize(start: Uint8Array, end: Uint8Array): Promise<number>;
}

const sliceBytesMax = 32 * 1024 * 1024;
const restMsMin = 20;
/** Keys are told apart by so many of their first bytes. */
const prefixBytes = 7;

/** Merges everything, slice by slice; ends early once `isStopped`. */
export async function reclaimRows(database: object, isStopped: () => boolean): Promise<void> {
  assert(isCompactable(database), "LevelDB can be told to merge a range");
  // What is still in the write buffer has no size: this writes it to tables, and merges nothing.
  await database.compactRange(keyAt(0n), keyAt(0n));
  for await (const { from, to } of slices(database, 0n, 256n ** BigInt(prefixBytes))) {
    if (isStopped()) {
      return;
    }
    const startedMs = performance.now();
    await database.compactRange(from, to);
    const restMs = Math.max(restMsMin, performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }
}

interface Slice {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** Halves the keys from `low` to `high` until a part is small; passes over empty ones. */
async function* slices(database: Compactable, low: bigint, high: bigint): AsyncGenerator<Slice> {
  const slice = { from: keyAt(low), to: keyAt(high) };
  const size = await database.approximateSize(slice.from, slice.to);
  if (size <= sliceBytesMax || high - low <= 1n) {
    if (size > 0) {
      yield slice;
    }
    return;
  }
  const middle = (low + high) / 2n;
  yield* slices(database, low, middle);
  yield* slices(database, middle, high);
}

function keyAt(prefix: bigint): Uint8Array {
  if (prefix === 256n ** BigInt(prefixBytes)) {
    return reservedFrom;
  }
  const key = new Uint8Array(prefixBytes);
  for (let i = 0; i < prefixBytes; i++) {
    key[i] = Number((prefix >> BigInt(8 * (prefixBytes - 1 - i))) & 0xffn);
  }
  return key;
}

function isCompactable(database: object): database is Compactable {
  return "compactRange" in database && "approximateSize" in database;
}
