// What an observer may know of the core, gathered.

import { noMember } from "../base/index.ts";
import { isLearner } from "./confchange.ts";
import type { CoreState } from "./core-state.ts";
import type { LeaderRole } from "./leader.ts";
import type { RaftStatus, Role } from "./ready.ts";

export function statusOf(core: CoreState, role: Role, leader: LeaderRole | undefined): RaftStatus {
  const { log } = core;
  return {
    self: core.self,
    role,
    term: core.term,
    leader: core.leader,
    commit: log.commit,
    applied: log.applied,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    logSizeBytes: log.sizeBytes,
    conf: core.conf,
    confIsDurable: core.persistence.confIsDurable(core),
    isLearner: isLearner(core.conf, core.self),
    transferee: leader?.transferee ?? noMember,
    get progress() {
      return progressView(leader);
    },
  };
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
