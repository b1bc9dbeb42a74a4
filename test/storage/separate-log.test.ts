// A log on a disk of its own: made, opened, moved, lost, and held against a second process.

import { cp, mkdir, readdir, readlink, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  createDataDirectory,
  hasDataDirectory,
  openDataDirectory,
} from "../../src/storage/index.ts";
import { entry, identity, temporaryDirectory } from "./wal-fixtures.ts";

const segmentSizeBytes = 64 * 1024;
const beginning = { identity, salt: 0x5a17 };

interface Places {
  readonly data: string;
  readonly log: string;
}

async function made(): Promise<Places> {
  const root = await temporaryDirectory();
  const places = { data: join(root, "data"), log: join(root, "disk", "log") };
  await createDataDirectory(places.data, beginning, options(places.log));
  return places;
}

function options(walDirectory?: string) {
  return { segmentSizeBytes, walDirectory };
}

async function append(path: string, index: number, walDirectory?: string): Promise<void> {
  const disk = await openDataDirectory(path, identity, options(walDirectory));
  const entries = [entry(index, 1, `entry ${index}`)];
  await disk.wal.append({ hardState: undefined, entries, snapshot: undefined });
  await disk.close();
}

test("the log is where it was asked to be, and is found from the data directory", async () => {
  const { data, log } = await made();
  expect(await hasDataDirectory(data)).toBe(true);
  expect(await readlink(join(data, "wal"))).toBe(join(log, "wal"));
  expect((await stat(log)).mode & 0o777).toBe(0o700);
  await append(data, 1, log);
  // Whoever does not say where it is finds it all the same.
  const again = await openDataDirectory(data, identity, options());
  expect(again.recovered.entries).toHaveLength(1);
  await again.close();
  expect(await readdir(log)).toEqual(["lock", "wal"]);
});

test("a log that was moved is found by --wal-dir; one that is gone is named", async () => {
  const { data, log } = await made();
  await append(data, 1);
  const moved = `${log}-moved`;
  await rename(log, moved);
  await expect(openDataDirectory(data, identity, options())).rejects.toThrow(
    `the write-ahead log should be in ${join(log, "wal")}, which is not there`,
  );
  await append(data, 2, moved);
  const again = await openDataDirectory(data, identity, options());
  expect(again.recovered.entries).toHaveLength(2);
  await again.close();
  await expect(openDataDirectory(data, identity, options(log))).rejects.toThrow("is not there");
  await mkdir(join(log, "wal"), { recursive: true });
  await expect(openDataDirectory(data, identity, options(log))).rejects.toThrow(
    `leads to the log in ${join(moved, "wal")}, not to --wal-dir=${join(log, "wal")}`,
  );
});

test("a member that began without --wal-dir is told how to move its log", async () => {
  const root = await temporaryDirectory();
  const data = join(root, "data");
  await createDataDirectory(data, beginning, options());
  await expect(openDataDirectory(data, identity, options(join(root, "log")))).rejects.toThrow(
    `the log is: it stands in ${join(data, "wal")}. With the member stopped, move it`,
  );
  await append(data, 1);
});

test("nobody begins on the log of another, and a copy cannot run beside its original", async () => {
  const { data, log } = await made();
  const other = `${data}-other`;
  await expect(createDataDirectory(other, beginning, options(log))).rejects.toThrow(
    `${log} holds the log of another member`,
  );
  await append(data, 1);
  const copy = `${data}-copy`;
  await cp(data, copy, { recursive: true, verbatimSymlinks: true });
  const disk = await openDataDirectory(data, identity, options());
  await expect(openDataDirectory(copy, identity, options())).rejects.toThrow(
    `the write-ahead log in ${join(log, "wal")} is in use by another process`,
  );
  await disk.close();
  await append(copy, 2);
});

test("a creation that was cut short is made again", async () => {
  const { data, log } = await made();
  await rm(data, { recursive: true });
  await expect(createDataDirectory(data, beginning, options(log))).rejects.toThrow("of another");
  await writeFile(join(log, "making"), data);
  await createDataDirectory(data, beginning, options(log));
  await append(data, 1, log);
});
