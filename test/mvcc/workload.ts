// A random life of one store: transactions (some of which fail), reads, checkpoints that take
// their time, compaction, eviction, late records, and crashes that lose unsynced batches. Every
// answer is compared with the model's; everything is drawn from the seed.

import { expect } from "vitest";
import { compareBytes, SeededRng } from "../../src/base/index.ts";
import type { Revision } from "../../src/base/index.ts";
import type { Commit, RangeQuery, Store, WriteTransaction } from "../../src/mvcc/contract.ts";
import { groupRange, MissingRecords, Recovery, storeMetaKey } from "../../src/mvcc/index.ts";
import type { StoreConfig } from "../../src/mvcc/index.ts";
import type { BatchOperation } from "../../src/storage/engine.ts";
import { checkDirectory, checkHistory } from "./check-records.ts";
import { plainQuery } from "./cold-store.ts";
import { Draw, leases } from "./draw.ts";
import type { Step } from "./draw.ts";
import { encodeHashed } from "./encode.ts";
import { expectEvents, expectRange, hex, hexPair } from "./expect.ts";
import { FakeEngine } from "./fake-engine.ts";
import { Model } from "./model.ts";
import type { ModelEvent } from "./model.ts";

type Operation =
  | { readonly kind: "txn"; readonly steps: readonly Step[] }
  | { readonly kind: "compact"; readonly revision: number };

