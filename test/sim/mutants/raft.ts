// Mutants of consensus: elections, replication, reads, membership.

import type { Mutant } from "./mutant.ts";

export const raftMutants: readonly Mutant[] = [
  {
    name: "commit-old-term",
    bug: "an entry of an older term is committed by counting copies",
    file: "src/raft/leader.ts",
    find: "if (index <= before || log.termAt(index) !== term) {",
    replace: "if (index <= before) {",
  },
  {
    name: "read-before-own-entry",
    bug: "ReadIndex is served before an entry of the leader's own term is committed",
    file: "src/raft/leader.ts",
    find: "return log.termAt(log.commit) === term;",
    replace: "return log.termAt(log.commit) !== undefined && term > 0;",
  },
  {
    name: "read-without-round",
    bug: "a leader answers reads without asking a quorum",
    file: "src/raft/leader.ts",
    find: "if (round === 0 || !this.tracker.roundReached(round)) {",
    replace: "if (round === 0) {",
  },
  {
    name: "vote-before-durable",
    bug: "a vote is answered before it is on disk",
    file: "src/raft/node.ts",
    find: "if (granted && !message.preVote) {\n      core.persistence.sendAfter(response);",
    replace: "if (granted && message.term < 0) {\n      core.persistence.sendAfter(response);",
  },
  {
    name: "two-votes",
    bug: "a vote is given again in the same term",
    file: "src/raft/node.ts",
    find: "const free = core.vote === message.from ||",
    replace: "const free = message.term > 0 ||",
  },
  {
    name: "append-acknowledged-early",
    bug: "entries are acknowledged before they are on disk",
    file: "src/raft/persistence.ts",
    find: "    const { entries, snapshot } = log.takeUnsaved();",
    replace:
      "    for (const message of thenSend) {\n" +
      '      if (message.kind === "appendResponse") {\n' +
      "        core.sendNow.push(message);\n" +
      "      }\n" +
      "    }\n" +
      "    const { entries, snapshot } = log.takeUnsaved();",
  },
  {
    name: "own-copy-early",
    bug: "a leader counts its own copy before it is on disk",
    file: "src/raft/leader.ts",
    find: "?.accepted(this.#core.log.durable);",
    replace: "?.accepted(this.#core.log.lastIndex);",
  },
  {
    name: "apply-before-durable",
    bug: "entries are applied before they are on disk",
    file: "src/raft/log.ts",
    find: "const through = Math.min(this.#commit, this.#durable) as LogIndex;",
    replace: "const through = this.#commit;",
  },
  {
    name: "wal-not-awaited",
    bug: "a write counts as durable when it begins",
    file: "src/node/raft-driver.ts",
    find: "      await this.#wal.append(persist);",
    replace: "      this.#wal.append(persist).catch(() => {});",
  },
  {
    name: "late-append-cuts",
    bug: "a follower cuts its log on a late append that matches",
    file: "src/raft/log.ts",
    find: "if (entry.index > last || this.termAt(entry.index) !== entry.term) {",
    replace: "if (entry.index > this.#commit) {",
  },
  {
    name: "no-log-check",
    bug: "a follower takes entries without comparing the one before",
    file: "src/raft/follower.ts",
    find: "if (log.termAt(previousIndex) !== previousTerm) {",
    replace: "if (previousIndex > log.lastIndex) {",
  },
  {
    name: "heartbeat-commits-all",
    bug: "a heartbeat commits entries that may not be the leader's",
    file: "src/raft/leader.ts",
    find: "commit: Math.min(progress.match, core.log.commit) as LogIndex,",
    replace: "commit: Math.min(core.log.commit, core.log.lastIndex) as LogIndex,",
  },
  {
    name: "no-up-to-date-check",
    bug: "a vote is given to a candidate with a shorter log",
    file: "src/raft/node.ts",
    find: "message.lastTerm > core.log.lastTerm ||",
    replace: "message.lastTerm >= 0 ||",
  },
  {
    name: "no-check-quorum",
    bug: "a leader that hears nobody stays in office",
    file: "src/raft/leader.ts",
    find: "if (!this.tracker.hearsQuorum()) {",
    replace: "if (this.#heartbeatElapsed < 0) {",
  },
  {
    name: "transfer-to-lagging",
    bug: "leadership goes to a member that lacks entries, and nobody compares logs",
    file: "src/raft/leader.ts",
    find: "if (progress.match < core.log.lastIndex) {",
    replace: "if (progress.match < 0) {",
    also: {
      file: "src/raft/node.ts",
      find: "message.lastTerm > core.log.lastTerm ||",
      replace: "message.transfer || message.lastTerm > core.log.lastTerm ||",
    },
  },
  {
    name: "retry-forwarded",
    bug: "a proposal that was given to the leader is given again",
    file: "src/node/parked-proposals.ts",
    find: 'if (outcome.kind !== "refused") {\n      return true;',
    replace: 'if (outcome.kind !== "refused") {\n      return outcome.kind === "appended";',
  },
  {
    name: "read-by-lease",
    bug: "a leader answers reads as long as its own clock says that it was heard",
    file: "src/raft/leader.ts",
    find: "if (round === 0 || !this.tracker.roundReached(round)) {",
    replace:
      "if (round === 0 || !(this.tracker.roundReached(round) || this.tracker.hearsQuorum())) {",
  },
  {
    name: "vote-apart-from-term",
    bug: "vote and term are stored in two writes",
    file: "src/node/raft-driver.ts",
    find: "      await this.#wal.append(persist);",
    replace:
      "      const { hardState } = persist;\n" +
      "      if (hardState !== undefined) {\n" +
      "        const term = this.termBefore ?? hardState.term;\n" +
      "        const apart = { ...hardState, term };\n" +
      "        this.termBefore = hardState.term;\n" +
      "        await this.#wal.append({ hardState: apart, entries: [], snapshot: undefined });\n" +
      "      }\n" +
      "      await this.#wal.append(persist);",
  },
  {
    name: "change-before-own-entry",
    bug: "a leader changes members before an entry of its own term is committed",
    file: "src/raft/leader.ts",
    find: 'this.#pendingConfIndex = log.append(core.term, "noop", emptyBytes).index;',
    replace:
      'this.#pendingConfIndex = log.applied;\n    log.append(core.term, "noop", emptyBytes);',
  },
  {
    name: "change-while-pending",
    bug: "a second membership change is taken while one is pending",
    file: "src/raft/leader.ts",
    find: "if (this.#pendingConfIndex > core.log.applied || core.conf.votersOutgoing.length > 0) {",
    replace:
      "const isIdle = core.log.termAt(core.log.applied) === core.term;\n" +
      "    if (!isIdle || core.conf.votersOutgoing.length > 0) {",
    also: {
      file: "src/node/membership-service.ts",
      find: "const change = this.#last.then(() => this.#proposeChange(step));",
      replace: "const change = this.#proposeChange(step);",
    },
  },
  {
    name: "promote-lagging",
    bug: "a learner is made a voter that has not caught up",
    file: "src/node/membership-service.ts",
    find: "if (isPromotion(step) && !this.#hasCaughtUp(step.memberId)) {",
    replace: "if (isPromotion(step) && step.memberId === 0n) {",
  },
  {
    name: "snapshot-without-members",
    bug: "a snapshot does not bring its membership",
    suite: "test/raft/scripts.test.ts",
    file: "src/raft/follower.ts",
    find: "    core.conf = snapshot.conf;\n",
    replace: "",
  },
  {
    name: "no-pre-vote",
    bug: "a member that was cut off comes back with a term of its own",
    file: "src/raft/node.ts",
    find: "if (transfer || core.hasSoleVote) {",
    replace: "if (core.term >= 0) {",
  },
];
