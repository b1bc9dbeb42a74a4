import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { CorruptionError, DecodeError, fromUtf8, utf8 } from "../../src/base/index.ts";
import type { ClusterId, MemberId } from "../../src/base/index.ts";
import type { DataDirectory, Engine, EngineReader } from "../../src/storage/index.ts";
import {
  createDataDirectory,
  createMemoryEngine,
  hasDataDirectory,
  openDataDirectory,
  streamSnapshot,
} from "../../src/storage/index.ts";
import {
  brief,
  entries,
  entry,
  hardState,
  identity,
  meta,
  temporaryDirectory,
} from "./wal-fixtures.ts";

const options = { segmentSizeBytes: 64 * 1024 };
const beginning = { identity, salt: 0x5a17 };

async function newDirectory(): Promise<string> {
  const path = join(await temporaryDirectory(), "data");
  await createDataDirectory(path, beginning, options);
  return path;
}

async function rowsOf(reader: EngineReader): Promise<string[]> {
  const rows: string[] = [];
  for await (const chunk of reader.scan({ from: utf8(""), to: undefined })) {
    rows.push(...chunk.map(([key, value]) => `${fromUtf8(key)}=${fromUtf8(value)}`));
  }
  return rows;
}

async function fill(engine: Engine, prefix: string, count: number): Promise<void> {
  await engine.write(
    Array.from({ length: count }, (_, i) => ({
      kind: "put" as const,
      key: utf8(`${prefix}${String(i).padStart(6, "0")}`),
      value: utf8(`${i}`.repeat(100)),
    })),
    { sync: false },
  );
}

/** The state of another member, `count` rows at `index`. */
async function sentState(
  index: number,
  count: number,
): Promise<{ chunks: Uint8Array[]; rows: string[] }> {
  const engine = createMemoryEngine();
  await fill(engine, "sent ", count);
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamSnapshot(engine, {
    clusterId: identity.clusterId,
    meta: meta(index, 4),
  })) {
    chunks.push(chunk);
  }
  return { chunks, rows: await rowsOf(engine) };
}

async function* asStream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function names(path: string): Promise<string[]> {
  return (await readdir(path)).sort();
}

