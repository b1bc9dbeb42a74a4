// What the MVCC store costs by itself: time of one call, memory of one key, bytes written for one
// put, redo, compaction and hashing of one event. No disk: records are kept in a map.
//
//   npx tsx bench/mvcc.ts [keys = 100000]

import { noLease, utf8 } from "../src/base/index.ts";
import { decodeMeta } from "../src/mvcc/checkpoint.ts";
import type { RangeQuery, Store } from "../src/mvcc/contract.ts";
import {
  groupRange,
  MissingRecords,
  Recovery,
  storeConfigDefault,
  storeMetaKey,
} from "../src/mvcc/index.ts";
import type { BatchOperation, Row } from "../src/storage/engine.ts";

const keyCount = Number.parseInt(process.argv[2] ?? "100000", 10);
const rounds = Math.max(100_000, keyCount);
const runCalls = 250;
const checkpointEvery = 3_000;
const value = new Uint8Array(256).fill(0x61);
const noBytes = new Uint8Array(0);

/** Just enough of an engine to open a store from. */
class Records {
  readonly #records = new Map<string, Row>();
  writtenBytes = 0;

  write(operations: readonly BatchOperation[]): void {
    for (const operation of operations) {
      const name = Buffer.from(operation.key).toString("latin1");
      if (operation.kind === "put") {
        this.writtenBytes += operation.value.length;
        this.#records.set(name, [operation.key, operation.value.slice()]);
      } else {
        this.#records.delete(name);
      }
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#records.get(Buffer.from(key).toString("latin1"))?.[1].slice();
  }

  /** How many events a start would redo now. */
  historySince(revision: number): number {
    const meta = this.get(storeMetaKey);
    return meta === undefined ? 0 : revision - decodeMeta(meta).redoRevision;
  }

  scan(from: Uint8Array, to: Uint8Array): Row[] {
    return [...this.#records.values()]
      .filter(([key]) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0)
      .sort(([a], [b]) => Buffer.compare(a, b));
  }
}

const records = new Records();

function keyOf(n: number): Uint8Array {
  return utf8(`/bench/keys/${n.toString().padStart(8, "0")}`);
}

function loading<T>(into: Pick<Store, "load">, work: () => T): T {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      into.load(error.keys.map((key) => ({ key, value: records.get(key) })));
    }
  }
}

function open(): Store {
  const recovery = new Recovery(storeConfigDefault, records.get(storeMetaKey));
  recovery.addGroups(records.scan(groupRange.from, groupRange.to));
  const { from, to } = recovery.redoRange();
  recovery.addBlocks(records.scan(from, to));
  loading(recovery, () => recovery.step());
  return loading(recovery, () => recovery.finish());
}

function checkpoint(store: Store): void {
  records.write(store.checkpoint().operations);
  store.checkpointDone();
  store.trim();
}

function row(name: string, figure: string, mean = ""): void {
  console.log(`${name.padEnd(44)} ${figure.padStart(12)} ${mean.padStart(12)}`);
}

/**
 * Time of one call: that of the fastest tenth of many short runs, since a shared machine only ever
 * makes a run slower; and of all of them. `between` is not counted.
 */
function time(name: string, count: number, call: (i: number) => void, between?: () => void): void {
  const runs: number[] = [];
  for (let done = 0; done < count; ) {
    const before = process.hrtime.bigint();
    const from = done;
    const end = Math.min(count, done + runCalls);
    for (; done < end; done++) {
      loading(store, () => call(done));
    }
    runs.push(Number(process.hrtime.bigint() - before) / (end - from));
    if (done % checkpointEvery === 0) {
      between?.();
    }
  }
  runs.sort((x, y) => x - y);
  const fast = runs[Math.floor(runs.length / 10)] as number;
  const mean = runs.reduce((sum, run) => sum + run, 0) / runs.length;
  row(name, `${fast.toFixed(0)} ns`, `${mean.toFixed(0)} ns`);
}

/** Visits 0..count-1 in an order without locality. */
function scatter(i: number): number {
  return (i * 7_919 + 13) % keyCount;
}

function toQuery(key: Uint8Array, rangeEnd: Uint8Array, limit: number, count: boolean): RangeQuery {
  return {
    key,
    rangeEnd,
    revision: 0,
    limit,
    keysOnly: false,
    countOnly: count,
    sortTarget: "key",
    sortOrder: "none",
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

/** CPU time of `work`, for each of `count`. */
function cost<T>(name: string, count: number, work: () => T): T {
  const before = process.cpuUsage();
  const value = work();
  const used = process.cpuUsage(before);
  row(name, "", `${(((used.user + used.system) * 1000) / count).toFixed(0)} ns`);
  return value;
}

const toEnd = Uint8Array.of(0);

const keys = Array.from({ length: keyCount }, (_, n) => keyOf(n));
const at = (i: number): Uint8Array => keys[scatter(i)] as Uint8Array;

console.log(`${keyCount} keys of ${keys[0]?.length} bytes, values of ${value.length} bytes`);
row("", "fast", "mean");
const store = open();
const put = (key: Uint8Array): void => {
  store.transact((txn) => txn.put(key, value, noLease));
};
time(
  "insert, scattered",
  keyCount,
  (i) => put(at(i)),
  () => checkpoint(store),
);
for (let round = 1; round <= 3; round++) {
  const before = records.writtenBytes;
  time(
    `put over it, scattered, round ${round}`,
    rounds,
    (i) => put(at(i)),
    () => checkpoint(store),
  );
  row("  bytes written for a put", ((records.writtenBytes - before) / rounds).toFixed(0));
}
time("meta", rounds, (i) => void store.meta(at(i)));
time("get", rounds, (i) => void store.get(at(i)));
time("get, same 1000 keys", rounds, (i) => void store.get(keys[i % 1000] as Uint8Array));
time("range of one key", rounds, (i) => void store.range(toQuery(at(i), noBytes, 0, false)));
time("range, limit 10, counted to the end", rounds / 10, (i) => {
  store.range(toQuery(at(i), toEnd, 10, false));
});
time("count to the end", rounds / 10, (i) => void store.range(toQuery(at(i), toEnd, 0, true)));
checkpoint(store);
row("memory by the store's own account, a key", `${(store.memoryBytes / keyCount).toFixed(0)} B`);
row("in use (history and index), a key", `${(store.sizeInUseBytes / keyCount).toFixed(0)} B`);

const events = keyCount + 3 * rounds;
const redone = records.historySince(store.revision);
const opened = cost(`open, for each of ${redone} events redone`, redone, open);
cost("hash, for each event", events, () => {
  const walk = opened.beginHash(opened.revision);
  while (loading(opened, () => walk.step())) {
    opened.trim();
  }
});
cost("compaction of all, for each event", events, () => {
  opened.compact(opened.revision);
  while (opened.compactionPending) {
    while (loading(opened, () => opened.compactStep())) {
      opened.trim();
    }
    checkpoint(opened);
  }
});
row("in use after compaction, a key", `${(opened.sizeInUseBytes / keyCount).toFixed(0)} B`);
