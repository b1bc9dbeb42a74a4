// The faults that every recipe's promise is proven under, and the history it is checked on.
//
// Three real members (quorate/testing) are killed, isolated and divided, one fault at a time, from
// a seed that is printed when something fails. A fault is always taken back before the next one, so
// that there is progress between them; `underFaults` ends with everything healed.

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { type Rng, SeededRng } from "../../src/base/index.ts";
import { startTestCluster, type TestCluster, type TestMember } from "../../src/testing/index.ts";

export interface FaultOptions {
  /** Faults go on for so long, milliseconds; the work may take longer. */
  readonly durationMs: number;
  readonly seed?: number | undefined;
  /** How long a fault lasts at most, milliseconds; 1,200 unless told. */
  readonly faultMsMax?: number | undefined;
  /** Faults go on until this holds, too: a busy machine does less in the same time. */
  readonly enough?: (() => boolean) | undefined;
}

/** What was done to the cluster, in words with times. */
export interface FaultReport {
  readonly seed: number;
  readonly faults: readonly string[];
}

const patienceMsMax = 60_000;

/** A cluster of three for one file's tests. */
export function threeMembers(): Promise<TestCluster> {
  return startTestCluster(3);
}

/**
 * Runs `work` while the cluster suffers. `work` gets a signal that aborts when the faults are over
 * (loops should end then) and returns what is to be checked. When it fails, the seed and the faults
 * are part of the error.
 */
export async function underFaults<T>(
  cluster: TestCluster,
  options: FaultOptions,
  work: (over: AbortSignal) => Promise<T>,
): Promise<T> {
  const seed = options.seed ?? Math.floor(Math.random() * 1e9);
  const faults: string[] = [];
  const over = new AbortController();
  const suffering = suffer(cluster, new SeededRng(seed), options, faults).finally(() =>
    over.abort(),
  );
  try {
    const [result] = await Promise.all([work(over.signal), suffering]);
    return result;
  } catch (error) {
    await suffering.catch(() => undefined);
    throw withStory(error, { seed, faults });
  }
}

/** Runs a check over what `underFaults` gave; says which faults there were when it fails. */
export function withStory(error: unknown, { seed, faults }: FaultReport): Error {
  const text = error instanceof Error ? error.message : String(error);
  return new Error(`${text}\nseed ${seed}; faults:\n${faults.join("\n")}`, { cause: error });
}

async function suffer(
  cluster: TestCluster,
  rng: Rng,
  { durationMs, faultMsMax = 1_200, enough = () => true }: FaultOptions,
  told: string[],
): Promise<void> {
  const start = performance.now();
  const tell = (text: string): void => {
    told.push(`${Math.round(performance.now() - start)} ms: ${text}`);
  };
  const elapsedMs = (): number => performance.now() - start;
  while (elapsedMs() < durationMs || (!enough() && elapsedMs() < patienceMsMax)) {
    await sleep(200 + rng.below(800));
    const leader = await cluster.leader();
    const member = rng.below(3) > 0 ? leader : pick(rng, cluster.members);
    const role = member === leader ? "the leader" : "a follower";
    const lastsMs = 200 + rng.below(faultMsMax - 200);
    switch (rng.below(4)) {
      case 0:
        tell(`${role} ${member.name} is isolated for ${lastsMs} ms`);
        await cluster.isolate(member);
        await sleep(lastsMs);
        cluster.heal();
        break;
      case 1:
        tell(`everybody is alone for ${lastsMs} ms`);
        cluster.partition(...cluster.members.map((each) => [each]));
        await sleep(lastsMs);
        cluster.heal();
        break;
      default:
        tell(`${role} ${member.name} is killed for ${lastsMs} ms`);
        await member.kill();
        await sleep(lastsMs);
        await member.start();
        break;
    }
  }
  tell("all is well");
}

function pick(rng: Rng, members: readonly TestMember[]): TestMember {
  return members[rng.below(members.length)] as TestMember;
}

/** Something that happened, when, and to whom. */
export interface Happening<T> {
  /** Monotonic, the same clock for everybody in this process. */
  readonly atMs: number;
  readonly who: string;
  readonly what: T;
}

/** What happened, in order of time. */
export class History<T> {
  readonly #happenings: Happening<T>[] = [];

  add(who: string, what: T): void {
    this.#happenings.push({ atMs: performance.now(), who, what });
  }

  get length(): number {
    return this.#happenings.length;
  }

  [Symbol.iterator](): Iterator<Happening<T>> {
    return this.#happenings[Symbol.iterator]();
  }

  all(): readonly Happening<T>[] {
    return this.#happenings;
  }
}

/**
 * Holders of something exclusive act in the order of their fencing tokens: nobody acts with a token
 * below one that was seen. Returns what breaks that.
 */
export function actsOutOfOrder(history: Iterable<Happening<bigint>>): string[] {
  const broken: string[] = [];
  let newest = 0n;
  let by = "";
  for (const { who, what: token, atMs } of history) {
    if (token < newest) {
      broken.push(
        `${who} acted with token ${token} at ${Math.round(atMs)} ms, after ${by} with ${newest}`,
      );
    } else {
      newest = token;
      by = who;
    }
  }
  return broken;
}
