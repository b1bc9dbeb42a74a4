// Mutants of what lives seldom or never reach: front doors, files, long times.

import type { Mutant } from "./mutant.ts";

export const doorMutants: readonly Mutant[] = [
  {
    name: "snapshot-overtakes-apply",
    bug: "a snapshot goes in while entries are applied, or another is put in place",
    suite: "test/raft/cluster.test.ts",
    file: "src/raft/follower.ts",
    find: "if (core.log.applied === core.log.handedOut) {\n      this.#install(message);",
    replace: "if (core.log.applied >= 0) {\n      this.#install(message);",
  },
  {
    name: "nested-txn-unchecked",
    bug: "what a txn inside a txn does is not checked",
    suite: "test/auth/scripts.test.ts",
    file: "src/apply/auth-gate.ts",
    find: "return this.txn(operation.value);",
    replace: "return undefined;",
  },
  {
    name: "grant-has-no-end",
    bug: "a grant on one key allows a watch from that key on",
    suite: "test/auth/intervals.test.ts",
    file: "src/auth/intervals.ts",
    find: "compareEnds(interval.end, candidate.end) <= 0",
    replace: "(interval.end === undefined || compareEnds(interval.end, candidate.end) <= 0)",
  },
  {
    name: "calls-without-login",
    bug: "calls about leases, members and maintenance are served to nobody in particular",
    suite: "test/auth/callers.test.ts",
    file: "src/api/gate.ts",
    find: 'permit(access === "root" ? auth.checkRoot(caller) : auth.checkLogin(caller));',
    replace: 'permit(access === "root" ? undefined : undefined);',
  },
  {
    name: "path-without-slash",
    bug: "a method is found by a path that does not begin with a slash",
    suite: "test/grpc/grpc-rules.test.ts",
    file: "src/grpc/request-head.ts",
    find: "return this.#targets.get(path) ?? this.#unknown(path);",
    replace:
      "return this.#targets.get(path) ?? this.#targets.get(`/${path}`) ?? this.#unknown(path);",
  },
  {
    name: "lease-starts-again",
    bug: "every new leader counts leases from the whole of their time",
    suite: "test/lease/scripts.test.ts",
    file: "src/lease/lease-clock.ts",
    find: "return lease.remainingTtlSeconds || lease.grantedTtlSeconds;",
    replace: "return lease.grantedTtlSeconds;",
  },
  {
    name: "segment-name-not-synced",
    bug: "the directory is not synced after a new log segment got its name",
    suite: "test/storage/directory-sync.test.ts",
    file: "src/storage/wal-segments.ts",
    find: "  await rename(temporary, path);\n  await syncDirectory(directory);",
    replace: "  await rename(temporary, path);",
  },
  {
    name: "pointer-name-not-synced",
    bug: "the directory is not synced after a file was replaced",
    suite: "test/storage/directory-sync.test.ts",
    file: "src/storage/durable-files.ts",
    find: "  await rename(temporary, path);\n  await syncDirectory(dirname(path));",
    replace: "  await rename(temporary, path);",
  },
];
