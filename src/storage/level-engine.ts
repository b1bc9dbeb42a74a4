// The engine on LevelDB (the contract is in engine.ts).
//
// Settings by measurement (300 MB of 8 KiB blocks and 4 KiB pages, half of them rewritten): a
// write buffer of 32 MiB writes 2.8 times as fast as the default 4 MiB at half the CPU, and one of
// 16 MiB nearly so in half the memory; Snappy costs nothing on what does not compress and saves CPU
// and two thirds of the size on JSON.
//
// Batches go through LevelDB's chained form, which takes 0.5 us a small operation on the main
// thread where the array form takes 2.5.
//
// Reads go through the thread pool even where a synchronous read would be quicker (3 us against
// 56 us alone, 7 us each when many are under way): on a sick disk a synchronous read stops
// heartbeats. What is hot is cached above.

import { Level } from "level";
import { CorruptionError, StorageError, bytesToHex, equalBytes } from "../base/index.ts";
import { BatchLinks } from "./batch-links.ts";
import { directorySizeBytes, errorCode, storageFailure } from "./durable-files.ts";
import type { BatchOperation, Engine, EngineReader, EngineView, Row, ScanRange } from "./engine.ts";
import {
  assertKeyIsFree,
  checksumBytes,
  hashBatch,
  hashDeletion,
  linkKey,
  linkValue,
  openValue,
  readLink,
  reservedFrom,
  sealValue,
} from "./engine-records.ts";
import { reclaimRows } from "./level-reclaim.ts";
import { adviceToRejoin } from "./rejoin-advice.ts";

const writeBufferBytes = 16 * 1024 * 1024;
const tableFileBytes = 8 * 1024 * 1024;
/**
 * LevelDB maps the files of open tables, and what was read of them counts as this process's: 64
 * tables are the least that it takes, beside ten files of other kinds. Reading 1.2 GB all over left
 * 350 MB mapped where its default of a thousand left 860, for 44 us of CPU a cold read and not 26.
 */
const openFilesMax = 74;
/** What an engine takes in memory: two write buffers, and its cache of blocks and tables. */
export const engineMemoryBytes: number = 2 * writeBufferBytes + 16 * 1024 * 1024;
/** LevelDB keeps up to two write buffers in log files; twice that, for batches that overshoot. */
const linkedBytes = 4 * writeBufferBytes;
const scanChunkRows = 1000;
const scanChunkBytes = 256 * 1024;
const sizeAgeMsMax = 2000;

type Database = Level<Uint8Array, Uint8Array>;
type Snapshot = ReturnType<Database["snapshot"]>;
type StoredRow = readonly [Uint8Array, Uint8Array];
type Batch = ReturnType<Database["batch"]>;

/** The store is open already, here or in another process. */
export class StoreLockedError extends StorageError {
  override name = "StoreLockedError";
}

/** Makes an engine in `directory`, which must be absent or empty, and opens it. */
export async function createLevelEngine(directory: string): Promise<Engine> {
  const database = await openDatabase(directory, true);
  const engine = new LevelEngine(database, new BatchLinks(linkedBytes));
  await engine.write([], { sync: true });
  await engine.measure();
  return engine;
}

/**
 * Opens the engine in `directory`. Throws CorruptionError when LevelDB finds its files damaged or
 * missing, or when batches are missing from their middle; then nothing in it can be trusted.
 */
export async function openLevelEngine(directory: string): Promise<Engine> {
  return (await openLevel(directory)).engine;
}

async function openLevel(
  directory: string,
): Promise<{ readonly database: Database; readonly engine: LevelEngine }> {
  const database = await openDatabase(directory, false);
  try {
    const links = new BatchLinks(linkedBytes);
    for await (const rows of scanRows(database, undefined, { from: reservedFrom, to: undefined })) {
      for (const [key, stored] of rows) {
        links.verify(readLink(key, openValue(key, stored)));
      }
    }
    links.verified();
    const engine = new LevelEngine(database, links);
    await engine.measure();
    return { database, engine };
  } catch (error) {
    await database.close();
    const where = `the store in ${directory} cannot be trusted`;
    throw error instanceof CorruptionError
      ? new CorruptionError(`${where}: ${error.message}. ${adviceToRejoin}`, { cause: error })
      : storageFailure(where, error);
  }
}

/** What a check of a store needs beside reading it. */
export interface CheckedEngine {
  readonly engine: Engine;
  /**
   * Reads every row in both ways, in order and by key (a filter in front of each table may deny
   * what is there), and goes on behind damage. Resolves with the number of rows.
   */
  verifyRows(report: RowReport): Promise<number>;
}

