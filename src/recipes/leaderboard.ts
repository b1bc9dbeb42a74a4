// Leaderboards: members with scores, in order.
//
//   const board = new Leaderboard(store, "weekly");
//   await board.add("ada", 10);            // { member, score }
//   await board.top(3);                    // [{ member: "ada", score: 10, rank: 1 }, ...]
//   await board.rank("ada");               // 1, or undefined
//
// Promises:
// - Scores and order change together: no answer shows a member twice, or not at all, in between.
// - Every `add` counts once, also when an answer was lost and with any number of processes.
// - An answer is of one revision, the newest. Equal scores are in the order of the members' names,
//   each with a rank of its own.
//
// Costs: a change is one read and one write of four small keys; again for each time that somebody
// else changed the same member meanwhile. The top N are one read of N keys, and N from rank M on
// are one of M + N. A rank is two reads, the second a count of the members before: Quorate counts
// without looking at them, etcd's time grows with their number. The store holds two small keys for
// each member.
//
// Limits: one process changes one score after another; scores are doubles, NaN is refused.

import { type CallOptions, CompactedError } from "../client/index.ts";
import { type Entry, type Quorate, text } from "../sdk/index.ts";
import type { AnyStore } from "./contender.ts";
import { OnceWriter } from "./once-writer.ts";
import { inTime, untilAnswered } from "./patience.ts";
import { sortableNumber } from "./sortable.ts";

export interface LeaderboardOptions {
  /** "descending" (the largest score first) unless told. */
  readonly order?: "ascending" | "descending" | undefined;
}

export interface LeaderboardCall {
  readonly signal?: AbortSignal | undefined;
}

export interface Score {
  readonly member: string;
  readonly score: number;
}

export interface RankedScore extends Score {
  /** 1 for the first. */
  readonly rank: number;
}

/** Length of a score in the key, and the slash behind it. */
const scoreLength = 16 + 1;

/** Calls reject with ClientError for what waiting cannot mend, or the signal's reason. */
export class Leaderboard implements AsyncDisposable {
  /** "members/<name>" has the score, "order/<score>/<name>" the order. */
  readonly #store: Quorate;
  readonly #sign: 1 | -1;
  readonly #writer: OnceWriter;
  /** The last change of a member that goes on here: changes of one would only stop each other. */
  readonly #changing = new Map<string, Promise<unknown>>();

  constructor(store: AnyStore, name: string, options: LeaderboardOptions = {}) {
    this.#store = store.namespace(`${name}/`).withCodec(text);
    this.#sign = options.order === "ascending" ? 1 : -1;
    this.#writer = new OnceWriter(this.#store, "writers/");
  }

  /** Adds to a member's score (from 0, if it is new); gives what it is then. */
  add(member: string, amount: number, call: LeaderboardCall = {}): Promise<Score> {
    return this.#inTurn(member, call, () => this.#change(member, (n) => n + amount, call));
  }

  /** Sets a member's score. */
  set(member: string, score: number, call: LeaderboardCall = {}): Promise<Score> {
    return this.#inTurn(member, call, () => this.#change(member, () => score, call));
  }

  /** Takes a member out; false if it was not there. */
  remove(member: string, call: LeaderboardCall = {}): Promise<boolean> {
    return this.#inTurn(member, call, () => this.#remove(member, call));
  }

  /** The first `count` members, or those from rank `from` on. */
  async top(
    count: number,
    { from = 1, signal }: LeaderboardCall & { readonly from?: number | undefined } = {},
  ): Promise<RankedScore[]> {
    for (const [name, number] of Object.entries({ count, from })) {
      if (!Number.isInteger(number) || number < 1) {
        throw new RangeError(`${name} must be a whole number of 1 or more (not ${number})`);
      }
    }
    const limit = from - 1 + count;
    const { entries } = await untilAnswered(
      (call) => this.#store.range({ prefix: "order/" }, { limit, ...call }).list(),
      signal,
    );
    return entries
      .map(({ key, value }, index) => ({
        member: key.slice("order/".length + scoreLength),
        score: Number(value),
        rank: index + 1,
      }))
      .slice(from - 1);
  }

