// How rates go with value size, keys, watchers and members, on Quorate and etcd side by side.

import { closedLoop } from "./load/closed-loop.ts";
import { type Effort, measure, withSystems } from "./measure.ts";
import { type Row, rowNamed } from "./rows.ts";
import type { SystemName } from "./systems.ts";
import { put, watchFanOut } from "./workloads.ts";

export interface Point {
  readonly plot: string;
  readonly system: SystemName;
  readonly x: number;
  readonly perSecond: number;
}

/** What a plot shows: title, and what stands on its axes. */
export const plots = [
  { plot: "value-size", title: "put, 100 in flight", x: "bytes of a value", y: "puts per s" },
  { plot: "keys", title: "put, 1,000 in flight", x: "keys in the store", y: "puts per s" },
  { plot: "watchers", title: "events to watchers of one key", x: "watchers", y: "events per s" },
  { plot: "members", title: "put, 100 in flight", x: "members", y: "puts per s" },
] as const;

function putsOf(valueBytes: number): Row {
  return {
    name: `put, 100, ${valueBytes} bytes`,
    run: (endpoints, keys, seconds) =>
      closedLoop({
        endpoints,
        inFlight: 100,
        connections: 10,
        seconds,
        next: () => put(keys, valueBytes),
      }),
  };
}

function watchersOf(watchers: number): Row {
  return {
    name: `watch fan-out, ${watchers}`,
    run: (endpoints, _keys, seconds) => watchFanOut(endpoints, watchers, seconds),
  };
}

export async function measureScaling(effort: Effort, keysMax: number): Promise<Point[]> {
  const points: Point[] = [];
  const add = async (
    plot: string,
    nodes: number,
    keys: number,
    rows: readonly (readonly [x: number, row: Row])[],
  ): Promise<void> => {
    await withSystems(nodes, keys, async (systems) => {
      for (const [x, row] of rows) {
        for (const { system, perSecond } of await measure(row, systems, { ...effort, keys })) {
          points.push({ plot, system, x, perSecond });
        }
      }
    });
  };
  const { keys } = effort;
  await add(
    "value-size",
    3,
    keys,
    [64, 256, 1024, 4096, 12_288].map((bytes) => [bytes, putsOf(bytes)] as const),
  );
  await add(
    "watchers",
    3,
    1000,
    [1, 10, 100, 1000].map((watchers) => [watchers, watchersOf(watchers)] as const),
  );
  for (const share of [1_000, 100, 10, 1]) {
    const some = Math.ceil(keysMax / share);
    await add("keys", 3, some, [[some, rowNamed("put, 1000")]]);
  }
  for (const nodes of [1, 3, 5]) {
    await add("members", nodes, keys, [[nodes, rowNamed("put, 100")]]);
  }
  return points;
}
