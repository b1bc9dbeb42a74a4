// A name is there after a power cut only if its directory was synced after it was made. This test
// watches the calls that make names and those that sync, as no file system here forgets names.

import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { readlinkSync, readFileSync, readdirSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createMemoryEngine, openWal, streamSnapshot } from "../../src/storage/index.ts";
import { createDataDirectory, openDataDirectory } from "../../src/storage/index.ts";
import { entries, hardState, identity, meta, newWal, temporaryDirectory } from "./wal-fixtures.ts";

/** Names that were made and that no sync of their directory has covered yet. */
const unsynced = new Set<string>();
let namesMade = 0;
let restore = (): void => {};

function made(path: string): void {
  namesMade++;
  unsynced.add(path);
}

beforeAll(async () => {
  const { rename, mkdir } = fs;
  const handle = await fs.open("/");
  const prototype = Object.getPrototypeOf(handle) as { sync(this: FileHandle): Promise<void> };
  await handle.close();
  const { sync } = prototype;
  fs.rename = async (from, to) => {
    await rename(from, to);
    unsynced.delete(String(from));
    made(String(to));
  };
  const watchedMkdir = async (path: string, options?: object): Promise<undefined> => {
    await mkdir(path, options);
    made(path);
  };
  fs.mkdir = watchedMkdir as typeof fs.mkdir;
  prototype.sync = async function synced(this: FileHandle) {
    const directory = readlinkSync(`/proc/self/fd/${this.fd}`);
    const covered = [...unsynced].filter((path) => dirname(path) === directory);
    await sync.call(this);
    for (const path of covered) {
      unsynced.delete(path);
    }
  };
  syncBuiltinESMExports();
  restore = () => {
    Object.assign(fs, { rename, mkdir });
    prototype.sync = sync;
    syncBuiltinESMExports();
  };
});

afterAll(() => restore());

beforeEach(() => {
  unsynced.clear();
  namesMade = 0;
});

/** Segments that hold anything. */
function segmentsInUse(path: string): string[] {
  return readdirSync(path)
    .filter((name) => name.endsWith(".wal"))
    .map((name) => join(path, name))
    .filter((file) => readFileSync(file).subarray(0, 64).some(Boolean));
}

test("a segment is written to only when its name is durable", async () => {
  const segmentSizeBytes = 4096;
  const path = await newWal(await temporaryDirectory(), segmentSizeBytes);
  expect([...unsynced]).toEqual([]);
  const { wal } = await openWal(path, { segmentSizeBytes });
  for (let from = 1; from <= 400; from += 10) {
    const batch = { hardState: hardState(2, 7n, from - 1), entries: entries(from, from + 9, 2) };
    await wal.append({ ...batch, snapshot: undefined });
    expect(segmentsInUse(path).filter((file) => unsynced.has(file))).toEqual([]);
  }
  expect(segmentsInUse(path).length).toBeGreaterThan(3);
  expect(namesMade).toBeGreaterThan(3);
  await wal.close();
});

test("a state is in use only when all its names are durable", async () => {
  const path = join(await temporaryDirectory(), "data");
  const options = { segmentSizeBytes: 64 * 1024 };
  await createDataDirectory(path, { identity, salt: 1 }, options);
  expect([...unsynced]).toEqual([]);
  const directory = await openDataDirectory(path, {}, options);
  const { clusterId } = identity;
  const header = { clusterId, meta: meta(9, 4) };
  const received = await directory.receive(
    header.meta,
    streamSnapshot(createMemoryEngine(), header),
  );
  const before = namesMade;
  await received.install();
  expect([...unsynced]).toEqual([]);
  expect(namesMade).toBeGreaterThan(before);
  await directory.close();
});
