import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { LogIndex } from "../../src/base/index.ts";
import { openWal } from "../../src/storage/index.ts";
import {
  brief,
  entries,
  entry,
  hardState,
  identity,
  meta,
  newWal,
  recover,
  temporaryDirectory,
} from "./wal-fixtures.ts";

const segmentSizeBytes = 4096;

async function open(path: string) {
  return openWal(path, { segmentSizeBytes });
}

describe("the write-ahead log", () => {
  test("gives back what was appended", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal, recovered } = await open(path);
    expect(recovered.identity).toEqual(identity);
    expect(recovered.hardState).toEqual(hardState(0, 0n, 0));
    expect(recovered.entries).toEqual([]);
    await wal.append({
      hardState: hardState(3, 0xffff_ffff_ffff_fff0n, 1),
      entries: [entry(1, 1, "", "noop"), entry(2, 3, "change", "confChange"), entry(3, 3)],
      snapshot: undefined,
    });
    await wal.close();
    const again = await recover(path, segmentSizeBytes);
    expect(again.hardState).toEqual(hardState(3, 0xffff_ffff_ffff_fff0n, 1));
    expect(again.entries.map((e) => e.kind)).toEqual(["noop", "confChange", "command"]);
    expect(brief(again.entries)).toEqual(["1.1:", "2.3:change", "3.3:value 3"]);
    expect(again.snapshot).toBeUndefined();
  });

  test("an entry at or below the last replaces the tail", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await open(path);
    await wal.append({
      hardState: hardState(1, 0n, 0),
      entries: entries(1, 5, 1),
      snapshot: undefined,
    });
    await wal.append({
      hardState: hardState(2, 0n, 0),
      entries: [entry(3, 2)],
      snapshot: undefined,
    });
    await wal.close();
    const { entries: found } = await recover(path, segmentSizeBytes);
    expect(brief(found)).toEqual(["1.1:value 1", "2.1:value 2", "3.2:value 3"]);
  });

  test("rolls over segments, and removes those that lie below a mark", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await open(path);
    await wal.append({ hardState: hardState(4, 7n, 0), entries: [], snapshot: undefined });
    for (let index = 1; index <= 400; index++) {
      await wal.append({ hardState: undefined, entries: [entry(index, 4)], snapshot: undefined });
    }
    const before = (await readdir(path)).length;
    expect(before).toBeGreaterThan(5);
    const size = wal.sizeBytes();
    await wal.markSnapshot(meta(380, 4), 300 as LogIndex);
    expect(wal.sizeBytes()).toBeLessThan(size);
    await wal.close();
    expect((await readdir(path)).length).toBeLessThanOrEqual(before - 3);

    const found = await recover(path, segmentSizeBytes);
    expect(found.hardState).toEqual(hardState(4, 7n, 380));
    expect(found.snapshot).toEqual(meta(380, 4));
    expect(found.entries.map((e) => e.index)).toEqual(
      Array.from({ length: 20 }, (_, i) => 381 + i),
    );
  });

  test("goes on after reopening many times", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    for (let index = 1; index <= 60; index++) {
      const { wal, recovered } = await open(path);
      expect(recovered.entries.length).toBe(index - 1);
      await wal.append({
        hardState: hardState(1, 0n, index - 1),
        entries: [entry(index, 1, "x".repeat(150))],
        snapshot: undefined,
      });
      await wal.close();
    }
    expect((await recover(path, segmentSizeBytes)).entries.length).toBe(60);
  });

  test("a batch larger than a segment is kept whole", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await open(path);
    const large = "y".repeat(3 * segmentSizeBytes);
    for (const index of [1, 2, 3]) {
      await wal.append({
        hardState: undefined,
        entries: [entry(index, 1, large)],
        snapshot: undefined,
      });
    }
    await wal.close();
    const found = await recover(path, segmentSizeBytes);
    expect(found.entries.map((e) => e.data.length)).toEqual([
      large.length,
      large.length,
      large.length,
    ]);
  });

  test("a received snapshot replaces a log that does not hold its entry", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await open(path);
    await wal.append({
      hardState: hardState(1, 0n, 2),
      entries: entries(1, 9, 1),
      snapshot: undefined,
    });
    await wal.append({ hardState: hardState(5, 0n, 6), entries: [], snapshot: meta(6, 5) });
    await wal.append({ hardState: undefined, entries: [entry(7, 5)], snapshot: undefined });
    await wal.close();
    const found = await recover(path, segmentSizeBytes);
    expect(found.snapshot).toEqual(meta(6, 5));
    expect(brief(found.entries)).toEqual(["7.5:value 7"]);
    expect(found.hardState.commit).toBe(6);
  });

  test("a received snapshot keeps what follows the entry that it matches", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await open(path);
    await wal.append({
      hardState: hardState(1, 0n, 2),
      entries: entries(1, 9, 1),
      snapshot: undefined,
    });
    await wal.append({ hardState: undefined, entries: [], snapshot: meta(8, 1) });
    await wal.close();
    const found = await recover(path, segmentSizeBytes);
    expect(found.snapshot).toEqual(meta(8, 1));
    expect(brief(found.entries)).toEqual(["9.1:value 9"]);
  });

  test("calls made together are written in order", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    const { wal } = await open(path);
    await Promise.all([
      ...entries(1, 50, 1).map((e) =>
        wal.append({ hardState: undefined, entries: [e], snapshot: undefined }),
      ),
      wal.markSnapshot(meta(20, 1), 10 as LogIndex),
    ]);
    await wal.close();
    await wal.close();
    const found = await recover(path, segmentSizeBytes);
    expect(found.entries.length).toBe(30);
    await expect(
      wal.append({ hardState: undefined, entries: [entry(51, 1)], snapshot: undefined }),
    ).rejects.toThrow("closed");
  });

  test("files are for the owner only", async () => {
    const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(path)) {
      expect((await stat(join(path, name))).mode & 0o777).toBe(0o600);
    }
  });
});
