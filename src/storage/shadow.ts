// A LevelDB store, opened without touching it. LevelDB writes to whatever it opens: it replays its
// log into tables, renames its info log, begins a new manifest. So it is given a directory of its
// own in which the tables, which it never changes once they have their names, are links to the real
// ones, and the small rest is a copy.

import { copyFile, mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CorruptionError, StorageError } from "../base/index.ts";
import { directorySizeBytes, listDirectory, removeTree } from "./durable-files.ts";
import { verifyTable } from "./level-tables.ts";
import { type CheckedEngine, openLevelForCheck } from "./level-engine.ts";

const tableName = /\.(?:ldb|sst)$/;
const copiedName = /^(?:CURRENT|MANIFEST-\d+|\d+\.log)$/;

/** Checks every table in `directory`; hears of each that does not hold. */
export async function verifyTables(
  directory: string,
  onDamage: (error: CorruptionError) => void,
): Promise<void> {
  for (const { name } of (await listDirectory(directory)) ?? []) {
    if (tableName.test(name)) {
      try {
        await verifyTable(join(directory, name));
      } catch (error) {
        if (!(error instanceof CorruptionError)) {
          throw error;
        }
        onDamage(error);
      }
    }
  }
}

export interface Shadow extends CheckedEngine {
  /** Of the real directory. */
  readonly sizeBytes: number;
  /** Also removes the copy. */
  close(): Promise<void>;
}

/** Opens what `directory` holds. Errors name the real directory; then no copy is left. */
export async function openShadow(directory: string): Promise<Shadow> {
  const real = resolve(directory);
  const copy = await mkdtemp(join(tmpdir(), "quorate-check-"));
  const renamed = (error: unknown): unknown => withPath(error, copy, real);
  try {
    for (const { name } of (await listDirectory(real)) ?? []) {
      if (tableName.test(name)) {
        await symlink(join(real, name), join(copy, name));
      } else if (copiedName.test(name)) {
        await copyFile(join(real, name), join(copy, name));
      }
    }
    const opened = await openLevelForCheck(copy);
    return {
      engine: opened.engine,
      sizeBytes: await directorySizeBytes(real),
      verifyRows: (report) =>
        opened.verifyRows(report).catch((error) => Promise.reject(renamed(error))),
      async close() {
        await opened.engine.close();
        await removeTree(copy);
      },
    };
  } catch (error) {
    await removeTree(copy);
    throw renamed(error);
  }
}

function withPath(error: unknown, from: string, to: string): unknown {
  if (!(error instanceof StorageError)) {
    return error;
  }
  const Kind = error instanceof CorruptionError ? CorruptionError : StorageError;
  return new Kind(error.message.replaceAll(from, to), { cause: error });
}
