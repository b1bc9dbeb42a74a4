// Elections: one leader at a time under a name, with a value that everybody can watch.
//
//   const election = new Election(store, "scheduler");
//   await using leadership = await election.campaign("host-1:8080");
//   while (leadership.held) { ... }
//
//   for await (const leader of election.observe()) console.log(leader?.value ?? "nobody leads");
//
// Promises are those of a lock (locks.ts): one leader at a time by the leaders' own clocks, tokens
// that grow from leader to leader, writes that are refused when tied to `condition()`. Whoever
// observes sees every leader and value, each once and in order, unless history is compacted while
// it is cut off: then it goes on with what is there. etcd's elections and its Election service
// share the keys.
//
// Costs: a lease and one write to stand, one read for each change of the line before one leads; one
// write to proclaim. Observing costs one read and one watch.

import type { Entry, Quorate } from "../sdk/index.ts";
import { text } from "../sdk/index.ts";
import { type AnyStore, Contender, type ContendOptions, Holding } from "./contender.ts";
import { untilAnswered } from "./patience.ts";

/** Who leads, as others see it. */
export interface Leader {
  readonly value: string;
  readonly key: string;
  /** The fencing token: larger than that of every earlier leader. */
  readonly token: number;
  /** When the value was proclaimed. */
  readonly modRevision: number;
}

export interface CampaignOptions extends ContendOptions {}

/** Being the leader. `await using` resigns. */
export class Leadership extends Holding implements AsyncDisposable {
  /** Changes the value that others see. Rejects with HoldLostError or ClientError. */
  proclaim(value: string, signal?: AbortSignal): Promise<void> {
    return this.contender.setValue(value, signal);
  }

  /**
   * Lets the next one lead. Idempotent. Rejects with ClientError; then the lease ends by itself.
   */
  resign(): Promise<void> {
    return this.contender.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resign().catch(() => undefined);
  }
}

export class Election {
  readonly name: string;
  readonly #store: Quorate;

  constructor(store: AnyStore, name: string) {
    this.name = name;
    this.#store = store.withCodec(text);
  }

  /**
   * Stands for election and waits until it is won, as acquireLock waits for a lock. Rejects with
   * the signal's reason, ClientError, or HoldLostError when somebody deleted the key of one who
   * waits.
   */
  async campaign(value: string, options: CampaignOptions = {}): Promise<Leadership> {
    return new Leadership(await Contender.win(this.#store, this.name, value, options));
  }

  /** Who leads now; undefined if nobody does. Rejects with ClientError. */
  async leader(signal?: AbortSignal): Promise<Leader | undefined> {
    const { entries } = await untilAnswered(
      (call) => this.#store.range({ prefix: `${this.name}/` }, call).list(),
      signal,
    );
    return oldestOf(entries.map(leaderOf));
  }

  /**
   * The leader now and after every change of leader or value, undefined while nobody leads. Ends
   * when the signal aborts, without an error.
   */
  async *observe(signal?: AbortSignal): AsyncGenerator<Leader | undefined, undefined> {
    await using watch = this.#store.watch(
      { prefix: `${this.name}/` },
      { initial: true, resync: true, signal },
    );
    const standing = new Map<string, Leader>();
    let shown: Leader | undefined;
    let isFirst = true;
    for await (const { events } of watch.batches()) {
      for (const event of events) {
        if (event.kind === "resync") {
          standing.clear();
          for (const entry of event.entries) {
            standing.set(entry.key, leaderOf(entry));
          }
        } else if (event.kind === "put") {
          standing.set(event.key, leaderOf(event.entry));
        } else if (event.kind === "delete") {
          standing.delete(event.key);
        }
      }
      const leader = oldestOf(standing.values());
      if (isFirst || leader?.modRevision !== shown?.modRevision) {
        isFirst = false;
        shown = leader;
        yield leader;
      }
    }
  }
}

function leaderOf({ key, value, createRevision, modRevision }: Entry<string>): Leader {
  return { key, value, token: createRevision, modRevision };
}

function oldestOf(standing: Iterable<Leader>): Leader | undefined {
  let oldest: Leader | undefined;
  for (const leader of standing) {
    oldest = oldest === undefined || leader.token < oldest.token ? leader : oldest;
  }
  return oldest;
}
