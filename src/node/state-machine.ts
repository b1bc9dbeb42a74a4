// Applying the log, and reading what it made.
//
// Two phases: what entries touch is loaded first (async), then they run without awaiting. The
// store says what it misses by throwing MissingRecords; the loader fetches those records, and
// those that the next entries will touch, and the run goes on where it stopped. While everything
// is in memory, the usual case, a whole batch is applied in one synchronous run.

import { assert } from "../base/index.ts";
import type { Clock, Entry, LogIndex, Term } from "../base/index.ts";
import type { ApplyOutcome } from "../apply/index.ts";
import type { EngineReader } from "../storage/engine.ts";
import { MissingRecords } from "../mvcc/index.ts";
import type { ReplicatedState } from "./replicated-state.ts";

/** Applying yields to the event loop after this long, milliseconds. */
const runBudgetMs = 8;
/** How many queued entries are looked at when records must be loaded. */
const prefetchEntries = 512;

export interface StateMachineHooks {
  /** Called for each command, right after it ran, with how long it took and when it ended. */
  onApplied(outcome: ApplyOutcome, elapsedMs: number, nowMs: number): void;
  /** A committed membership change, or undefined data for leaving the joint state. */
  onConfChange(entry: Entry): void;
  /** The run reached `index`. */
  onProgress(index: LogIndex): void;
  onFatal(error: unknown): void;
}

export class StateMachine {
  readonly #clock: Clock;
  readonly #hooks: StateMachineHooks;
  #state: ReplicatedState;
  #reader: EngineReader;
  #applied: LogIndex;
  #appliedTerm: Term;
  #queue: Entry[] = [];
  #next = 0;
  #loading = false;
  #runScheduled = false;
  /** Counts state replacements; a load begun before one is for nothing. */
  #generation = 0;
  #stopped = false;
  readonly #loads = new Set<Promise<unknown>>();
  #replacing: { readonly promise: Promise<void>; readonly open: () => void } | undefined;

  constructor(
    state: ReplicatedState,
    reader: EngineReader,
    at: { readonly index: LogIndex; readonly term: Term },
    clock: Clock,
    hooks: StateMachineHooks,
  ) {
    this.#state = state;
    this.#reader = reader;
    this.#applied = at.index;
    this.#appliedTerm = at.term;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  get state(): ReplicatedState {
    return this.#state;
  }

  get applied(): LogIndex {
    return this.#applied;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  /** Takes committed entries and applies what can be applied at once. */
  enqueue(entries: readonly Entry[]): void {
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    }
    for (const entry of entries) {
      this.#queue.push(entry);
    }
    this.#run();
  }

  /** Puts a received state in place of this one. Entries still queued are part of it already. */
  replace(
    state: ReplicatedState,
    reader: EngineReader,
    at: { readonly index: LogIndex; readonly term: Term },
  ): void {
    this.#generation++;
    this.#state = state;
    this.#reader = reader;
    this.#applied = at.index;
    this.#appliedTerm = at.term;
    this.#queue = [];
    this.#next = 0;
    this.#loading = false;
    this.#replacing?.open();
    this.#replacing = undefined;
  }

  /**
   * Runs `read` on the applied state, loading what it misses until it succeeds. Synchronous when
   * everything is in memory.
   */
  read<T>(read: (state: ReplicatedState) => T): T | Promise<T> {
    try {
      return read(this.#state);
    } catch (error) {
      if (error instanceof MissingRecords) {
        return this.#readAfterLoading(read, error);
      }
      throw error;
    }
  }

  /**
   * Loads what `missing` names into the state in use. If that was replaced meanwhile nothing is
   * loaded: the caller runs again and misses what the new one misses.
   */
  async load(missing: MissingRecords): Promise<void> {
    if (this.#replacing !== undefined) {
      await this.#replacing.promise;
      return;
    }
    const generation = this.#generation;
    const loading = this.#reader.getMany(missing.keys);
    this.#loads.add(loading);
    try {
      const values = await loading;
      if (generation === this.#generation) {
        this.#state.store.load(missing.keys.map((key, i) => ({ key, value: values[i] })));
      }
    } finally {
      this.#loads.delete(loading);
    }
  }

  /** No more reads of the engine until `replace`; resolves when none is under way. */
  async quiesce(): Promise<void> {
    let open = (): void => {};
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#replacing = { promise, open };
    await Promise.allSettled(this.#loads);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #readAfterLoading<T>(
    read: (state: ReplicatedState) => T,
    first: MissingRecords,
  ): Promise<T> {
    let missing = first;
    for (;;) {
      try {
        await this.load(missing);
      } catch (error) {
        this.#hooks.onFatal(error);
        throw error;
      }
      try {
        const value = read(this.#state);
        // Nothing may be applied for long; reading alone must not outgrow the budget.
        this.#state.store.trim();
        return value;
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        missing = error;
      }
    }
  }

  #run(): void {
    if (this.#loading || this.#stopped || this.#next === this.#queue.length) {
      return;
    }
    const generation = this.#generation;
    const untilMs = this.#clock.monotonicMs() + runBudgetMs;
    let ran = 0;
    try {
      while (this.#next < this.#queue.length) {
        this.#applyOne(this.#queue[this.#next] as Entry);
        if (generation !== this.#generation) {
          return;
        }
        this.#next++;
        ran++;
        if ((ran & 63) === 0 && this.#clock.monotonicMs() > untilMs) {
          this.#runLater();
          break;
        }
      }
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        this.#hooks.onFatal(error);
        return;
      }
      this.#loadThenRun(this.#prefetch(error));
    }
    if (ran > 0) {
      this.#hooks.onProgress(this.#applied);
      this.#state.store.trim();
    }
  }

  #applyOne(entry: Entry): void {
    assert(
      entry.index === this.#applied + 1,
      () => `entry ${entry.index} cannot follow ${this.#applied}`,
    );
    if (entry.kind === "command") {
      const startedMs = this.#clock.monotonicMs();
      const outcome = this.#state.applier.apply(entry.index, entry.term, entry.data);
      const nowMs = this.#clock.monotonicMs();
      this.#applied = entry.index;
      this.#appliedTerm = entry.term;
      this.#hooks.onApplied(outcome, nowMs - startedMs, nowMs);
      return;
    }
    if (entry.kind === "confChange") {
      this.#hooks.onConfChange(entry);
    }
    this.#applied = entry.index;
    this.#appliedTerm = entry.term;
  }

  /** Everything that the entries waiting behind the one that stopped will miss too. */
  #prefetch(first: MissingRecords): MissingRecords {
    const keys = new Map<string, Uint8Array>();
    const add = (missing: readonly Uint8Array[]): void => {
      for (const key of missing) {
        keys.set(String.fromCharCode(...key), key);
      }
    };
    add(first.keys);
    const end = Math.min(this.#queue.length, this.#next + prefetchEntries);
    for (let i = this.#next + 1; i < end; i++) {
      const entry = this.#queue[i] as Entry;
      if (entry.kind === "command") {
        add(this.#state.applier.missing(entry.data));
      }
    }
    return new MissingRecords([...keys.values()]);
  }

  #loadThenRun(missing: MissingRecords): void {
    const generation = this.#generation;
    this.#loading = true;
    this.load(missing).then(
      () => {
        if (generation === this.#generation) {
          this.#loading = false;
          this.#run();
        }
      },
      (error: unknown) => this.#hooks.onFatal(error),
    );
  }

  #runLater(): void {
    if (!this.#runScheduled) {
      this.#runScheduled = true;
      this.#clock.soon(() => {
        this.#runScheduled = false;
        this.#run();
      });
    }
  }
}
