// Bugs that other systems shipped, planted into a copy of the sources: each a small change of one
// place. A place that cannot be found any more is an error, so the list ages with the code.

export interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Change {
  readonly name: string;
  /** What goes wrong. */
  readonly bug: string;
  /** A second safeguard that must go too: without either alone nothing would go wrong. */
  readonly also?: Change;
}

export const mutants: readonly Mutant[] = [
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
    name: "append-commits-all",
    bug: "an append commits beyond what it is known to share",
    file: "src/raft/follower.ts",
    find: "log.commitTo(Math.min(message.commit, last) as LogIndex);",
    replace: "log.commitTo(Math.min(message.commit, log.lastIndex) as LogIndex);",
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
    name: "read-not-waiting-for-apply",
    bug: "a read does not wait until its index is applied",
    file: "src/node/read-rounds.ts",
    find: "if (index <= applied) {",
    replace: "if (index <= applied || index > 0) {",
  },
  {
    name: "cut-before-sync",
    bug: "the log is cut behind a state that is not synced",
    file: "src/node/checkpointer.ts",
    find: "await this.#engine.write(operations, { sync });",
    replace: "await this.#engine.write(operations, { sync: false });",
  },
  {
    name: "applied-index-apart",
    bug: "the applied index is written apart from the state",
    file: "src/node/checkpointer.ts",
    find: "await this.#engine.write(operations, { sync });",
    replace:
      "await this.#engine.write(operations.slice(-1), { sync: false });\n" +
      "    await this.#engine.write(operations.slice(0, -1), { sync });",
  },
  {
    name: "snapshot-without-point",
    bug: "a state is streamed under an index that it does not stand at",
    file: "src/node/checkpointer.ts",
    find: "used = { value: use(meta, this.#engine) };",
    replace:
      "const index = (meta.index + 1) as typeof meta.index;\n" +
      "      used = { value: use({ ...meta, index }, this.#engine) };",
  },
  {
    name: "install-without-quiesce",
    bug: "a received state is put in place while records of the old one are being loaded",
    file: "src/node/state-machine.ts",
    find: "if (generation === this.#generation) {\n        this.#state.store.load(",
    replace: "if (generation <= this.#generation) {\n        this.#state.store.load(",
    also: {
      file: "src/node/state-machine.ts",
      find: "    await Promise.allSettled(this.#loads);\n",
      replace: "",
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
    name: "expiry-of-old-leader",
    bug: "leases that a deposed leader saw expire are revoked",
    file: "src/apply/executor.ts",
    find: "if (term === entryTerm) {\n      for (const wireId of ids) {",
    replace: "if (term <= entryTerm) {\n      for (const wireId of ids) {",
  },
  {
    name: "renew-without-round",
    bug: "a renewal is acknowledged by a leader that may have been replaced",
    file: "src/node/lease-service.ts",
    find: "    await this.#node.linearize();\n    if (!this.#node.isLeader()) {",
    replace: "    if (!this.#node.isLeader()) {",
  },
  {
    name: "promote-without-extension",
    bug: "a new leader counts leases from times before it led",
    file: "src/lease/lease-clock.ts",
    find: "running.dueMs = this.#promotedMs + this.#extensionMs + leftSeconds * 1000;",
    replace: "running.dueMs = this.#promotedMs + leftSeconds * 300;",
  },
  {
    name: "progress-overtakes",
    bug: "progress is told to watchers that are behind",
    file: "src/mvcc/watch-hub.ts",
    find: "if (watcher.quiet && hasProgress(watcher, revision) && stream.sink.writable) {",
    replace: "if (revision > 0) {",
  },
  {
    name: "slow-watcher-skips",
    bug: "a watcher that fell behind loses the revision at which it did",
    file: "src/mvcc/watch-hub.ts",
    find: "this.#registry.fallBehind(watcher, revision);",
    replace: "this.#registry.fallBehind(watcher, next);",
  },
  {
    name: "future-watch-early",
    bug: "a watch of the future gets events before its start",
    file: "src/mvcc/watch-hub.ts",
    find: "if (watcher.next > revision) {",
    replace: "if (watcher.next > revision + 1_000_000) {",
  },
  {
    name: "replay-after-install",
    bug: "events come again after a received state was put in place",
    file: "src/mvcc/watch-registry.ts",
    find: 'watcher.state === "synced" ? ((seen + 1) as Revision) : watcher.next;',
    replace: "seen as Revision;",
  },
  {
    name: "txn-sees-own-writes",
    bug: "a nested txn compares with what the txn itself has written",
    file: "src/apply/txn.ts",
    find: "const responses = this.operations(nested);",
    replace:
      "const responses = this.operations({ ...nested, operations: nested.operations.slice(1) });",
  },
];
