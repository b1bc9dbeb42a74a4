// The real store with an engine in memory, so small everywhere that blocks and pages come and go.

import { bytesToHex, copyBytes, noLease, utf8 } from "../../src/base/index.ts";
import type { Revision } from "../../src/base/index.ts";
import { MissingRecords } from "../../src/mvcc/contract.ts";
import type {
  Commit,
  RangeResult,
  Store,
  StoredKeyValue,
  StoreReader,
} from "../../src/mvcc/contract.ts";
import { groupRange, storeMetaKey } from "../../src/mvcc/record-keys.ts";
import { Recovery } from "../../src/mvcc/recovery.ts";
import type { Change } from "./fake-store.ts";
import type { StoreUnderTest } from "./workload.ts";

type Records = Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }>;

const config = {
  memoryBudgetBytes: 1,
  pageSizeBytesMax: 256,
  blockSizeBytesTarget: 128,
  groupPagesMax: 4,
  redoSizeBytesMax: 1024,
};

export class RealStore implements StoreUnderTest {
  readonly #records: Records;
  readonly #store: Store;

  constructor(records: Records = new Map()) {
    this.#records = records;
    this.#store = open(records);
  }

  get revision(): Revision {
    return this.#store.revision;
  }

  get compactedRevision(): Revision {
    return this.#store.compactedRevision;
  }

  commit(changes: readonly Change[]): Commit | undefined {
    return this.#loading(
      () =>
        this.#store.transact((txn) => {
          for (const change of changes) {
            if (change.kind === "put") {
              txn.put(utf8(change.key), utf8(change.value), noLease);
            } else {
              const range = { key: utf8(change.key), rangeEnd: utf8(change.rangeEnd) };
              txn.deleteRange(range, false);
            }
          }
        }).commit,
    );
  }

  compact(revision: number): void {
    this.#store.compact(revision as Revision);
    // It waits for checkpoints twice: before marks count, and before dead events are swept.
    for (let turn = 0; turn < 3; turn++) {
      while (this.#loading(() => this.#store.compactStep())) {}
      this.#checkpoint();
    }
  }

  /** Everything that may leave memory does. */
  chill(): void {
    this.#checkpoint();
    this.#store.trim();
  }

  load(keys: readonly Uint8Array[]): void {
    this.#store.load(loaded(this.#records, keys));
  }

  copy(): RealStore {
    this.#checkpoint();
    return new RealStore(new Map(this.#records));
  }

  events(from: Revision, to: Revision, maxEvents: number): Commit[] {
    return this.#store.events(from, to, maxEvents);
  }

  at(revision: Revision, sub: number): StoredKeyValue | undefined {
    return this.#store.at(revision, sub);
  }

  range(query: Parameters<StoreReader["range"]>[0]): RangeResult {
    return this.#store.range(query);
  }

  meta(key: Uint8Array): ReturnType<StoreReader["meta"]> {
    return this.#store.meta(key);
  }

  get(key: Uint8Array): StoredKeyValue | undefined {
    return this.#store.get(key);
  }

  leaseKeys(lease: Parameters<StoreReader["leaseKeys"]>[0]): Uint8Array[] {
    return this.#store.leaseKeys(lease);
  }

  hasLeaseKey(...args: Parameters<StoreReader["hasLeaseKey"]>): boolean {
    return this.#store.hasLeaseKey(...args);
  }

  #loading<T>(run: () => T): T {
    return retry(run, (keys) => this.load(keys));
  }

  #checkpoint(): void {
    for (const operation of this.#store.checkpoint().operations) {
      const name = bytesToHex(operation.key);
      if (operation.kind === "put") {
        const value = copyBytes(operation.value);
        this.#records.set(name, { key: operation.key, value });
      } else {
        this.#records.delete(name);
      }
    }
    this.#store.checkpointDone();
  }
}

function retry<T>(run: () => T, load: (keys: readonly Uint8Array[]) => void): T {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      load(error.keys);
    }
  }
}

/** Copies: what an engine hands out belongs to the store, which changes it. */
function loaded(records: Records, keys: readonly Uint8Array[]) {
  return keys.map((key) => {
    const value = records.get(bytesToHex(key))?.value;
    return { key, value: value === undefined ? undefined : copyBytes(value) };
  });
}

function scan(
  records: Records,
  range: { readonly from: Uint8Array; readonly to: Uint8Array },
): (readonly [Uint8Array, Uint8Array])[] {
  const [from, to] = [bytesToHex(range.from), bytesToHex(range.to)];
  return [...records]
    .filter(([name]) => name >= from && name < to)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { key, value }]) => [key, copyBytes(value)] as const);
}

function open(records: Records): Store {
  const recovery = new Recovery(config, records.get(bytesToHex(storeMetaKey))?.value);
  const load = (keys: readonly Uint8Array[]): void => recovery.load(loaded(records, keys));
  recovery.addGroups(scan(records, groupRange));
  recovery.addBlocks(scan(records, recovery.redoRange()));
  retry(() => recovery.step(), load);
  return retry(() => recovery.finish(), load);
}
