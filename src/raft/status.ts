// What an observer may know of the core, gathered.

import { noMember } from "../base/index.ts";
import { isLearner } from "./confchange.ts";
import type { CoreState } from "./core-state.ts";
import type { LeaderRole } from "./leader.ts";
import type { RaftStatus, Role } from "./ready.ts";

export function statusOf(core: CoreState, role: Role, leader: LeaderRole | undefined): RaftStatus {
  return new StatusView(core, role, leader);
}

/** A class, as an object with a getter of its own takes longer to make than all the rest of it. */
class StatusView implements RaftStatus {
  readonly self: RaftStatus["self"];
  readonly role: Role;
  readonly term: RaftStatus["term"];
  readonly leader: RaftStatus["leader"];
  readonly commit: RaftStatus["commit"];
  readonly applied: RaftStatus["applied"];
  readonly firstIndex: RaftStatus["firstIndex"];
  readonly lastIndex: RaftStatus["lastIndex"];
  readonly logSizeBytes: number;
  readonly conf: RaftStatus["conf"];
  readonly confIsDurable: boolean;
  readonly isLearner: boolean;
  readonly transferee: RaftStatus["transferee"];
  readonly #leader: LeaderRole | undefined;

  constructor(core: CoreState, role: Role, leader: LeaderRole | undefined) {
    const { log } = core;
    this.self = core.self;
    this.role = role;
    this.term = core.term;
    this.leader = core.leader;
    this.commit = log.commit;
    this.applied = log.applied;
    this.firstIndex = log.firstIndex;
    this.lastIndex = log.lastIndex;
    this.logSizeBytes = log.sizeBytes;
    this.conf = core.conf;
    this.confIsDurable = core.persistence.confIsDurable(core);
    this.isLearner = isLearner(core.conf, core.self);
    this.transferee = leader?.transferee ?? noMember;
    this.#leader = leader;
  }

  get progress(): RaftStatus["progress"] {
    return progressView(this.#leader);
  }
}

/** Made only when asked for: a status is taken far more often than its members are looked at. */
function progressView(leader: LeaderRole | undefined): RaftStatus["progress"] {
  const { tracker } = leader ?? {};
  return new Map(
    tracker?.others.map((progress) => {
      const { id, match, next, state, isLearner } = progress;
      return [id, { match, next, state, recentlyActive: tracker.isActive(progress), isLearner }];
    }),
  );
}
