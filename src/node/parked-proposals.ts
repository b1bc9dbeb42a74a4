// Proposals on their way into the core. While there is no leader, or leadership is being handed
// over, they are parked here and tried again; their waiters' deadline bounds the stay, and a
// number bounds the queue.

import type { Proposals } from "./proposals.ts";
import type { RaftDriver } from "./raft-driver.ts";

const parkedMax = 10_000;

interface Parked {
  readonly sequence: number;
  readonly data: Uint8Array;
}

export class ParkedProposals {
  readonly #driver: RaftDriver;
  readonly #proposals: Proposals;
  #parked: Parked[] = [];

  constructor(driver: RaftDriver, proposals: Proposals) {
    this.#driver = driver;
    this.#proposals = proposals;
  }

  /** Gives `data` to the core now, or as soon as there is a leader to take it. */
  propose(sequence: number, data: Uint8Array): void {
    // Behind others that wait, so that one client's requests keep their order.
    if (this.#parked.length > 0 || !this.#offer(sequence, data)) {
      if (this.#parked.length >= parkedMax) {
        this.#proposals.fail(sequence, "tooManyRequests");
        return;
      }
      this.#parked.push({ sequence, data });
    }
  }

  /** Tries again what is parked, in order. */
  retry(): void {
    if (this.#parked.length === 0) {
      return;
    }
    const waiting = this.#parked.filter((each) => this.#proposals.isWaiting(each.sequence));
    this.#parked = [];
    waiting.forEach((each, position) => {
      if (this.#parked.length > 0 || !this.#offer(each.sequence, each.data)) {
        this.#parked.push(waiting[position] as Parked);
      }
    });
  }

  /** False when it must wait. */
  #offer(sequence: number, data: Uint8Array): boolean {
    const outcome = this.#driver.propose(data);
    if (outcome.kind !== "refused") {
      return true;
    }
    switch (outcome.reason) {
      case "noLeader":
      case "transferring":
        return false;
      case "backlog":
        this.#proposals.fail(sequence, "tooManyRequests");
        return true;
      default:
        this.#proposals.fail(sequence, "stopped");
        return true;
    }
  }
}
