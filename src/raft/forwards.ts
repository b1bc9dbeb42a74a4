// What a member has for the leader: proposals and reads, bundled until the next `Ready`. All of it
// may be lost on the way, and no trace of that comes back. Proposals of other members are held here
// as well while leadership changes hands, so that a handover loses none; after an election timeout
// without a leader they are dropped.

import type { MemberId, Rng, Term } from "../base/index.ts";
import type { RaftLimits } from "./config.ts";
import type { Message } from "./message.ts";
import { ReadForwarder } from "./read-index.ts";

/** Where a flush goes. */
export interface ForwardTarget {
  readonly self: MemberId;
  readonly leader: MemberId;
  readonly term: Term;
  readonly limits: RaftLimits;
  readonly sendNow: Message[];
}

export class Forwards {
  readonly reads: ReadForwarder;
  #proposals: Uint8Array[] = [];
  #proposalBytes = 0;
  #proposalTicks = 0;

  constructor(rng: Rng) {
    this.reads = new ReadForwarder(rng);
  }

  get isDue(): boolean {
    return this.#proposals.length > 0 || this.reads.isDue;
  }

  /** False when it would be too much at once. */
  addProposal(data: Uint8Array, bytesMax: number): boolean {
    const bytes = this.#proposalBytes + data.length;
    if (bytes > bytesMax && this.#proposals.length > 0) {
      return false;
    }
    this.#proposals.push(data);
    this.#proposalBytes = bytes;
    return true;
  }

  /** Takes back what was not sent: this member leads now. */
  takeProposals(): readonly Uint8Array[] {
    const proposals = this.#proposals;
    this.#proposals = [];
    this.#proposalBytes = 0;
    this.#proposalTicks = 0;
    return proposals;
  }

  /** Gives up what found no leader for `patienceTicks`; returns how many proposals that loses. */
  tick(patienceTicks: number, readsDropped: number[]): number {
    this.reads.tick(patienceTicks, readsDropped);
    if (this.#proposals.length === 0) {
      return 0;
    }
    this.#proposalTicks++;
    return this.#proposalTicks < patienceTicks ? 0 : this.takeProposals().length;
  }

  flush(target: ForwardTarget): void {
    if (this.#proposals.length > 0) {
      this.#flushProposals(target);
    }
    if (this.reads.isDue) {
      const { self: from, leader: to, term } = target;
      const context = this.reads.take();
      target.sendNow.push({ kind: "readIndexRequest", from, to, term, context });
    }
  }

  #flushProposals(target: ForwardTarget): void {
    const { self: from, leader: to, term, limits, sendNow } = target;
    let proposals: Uint8Array[] = [];
    let bytes = 0;
    for (const data of this.takeProposals()) {
      if (proposals.length > 0 && bytes + data.length > limits.messageSizeBytesMax) {
        sendNow.push({ kind: "proposeForward", from, to, term, proposals });
        proposals = [];
        bytes = 0;
      }
      proposals.push(data);
      bytes += data.length;
    }
    sendNow.push({ kind: "proposeForward", from, to, term, proposals });
  }
}
