// The store contract in its plainest form: every version of every key in memory, every question
// answered by looking at all of them. Slow and obvious: the opinion that others are held against.
// `cool` makes keys throw MissingRecords until they are loaded, as a store with pages would.

import { bytesToHex, compareBytes, concatBytes, equalBytes } from "../../src/base/index.ts";
import type { LeaseId, Revision } from "../../src/base/index.ts";
import { MissingRecords } from "../../src/mvcc/contract.ts";
import type {
  Checkpoint,
  Commit,
  HashWalk,
  HistoryExport,
  KeyMeta,
  KeyRange,
  RangeQuery,
  RangeResult,
  Store,
  StoredEvent,
  StoredKeyValue,
  WriteTransaction,
} from "../../src/mvcc/contract.ts";
import { Event, EventType, KeyValue, lengthPrefix } from "../../src/wire/index.ts";

interface Version {
  readonly revision: number;
  readonly sub: number;
  /** Undefined for a deletion. */
  readonly pair: KeyValue | undefined;
}

interface History {
  readonly key: Uint8Array;
  readonly versions: Version[];
}

export function storedPair(pair: KeyValue): StoredKeyValue {
  const message = KeyValue.encode(pair);
  return { message, field: concatBytes([lengthPrefix(2, message.length), message]) };
}

function contains({ key, rangeEnd }: KeyRange, candidate: Uint8Array): boolean {
  if (rangeEnd.length === 0) {
    return equalBytes(key, candidate);
  }
  if (compareBytes(candidate, key) < 0) {
    return false;
  }
  const open = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return open || compareBytes(candidate, rangeEnd) < 0;
}

const sortKeys: Readonly<Record<string, (a: KeyValue, b: KeyValue) => number>> = {
  key: (a, b) => compareBytes(a.key, b.key),
  version: (a, b) => a.version - b.version,
  create: (a, b) => a.createRevision - b.createRevision,
  mod: (a, b) => a.modRevision - b.modRevision,
  value: (a, b) => compareBytes(a.value, b.value),
};

export class ModelStore implements Store {
  readonly #histories = new Map<string, History>();
  readonly #cold = new Set<string>();
  #revision = 1;
  #compacted = 0;
  /** Events of the transaction that is open. */
  #open: StoredEvent[] | undefined;

  /** Reads and writes of `key` throw until it is loaded. */
  cool(key: Uint8Array): void {
    this.#cold.add(bytesToHex(key));
  }

  get revision(): Revision {
    return this.#revision as Revision;
  }

  get compactedRevision(): Revision {
    return this.#compacted as Revision;
  }

  range(query: RangeQuery): RangeResult {
    const at = query.revision === 0 ? Number.MAX_SAFE_INTEGER : query.revision;
    const all: KeyValue[] = [];
    for (const history of this.#within(query)) {
      const pair = history.versions.findLast((version) => version.revision <= at)?.pair;
      if (pair !== undefined) {
        all.push(pair);
      }
    }
    if (query.countOnly) {
      return { kvs: [], more: false, count: all.length };
    }
    const filtered = all.filter(
      (pair) =>
        (query.maxModRevision === 0 || pair.modRevision <= query.maxModRevision) &&
        (query.minModRevision === 0 || pair.modRevision >= query.minModRevision) &&
        (query.maxCreateRevision === 0 || pair.createRevision <= query.maxCreateRevision) &&
        (query.minCreateRevision === 0 || pair.createRevision >= query.minCreateRevision),
    );
    const sorted = this.#sorted(query, filtered);
    const kvs = query.limit > 0 ? sorted.slice(0, query.limit) : sorted;
    const more = query.limit > 0 && sorted.length > query.limit;
    const shown = query.keysOnly ? kvs.map((pair) => ({ ...pair, value: new Uint8Array(0) })) : kvs;
    return { kvs: shown.map(storedPair), more, count: all.length };
  }

