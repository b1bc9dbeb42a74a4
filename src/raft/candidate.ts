// A candidate of either kind: a pre-candidate asks whether it would win, at no cost to anybody
// (dissertation 9.6); a candidate asks in earnest, in a new term (section 5.2).

import { noMember } from "../base/index.ts";
import type { MemberId, Term } from "../base/index.ts";
import { votersOf } from "./confchange.ts";
import type { CoreState, Transitions } from "./core-state.ts";
import type { Message, VoteRequest } from "./message.ts";
import { jointVote } from "./quorum.ts";

export class CandidateRole {
  readonly kind: "preCandidate" | "candidate";
  readonly #core: CoreState;
  readonly #transitions: Transitions;
  readonly #votes = new Map<MemberId, boolean>();

  constructor(core: CoreState, transitions: Transitions, kind: "preCandidate" | "candidate") {
    this.#core = core;
    this.#transitions = transitions;
    this.kind = kind;
  }

  /**
   * Asks every other voter that has not answered. A real request leaves only when term and own
   * vote are durable: else this member could, after a crash, stand in the same term again with a
   * shorter log, and win by the votes that it got for the longer one.
   */
  askForVotes(transfer: boolean): void {
    const core = this.#core;
    const preVote = this.kind === "preCandidate";
    for (const to of votersOf(core.conf)) {
      if (to !== core.self && !this.#votes.has(to)) {
        const request: VoteRequest = {
          kind: "voteRequest",
          from: core.self,
          to,
          term: (preVote ? core.term + 1 : core.term) as Term,
          preVote,
          lastIndex: core.log.lastIndex,
          lastTerm: core.log.lastTerm,
          transfer,
        };
        if (preVote) {
          core.sendNow.push(request);
        } else {
          core.persistence.sendAfter(request);
        }
      }
    }
  }

  tick(): void {
    const core = this.#core;
    core.electionElapsed++;
    if (core.electionElapsed >= core.electionTimeout) {
      this.#transitions.campaign(false);
    } else if (this.kind === "preCandidate") {
      // Who still heard the leader did not answer. A tick later that may be over, and to wait a
      // whole timeout for it would double the time without a leader.
      this.askForVotes(false);
    }
  }

  /** Counts this member's own vote: a real one once it is durable. */
  countOwnVote(): void {
    this.#count(this.#core.self, true);
  }

  step(message: Message): void {
    const preVote = this.kind === "preCandidate";
    if (message.kind === "voteResponse" && message.preVote === preVote) {
      this.#count(message.from, message.granted);
    } else {
      this.#core.counters.messagesIgnored++;
    }
  }

  #count(from: MemberId, granted: boolean): void {
    const core = this.#core;
    if (!this.#votes.has(from)) {
      this.#votes.set(from, granted);
    }
    switch (jointVote(core.conf.voters, core.conf.votersOutgoing, this.#votes)) {
      case "won":
        if (this.#votes.get(core.self) !== true) {
          return;
        }
        if (this.kind === "preCandidate") {
          this.#transitions.becomeCandidate(false);
        } else {
          this.#transitions.becomeLeader();
        }
        return;
      case "lost":
        this.#transitions.becomeFollower(core.term, noMember);
        return;
      case "pending":
        return;
    }
  }
}
