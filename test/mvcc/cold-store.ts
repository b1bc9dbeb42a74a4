// A store over a FakeEngine, for tests of single rules: loads what is missing, and counts it.

import { noLease, utf8 } from "../../src/base/index.ts";
import type { Revision } from "../../src/base/index.ts";
import type { Commit, RangeQuery, Store } from "../../src/mvcc/contract.ts";
import {
  groupRange,
  MissingRecords,
  Recovery,
  storeConfigDefault,
  storeMetaKey,
} from "../../src/mvcc/index.ts";
import type { StoreConfig } from "../../src/mvcc/index.ts";
import { parseRecordKey } from "../../src/mvcc/record-keys.ts";
import { FakeEngine } from "./fake-engine.ts";

export interface Loads {
  group: number;
  page: number;
  block: number;
  rounds: number;
}

export const plainQuery: Omit<RangeQuery, "key" | "rangeEnd"> = {
  revision: 0,
  limit: 0,
  keysOnly: false,
  countOnly: false,
  sortTarget: "key",
  sortOrder: "none",
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
};

export const everything = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

export class ColdStore {
  readonly engine: FakeEngine;
  readonly config: StoreConfig;
  store: Store;
  loads: Loads = { group: 0, page: 0, block: 0, rounds: 0 };
  redoBytes = 0;

  constructor(config: Partial<StoreConfig> = {}, engine = new FakeEngine()) {
    this.engine = engine;
    this.config = { ...storeConfigDefault, ...config };
    this.store = this.#open();
  }

  reopen(): void {
    this.store = this.#open();
  }

  put(key: string, value: string | Uint8Array, lease = noLease): Commit {
    const bytes = typeof value === "string" ? utf8(value) : value;
    const { commit } = this.attempt(() =>
      this.store.transact((txn) => txn.put(utf8(key), bytes, lease)),
    );
    return commit as Commit;
  }

  delete(key: string): void {
    this.attempt(() =>
      this.store.transact((txn) =>
        txn.deleteRange({ key: utf8(key), rangeEnd: new Uint8Array(0) }, false),
      ),
    );
  }

  /** Writes a checkpoint and trims. */
  checkpoint(): void {
    this.engine.write(this.store.checkpoint().operations, 0, true);
    this.store.checkpointDone();
    this.store.trim();
  }

  compactFully(revision: number): void {
    this.store.compact(revision as Revision);
    while (this.store.compactionPending || this.store.pendingBytes > 0) {
      while (this.attempt(() => this.store.compactStep())) {
        this.store.trim();
      }
      this.checkpoint();
    }
  }

  attempt<T>(work: () => T, into?: Pick<Store, "load">): T {
    for (let tries = 0; tries < 10_000; tries++) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        this.loads.rounds++;
        for (const key of error.keys) {
          const { kind } = parseRecordKey(key);
          if (kind !== "other") {
            this.loads[kind]++;
          }
        }
        const target = into ?? this.store;
        target.load(error.keys.map((key) => ({ key, value: this.engine.get(key) })));
      }
    }
    throw new Error("records keep missing");
  }

  /** What loading `work` causes. */
  loadsOf(work: () => unknown): Loads {
    this.loads = { group: 0, page: 0, block: 0, rounds: 0 };
    this.attempt(work);
    return this.loads;
  }

  #open(): Store {
    const recovery = new Recovery(this.config, this.engine.get(storeMetaKey));
    recovery.addGroups(this.engine.scan(groupRange.from, groupRange.to));
    const { from, to } = recovery.redoRange();
    this.redoBytes = 0;
    for (const row of this.engine.scan(from, to)) {
      this.redoBytes += row[1].length;
      recovery.addBlocks([row]);
      this.attempt(() => recovery.step(), recovery);
    }
    return this.attempt(() => recovery.finish(), recovery);
  }
}
