// The leader's view of all members: one Progress each, grouped as the configuration groups them,
// so that quorum questions walk short arrays and look nothing up.

import { compareIds } from "../base/index.ts";
import type { ConfState, LogIndex, MemberId } from "../base/index.ts";
import { membersOf } from "./confchange.ts";
import type { RaftLimits } from "./config.ts";
import { Progress } from "./progress.ts";
import { majorityHolds, majorityIndex } from "./quorum.ts";

export class Tracker {
  readonly #self: MemberId;
  readonly #limits: RaftLimits;
  #members = new Map<MemberId, Progress>();
  #others: readonly Progress[] = [];
  #voters: readonly Progress[] = [];
  #outgoing: readonly Progress[] = [];
  readonly #scratch: number[] = [];

  constructor(self: MemberId, limits: RaftLimits, conf: ConfState, next: LogIndex) {
    this.#self = self;
    this.#limits = limits;
    this.reconfigure(conf, next);
  }

  /** Every member but this one, ids ascending. */
  get others(): readonly Progress[] {
    return this.#others;
  }

  get(member: MemberId): Progress | undefined {
    return this.#members.get(member);
  }

  /** Takes a new configuration over; members new in it are probed from `next`. */
  reconfigure(conf: ConfState, next: LogIndex): void {
    const members = new Map<MemberId, Progress>();
    for (const id of membersOf(conf)) {
      const isLearner = conf.learners.includes(id);
      let progress = this.#members.get(id);
      if (progress === undefined) {
        progress = new Progress(id, next, isLearner, this.#limits);
      }
      progress.isLearner = isLearner;
      members.set(id, progress);
    }
    const pick = (ids: readonly MemberId[]): Progress[] =>
      ids.map((id) => members.get(id) as Progress);
    this.#members = members;
    this.#others = [...members.values()]
      .filter((progress) => progress.id !== this.#self)
      .sort((a, b) => compareIds(a.id, b.id));
    this.#voters = pick(conf.voters);
    this.#outgoing = pick(conf.votersOutgoing);
  }

  /** The highest index that is durable on a majority of both groups. */
  majorityMatch(): number {
    return Math.min(this.#groupMatch(this.#voters), this.#groupMatch(this.#outgoing));
  }

  #groupMatch(group: readonly Progress[]): number {
    const scratch = this.#scratch;
    scratch.length = 0;
    for (const progress of group) {
      scratch.push(progress.match);
    }
    return majorityIndex(scratch);
  }

  /** Whether a majority of both groups, this member counted in, acknowledged read round `round`. */
  roundReached(round: number): boolean {
    const holds = (progress: Progress): boolean =>
      progress.id === this.#self || progress.readRound >= round;
    return majorityHolds(this.#voters, holds) && majorityHolds(this.#outgoing, holds);
  }

  tick(): void {
    for (const progress of this.#others) {
      progress.silentTicks++;
    }
  }

  /** Whether a majority of both groups was heard within one election timeout. */
  hearsQuorum(): boolean {
    const holds = (progress: Progress): boolean =>
      progress.id === this.#self || this.isActive(progress);
    return majorityHolds(this.#voters, holds) && majorityHolds(this.#outgoing, holds);
  }

  isActive(progress: Progress): boolean {
    return progress.silentTicks < this.#limits.electionTicks;
  }

  /** The other voter that is furthest ahead, lowest id first; undefined when there is none. */
  bestSuccessor(): Progress | undefined {
    let best: Progress | undefined;
    for (const progress of this.#voters) {
      if (progress.id !== this.#self && (best === undefined || progress.match > best.match)) {
        best = progress;
      }
    }
    return best;
  }
}
