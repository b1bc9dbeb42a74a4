// What a crash may leave is cut; what a crash cannot leave is refused.

import { open as openFile, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CorruptionError, SeededRng } from "../../src/base/index.ts";
import { openWal } from "../../src/storage/index.ts";
import { entries, entry, hardState, newWal, recover, temporaryDirectory } from "./wal-fixtures.ts";

const segmentSizeBytes = 16 * 1024;
const segmentName = "0000000000000001.wal";

interface Written {
  readonly path: string;
  readonly file: string;
  readonly bytes: Buffer;
  /** Offsets at which the batches end. */
  readonly ends: readonly number[];
}

/** A log of `batches`, as it is after a kill: not closed in order. */
async function written(
  batches: readonly (readonly [from: number, to: number])[],
): Promise<Written> {
  const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
  const { wal } = await openWal(path, { segmentSizeBytes });
  const ends: number[] = [];
  for (const [from, to] of batches) {
    await wal.append({
      hardState: hardState(2, 0n, from - 1),
      entries: entries(from, to, 2),
      snapshot: undefined,
    });
    ends.push(wal.sizeBytes());
  }
  const file = join(path, segmentName);
  const bytes = await readFile(file);
  await wal.close();
  return { path, file, bytes, ends };
}

const three = [
  [1, 3],
  [4, 6],
  [7, 40],
] as const;

async function brokenFiles(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name.endsWith(".broken"));
}

