// A disk that takes no more, imitated by a limit of file size: whoever writes fails, and stays
// failed; whoever opens afterwards finds all that was acknowledged.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createDataDirectory, openDataDirectory } from "../../src/storage/index.ts";
import { identity, temporaryDirectory } from "./wal-fixtures.ts";

test("a write that fails is the last one, and nothing acknowledged is lost", async () => {
  const path = join(await temporaryDirectory(), "data");
  const options = { segmentSizeBytes: 64 * 1024 };
  await createDataDirectory(path, { identity, salt: 1 }, options);
  const script = fileURLToPath(new URL("limited-writer.ts", import.meta.url));
  const command = `ulimit -f 512 && exec "${process.execPath}" --import tsx "${script}" "${path}"`;
  const output = await new Promise<string>((resolve) => {
    execFile("bash", ["-c", command], { timeout: 20_000 }, (_error, stdout) => resolve(stdout));
  });
  const lines = output.trim().split("\n");
  expect(lines[0]).toMatch(/^first StorageError .*wal.*EFBIG/);
  expect(lines[1]).toMatch(/^again StorageError .*EFBIG/);
  expect(lines[3]).toMatch(/^first StorageError .*writing to the store/);
  expect(lines[4]).toMatch(/^again StorageError/);
  expect(lines[5]).toMatch(/^read StorageError/);
  const appended = Number(/^appended (\d+)$/.exec(lines[2] ?? "")?.[1]);
  const written = Number(/^written (\d+)$/.exec(lines[6] ?? "")?.[1]);
  expect(appended).toBeGreaterThan(5);
  expect(written).toBeGreaterThan(5);

  const opened = await openDataDirectory(path, identity, options);
  expect(opened.recovered.entries.length).toBeGreaterThanOrEqual(appended);
  for (let n = 1; n <= written; n++) {
    const [value] = await opened.engine.getMany([new Uint8Array([1, n])]);
    expect(value?.length).toBe(2 ** (8 + n));
  }
  await opened.close();
});
