// Promotion of learners without an operator (etcd's proposed gate AutoPromoteLearners): the leader
// makes a voter of each learner that has started and has kept up with it for a while.
//
// Readiness is held more closely than in the check that any promotion passes: a learner that is
// nine tenths there may have hours to go, and a voter that cannot follow costs the quorum. What
// membership refuses (too few members healthy, another change under way) is tried again. Nothing is
// kept between leaders: a new one measures anew, so a change of leader on the way costs a second.

import type { MemberId } from "../base/index.ts";
import type { RaftStatus } from "../raft/index.ts";
import type { Member } from "./handle.ts";

/** Entries that a learner may be behind; those under way to it are not counted as held. */
const lagEntriesMax = 5_000;
/** After a refusal, milliseconds. */
const retryMs = 2_000;

export interface LearnerPromotionNode {
  raft(): RaftStatus;
  members(): readonly Member[];
  promote(id: MemberId): Promise<void>;
}

export class LearnerPromotion {
  readonly #node: LearnerPromotionNode;
  readonly #enabled: boolean;
  /** How long a learner must have kept up, milliseconds. */
  readonly #steadyMs: number;
  readonly #onOutcome: (id: MemberId, error: unknown) => void;
  /** Since when each learner has kept up. */
  readonly #steadySince = new Map<MemberId, number>();
  #notBeforeMs = 0;
  #promoting = false;

  /** `onOutcome` hears of each attempt; without an error it has succeeded. */
  constructor(
    node: LearnerPromotionNode,
    enabled: boolean,
    steadyMs: number,
    onOutcome: (id: MemberId, error: unknown) => void,
  ) {
    this.#node = node;
    this.#enabled = enabled;
    this.#steadyMs = steadyMs;
    this.#onOutcome = onOutcome;
  }

  /** Called some times a second. */
  tick(nowMs: number): void {
    if (!this.#enabled) {
      return;
    }
    const raft = this.#node.raft();
    if (raft.role !== "leader") {
      this.#steadySince.clear();
      return;
    }
    const ready = this.#node
      .members()
      .filter((member) => member.isLearner && this.#isSteady(member, raft, nowMs))[0];
    if (ready !== undefined && !this.#promoting && nowMs >= this.#notBeforeMs) {
      this.#promote(ready.id, nowMs);
    }
  }

  /** Started, heard of lately, and close behind for long enough. */
  #isSteady({ id, name }: Member, raft: RaftStatus, nowMs: number): boolean {
    const progress = raft.progress.get(id);
    const keepsUp =
      name !== "" &&
      progress !== undefined &&
      progress.recentlyActive &&
      raft.lastIndex - progress.match <= lagEntriesMax;
    if (!keepsUp) {
      this.#steadySince.delete(id);
      return false;
    }
    const since = this.#steadySince.get(id) ?? nowMs;
    this.#steadySince.set(id, since);
    return nowMs - since >= this.#steadyMs;
  }

  #promote(id: MemberId, nowMs: number): void {
    this.#promoting = true;
    this.#notBeforeMs = nowMs + retryMs;
    const ended = (error: unknown): void => {
      this.#promoting = false;
      this.#onOutcome(id, error);
    };
    this.#node.promote(id).then(() => ended(undefined), ended);
  }
}