describe("the end of a log", () => {
  test("a last write cut anywhere loses only what it had not finished", async () => {
    const { path, file, bytes, ends } = await written(three);
    const [, begin = 0, end = 0] = ends;
    for (let cut = begin; cut < end; cut += 37) {
      const torn = Buffer.from(bytes);
      torn.fill(0, cut);
      await writeFile(file, torn);
      const found = await recover(path, segmentSizeBytes);
      expect(found.entries.length, `cut at ${cut}`).toBeGreaterThanOrEqual(6);
      expect(found.entries.length, `cut at ${cut}`).toBeLessThan(40);
      expect(found.entries.every((e, i) => e.index === i + 1)).toBe(true);
      expect(found.hardState.commit).toBeLessThanOrEqual(found.entries.length);
    }
  });

  test("sectors of the last write that came out of order prove nothing", async () => {
    const { path, file, bytes, ends } = await written(three);
    const [, begin = 0, end = 0] = ends;
    expect(end - begin).toBeGreaterThan(1024);
    const firstSector = Math.ceil((begin + 1) / 512) * 512;
    const torn = Buffer.from(bytes);
    torn.fill(0, begin, firstSector);
    await writeFile(file, torn);
    expect((await recover(path, segmentSizeBytes)).entries.length).toBe(6);
    const [broken = ""] = await brokenFiles(path);
    const kept = await readFile(join(path, broken));
    expect(kept.subarray(firstSector - begin)).toEqual(
      bytes.subarray(firstSector, end - (end - begin - kept.length)),
    );
  });

  test("goes on in the place that was cut", async () => {
    const { path, file, bytes, ends } = await written(three);
    const torn = Buffer.from(bytes);
    torn.fill(0, (ends[1] ?? 0) + 100);
    await writeFile(file, torn);
    const { wal, recovered } = await openWal(path, { segmentSizeBytes });
    const next = recovered.entries.length + 1;
    await wal.append({ hardState: undefined, entries: [entry(next, 3)], snapshot: undefined });
    await wal.close();
    expect((await recover(path, segmentSizeBytes)).entries.length).toBe(next);
  });

  test("a flipped bit before the last write is refused, with place and advice", async () => {
    const { path, file, bytes, ends } = await written(three);
    const seed = Date.now() % 1_000_000;
    const rng = new SeededRng(seed);
    let refused = 0;
    for (let round = 0; round < 200; round++) {
      const at = rng.below(ends[1] ?? 1);
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << rng.below(8));
      await writeFile(file, damaged);
      const context = `seed ${seed}, byte ${at}`;
      const outcome = await recover(path, segmentSizeBytes).then(
        (found) => found.entries.length,
        (error: unknown) => error,
      );
      // Padding between records carries nothing, and is not covered.
      if (outcome !== 40) {
        expect(outcome, context).toBeInstanceOf(CorruptionError);
        expect(String(outcome), context).toMatch(/0001\.wal.*offset.*member remove/);
        expect(damaged.equals(await readFile(file)), context).toBe(true);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(150);
    expect(await brokenFiles(path)).toEqual([]);
  });

  test("a log closed in order has no torn end: damage to its last entries is refused", async () => {
    const { path, file, ends } = await written(three);
    const damaged = await readFile(file);
    const at = (ends[2] ?? 0) - 20;
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await writeFile(file, damaged);
    await expect(recover(path, segmentSizeBytes)).rejects.toThrow(CorruptionError);
  });

  test("a stored value that looks like the log itself is no proof of anything", async () => {
    const { path, file, bytes, ends } = await written(three);
    const { wal } = await openWal(path, { segmentSizeBytes });
    const start = wal.sizeBytes();
    const imitation = { ...entry(41, 2), data: new Uint8Array(bytes.subarray(0, ends[2])) };
    await wal.append({ hardState: undefined, entries: [imitation], snapshot: undefined });
    const torn = await readFile(file);
    await wal.close();
    torn.fill(0, start, start + 8);
    await writeFile(file, torn);
    expect((await recover(path, segmentSizeBytes)).entries.length).toBe(40);
  });
});

describe("segments", () => {
  async function several(): Promise<{ path: string; names: string[] }> {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await openWal(path, { segmentSizeBytes });
    for (let from = 1; from <= 2000; from += 20) {
      await wal.append({
        hardState: hardState(2, 0n, from - 1),
        entries: entries(from, from + 19, 2),
        snapshot: undefined,
      });
    }
    await wal.close();
    const names = (await readdir(path)).sort();
    expect(names.length).toBeGreaterThan(4);
    return { path, names };
  }

  test("damage at the end of a segment that another follows is refused", async () => {
    const { path, names } = await several();
    const file = join(path, names[1] ?? "");
    const bytes = await readFile(file);
    let last = bytes.length - 1;
    while (bytes[last] === 0) {
      last--;
    }
    bytes[last] = (bytes[last] ?? 0) ^ 0x10;
    await writeFile(file, bytes);
    await expect(recover(path, segmentSizeBytes)).rejects.toThrow(
      /0003\.wal.*0002\.wal does not end/,
    );
    expect(await brokenFiles(path)).toEqual([]);
  });

  test("a missing segment is refused", async () => {
    const { path, names } = await several();
    await rm(join(path, names[2] ?? ""));
    await expect(recover(path, segmentSizeBytes)).rejects.toThrow(/segment 3 is missing/);
  });

  test("a missing beginning is refused", async () => {
    const { path, names } = await several();
    await rm(join(path, names[0] ?? ""));
    await expect(recover(path, segmentSizeBytes)).rejects.toThrow(/the log begins at entry/);
  });

  test("a shortened segment is refused", async () => {
    const { path, names } = await several();
    const handle = await openFile(join(path, names.at(-1) ?? ""), "r+");
    await handle.truncate(4096);
    await handle.close();
    const outcome = await recover(path, segmentSizeBytes).then(
      () => "opened",
      (error: unknown) => String(error),
    );
    // The newest file may be one prepared and unused, which holds nothing to lose.
    const header = (await readFile(join(path, names.at(-1) ?? ""))).subarray(0, 8);
    expect(outcome).toMatch(header[0] === 0 ? /opened/ : /lost its end/);
  });

  test("a torn first write of a new segment is cut; its neighbour's end holds", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await openWal(path, { segmentSizeBytes });
    let index = 0;
    let before = Buffer.alloc(0);
    const second = join(path, "0000000000000002.wal");
    // Stops right after the first write into the second segment.
    for (;;) {
      index++;
      await wal.append({
        hardState: undefined,
        entries: [entry(index, 2, "z".repeat(900))],
        snapshot: undefined,
      });
      const names = await readdir(path);
      if (names.includes("0000000000000002.wal")) {
        before = await readFile(second);
        if (before[0] !== 0) {
          break;
        }
      }
    }
    await wal.close();
    before.fill(0, 0, 512);
    await writeFile(second, before);
    const found = await recover(path, segmentSizeBytes);
    expect(found.entries.length).toBe(index - 1);
    expect((await brokenFiles(path)).length).toBe(1);
    const again = await openWal(path, { segmentSizeBytes });
    await again.wal.append({
      hardState: undefined,
      entries: [entry(index, 3)],
      snapshot: undefined,
    });
    await again.wal.close();
    expect((await recover(path, segmentSizeBytes)).entries.length).toBe(index);
  });
});