export interface RowReport {
  onDamage(error: CorruptionError): void;
  /** Called now and then with the bytes read so far. */
  onProgress(bytes: number): void;
}

/** As `openLevelEngine`, for a check. */
export async function openLevelForCheck(directory: string): Promise<CheckedEngine> {
  const { database, engine } = await openLevel(directory);
  return { engine, verifyRows: (report) => verifyRows(database, report) };
}

async function verifyRows(database: Database, report: RowReport): Promise<number> {
  let rows = 0;
  let bytes = 0;
  const range = { from: new Uint8Array(0), to: undefined };
  for await (const chunk of scanRows(database, undefined, range)) {
    const again = await database.getMany(chunk.map(([key]) => key));
    for (const [i, [key, stored]] of chunk.entries()) {
      bytes += key.length + stored.length;
      const found = again[i];
      try {
        openValue(key, stored);
        if (found === undefined || !equalBytes(found, stored)) {
          throw new CorruptionError(
            `key ${bytesToHex(key)} is there when all rows are read in order, and not when it is ` +
              "asked for",
          );
        }
      } catch (error) {
        if (!(error instanceof CorruptionError)) {
          throw error;
        }
        report.onDamage(error);
      }
    }
    rows += chunk.length;
    report.onProgress(bytes);
  }
  return rows;
}

async function openDatabase(directory: string, isNew: boolean): Promise<Database> {
  const database: Database = new Level(directory, {
    keyEncoding: "view",
    valueEncoding: "view",
    createIfMissing: isNew,
    errorIfExists: isNew,
    writeBufferSize: writeBufferBytes,
    maxFileSize: tableFileBytes,
    maxOpenFiles: openFilesMax,
  });
  try {
    await database.open();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    if (errorCode(cause) === "LEVEL_LOCKED") {
      throw new StoreLockedError(`the store in ${directory} is in use`, { cause });
    }
    const failure = readFailure(`opening the store in ${directory}`, cause);
    throw isNew || !isDecay(failure)
      ? failure
      : new CorruptionError(`${failure.message}. ${adviceToRejoin}`, { cause: failure });
  }
  return database;
}

/** Files that were there and are missing now count as damaged. */
function isDecay(failure: StorageError): boolean {
  return failure instanceof CorruptionError || /no such file|does not exist/i.test(failure.message);
}

class LevelEngine implements Engine {
  readonly #database: Database;
  readonly #links: BatchLinks;
  readonly #reader: LevelReader;
  /** Ends with the write under way or the last one; never rejects. */
  #last: Promise<void> = Promise.resolve();
  #failure: StorageError | undefined;
  /** Where values are sealed, one after the other. */
  #scratch = new Uint8Array(64 * 1024);
  #sizeBytes = 0;
  #measuredAtMs = 0;
  #measuring: Promise<void> | undefined;
  #reclaiming: Promise<void> | undefined;

  constructor(database: Database, links: BatchLinks) {
    this.#database = database;
    this.#links = links;
    this.#reader = new LevelReader(database, undefined, () => this.#checkUsable());
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#reader.getMany(keys);
  }

  scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    return this.#reader.scan(range);
  }

  async write(
    batch: readonly BatchOperation[],
    options: { readonly sync: boolean },
  ): Promise<void> {
    const before = this.#last;
    let end = (): void => {};
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      this.#checkUsable();
      await this.#write(batch, options.sync);
    } catch (error) {
      this.#failure ??= storageFailure(`writing to the store in ${this.#database.location}`, error);
      throw this.#failure;
    } finally {
      end();
    }
  }

  view(): EngineView {
    this.#checkUsable();
    const snapshot = this.#database.snapshot();
    const reader = new LevelReader(this.#database, snapshot, () => this.#checkUsable());
    return {
      getMany: (keys) => reader.getMany(keys),
      scan: (range) => reader.scan(range),
      close: () => snapshot.close(),
    };
  }

  sizeBytes(): number {
    if (performance.now() - this.#measuredAtMs > sizeAgeMsMax) {
      // A failure to look leaves the figure as it was; writing will meet the cause.
      this.measure().catch(() => undefined);
    }
    return this.#sizeBytes;
  }

  measure(): Promise<void> {
    this.#measuring ??= directorySizeBytes(this.#database.location)
      .then((size) => {
        this.#sizeBytes = size;
      })
      .finally(() => {
        this.#measuredAtMs = performance.now();
        this.#measuring = undefined;
      });
    return this.#measuring;
  }

  reclaim(): Promise<void> {
    this.#checkUsable();
    this.#reclaiming ??= this.#reclaim().finally(() => {
      this.#reclaiming = undefined;
    });
    return this.#reclaiming;
  }

  async #reclaim(): Promise<void> {
    try {
      await reclaimRows(this.#database, () => this.#failure !== undefined);
    } catch (error) {
      throw readFailure(`reclaiming space in ${this.#database.location}`, error);
    }
    await this.measure();
  }

  async close(): Promise<void> {
    await this.#last;
    this.#failure ??= new StorageError("the store is closed");
    await this.#reclaiming?.catch(() => undefined);
    await this.#database.close();
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  async #write(operations: readonly BatchOperation[], sync: boolean): Promise<void> {
    const batch = this.#database.batch();
    const checksums = new Uint32Array(operations.length);
    let sizeBytes = 0;
    for (const [i, operation] of operations.entries()) {
      assertKeyIsFree(operation.key);
      sizeBytes += operation.key.length;
      if (operation.kind === "put") {
        checksums[i] = this.#put(batch, operation.key, operation.value);
        sizeBytes += checksumBytes + operation.value.length;
      } else {
        checksums[i] = hashDeletion(operation.key);
        batch.del(operation.key);
      }
    }
    const hash = hashBatch(checksums, this.#links.lastHash);
    const { link, drop } = this.#links.next(hash, sizeBytes);
    this.#put(batch, linkKey(link.number), linkValue(link));
    for (const number of drop) {
      batch.del(linkKey(number));
    }
    await batch.write({ sync });
    this.#links.written(link, drop.length, sync);
  }

  /** Adds a sealed value to `batch`, which copies it at once; returns its checksum. */
  #put(batch: Batch, key: Uint8Array, value: Uint8Array): number {
    const sizeBytes = checksumBytes + value.length;
    if (this.#scratch.length < sizeBytes) {
      this.#scratch = new Uint8Array(2 * sizeBytes);
    }
    const sum = sealValue(key, value, this.#scratch);
    batch.put(key, this.#scratch.subarray(0, sizeBytes));
    return sum;
  }
}

class LevelReader implements EngineReader {
  readonly #database: Database;
  readonly #snapshot: Snapshot | undefined;
  readonly #check: () => void;

  constructor(database: Database, snapshot: Snapshot | undefined, check: () => void) {
    this.#database = database;
    this.#snapshot = snapshot;
    this.#check = check;
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#check();
    let stored: (Uint8Array | undefined)[];
    try {
      stored = await this.#database.getMany([...keys], { snapshot: this.#snapshot });
    } catch (error) {
      throw readFailure(`reading the store in ${this.#database.location}`, error);
    }
    return stored.map((value, i) =>
      value === undefined ? undefined : openValue(keys[i] as Uint8Array, value),
    );
  }

  async *scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    this.#check();
    const end = range.to ?? reservedFrom;
    for await (const rows of scanRows(this.#database, this.#snapshot, { ...range, to: end })) {
      yield rows.map(([key, stored]) => [key, openValue(key, stored)] as const);
      this.#check();
    }
  }
}

async function* scanRows(
  database: Database,
  snapshot: Snapshot | undefined,
  range: ScanRange,
): AsyncGenerator<readonly StoredRow[]> {
  const iterator = database.iterator({
    gte: range.from,
    ...(range.to === undefined ? {} : { lt: range.to }),
    reverse: range.reverse ?? false,
    limit: range.limit ?? -1,
    highWaterMarkBytes: scanChunkBytes,
    snapshot,
  });
  try {
    for (;;) {
      const rows = await iterator.nextv(scanChunkRows);
      if (rows.length === 0) {
        return;
      }
      yield rows;
    }
  } catch (error) {
    const from = bytesToHex(range.from);
    throw readFailure(`scanning the store in ${database.location} from key ${from}`, error);
  } finally {
    await iterator.close();
  }
}

function readFailure(what: string, error: unknown): StorageError {
  if (error instanceof StorageError) {
    return error;
  }
  const text = error instanceof Error ? error.message : String(error);
  const isCorrupt = errorCode(error) === "LEVEL_CORRUPTION" || /corruption/i.test(text);
  const Kind = isCorrupt ? CorruptionError : StorageError;
  return new Kind(`${what}: ${text}`, { cause: error });
}
