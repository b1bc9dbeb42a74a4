// Mutants of what the log is applied to: storage, snapshots, watches, leases.

import type { Mutant } from "./mutant.ts";

export const stateMutants: readonly Mutant[] = [
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
    suite: "test/node/state-machine.test.ts",
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
  {
    name: "executed-again",
    bug: "the last entry is executed again after a restart",
    file: "src/node/replicated-state.ts",
    find: "applied: decodeApplied(applied),",
    replace:
      "applied: {\n" +
      "      index: Math.max(1, decodeApplied(applied).index - 1) as LogIndex,\n" +
      "      term: decodeApplied(applied).term,\n" +
      "    },",
  },
  {
    name: "compaction-drops-newest",
    bug: "compaction takes a tombstone at the revision it keeps, and with it that revision",
    file: "src/mvcc/compaction.ts",
    find: "if (block.revisionAt(i) >= compacted || ",
    replace: "if (block.revisionAt(i) > compacted || ",
    also: {
      file: "src/mvcc/compaction.ts",
      find: "return block.lastRevision <= redoRevision && block.lastRevision < walked;",
      replace: "return block.lastRevision <= Math.max(walked, redoRevision);",
    },
  },
  {
    name: "walked-too-early",
    bug: "what compaction has marked counts as done before it is on disk",
    suite: "test/mvcc/scripts.test.ts",
    file: "src/mvcc/compaction.ts",
    find: "const { redoRevision, walked } = state.durable;",
    replace:
      "const { redoRevision, walked } = { redoRevision: state.revision, walked: state.walked };",
  },
  {
    name: "txn-reads-compacted",
    bug: "a txn reads at a compacted revision what this member happens to have left",
    file: "src/apply/range.ts",
    find: 'return revision < lowest ? "compacted" : undefined;',
    replace: 'return revision < Math.min(lowest, 0) ? "compacted" : undefined;',
  },
  {
    name: "update-promotes",
    bug: "a change of a learner's address makes it a voter",
    suite: "test/membership/membership.test.ts",
    file: "src/membership/membership.ts",
    find: "this.#members.set(id, { ...member, peerUrls: [...step.peerUrls] });",
    replace:
      "this.#members.set(id, { ...member, peerUrls: [...step.peerUrls], isLearner: false });",
  },
  {
    name: "events-doubled",
    bug: "the events of one txn come again when a watcher has fallen behind",
    file: "src/mvcc/watch-catch-up.ts",
    find: "const covered = commits[commits.length - 1]?.revision ?? to;",
    replace:
      "const last = commits[commits.length - 1]?.revision ?? to;\n" +
      "  const covered = ((commits.at(-1)?.events.length ?? 0) > 1 ? last - 1 : last) as Revision;",
  },
];
