// The state store as an ordered map that outlives processes, with LevelDB's meaning: batches are
// whole, a power cut loses the newest ones since the last synced batch and no others.

import { CorruptionError, StorageError, bytesToHex, compareBytes } from "../../src/base/index.ts";
import type { Rng } from "../../src/base/index.ts";
import type {
  BatchOperation,
  Engine,
  EngineReader,
  EngineView,
  Row,
  ScanRange,
} from "../../src/storage/index.ts";
import type { Device } from "./device.ts";

const scanChunkRows = 64;

interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly rotten: boolean;
}

type Batch = readonly BatchOperation[];

function applyBatch(rows: Map<string, StoredRow>, batch: Batch): void {
  for (const operation of batch) {
    const name = bytesToHex(operation.key);
    if (operation.kind === "put") {
      rows.set(name, { key: operation.key, value: operation.value, rotten: false });
    } else {
      rows.delete(name);
    }
  }
}

function copyOperation(operation: BatchOperation): BatchOperation {
  const key = new Uint8Array(operation.key);
  return operation.kind === "put"
    ? { kind: "put", key, value: new Uint8Array(operation.value) }
    : { kind: "delete", key };
}

/** The files of an engine. */
export class EngineFiles {
  /** What a power cut surely leaves. */
  #synced = new Map<string, StoredRow>();
  #unsynced: Batch[] = [];
  #rows = new Map<string, StoredRow>();

  get rows(): ReadonlyMap<string, StoredRow> {
    return this.#rows;
  }

  write(batch: Batch, sync: boolean): void {
    applyBatch(this.#rows, batch);
    if (sync) {
      this.#synced = new Map(this.#rows);
      this.#unsynced = [];
    } else {
      this.#unsynced.push(batch);
    }
  }

  /** Keeps a prefix of the unsynced batches; returns how many were lost. */
  powerCut(rng: Rng): number {
    const kept = rng.below(this.#unsynced.length + 1);
    const lost = this.#unsynced.length - kept;
    if (lost > 0) {
      this.#rows = new Map(this.#synced);
      for (const batch of this.#unsynced.slice(0, kept)) {
        applyBatch(this.#rows, batch);
      }
    }
    this.#unsynced = [];
    this.#synced = new Map(this.#rows);
    return lost;
  }

  /** Damages one stored value; false when there is none. */
  rot(rng: Rng): boolean {
    const names = [...this.#rows.keys()].sort();
    const name = names[rng.below(Math.max(1, names.length))];
    const row = name === undefined ? undefined : this.#rows.get(name);
    if (name === undefined || row === undefined) {
      return false;
    }
    const rotten = { ...row, rotten: true };
    this.#rows.set(name, rotten);
    if (this.#synced.has(name)) {
      this.#synced.set(name, rotten);
    }
    return true;
  }
}

class RowReader implements EngineReader {
  readonly #rows: () => ReadonlyMap<string, StoredRow>;
  readonly #device: Device;

  constructor(rows: () => ReadonlyMap<string, StoredRow>, device: Device) {
    this.#rows = rows;
    this.#device = device;
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    await this.#device.read();
    const rows = this.#rows();
    return keys.map((key) => {
      const row = rows.get(bytesToHex(key));
      return row === undefined ? undefined : valueOf(row);
    });
  }

  /** Sees one state from begin to end. */
  async *scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    const rows: Row[] = [];
    const { from, to } = range;
    const chosen = [...this.#rows().values()].filter(
      ({ key }) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0),
    );
    chosen.sort((a, b) => compareBytes(a.key, b.key));
    if (range.reverse === true) {
      chosen.reverse();
    }
    for (const row of chosen.slice(0, range.limit ?? chosen.length)) {
      rows.push([new Uint8Array(row.key), valueOf(row)]);
    }
    for (let at = 0; at < rows.length; at += scanChunkRows) {
      await this.#device.read();
      yield rows.slice(at, at + scanChunkRows);
    }
  }
}

function valueOf(row: StoredRow): Uint8Array {
  if (row.rotten) {
    throw new CorruptionError(
      `the stored value of key ${bytesToHex(row.key)} does not match its checksum`,
    );
  }
  return new Uint8Array(row.value);
}

export class VirtualEngine implements Engine {
  readonly #files: EngineFiles;
  readonly #device: Device;
  readonly #reader: RowReader;
  #isClosed = false;

  constructor(files: EngineFiles, device: Device) {
    this.#files = files;
    this.#device = device;
    this.#reader = new RowReader(() => files.rows, device);
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#checkOpen();
    return this.#reader.getMany(keys);
  }

  scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    this.#checkOpen();
    return this.#reader.scan(range);
  }

  async write(batch: Batch, options: { readonly sync: boolean }): Promise<void> {
    this.#checkOpen();
    // The caller may change its bytes as soon as this call has returned.
    const copy = batch.map(copyOperation);
    const write = (): void => this.#files.write(copy, options.sync);
    await this.#device.write("engine", {
      whole: write,
      torn: (rng) => {
        if (rng.below(2) === 0) {
          this.#files.write(copy, false);
        }
      },
    });
  }

  view(): EngineView {
    this.#checkOpen();
    const rows = new Map(this.#files.rows);
    const reader = new RowReader(() => rows, this.#device);
    return {
      getMany: (keys) => reader.getMany(keys),
      scan: (range) => reader.scan(range),
      close: () => Promise.resolve(),
    };
  }

  sizeBytes(): number {
    return this.#files.rows.size * 100;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #checkOpen(): void {
    if (this.#isClosed) {
      throw new StorageError("the store is closed");
    }
  }
}