  /** etcd sorts after cutting when a target is given without an order and nothing is filtered. */
  #sorted(query: RangeQuery, pairs: readonly KeyValue[]): KeyValue[] {
    const filters =
      query.maxModRevision !== 0 ||
      query.minModRevision !== 0 ||
      query.maxCreateRevision !== 0 ||
      query.minCreateRevision !== 0;
    const order = sortKeys[query.sortTarget];
    if (query.sortOrder === "none") {
      const cut = query.limit > 0 && !filters ? pairs.slice(0, query.limit + 1) : [...pairs];
      return query.sortTarget === "key" ? cut : cut.sort(order);
    }
    const ascending = [...pairs].sort(order);
    return query.sortOrder === "ascend" ? ascending : ascending.reverse();
  }

  meta(key: Uint8Array): KeyMeta | undefined {
    const pair = this.#latest(key);
    return (
      pair && { ...pair, lease: BigInt.asUintN(64, pair.lease) as LeaseId, ...revisions(pair) }
    );
  }

  get(key: Uint8Array): StoredKeyValue | undefined {
    const pair = this.#latest(key);
    return pair && storedPair(pair);
  }

  at(revision: Revision, sub: number): StoredKeyValue | undefined {
    for (const { versions } of this.#histories.values()) {
      const found = versions.find((one) => one.revision === revision && one.sub === sub);
      if (found?.pair !== undefined) {
        return storedPair(found.pair);
      }
    }
    return undefined;
  }

  leaseKeys(lease: LeaseId): Uint8Array[] {
    const keys: Uint8Array[] = [];
    for (const { key, versions } of this.#histories.values()) {
      const pair = versions.at(-1)?.pair;
      if (pair !== undefined && BigInt.asUintN(64, pair.lease) === lease) {
        keys.push(key);
      }
    }
    return keys.sort(compareBytes);
  }

  hasLeaseKey(lease: LeaseId, begin: Uint8Array, end: Uint8Array | undefined): boolean {
    return this.leaseKeys(lease).some(
      (key) => compareBytes(key, begin) >= 0 && (end === undefined || compareBytes(key, end) < 0),
    );
  }

  events(): Commit[] {
    throw new Error("not part of this model");
  }

  transact<T>(body: (txn: WriteTransaction) => T): {
    readonly value: T;
    readonly commit: Commit | undefined;
  } {
    const events: StoredEvent[] = [];
    this.#open = events;
    try {
      const value = body(this.#transaction());
      this.#open = undefined;
      if (events.length === 0) {
        return { value, commit: undefined };
      }
      this.#revision++;
      return { value, commit: { revision: this.revision, events } };
    } catch (error) {
      this.#open = undefined;
      this.#rollBack();
      throw error;
    }
  }

  compact(revision: Revision): void {
    this.#compacted = revision;
    for (const history of this.#histories.values()) {
      const kept = history.versions.findLastIndex((version) => version.revision <= revision);
      history.versions.splice(0, Math.max(0, kept));
    }
  }

  compactStep(): boolean {
    return false;
  }

  load(records: readonly { readonly key: Uint8Array }[]): void {
    for (const { key } of records) {
      this.#cold.delete(bytesToHex(key));
    }
  }

  checkpoint(): Checkpoint {
    return { operations: [], sizeBytes: 0 };
  }

  checkpointDone(): void {}

  readonly pendingBytes = 0;
  readonly compactionPending = false;
  readonly sizeInUseBytes = 0;
  readonly putBytes = 0;
  readonly compactedVersions = 0;
  readonly memoryBytes = 0;

  get keyCount(): number {
    const histories = [...this.#histories.values()];
    return histories.filter(({ versions }) => versions.at(-1)?.pair !== undefined).length;
  }

  beginHash(): HashWalk {
    throw new Error("not part of this model");
  }

  beginExport(): HistoryExport {
    throw new Error("not part of this model");
  }

  trim(): void {}

  /** Everything there is, for comparing two stores. */
  dump(): string {
    const lines = [...this.#histories.values()]
      .sort((a, b) => compareBytes(a.key, b.key))
      .map(({ key, versions }) => {
        const texts = versions.map(({ revision, sub, pair }) => {
          return `${revision}.${sub}=${pair ? bytesToHex(KeyValue.encode(pair)) : "-"}`;
        });
        return `${bytesToHex(key)} ${texts.join(" ")}`;
      });
    return [`revision ${this.#revision} compacted ${this.#compacted}`, ...lines].join("\n");
  }

  #within(range: KeyRange): History[] {
    const found = [...this.#histories.values()].filter(({ key }) => contains(range, key));
    const cold = found.filter(({ key }) => this.#cold.has(bytesToHex(key)));
    if (cold.length > 0) {
      throw new MissingRecords(cold.map(({ key }) => key));
    }
    return found.sort((a, b) => compareBytes(a.key, b.key));
  }

  #latest(key: Uint8Array): KeyValue | undefined {
    const hex = bytesToHex(key);
    if (this.#cold.has(hex)) {
      throw new MissingRecords([key]);
    }
    return this.#histories.get(hex)?.versions.at(-1)?.pair;
  }

  #transaction(): WriteTransaction {
    return {
      // The store itself reads what the open transaction wrote.
      revision: this.revision,
      compactedRevision: this.compactedRevision,
      range: (query) => this.range(query),
      meta: (key) => this.meta(key),
      get: (key) => this.get(key),
      at: (revision, sub) => this.at(revision, sub),
      leaseKeys: (lease) => this.leaseKeys(lease),
      hasLeaseKey: (lease, begin, end) => this.hasLeaseKey(lease, begin, end),
      events: () => this.events(),
      put: (key, value, lease) => this.#put(key, value, lease),
      deleteRange: (range, wantPrevious) => this.#deleteRange(range, wantPrevious),
    };
  }

  #put(key: Uint8Array, value: Uint8Array, lease: LeaseId): KeyMeta | undefined {
    const before = this.meta(key);
    const revision = this.#revision + 1;
    this.#write({
      key: key.slice(),
      value: value.slice(),
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease: BigInt.asIntN(64, lease),
    });
    return before;
  }

  #deleteRange(
    range: KeyRange,
    wantPrevious: boolean,
  ): { readonly deleted: number; readonly previous: StoredKeyValue[] } {
    const dead: KeyValue[] = [];
    for (const { versions } of this.#within(range)) {
      const pair = versions.at(-1)?.pair;
      if (pair !== undefined) {
        dead.push(pair);
      }
    }
    for (const pair of dead) {
      this.#write(pair.key);
    }
    return { deleted: dead.length, previous: wantPrevious ? dead.map(storedPair) : [] };
  }

  /** A new pair, or the key of a deletion. */
  #write(change: KeyValue | Uint8Array): void {
    const events = this.#open as StoredEvent[];
    const pair = change instanceof Uint8Array ? undefined : change;
    const key = change instanceof Uint8Array ? change : change.key;
    const revision = this.#revision + 1;
    const sub = events.length;
    const hex = bytesToHex(key);
    const history = this.#histories.get(hex) ?? { key, versions: [] };
    const last = history.versions.at(-1);
    const before = last?.pair;
    this.#histories.set(hex, history);
    history.versions.push({ revision, sub, pair });
    const kv = pair ?? KeyValue.create({ key, modRevision: revision });
    events.push({
      kind: pair === undefined ? "delete" : "put",
      key,
      revision: revision as Revision,
      created: pair !== undefined && before === undefined,
      previousRevision: (before === undefined ? 0 : (last?.revision ?? 0)) as Revision | 0,
      sub,
      previousSub: before === undefined ? 0 : (last?.sub ?? 0),
      lease: BigInt.asUintN(64, pair?.lease ?? 0n) as LeaseId,
      previousLease: BigInt.asUintN(64, before?.lease ?? 0n) as LeaseId,
      message: Event.encode({
        type: pair === undefined ? EventType.DELETE : EventType.PUT,
        kv,
        prevKv: undefined,
      }),
    });
  }

  #rollBack(): void {
    for (const { versions } of this.#histories.values()) {
      while ((versions.at(-1)?.revision ?? 0) > this.#revision) {
        versions.pop();
      }
    }
  }
}

function revisions(pair: KeyValue): {
  readonly createRevision: Revision;
  readonly modRevision: Revision;
} {
  return {
    createRevision: pair.createRevision as Revision,
    modRevision: pair.modRevision as Revision,
  };
}
