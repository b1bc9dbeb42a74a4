// What only the engine on disk can show: what survives a kill, and what damage does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  CorruptionError,
  SeededRng,
  StorageError,
  fromUtf8,
  readU32,
  utf8,
  writeU32,
} from "../../src/base/index.ts";
import type { Engine } from "../../src/storage/engine.ts";
import { createLevelEngine, openLevelEngine } from "../../src/storage/index.ts";
import { temporaryDirectory } from "./wal-fixtures.ts";

function numbered(n: number): Uint8Array {
  const key = new Uint8Array(5);
  key[0] = 0x6b;
  writeU32(key, 1, n);
  return key;
}

/** Batch `n` writes row `n` and the count, as the state machine writes data and applied index. */
async function writeBatches(
  engine: Engine,
  from: number,
  to: number,
  syncEvery = 0,
): Promise<void> {
  for (let n = from; n <= to; n++) {
    await engine.write(
      [
        { kind: "put", key: numbered(n), value: utf8(`value of ${n} ${"x".repeat(100)}`) },
        { kind: "put", key: utf8("count"), value: numbered(n) },
      ],
      { sync: syncEvery > 0 && n % syncEvery === 0 },
    );
  }
}

async function countOf(engine: Engine): Promise<number> {
  const [value] = await engine.getMany([utf8("count")]);
  return value === undefined ? 0 : readU32(value, 1);
}

describe("the engine on LevelDB", () => {
  test("keeps its rows over closing and opening", async () => {
    const path = join(await temporaryDirectory(), "state");
    const engine = await createLevelEngine(path);
    await writeBatches(engine, 1, 50);
    await engine.close();
    for (let round = 0; round < 3; round++) {
      const again = await openLevelEngine(path);
      expect(await countOf(again)).toBe(50 + round);
      await writeBatches(again, 51 + round, 51 + round, 1);
      expect(again.sizeBytes()).toBeGreaterThan(0);
      await again.close();
    }
  });

  test("an engine that is not there is not made by opening", async () => {
    const path = join(await temporaryDirectory(), "state");
    await expect(openLevelEngine(path)).rejects.toThrow(StorageError);
    const engine = await createLevelEngine(path);
    await engine.close();
    await expect(createLevelEngine(path)).rejects.toThrow(StorageError);
  });

  test("a flipped bit in its own log is found, or costs the newest batches only", async () => {
    const path = join(await temporaryDirectory(), "state");
    const engine = await createLevelEngine(path);
    await writeBatches(engine, 1, 1000);
    const copy = `${path}-killed`;
    await cp(path, copy, { recursive: true });
    await engine.close();
    const log = (await readdir(copy)).find((name) => name.endsWith(".log"));
    const logPath = join(copy, log ?? "");
    const bytes = await readFile(logPath);
    expect(bytes.length).toBeGreaterThan(100_000);

    const seed = Date.now() % 1_000_000;
    const rng = new SeededRng(seed);
    let refused = 0;
    for (let round = 0; round < 12; round++) {
      const trial = `${path}-trial`;
      await cp(copy, trial, { recursive: true });
      const damaged = Buffer.from(bytes);
      const at = rng.below(bytes.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << rng.below(8));
      await writeFile(join(trial, log ?? ""), damaged);
      const context = `seed ${seed}, byte ${at}`;
      try {
        const opened = await openLevelEngine(trial);
        const count = await countOf(opened);
        for (let n = 1; n <= count; n++) {
          const [value] = await opened.getMany([numbered(n)]);
          expect(
            value && fromUtf8(value).startsWith(`value of ${n} `),
            `${context}, row ${n}`,
          ).toBe(true);
        }
        await opened.close();
      } catch (error) {
        expect(error, context).toBeInstanceOf(CorruptionError);
        refused++;
      }
      await rm(trial, { recursive: true });
    }
    expect(refused, `seed ${seed}`).toBeGreaterThan(5);
  });

  test("a flipped bit in a table is never read as data", async () => {
    const path = join(await temporaryDirectory(), "state");
    const engine = await createLevelEngine(path);
    // Incompressible values, larger than a write buffer, so that they leave it for tables.
    const rng = new SeededRng(1);
    const large = Uint8Array.from({ length: 1 << 20 }, () => rng.next() & 0xff);
    for (let n = 0; n < 70; n++) {
      large[0] = n;
      await engine.write([{ kind: "put", key: numbered(n), value: large }], { sync: false });
    }
    await engine.close();
    const tables = (await readdir(path)).filter((name) => name.endsWith(".ldb"));
    expect(tables.length).toBeGreaterThan(0);
    for (const name of tables) {
      const bytes = await readFile(join(path, name));
      const inside = (bytes.length >> 1) + 5000;
      bytes[inside] = (bytes[inside] ?? 0) ^ 4;
      await writeFile(join(path, name), bytes);
    }
    const damaged = await openLevelEngine(path);
    let found = 0;
    for (let n = 0; n < 70; n++) {
      const outcome = await damaged.getMany([numbered(n)]).then(
        ([value]) => value,
        (error: unknown) => error,
      );
      if (outcome instanceof CorruptionError) {
        found++;
      } else {
        expect((outcome as Uint8Array)[0]).toBe(n);
      }
    }
    expect(found).toBeGreaterThan(0);
    const scan = async (): Promise<void> => {
      for await (const _ of damaged.scan({ from: utf8(""), to: undefined })) {
        continue;
      }
    };
    await expect(scan()).rejects.toThrow(CorruptionError);
    await damaged.close();
  });

  test("a killed process loses no batch", async () => {
    const path = join(await temporaryDirectory(), "state");
    const script = fileURLToPath(new URL("engine-writer.ts", import.meta.url));
    const writer = spawn(process.execPath, ["--import", "tsx", script, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let acknowledged = 0;
    for await (const chunk of writer.stdout) {
      acknowledged = Number(String(chunk).trim().split("\n").at(-1));
      if (acknowledged >= 300) {
        writer.kill("SIGKILL");
        break;
      }
    }
    await once(writer, "exit");
    const engine = await openLevelEngine(path);
    expect(await countOf(engine)).toBeGreaterThanOrEqual(acknowledged);
    await engine.close();
  });
});

test("a store whose files are missing or point nowhere is refused with advice", async () => {
  const path = join(await temporaryDirectory(), "db");
  const engine = await createLevelEngine(path);
  await writeBatches(engine, 1, 3);
  await engine.close();
  const pointer = join(path, "CURRENT");
  const current = await readFile(pointer, "utf8");
  await writeFile(pointer, current.replace("MANIFEST", "MENIFEST"));
  const outcome = await openLevelEngine(path).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(CorruptionError);
  expect(String(outcome)).toMatch(/opening the store in .*MENIFEST.*member remove/);
});
