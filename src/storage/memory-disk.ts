// A member's disk in the memory of this process, for nodes that keep nothing. What was appended to
// its log is there when the member is opened again, as if the process had been killed and the disk
// had lost nothing; it goes with the process.

import { StorageError, assert } from "../base/index.ts";
import type { Entry, LogIndex, SnapshotMeta } from "../base/index.ts";
import { finishInstall } from "./data-directory.ts";
import type {
  DataDirectory,
  MemberDisk,
  NewDataDirectory,
  ReceivedState,
} from "./data-directory.ts";
import type { BatchOperation, Engine, EngineView, Row, ScanRange } from "./engine.ts";
import { LogImage } from "./log-image.ts";
import { createMemoryEngine } from "./memory-engine.ts";
import { fillFromSnapshot } from "./snapshot-stream.ts";
import type { Wal, WalBatch, WalIdentity, WalRecovered } from "./wal-contract.ts";

/** For what an entry takes beside its data, bytes. */
const entryOverheadBytes = 64;

interface Contents {
  readonly identity: WalIdentity;
  engine: Engine;
  /** What the records of a log on disk would add up to. */
  readonly log: LogImage;
  logBytes: number;
  /** Where the state in use was received, if it was. */
  installed: SnapshotMeta | undefined;
}

export class MemoryDisk implements MemberDisk {
  readonly name = "the member in memory";
  #contents: Contents | undefined;
  #life: Life | undefined;

  hasData(): Promise<boolean> {
    return Promise.resolve(this.#contents !== undefined);
  }

  async create({ identity, fill, snapshot, hardState }: NewDataDirectory): Promise<void> {
    if (this.#contents !== undefined) {
      throw new StorageError(`${this.name} already has data`);
    }
    const engine = createMemoryEngine();
    await fill?.(engine);
    const log = new LogImage();
    if (hardState !== undefined) {
      log.apply({ kind: "hardState", hardState });
    }
    if (snapshot !== undefined) {
      log.apply({ kind: "snapshot", meta: snapshot });
    }
    this.#contents = { identity, engine, log, logBytes: 0, installed: undefined };
  }

  async open(): Promise<DataDirectory> {
    const contents = this.#contents;
    if (contents === undefined) {
      throw new StorageError(`${this.name} has no data`);
    }
    if (this.#life?.isOpen === true) {
      throw new StorageError(`${this.name} is in use`);
    }
    const life = new Life();
    this.#life = life;
    const wal = new MemoryWal(contents, life);
    const { identity, log, installed } = contents;
    const recovered = await finishInstall(wal, { identity, ...log.finish() }, installed);
    return new MemoryDirectory(contents, life, wal, recovered);
  }

  /** As if the process had died: nothing that is under way, or comes after it, ever ends. */
  sever(): void {
    this.#life?.sever();
  }
}

/** One use of the disk, from open to close. */
class Life {
  #state: "open" | "closed" | "severed" = "open";

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isSevered(): boolean {
    return this.#state === "severed";
  }

  close(): void {
    this.#state = this.#state === "open" ? "closed" : this.#state;
  }

  sever(): void {
    this.#state = "severed";
  }

  /** Runs `work` while the disk is in use; never ends once it is severed. */
  async use<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#state === "closed") {
      throw new StorageError("the store is closed");
    }
    const never = new Promise<never>(() => {});
    if (!this.isOpen) {
      return never;
    }
    const result = await work();
    return this.isSevered ? never : result;
  }
}

class MemoryWal implements Wal {
  readonly #contents: Contents;
  readonly #life: Life;
  #writtenBytes = 0;

  constructor(contents: Contents, life: Life) {
    this.#contents = contents;
    this.#life = life;
  }

  append({ hardState, entries, snapshot }: WalBatch): Promise<void> {
    return this.#life.use(() => {
      const { log } = this.#contents;
      if (snapshot !== undefined) {
        log.apply({ kind: "snapshot", meta: snapshot });
        this.#measure();
      }
      for (const entry of entries) {
        log.apply({ kind: "entry", entry });
        this.#contents.logBytes += sizeOf(entry);
        this.#writtenBytes += sizeOf(entry);
      }
      if (hardState !== undefined) {
        log.apply({ kind: "hardState", hardState });
      }
    });
  }

  markSnapshot(meta: SnapshotMeta, keepFrom: LogIndex): Promise<void> {
    return this.#life.use(() => {
      assert(keepFrom <= meta.index + 1, "a log may be cut only below its snapshot mark");
      this.#contents.log.apply({ kind: "mark", meta });
      this.#measure();
    });
  }

  sizeBytes(): number {
    return this.#contents.logBytes;
  }

  writtenBytes(): number {
    return this.#writtenBytes;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #measure(): void {
    const { entries } = this.#contents.log.finish();
    this.#contents.logBytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
  }
}

function sizeOf(entry: Entry): number {
  return entry.data.length + entryOverheadBytes;
}

/** The engine for one life: the rows stay when it is closed. */
class LivingEngine implements Engine {
  readonly #engine: Engine;
  readonly #life: Life;
  #isClosed = false;

  constructor(engine: Engine, life: Life) {
    this.#engine = engine;
    this.#life = life;
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#use(() => this.#engine.getMany(keys));
  }

  async *scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    await this.#use(() => {});
    for await (const rows of this.#engine.scan(range)) {
      yield await this.#use(() => rows);
    }
  }

  write(batch: readonly BatchOperation[], options: { readonly sync: boolean }): Promise<void> {
    return this.#use(() => this.#engine.write(batch, options));
  }

  view(): EngineView {
    return this.#engine.view();
  }

  sizeBytes(): number {
    return this.#engine.sizeBytes();
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #use<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#isClosed) {
      return Promise.reject(new StorageError("the store is closed"));
    }
    return this.#life.use(work);
  }
}

class MemoryDirectory implements DataDirectory {
  readonly wal: Wal;
  readonly recovered: WalRecovered;
  readonly #contents: Contents;
  readonly #life: Life;
  #engine: LivingEngine;

  constructor(contents: Contents, life: Life, wal: Wal, recovered: WalRecovered) {
    this.#contents = contents;
    this.#life = life;
    this.wal = wal;
    this.recovered = recovered;
    this.#engine = new LivingEngine(contents.engine, life);
  }

  get engine(): Engine {
    return this.#engine;
  }

  async receive(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<ReceivedState> {
    const engine = createMemoryEngine();
    await fillFromSnapshot(engine, chunks, { clusterId: this.recovered.identity.clusterId, meta });
    return {
      meta,
      install: () => this.#life.use(() => this.#install(engine, meta)),
      discard: () => Promise.resolve(),
    };
  }

  async close(): Promise<void> {
    await this.#engine.close();
    this.#life.close();
  }

  async #install(engine: Engine, meta: SnapshotMeta): Promise<Engine> {
    await this.#engine.close();
    this.#contents.engine = engine;
    this.#contents.installed = meta;
    this.#engine = new LivingEngine(engine, this.#life);
    return this.#engine;
  }
}
