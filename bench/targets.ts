// What is aimed at, as ratios to etcd in the same run on three members: more is better, so that
// costs are given as etcd's over Quorate's.

import type { RowFigures } from "./measure.ts";
import type { Results } from "./run.ts";

export interface Target {
  readonly name: string;
  readonly atLeast: number;
  /** Undefined where it was not measured. */
  readonly measure: (results: Results) => number | undefined;
}

function ratio(row: string, of: (figures: RowFigures) => number, keys?: number): Target["measure"] {
  return ({ figures }) => {
    const pick = (name: string): RowFigures | undefined =>
      figures.find(
        (each) =>
          each.row === row &&
          each.nodes === 3 &&
          each.system === name &&
          (keys === undefined ? each.keys < 1_000_000 : each.keys === keys),
      );
    const [own, peer] = [pick("quorate"), pick("etcd")];
    return own === undefined || peer === undefined ? undefined : of(own) / of(peer);
  };
}

const rate = (row: string, keys?: number): Target["measure"] =>
  ratio(row, ({ perSecond }) => perSecond, keys);
const swiftness = (row: string, keys?: number): Target["measure"] =>
  ratio(row, ({ p99Ms }) => 1 / p99Ms, keys);

function ofStores(of: (store: Results["stores"][number]) => number): Target["measure"] {
  return ({ stores }) => {
    const [own, peer] = ["quorate", "etcd"].map((name) =>
      stores.find(({ system }) => system === name),
    );
    return own === undefined || peer === undefined ? undefined : of(peer) / of(own);
  };
}

const million = 1_000_000;

export const targets: readonly Target[] = [
  { name: "put, 1 in flight: rate", atLeast: 1.3, measure: rate("put, 1") },
  { name: "put, 1 in flight: p99", atLeast: 1.3, measure: swiftness("put, 1") },
  { name: "put, 100 in flight", atLeast: 2.5, measure: rate("put, 100") },
  { name: "put, 1,000 in flight", atLeast: 3, measure: rate("put, 1000") },
  { name: "put, 1,000 in flight, 1 million keys", atLeast: 3, measure: rate("put, 1000", million) },
  {
    name: "put p99 during write-back and compaction, 1 million keys",
    atLeast: 1,
    measure: swiftness("put, 100 while compacting", million),
  },
  ...[1, 100, 1000].map((n) => ({
    name: `linearizable range of one key, ${n}`,
    atLeast: n === 1 ? 1.3 : 4,
    measure: rate(`linearizable range, ${n}`),
  })),
  ...[100, 1000].map((n) => ({
    name: `serializable range, ${n}`,
    atLeast: 5,
    measure: rate(`serializable range, ${n}`),
  })),
  ...[100, 1000].map((n) => ({
    name: `20% put 80% range, ${n}`,
    atLeast: 3,
    measure: rate(`20% put 80% range, ${n}`),
  })),
  { name: "range of 1,000 keys", atLeast: 3, measure: rate("range of 1000 keys, 10") },
  { name: "txn (compare and put), 100", atLeast: 2.5, measure: rate("txn compare and put, 100") },
  { name: "watch fan-out, 1,000", atLeast: 4, measure: rate("watch fan-out, 1000 watchers") },
  { name: "lease grant, 100", atLeast: 2.5, measure: rate("lease grant, 100") },
  { name: "lease keep-alive, 100", atLeast: 2.5, measure: rate("lease keep-alive, 100") },
  {
    name: "CPU of a put, whole cluster (1,000 in flight)",
    atLeast: 2,
    measure: ratio("put, 1000", ({ cpuSecondsPerMillion }) => 1 / cpuSecondsPerMillion),
  },
  {
    name: "resident memory, 1 million keys",
    atLeast: 1,
    measure: ofStores(({ residentUsed }) => residentUsed),
  },
  {
    name: "restart with 1 million keys",
    atLeast: 2,
    measure: ofStores(({ restartSeconds }) => restartSeconds),
  },
];
