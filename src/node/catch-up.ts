// The first moment after a start at which a member's state is as current as the leader's.
//
// Until then, simple tokens that were issued before the start come to life again as the log is
// replayed, and nothing tells which of them have run out since. So none is honoured before that
// moment, and all that were replayed are forgotten at it: a member that restarts knows no token, as
// in etcd, and clients log in again.

import type { Logger } from "../base/index.ts";
import type { MemberCore } from "./member-core.ts";

export class CatchUp {
  readonly #core: MemberCore;
  readonly #logger: Logger;
  readonly #isOver: () => boolean;
  #isCurrent = false;
  #done: Promise<void> = Promise.resolve();

  /** `isOver`: the node stops, so that it will not be current any more. */
  constructor(core: MemberCore, logger: Logger, isOver: () => boolean) {
    this.#core = core;
    this.#logger = logger;
    this.#isOver = isOver;
  }

  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  begin(): void {
    this.#done = this.#run();
  }

  /** Resolves when the state is current, or the node stops. */
  done(): Promise<void> {
    return this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#isOver()) {
      try {
        await this.#core.linearize();
        this.#core.machine.state.auth.tokens.clear();
        this.#isCurrent = true;
        return;
      } catch (error) {
        if (!this.#isOver()) {
          this.#logger.warn({ err: error }, "still waiting for a quorum of members");
        }
      }
    }
  }
}
