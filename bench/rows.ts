// The rows of the comparison.

import { closedLoop, type LoadResult } from "./load/closed-loop.ts";
import {
  compact,
  compareAndPut,
  leaseGrant,
  leaseKeepAlive,
  mixed,
  put,
  range,
  type Request,
  scan,
  watchFanOut,
} from "./workloads.ts";

export interface Row {
  readonly name: string;
  run(endpoints: readonly string[], keys: number, seconds: number): Promise<LoadResult>;
}

function loop(name: string, inFlight: number, next: (keys: number) => Request): Row {
  return {
    name,
    run: (endpoints, keys, seconds) =>
      closedLoop({
        endpoints,
        inFlight,
        connections: Math.max(1, Math.min(12, Math.ceil(inFlight / 10))),
        seconds,
        next: () => next(keys),
      }),
  };
}

const inFlight = [1, 100, 1000];

export const rows: readonly Row[] = [
  ...inFlight.map((n) => loop(`put, ${n}`, n, put)),
  ...inFlight.map((n) => loop(`linearizable range, ${n}`, n, (keys) => range(keys, false))),
  ...inFlight.map((n) => loop(`serializable range, ${n}`, n, (keys) => range(keys, true))),
  ...[100, 1000].map((n) => loop(`20% put 80% range, ${n}`, n, mixed)),
  loop("range of 1000 keys, 10", 10, (keys) => scan(keys, 1000)),
  loop("txn compare and put, 100", 100, compareAndPut),
  loop("lease grant, 100", 100, leaseGrant),
  {
    name: "lease keep-alive, 100",
    run: (endpoints, _keys, seconds) => leaseKeepAlive(endpoints, 100, seconds),
  },
  {
    name: "watch fan-out, 1000 watchers",
    run: (endpoints, _keys, seconds) => watchFanOut(endpoints, 1000, seconds),
  },
  {
    name: "put, 100 while compacting",
    run: async (endpoints, keys, seconds) => {
      await compact(endpoints);
      return putLoop(endpoints, keys, seconds);
    },
  },
];

function putLoop(endpoints: readonly string[], keys: number, seconds: number): Promise<LoadResult> {
  return loop("", 100, put).run(endpoints, keys, seconds);
}

/** Throws when there is none of the name. */
export function rowNamed(name: string): Row {
  const row = rows.find((each) => each.name === name);
  if (row === undefined) {
    throw new Error(`no such row; there are: ${rows.map((each) => each.name).join(", ")}`);
  }
  return row;
}