describe("a data directory", () => {
  test("is made once, opened, and keeps log and state", async () => {
    const path = join(await temporaryDirectory(), "data");
    expect(await hasDataDirectory(path)).toBe(false);
    await createDataDirectory(path, beginning, options);
    expect(await hasDataDirectory(path)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    await expect(createDataDirectory(path, beginning, options)).rejects.toThrow("already holds");

    const first = await openDataDirectory(path, identity, options);
    await first.wal.append({
      hardState: hardState(1, 7n, 0),
      entries: entries(1, 3, 1),
      snapshot: undefined,
    });
    await fill(first.engine, "row ", 3);
    await first.close();
    const second = await openDataDirectory(path, identity, options);
    expect(second.recovered.entries.length).toBe(3);
    expect((await rowsOf(second.engine)).length).toBe(3);
    await second.close();
    expect(await names(path)).toEqual(["CURRENT", "holder", "state-1", "wal"]);
  });

  test("begins with a state when a backup is restored", async () => {
    const path = join(await temporaryDirectory(), "data");
    const contents = {
      ...beginning,
      fill: (engine: Engine) => fill(engine, "restored ", 10),
      snapshot: meta(77, 3),
      hardState: hardState(3, 0n, 77),
    };
    await createDataDirectory(path, contents, options);
    const opened = await openDataDirectory(path, {}, options);
    expect(opened.recovered).toMatchObject({
      snapshot: meta(77, 3),
      entries: [],
      hardState: hardState(3, 0n, 77),
    });
    expect((await rowsOf(opened.engine)).length).toBe(10);
    await opened.close();
  });

  test("is refused to another member and another cluster", async () => {
    const path = await newDirectory();
    await expect(openDataDirectory(path, { memberId: 8n as MemberId }, options)).rejects.toThrow(
      "belongs to member 7, not 8",
    );
    await expect(openDataDirectory(path, { clusterId: 1n as ClusterId }, options)).rejects.toThrow(
      "belongs to cluster feed, not 1",
    );
    await (await openDataDirectory(path, identity, options)).close();
  });

  test("says what a foreign directory is", async () => {
    const path = await temporaryDirectory();
    expect(await hasDataDirectory(path)).toBe(false);
    await expect(openDataDirectory(path, {}, options)).rejects.toThrow("holds no data");
    await writeFile(join(path, "notes.txt"), "hello");
    await expect(createDataDirectory(path, beginning, options)).rejects.toThrow(
      /not empty .*notes\.txt/,
    );
    await mkdir(join(path, "member"));
    await expect(hasDataDirectory(path)).rejects.toThrow(/etcd/);
  });

  test("belongs to one process at a time, until that process dies", async () => {
    const path = await newDirectory();
    const script = fileURLToPath(new URL("lock-holder.ts", import.meta.url));
    const holder = spawn(process.execPath, ["--import", "tsx", script, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(holder.stdout, "data");
    await expect(openDataDirectory(path, {}, options)).rejects.toThrow(
      `in use by process ${holder.pid}`,
    );
    holder.kill("SIGKILL");
    await once(holder, "exit");
    await (await openDataDirectory(path, {}, options)).close();
  });

  test("is made again after a creation that was cut short anywhere", async () => {
    const withRows = { ...beginning, fill: (engine: Engine) => fill(engine, "row ", 3) };
    const path = join(await temporaryDirectory(), "data");
    let seen = "";
    const cutShort = {
      ...withRows,
      fill: async (engine: Engine) => {
        await fill(engine, "row ", 3);
        seen = (await names(path)).join(" ");
        throw new Error("the power went");
      },
    };
    await expect(createDataDirectory(path, cutShort, options)).rejects.toThrow("the power went");
    expect(seen).toBe("state-1");
    await createDataDirectory(path, withRows, options);

    const current = join(path, "CURRENT");
    const finished = fromUtf8(await readFile(current));
    // As it is between the pointer and the log, and between the log and its end.
    const line = (finished.split("\n")[0] ?? "").replace('"isFounding":false', '"isFounding":true');
    const founding = `${line}\n${crc32(line).toString(16).padStart(8, "0")}\n`;
    await writeFile(current, founding);
    await rename(join(path, "wal"), join(path, "wal.tmp"));
    expect(await hasDataDirectory(path)).toBe(false);
    await createDataDirectory(path, withRows, options);
    await writeFile(current, founding);
    const opened = await openDataDirectory(path, identity, options);
    expect((await rowsOf(opened.engine)).length).toBe(3);
    await opened.close();
    expect(fromUtf8(await readFile(current))).toBe(finished);
  });

  test("a state without its log is not overwritten", async () => {
    const path = await newDirectory();
    await rm(join(path, "wal"), { recursive: true });
    await expect(createDataDirectory(path, beginning, options)).rejects.toThrow(CorruptionError);
    await expect(createDataDirectory(path, beginning, options)).rejects.toThrow("wal/ is missing");
  });

  test("a damaged pointer is refused", async () => {
    const path = await newDirectory();
    await writeFile(join(path, "CURRENT"), '{"format":1,"state":2,"installed":null}\n00000000\n');
    await expect(openDataDirectory(path, {}, options)).rejects.toThrow(CorruptionError);
  });
});

describe("a received state", () => {
  async function opened(): Promise<{ path: string; directory: DataDirectory }> {
    const path = await newDirectory();
    const directory = await openDataDirectory(path, identity, options);
    await directory.wal.append({
      hardState: hardState(4, 7n, 5),
      entries: entries(1, 9, 4),
      snapshot: undefined,
    });
    await fill(directory.engine, "old ", 20);
    return { path, directory };
  }

  test("replaces the state in use", async () => {
    const { path, directory } = await opened();
    const { chunks, rows } = await sentState(50, 5000);
    expect(chunks.length).toBeGreaterThan(5);
    expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThan(300 * 1024);
    const received = await directory.receive(meta(50, 4), asStream(chunks));
    expect((await rowsOf(directory.engine)).length).toBe(20);
    const engine = await received.install();
    expect(directory.engine).toBe(engine);
    expect(await rowsOf(engine)).toEqual(rows);
    await directory.wal.append({ hardState: undefined, entries: [], snapshot: meta(50, 4) });
    await directory.wal.append({
      hardState: undefined,
      entries: [entry(51, 4)],
      snapshot: undefined,
    });
    await directory.close();
    expect(await names(path)).toEqual(["CURRENT", "holder", "state-2", "wal"]);

    const again = await openDataDirectory(path, identity, options);
    expect(await rowsOf(again.engine)).toEqual(rows);
    expect(again.recovered.snapshot).toEqual(meta(50, 4));
    expect(brief(again.recovered.entries)).toEqual(["51.4:value 51"]);
    await again.close();
  });

  test("an installation that the log had not heard of is finished at the next start", async () => {
    const { path, directory } = await opened();
    const { chunks, rows } = await sentState(50, 100);
    const received = await directory.receive(meta(50, 4), asStream(chunks));
    await received.install();
    await directory.close();
    for (let round = 0; round < 2; round++) {
      const again = await openDataDirectory(path, identity, options);
      expect(again.recovered.snapshot).toEqual(meta(50, 4));
      expect(again.recovered.entries).toEqual([]);
      expect(again.recovered.hardState).toEqual(hardState(4, 7n, 50));
      expect(await rowsOf(again.engine)).toEqual(rows);
      await again.close();
    }
  });

  test("that was never installed leaves the old one, and is cleared away", async () => {
    const { path, directory } = await opened();
    const { chunks } = await sentState(50, 100);
    await directory.receive(meta(50, 4), asStream(chunks));
    const discarded = await directory.receive(meta(50, 4), asStream(chunks));
    await discarded.discard();
    expect(await names(path)).toEqual(["CURRENT", "holder", "state-1", "state-2", "wal"]);
    const copy = `${path}-killed`;
    await cp(path, copy, { recursive: true });
    await directory.close();
    const again = await openDataDirectory(copy, identity, options);
    expect((await rowsOf(again.engine)).length).toBe(20);
    expect(again.recovered.entries.length).toBe(9);
    await again.close();
    expect(await names(copy)).toEqual(["CURRENT", "holder", "state-1", "wal"]);
  });

  test("that is damaged, cut off, or another's is refused whole", async () => {
    const { path, directory } = await opened();
    const { chunks } = await sentState(50, 5000);
    const flipped = (i: number, at: number): Uint8Array[] =>
      chunks.map((chunk, j) => {
        const copy = new Uint8Array(chunk);
        if (i === j) {
          copy[at] = (copy[at] ?? 0) ^ 1;
        }
        return copy;
      });
    const wrong: Record<string, readonly Uint8Array[]> = {
      altered: flipped(3, 1000),
      "altered end": flipped(chunks.length - 1, 6),
      "cut off": chunks.slice(0, -1),
      empty: [],
      "chunk lost": chunks.toSpliced(2, 1),
      "chunk doubled": chunks.toSpliced(2, 0, chunks[2] ?? new Uint8Array(0)),
      "too much": [...chunks, chunks[1] ?? new Uint8Array(0)],
      "another index": (await sentState(51, 10)).chunks,
    };
    for (const [what, stream] of Object.entries(wrong)) {
      await expect(directory.receive(meta(50, 4), asStream(stream)), what).rejects.toThrow(
        DecodeError,
      );
    }
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield* chunks.slice(0, 3);
      throw new Error("connection lost");
    }
    await expect(directory.receive(meta(50, 4), breaking())).rejects.toThrow("connection lost");
    expect(await names(path)).toEqual(["CURRENT", "holder", "state-1", "wal"]);
    expect((await rowsOf(directory.engine)).length).toBe(20);
    await directory.close();
  });

  test("a stream shows the state at its beginning, and lets its view go", async () => {
    const { directory } = await opened();
    const header = { clusterId: identity.clusterId, meta: meta(9, 4) };
    const before = await rowsOf(directory.engine);
    const stream = streamSnapshot(directory.engine, header);
    await fill(directory.engine, "later ", 50);
    const other = await opened();
    const received = await other.directory.receive(meta(9, 4), stream);
    expect(await rowsOf(await received.install())).toEqual(before);
    const unused = streamSnapshot(directory.engine, header)[Symbol.asyncIterator]();
    await unused.return?.();
    await other.directory.close();
    await directory.close();
  });
});
