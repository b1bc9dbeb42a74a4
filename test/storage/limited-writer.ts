// Writes a log and a store under a limit of file size until both fail, and prints how they fail.

import { CorruptionError, StorageError } from "../../src/base/index.ts";
import { openDataDirectory } from "../../src/storage/index.ts";
import { entry } from "./values.ts";

const directory = await openDataDirectory(process.argv[2] ?? "");

async function untilFailure(write: (n: number) => Promise<void>): Promise<number> {
  for (let n = 1; ; n++) {
    try {
      await write(n);
    } catch (error) {
      report("first", error);
      return n - 1;
    }
  }
}

function report(what: string, error: unknown): void {
  const kind = error instanceof StorageError && !(error instanceof CorruptionError);
  process.stdout.write(`${what} ${kind ? "StorageError" : "other"} ${String(error)}\n`);
}

const appended = await untilFailure((n) =>
  directory.wal.append({
    hardState: undefined,
    entries: [entry(n, 1, "x".repeat(2 ** (8 + n)))],
    snapshot: undefined,
  }),
);
await directory.wal
  .append({ hardState: undefined, entries: [entry(appended + 1, 1, "")], snapshot: undefined })
  .catch((error: unknown) => report("again", error));
process.stdout.write(`appended ${appended}\n`);

const key = new Uint8Array([1]);
const written = await untilFailure((n) =>
  directory.engine.write(
    [{ kind: "put", key: new Uint8Array([1, n]), value: new Uint8Array(2 ** (8 + n)).fill(n) }],
    { sync: false },
  ),
);
await directory.engine
  .write([{ kind: "delete", key }], { sync: false })
  .catch((error: unknown) => report("again", error));
await directory.engine.getMany([key]).catch((error: unknown) => report("read", error));
process.stdout.write(`written ${written}\n`);
process.kill(process.pid, "SIGKILL");
