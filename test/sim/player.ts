// A process that plays the lives it is told to, one at a time, and tells how each went.

import { chooseOptions } from "./options.ts";
import type { SimOptions } from "./options.ts";
import { playLife } from "./run.ts";
import type { Report } from "./run.ts";

export interface PlayOrder {
  readonly seed: number;
  readonly wanted: Partial<SimOptions>;
}

export interface Played {
  readonly report: Report;
  readonly cpuSeconds: number;
}

// Stacks are costly, and the store says what it misses by throwing.
Error.stackTraceLimit = 3;

async function play({ seed, wanted }: PlayOrder): Promise<void> {
  const started = process.cpuUsage();
  const report = await playLife(chooseOptions(seed, wanted));
  const { user, system } = process.cpuUsage(started);
  const played: Played = { report, cpuSeconds: (user + system) / 1e6 };
  process.send?.(played);
}

process.on("message", (order: PlayOrder) => {
  void play(order);
});
