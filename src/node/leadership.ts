// Who leads, and handing it on: on request (MoveLeader), before a stop, and when this member's
// disk has become too slow to lead.

import { QuorateError, idToHex, noMember } from "../base/index.ts";
import type { Clock, Logger, MemberId } from "../base/index.ts";
import type { RaftStatus } from "../raft/index.ts";

export interface LeadershipNode {
  readonly self: MemberId;
  readonly electionTimeoutMs: number;
  status(): RaftStatus;
  transfer(to: MemberId): void;
}

export class Leadership {
  readonly #node: LeadershipNode;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #waiters = new Set<(leader: MemberId) => void>();

  constructor(node: LeadershipNode, clock: Clock, logger: Logger) {
    this.#node = node;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The status has changed from `before`; true when another leader is known. */
  follow(before: RaftStatus, now: RaftStatus): boolean {
    if (before.leader === now.leader && before.term === now.term) {
      return false;
    }
    if (before.leader !== now.leader && now.leader !== noMember) {
      this.#logger.info(
        { leader: idToHex(now.leader), term: now.term, role: now.role },
        "leader elected",
      );
    } else if (now.leader === noMember && before.leader !== noMember) {
      this.#logger.warn({ term: now.term, was: idToHex(before.leader) }, "lost the leader");
    }
    for (const waiter of [...this.#waiters]) {
      waiter(now.leader);
    }
    return before.leader !== now.leader && now.leader !== noMember;
  }

  /** MoveLeader: this member must lead and `to` must be a voter. */
  async move(to: MemberId): Promise<void> {
    const status = this.#node.status();
    if (status.role !== "leader") {
      throw new QuorateError("notLeader");
    }
    if (status.leader === to) {
      return;
    }
    const target = status.progress.get(to);
    if (target === undefined || target.isLearner) {
      throw new QuorateError("badLeaderTransferee");
    }
    this.#node.transfer(to);
    await this.#until((leader) => leader === to, 2 * this.#node.electionTimeoutMs);
  }

  /** The follower that is furthest takes over, if there is one; never rejects. */
  async handOver(): Promise<void> {
    const status = this.#node.status();
    const to = status.role === "leader" ? this.#bestFollower(status) : noMember;
    if (to === noMember) {
      return;
    }
    this.#logger.info({ to: idToHex(to) }, "handing leadership over");
    this.#node.transfer(to);
    try {
      await this.#until(
        (leader) => leader !== noMember && leader !== this.#node.self,
        this.#node.electionTimeoutMs,
      );
    } catch {
      this.#logger.warn({ to: idToHex(to) }, "leadership was not taken over in time");
    }
  }

  #bestFollower(status: RaftStatus): MemberId {
    let best: MemberId = noMember;
    let bestMatch = -1;
    for (const [id, progress] of status.progress) {
      const eligible = id !== this.#node.self && !progress.isLearner && progress.recentlyActive;
      if (eligible && progress.match > bestMatch) {
        best = id;
        bestMatch = progress.match;
      }
    }
    return best;
  }

  #until(wanted: (leader: MemberId) => boolean, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (leader: MemberId): void => {
        if (wanted(leader)) {
          timer.cancel();
          this.#waiters.delete(check);
          resolve();
        }
      };
      const timer = this.#clock.after(withinMs, () => {
        this.#waiters.delete(check);
        reject(new QuorateError("leaderTransferTimeout"));
      });
      this.#waiters.add(check);
      check(this.#node.status().leader);
    });
  }
}
