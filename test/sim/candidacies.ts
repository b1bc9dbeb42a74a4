// Who may stand for election: nobody enters a new term by itself unless a quorum said that it would
// vote for it, or the leader handed over. Else a member that was cut off would disturb the others
// with its terms when it comes back.

import type { ConfState, MemberId } from "../../src/base/index.ts";
import type { Message } from "../../src/raft/index.ts";
import { demand } from "./violation.ts";

export class Candidacies {
  /** All that were ever in force; the newest last. A candidate may know an old one only. */
  readonly #confs: readonly ConfState[];
  /** Who has said that it would vote, by candidate and term. */
  readonly #promises = new Map<string, Set<MemberId>>();
  /** Who was told to stand, with the term of the leader that told it. */
  readonly #appointed = new Set<string>();

  constructor(confs: readonly ConfState[]) {
    this.#confs = confs;
  }

  sent(message: Message): void {
    const { from, to, term } = message;
    if (message.kind === "voteResponse" && message.preVote && message.granted) {
      this.#promise(to, term, from);
    } else if (message.kind === "timeoutNow") {
      this.#appointed.add(`${to} ${term}`);
    } else if (message.kind === "voteRequest" && !message.preVote) {
      const mayStand = message.transfer
        ? this.#appointed.has(`${from} ${term - 1}`)
        : this.#hasPromises(from, term);
      demand(mayStand, () => `${from} stands in term ${term}, and nobody had promised to vote`);
    }
  }

  #promise(candidate: MemberId, term: number, voter: MemberId): void {
    const name = `${candidate} ${term}`;
    const voters = this.#promises.get(name) ?? new Set();
    this.#promises.set(name, voters.add(voter));
  }

  #hasPromises(candidate: MemberId, term: number): boolean {
    const promises = this.#promises.get(`${candidate} ${term}`);
    const most = (ids: readonly MemberId[]): boolean =>
      ids.length === 0 ||
      ids.filter((id) => id === candidate || promises?.has(id) === true).length * 2 > ids.length;
    return this.#confs.some((conf) => most(conf.voters) && most(conf.votersOutgoing));
  }
}