  async score(member: string, { signal }: LeaderboardCall = {}): Promise<number | undefined> {
    const entry = await this.#entry(member, signal);
    return entry === undefined ? undefined : Number(entry.value);
  }

  /** A member's place, 1 for the first; undefined if it is not there. */
  async rank(member: string, { signal }: LeaderboardCall = {}): Promise<number | undefined> {
    return (await this.of(member, { signal }))?.rank;
  }

  /** A member's score and place at one revision. */
  async of(member: string, { signal }: LeaderboardCall = {}): Promise<RankedScore | undefined> {
    return await untilAnswered(async (call) => {
      for (;;) {
        try {
          return await this.#ranked(member, call);
        } catch (error) {
          // The revision of the first read was compacted before the second.
          if (!(error instanceof CompactedError)) {
            throw error;
          }
        }
      }
    }, signal);
  }

  /** How many members there are. */
  size({ signal }: LeaderboardCall = {}): Promise<number> {
    return untilAnswered((call) => this.#store.count({ prefix: "members/" }, call), signal);
  }

  /** Ends when what was asked of it is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }

  async #remove(member: string, { signal }: LeaderboardCall): Promise<boolean> {
    const { op } = this.#store;
    const key = memberKey(member);
    for (;;) {
      const entry = await this.#entry(member, signal);
      if (entry === undefined) {
        return false;
      }
      const conditions = [this.#store.when(key).modRevision("=", entry.modRevision)];
      const operations = [
        op.delete(key),
        op.delete(this.#orderKey({ member, score: Number(entry.value) })),
      ];
      const { done } = await this.#writer.commit(
        { conditions, operations, otherwise: key },
        signal,
      );
      if (done) {
        return true;
      }
    }
  }

  /** After the changes of the same member that were asked for before. */
  #inTurn<T>(member: string, { signal }: LeaderboardCall, change: () => Promise<T>): Promise<T> {
    const before = this.#changing.get(member) ?? Promise.resolve();
    const result = this.#writer.during(async () => {
      await before;
      signal?.throwIfAborted();
      return await change();
    });
    const ended = result
      .catch(() => undefined)
      .then(() => {
        if (this.#changing.get(member) === ended) {
          this.#changing.delete(member);
        }
      });
    this.#changing.set(member, ended);
    return inTime(result, signal);
  }

  async #change(
    member: string,
    scoreOf: (before: number) => number,
    { signal }: LeaderboardCall,
  ): Promise<Score> {
    const { op } = this.#store;
    const key = memberKey(member);
    let entry = await this.#entry(member, signal);
    for (;;) {
      const before = Number(entry?.value ?? 0);
      const score = scoreOf(before);
      if (Number.isNaN(score)) {
        throw new RangeError(`the score of "${member}" would not be a number`);
      }
      const oldOrder = this.#orderKey({ member, score: before });
      const order = this.#orderKey({ member, score });
      const operations = [op.put(key, String(score)), op.put(order, String(score))];
      const result = await this.#writer.commit(
        {
          conditions: [this.#store.when(key).modRevision("=", entry?.modRevision ?? 0)],
          operations:
            entry === undefined || order === oldOrder
              ? operations
              : [...operations, op.delete(oldOrder)],
          otherwise: key,
        },
        signal,
      );
      if (result.done) {
        return { member, score };
      }
      ({ entry } = result);
    }
  }

  async #ranked(member: string, call: CallOptions): Promise<RankedScore | undefined> {
    const get = this.#store.op.get(memberKey(member));
    const { results, revision } = await this.#store.txn().do(get).commit(call);
    const [entry] = results;
    if (entry === undefined) {
      return undefined;
    }
    const score = Number(entry.value);
    const to = this.#orderKey({ member, score });
    const before = await this.#store.count({ from: "order/", to }, { revision, ...call });
    return { member, score, rank: before + 1 };
  }

  #entry(member: string, signal: AbortSignal | undefined): Promise<Entry<string> | undefined> {
    return untilAnswered((call) => this.#store.get(memberKey(member), call), signal);
  }

  #orderKey({ member, score }: Score): string {
    return `order/${sortableNumber(this.#sign * score)}/${member}`;
  }
}

function memberKey(member: string): string {
  return `members/${member}`;
}
