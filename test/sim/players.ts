// Plays lives in processes of their own, some at once. One that dies or does not come to its end
// is a life that failed, and does not take the others with it.

import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseOptions } from "./options.ts";
import type { SimOptions } from "./options.ts";
import type { PlayOrder, Played } from "./player.ts";
import type { Report } from "./run.ts";

/** A life takes some hundred milliseconds; after this it hangs. */
const lifeSecondsMax = 240;

const here = fileURLToPath(import.meta.url);
const playerPath = join(dirname(here), here.endsWith(".ts") ? "player.ts" : "player.js");

export interface PlayersConfig {
  readonly jobs: number;
  readonly from: number;
  readonly to: number;
  readonly wanted: Partial<SimOptions>;
  /** Hears of every life that was played, in any order; false ends the run. */
  onPlayed(played: Played): boolean;
}

/** Resolves when all seeds were played, or `onPlayed` has had enough. */
export async function playAll(config: PlayersConfig): Promise<void> {
  let next = config.from;
  let isOver = false;
  const player = async (): Promise<void> => {
    let child: ChildProcess | undefined;
    while (!isOver && next <= config.to) {
      const order = { seed: next++, wanted: config.wanted };
      child ??= fork(playerPath, { serialization: "advanced" });
      const played = await playIn(child, order);
      if (typeof played === "string") {
        child.kill("SIGKILL");
        child = undefined;
        isOver ||= !config.onPlayed({ report: lost(order, played), cpuSeconds: 0 });
      } else {
        isOver ||= !config.onPlayed(played);
      }
    }
    child?.disconnect();
  };
  await Promise.all(Array.from({ length: config.jobs }, player));
}

/** How the life went; what became of the player, when it did not tell. */
function playIn(child: ChildProcess, order: PlayOrder): Promise<Played | string> {
  return new Promise((resolve) => {
    const settle = (outcome: Played | string): void => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
      resolve(outcome);
    };
    const onMessage = (message: unknown): void => settle(message as Played);
    const onExit = (code: number | null, signal: string | null): void =>
      settle(`the process that played it ended: ${signal ?? code}`);
    const timer = setTimeout(
      () => settle(`it did not end within ${lifeSecondsMax} seconds`),
      lifeSecondsMax * 1000,
    );
    child.on("message", onMessage);
    child.on("exit", onExit);
    child.send(order);
  });
}

function lost({ seed, wanted }: PlayOrder, failure: string): Report {
  return {
    options: chooseOptions(seed, wanted),
    failure,
    simulatedMs: 0,
    events: 0,
    operations: 0,
    answered: 0,
    faults: new Map(),
    marks: new Map(),
    hash: 0,
  };
}