type Records = { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[];

export interface Tally {
  transactions: number;
  aborts: number;
  ranges: number;
  missing: number;
  checkpoints: number;
  crashes: number;
  lostBatches: number;
  compactions: number;
  sweeps: number;
  lateRecords: number;
}

export function emptyTally(): Tally {
  return {
    transactions: 0,
    aborts: 0,
    ranges: 0,
    missing: 0,
    checkpoints: 0,
    crashes: 0,
    lostBatches: 0,
    compactions: 0,
    sweeps: 0,
    lateRecords: 0,
  };
}

class Abort extends Error {}

export class Workload {
  readonly tally = emptyTally();
  readonly #rng: SeededRng;
  readonly #config: StoreConfig;
  readonly #engine = new FakeEngine();
  readonly #model = new Model();
  readonly #log: Operation[] = [];
  /** State after each number of operations. */
  readonly #after: { readonly revision: number; readonly compacted: number }[] = [
    { revision: 1, compacted: 0 },
  ];
  #store: Store;
  #inFlight: { readonly operations: readonly BatchOperation[]; readonly tag: number } | undefined;
  #late: Records[] = [];
  readonly #draw: Draw;
  /** For questions that do not change what the life is. */
  readonly #aside: Draw;

  constructor(seed: number) {
    this.#rng = new SeededRng(seed);
    const rng = this.#rng;
    this.#config = {
      memoryBudgetBytes: [2_000, 20_000, 200_000, 20_000_000][rng.below(4)] as number,
      pageSizeBytesMax: [300, 600, 2_000][rng.below(3)] as number,
      blockSizeBytesTarget: [200, 500, 2_000][rng.below(3)] as number,
      groupPagesMax: [2, 4, 8][rng.below(3)] as number,
      redoSizeBytesMax: [0, 2_000, 20_000, 1_000_000][rng.below(4)] as number,
    };
    this.#draw = new Draw(rng);
    this.#aside = new Draw(new SeededRng(seed + 1_000_000));
    this.#store = this.#open();
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#step();
    }
    this.#settle();
    this.#readEverything();
    this.#crash();
    this.#readEverything();
  }

  #step(): void {
    const draw = this.#rng.below(100);
    if (draw < 50) {
      this.#transaction();
    } else if (draw < 68) {
      this.#readSomething();
    } else if (draw < 80) {
      this.#checkpoint();
    } else if (draw < 84) {
      this.#compact();
    } else if (draw < 93) {
      this.#compactSteps(1 + this.#rng.below(20));
    } else if (draw < 97) {
      this.#store.trim();
    } else if (draw < 98) {
      this.#deliverLate();
    } else if (draw < 99) {
      this.#settle();
    } else {
      this.#crash();
    }
  }

  // Writing.

  #transaction(): void {
    const steps = Array.from(
      { length: 1 + this.#rng.below(this.#rng.below(4) === 0 ? 12 : 2) },
      () => this.#draw.step(),
    );
    const aborts = this.#rng.below(10) === 0;
    const model = this.#model;
    model.begin();
    const expected = steps.map((step) =>
      step.kind === "put" ? model.put(step.key, step.value, step.lease) : model.delete(step.range),
    );
    const queries = steps.map(() =>
      this.#rng.below(4) === 0 ? this.#draw.query(this.#model) : undefined,
    );
    const wanted = queries.map((query) => (query === undefined ? undefined : model.range(query)));
    const wantPrevious = this.#rng.below(2) === 0;
    // The model has run ahead: reads inside are compared after the last step only.
    const last = steps.length - 1;
    const body = (txn: WriteTransaction): void => {
      steps.forEach((step, i) => {
        this.#applyStep(txn, step, expected[i], wantPrevious);
        expect(txn.revision).toBeLessThanOrEqual(model.visible);
      });
      const query = queries[last];
      if (query !== undefined) {
        expectRange(txn, query, wanted[last] as ReturnType<Model["range"]>);
      }
      expect(txn.revision).toBe(model.visible);
      if (aborts) {
        throw new Abort();
      }
    };
    const commit = this.#commit(body);
    if (commit === "aborted") {
      model.abort();
      this.tally.aborts++;
      expect(this.#store.revision).toBe(model.revision);
      return;
    }
    model.commit();
    this.#log.push({ kind: "txn", steps });
    this.#after.push({ revision: model.revision, compacted: model.compacted });
    this.tally.transactions++;
    expect(this.#store.revision).toBe(model.revision);
    this.#expectCommit(commit, model.revision);
  }

  #commit(body: (txn: WriteTransaction) => void): Commit | undefined | "aborted" {
    try {
      return this.#attempt(() => this.#store.transact(body).commit);
    } catch (error) {
      if (error instanceof Abort) {
        return "aborted";
      }
      throw error;
    }
  }

  #applyStep(
    txn: WriteTransaction,
    step: Step,
    expected: ModelEvent | readonly ModelEvent[] | undefined,
    wantPrevious: boolean,
  ): void {
    if (step.kind === "put") {
      const replaced = txn.put(step.key, step.value, step.lease);
      const event = expected as ModelEvent | undefined;
      expect(replaced).toEqual(
        event === undefined
          ? undefined
          : {
              createRevision: event.create,
              modRevision: event.revision,
              version: event.version,
              lease: event.lease,
            },
      );
      return;
    }
    const result = txn.deleteRange(step.range, wantPrevious);
    const doomed = expected as readonly ModelEvent[];
    expect(result.deleted).toBe(doomed.length);
    if (wantPrevious) {
      expect(result.previous.map((pair) => hex(pair.message))).toEqual(doomed.map(hexPair));
    }
  }

  #expectCommit(commit: Commit | undefined, revision: number): void {
    const events = this.#model.eventsOf(revision, revision);
    const changed = commit !== undefined;
    if (!changed) {
      return;
    }
    expect(commit.revision).toBe(revision);
    expectEvents(commit.events, events);
  }

  #compact(): void {
    const model = this.#model;
    const span = model.revision - model.compacted;
    if (span === 0) {
      return;
    }
    const ahead = this.#rng.below(3) === 0 ? span : 1 + this.#rng.below(span);
    model.compacted += ahead;
    this.#store.compact(model.compacted as Revision);
    this.#log.push({ kind: "compact", revision: model.compacted });
    this.#after.push({ revision: model.revision, compacted: model.compacted });
    this.tally.compactions++;
  }

  #compactSteps(steps: number): void {
    for (let i = 0; i < steps; i++) {
      if (!this.#attempt(() => this.#store.compactStep())) {
        return;
      }
      this.tally.sweeps++;
    }
  }

  // Write-back.

  #checkpoint(): void {
    if (this.#inFlight === undefined) {
      const { operations } = this.#store.checkpoint();
      this.#inFlight = { operations, tag: this.#log.length };
      this.tally.checkpoints++;
      if (this.#rng.below(2) === 0) {
        return;
      }
    }
    this.#finishCheckpoint();
  }

  #finishCheckpoint(): void {
    const inFlight = this.#inFlight;
    if (inFlight !== undefined) {
      this.#engine.write(inFlight.operations, inFlight.tag, this.#rng.below(4) === 0);
      this.#inFlight = undefined;
      this.#store.checkpointDone();
    }
  }

  /** Lets compaction come to its end. */
  #settle(): void {
    for (let rounds = 0; rounds < 200; rounds++) {
      this.#compactSteps(10_000);
      if (!this.#store.compactionPending && this.#store.pendingBytes === 0) {
        break;
      }
      this.#checkpoint();
      this.#finishCheckpoint();
      this.#store.trim();
    }
    this.#finishCheckpoint();
    expect(this.#store.compactionPending).toBe(false);
    expect(this.#store.pendingBytes).toBe(0);
    checkDirectory(this.#engine);
    checkHistory(this.#engine, this.#model, true);
    expect(this.#store.keyCount).toBe(this.#model.keyCount());
    // What is counted as it changes is what a start counts, unless it is to repeat some marks:
    // those of a compaction that found nothing to free are in no checkpoint of their own.
    const again = this.#open();
    const isSame = again.compactedRevision === this.#store.compactedRevision;
    if (!again.compactionPending && isSame) {
      expect(again.sizeInUseBytes).toBe(this.#store.sizeInUseBytes);
    }
  }

  #crash(): void {
    const inFlight = this.#inFlight;
    if (inFlight !== undefined && this.#rng.below(2) === 0) {
      this.#engine.write(inFlight.operations, inFlight.tag, false);
    }
    this.#inFlight = undefined;
    this.#late = [];
    const losable = this.#engine.losable;
    const kept = this.#rng.below(losable + 1);
    const tag = this.#engine.crash(kept);
    this.tally.crashes++;
    this.tally.lostBatches += losable - kept;
    checkDirectory(this.#engine);
    this.#store = this.#open();
    const after = this.#after[tag] as { revision: number; compacted: number };
    expect(this.#store.revision).toBe(after.revision);
    expect(this.#store.compactedRevision).toBe(after.compacted);
    for (const operation of this.#log.slice(tag)) {
      this.#replay(operation);
    }
    expect(this.#store.revision).toBe(this.#model.revision);
  }

  #replay(operation: Operation): void {
    if (operation.kind === "compact") {
      this.#store.compact(operation.revision as Revision);
      return;
    }
    const commit = this.#attempt(
      () =>
        this.#store.transact((txn) => {
          for (const step of operation.steps) {
            if (step.kind === "put") {
              txn.put(step.key, step.value, step.lease);
            } else {
              txn.deleteRange(step.range, false);
            }
          }
        }).commit,
    );
    if (commit !== undefined) {
      this.#expectCommit(commit, commit.revision);
    }
    if (this.#rng.below(4) === 0) {
      this.#store.trim();
    }
  }

  #open(): Store {
    const recovery = new Recovery(this.#config, this.#engine.get(storeMetaKey));
    for (const row of this.#engine.scan(groupRange.from, groupRange.to)) {
      recovery.addGroups([row]);
    }
    const { from, to } = recovery.redoRange();
    for (const row of this.#engine.scan(from, to)) {
      recovery.addBlocks([row]);
      this.#attempt(() => recovery.step(), recovery);
    }
    return this.#attempt(() => recovery.finish(), recovery);
  }

  // Reading.

  #readSomething(): void {
    const model = this.#model;
    switch (this.#rng.below(8)) {
      case 0: {
        const lease = this.#draw.pick(leases);
        if (lease !== 0n) {
          const keys = this.#attempt(() => this.#store.leaseKeys(lease));
          expect(keys.map(hex)).toEqual(model.leaseKeys(lease).map(hex));
          const [begin, end] = [this.#aside.key(), this.#aside.key()];
          const isIn = keys.some(
            (key) => compareBytes(key, begin) >= 0 && compareBytes(key, end) < 0,
          );
          expect(this.#attempt(() => this.#store.hasLeaseKey(lease, begin, end))).toBe(isIn);
          const isFrom = keys.some((key) => compareBytes(key, begin) >= 0);
          const found = this.#attempt(() => this.#store.hasLeaseKey(lease, begin, undefined));
          expect(found).toBe(isFrom);
        }
        break;
      }
      case 1:
        this.#readEvents();
        break;
      case 2: {
        const event = model.events[this.#rng.below(model.events.length + 1)];
        const [revision, sub] = event === undefined ? [9_999, 0] : [event.revision, event.sub];
        const pair = this.#attempt(() => this.#store.at(revision as Revision, sub));
        const expected = model.at(revision, sub);
        expect(pair && hex(pair.message)).toBe(expected && hexPair(expected));
        break;
      }
      case 3: {
        const key = this.#draw.key();
        const event = model.latest(key);
        const live = event === undefined || event.deleted ? undefined : event;
        const pair = this.#attempt(() => this.#store.get(key));
        expect(pair && hex(pair.message)).toBe(live && hexPair(live));
        const meta = this.#attempt(() => this.#store.meta(key));
        expect(meta?.modRevision).toBe(live?.revision);
        expect(meta?.lease).toBe(live?.lease);
        break;
      }
      default: {
        const query = this.#draw.query(this.#model);
        const expected = model.range(query);
        this.#attempt(() => expectRange(this.#store, query, expected));
        this.tally.ranges++;
      }
    }
  }

  #readEvents(): void {
    const model = this.#model;
    const low = Math.max(model.compacted, 2);
    if (low > model.revision) {
      return;
    }
    const from = low + this.#rng.below(model.revision - low + 1);
    const to = from + this.#rng.below(model.revision - from + 1);
    const max = 1 + this.#rng.below(50);
    const commits = this.#attempt(() => this.#store.events(from as Revision, to as Revision, max));
    const events = commits.flatMap((commit) => commit.events);
    const last = commits.at(-1)?.revision ?? from;
    expectEvents(events, model.eventsOf(from, last));
    if (last < to) {
      expect(events.length).toBeGreaterThanOrEqual(max);
    }
  }

  /** Every key at some revisions, every lease, every event, and the hash. */
  #readEverything(): void {
    const model = this.#model;
    const all = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
    const oldest = Math.max(model.compacted, 1);
    const revisions = [0, oldest, oldest + this.#rng.below(model.revision - oldest + 1)];
    for (const revision of revisions) {
      const query: RangeQuery = { ...plainQuery, ...all, revision: revision as Revision };
      const expected = model.range(query);
      this.#attempt(() => expectRange(this.#store, query, expected));
    }
    for (const lease of leases.slice(1)) {
      const keys = this.#attempt(() => this.#store.leaseKeys(lease));
      expect(keys.map(hex)).toEqual(model.leaseKeys(lease).map(hex));
    }
    expect(this.#store.keyCount).toBe(model.keyCount());
    for (const revision of [model.revision, revisions[2] as number]) {
      if (revision > 0) {
        const walk = this.#store.beginHash(revision as Revision);
        while (this.#attempt(() => walk.step())) {
          // Goes on to the end.
        }
        expect(walk.hash, "hash").toBe(model.hash(revision, encodeHashed));
        expect(walk.compactedRevision).toBe(model.compacted);
      }
    }
  }

  // Loading.

  #attempt<T>(work: () => T, into: Pick<Store, "load"> = this.#store): T {
    for (let tries = 0; tries < 2_000; tries++) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        this.tally.missing++;
        expect(error.keys.length).toBeGreaterThan(0);
        const records = error.keys.map((key) => ({ key, value: this.#engine.get(key) }));
        if (into === this.#store && this.#rng.below(20) === 0) {
          this.#late.push(error.keys.map((key) => ({ key, value: this.#engine.get(key) })));
        }
        into.load(records);
      }
    }
    throw new Error("records keep missing");
  }

  /** Hands over records as they were read some time ago. */
  #deliverLate(): void {
    for (const records of this.#late.splice(0, 1 + this.#rng.below(2))) {
      this.tally.lateRecords += records.length;
      this.#store.load(records);
    }
  }
}
