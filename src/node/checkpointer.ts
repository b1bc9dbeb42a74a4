// Background writes to the engine. Each batch is one consistent point of the whole state: history
// blocks, dirty pages, leases, members, alarms and the applied index together. A recovery starts
// at the newest one. Every so often a batch is synced; only below such a point may the log be cut.

import { must, QuorateError } from "../base/index.ts";
import type { Clock, LogIndex, SnapshotMeta, Timer } from "../base/index.ts";
import type { BatchOperation, Engine } from "../storage/engine.ts";
import type { Wal } from "../storage/wal-contract.ts";

/** Changes that start a checkpoint at once, bytes. */
const pendingBytesLimit = 1024 * 1024;
/** A change waits for its checkpoint no longer than this, milliseconds. */
const idleDelayMs = 500;

export interface CheckpointSource {
  /** The whole point: operations of every part and the applied index they stand for. */
  take(): { readonly operations: readonly BatchOperation[]; readonly meta: SnapshotMeta };
  done(): void;
  pendingBytes(): number;
  applied(): LogIndex;
  /** What the log takes in memory. */
  logBytes(): number;
  /** Where the log may be cut once everything up to `index` is synced. */
  keepFrom(index: LogIndex): LogIndex;
}

export interface CheckpointerConfig {
  readonly snapshotCount: number;
  /** Growth of the log in memory that asks for a synced point, bytes. */
  readonly logGrowthBytesMax: number;
  /** Log size that asks for a synced point, whatever the count says, bytes. */
  readonly walSizeBytesMax: number;
}

export interface CheckpointerHooks {
  /** The log was cut: the core may forget entries below `keep`. */
  onCut(keep: LogIndex): void;
  /** `synced`: the log may be cut there. */
  onWrite(elapsedMs: number, synced: boolean): void;
  onFatal(error: unknown): void;
}

export class Checkpointer {
  readonly #clock: Clock;
  readonly #wal: Wal;
  readonly #source: CheckpointSource;
  readonly #config: CheckpointerConfig;
  readonly #hooks: CheckpointerHooks;
  #engine: Engine;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #written: LogIndex;
  #synced: LogIndex;
  #walSizeAtSync: number;
  #logBytesAtSync = 0;
  #stopped = false;
  /** Open while another state is put in place: the engine is closed and the next not in use. */
  #suspension: { readonly over: Promise<void>; readonly end: () => void } | undefined;

  constructor(
    engine: Engine,
    wal: Wal,
    clock: Clock,
    source: CheckpointSource,
    synced: LogIndex,
    config: CheckpointerConfig,
    hooks: CheckpointerHooks,
  ) {
    this.#engine = engine;
    this.#wal = wal;
    this.#clock = clock;
    this.#source = source;
    this.#written = source.applied();
    this.#synced = synced;
    this.#walSizeAtSync = wal.sizeBytes();
    this.#config = config;
    this.#hooks = hooks;
  }

  /** Whether another state is being put in place. */
  get suspended(): boolean {
    return this.#suspension !== undefined;
  }

  /** Something was applied: decides whether a checkpoint is due now or a little later. */
  nudge(): void {
    if (this.#stopped || this.suspended || this.#running !== undefined) {
      return;
    }
    if (this.#source.pendingBytes() >= pendingBytesLimit || this.#cutDue()) {
      this.#start();
    } else {
      this.#timer ??= this.#clock.after(idleDelayMs, () => {
        this.#timer = undefined;
        if (!this.#stopped && !this.suspended && this.#running === undefined) {
          this.#start();
        }
      });
    }
  }

  /** Resolves when everything applied so far is in the engine; synced when asked. */
  flush(options: { readonly sync: boolean }): Promise<void> {
    return this.atPoint(options, () => {});
  }

  /**
   * Writes everything applied so far and calls `use` when the engine holds exactly that: later
   * batches wait until it has returned, so a view taken there is the state at `meta`.
   */
  async atPoint<T>(
    options: { readonly sync: boolean },
    use: (meta: SnapshotMeta, engine: Engine) => T,
  ): Promise<T> {
    while (this.#running !== undefined || this.#suspension !== undefined) {
      const { suspended } = this;
      await (this.#suspension?.over ?? this.#running);
      if (suspended && this.#stopped) {
        throw new QuorateError("stopped");
      }
    }
    let used: { readonly value: T } | undefined;
    const write = this.#write(options.sync, (meta) => {
      used = { value: use(meta, this.#engine) };
    });
    this.#running = write.then(
      () => this.#ended(),
      () => this.#ended(),
    );
    await write;
    return must(used).value;
  }

  /** No checkpoints until `resume`, while another state is put in place. */
  async suspend(): Promise<void> {
    let end = (): void => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#suspension = { over, end };
    while (this.#running !== undefined) {
      await this.#running;
    }
  }

  /** Goes on with the engine of a received state, which is durable up to `meta`. */
  resume(engine: Engine, meta: SnapshotMeta): void {
    this.#engine = engine;
    this.#written = meta.index;
    this.#synced = meta.index;
    this.#suspension?.end();
    this.#suspension = undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#suspension?.end();
    this.#timer?.cancel();
    while (this.#running !== undefined) {
      await this.#running;
    }
  }

  #cutDue(): boolean {
    const applied = this.#source.applied() - this.#synced;
    const { snapshotCount, walSizeBytesMax, logGrowthBytesMax } = this.#config;
    return (
      applied >= snapshotCount ||
      (applied > 0 &&
        (this.#wal.sizeBytes() - this.#walSizeAtSync >= walSizeBytesMax ||
          this.#source.logBytes() - this.#logBytesAtSync >= logGrowthBytesMax))
    );
  }

  #start(): void {
    if (this.#source.applied() === this.#written && this.#source.pendingBytes() === 0) {
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#running = this.#write(this.#cutDue()).then(
      () => this.#ended(),
      () => this.#ended(),
    );
  }

  #ended(): void {
    this.#running = undefined;
    if (this.#source.applied() > this.#written) {
      this.nudge();
    }
  }

  async #write(sync: boolean, use: (meta: SnapshotMeta) => void = () => {}): Promise<void> {
    try {
      await this.#writePoint(sync, use);
    } catch (error) {
      this.#stopped = true;
      this.#hooks.onFatal(error);
      throw error;
    }
  }

  async #writePoint(sync: boolean, use: (meta: SnapshotMeta) => void): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const { operations, meta } = this.#source.take();
    await this.#engine.write(operations, { sync });
    this.#source.done();
    use(meta);
    this.#written = meta.index;
    this.#hooks.onWrite(this.#clock.monotonicMs() - startedMs, sync);
    if (sync && meta.index > this.#synced) {
      const keep = this.#source.keepFrom(meta.index);
      await this.#wal.markSnapshot(meta, keep);
      this.#synced = meta.index;
      this.#walSizeAtSync = this.#wal.sizeBytes();
      this.#hooks.onCut(keep);
      this.#logBytesAtSync = this.#source.logBytes();
    }
  }
}
