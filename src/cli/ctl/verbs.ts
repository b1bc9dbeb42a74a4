// All verbs, and how one is made.
//
// A family of verbs is a file that exports a list of Verb (verb.ts): words, arguments, flags,
// examples and `run(context, argv)`. It is known when its list stands in `verbs` below. `run` reads
// its words with positionals() and its flags with textFlag() and wholeFlag() (context.ts), talks to
// the cluster through `context.client`, or `context.connectTo()` for other endpoints, and prints:
// replies that etcdctl prints by `context.printer()`, its own rows by `context.report()` in every
// form of -w, anything else by `context.io`, whose `terminal` says what is a terminal, how wide it
// is and which colours it has. What takes long takes a line of `context.progress()` and stops at
// `context.io.interruption()`. It fails with CommandError (failure.ts), which has the exit code.

import { authVerbs } from "./auth.ts";
import { checkVerbs } from "./check.ts";
import { clusterVerbs } from "./cluster.ts";
import { downgradeVerbs } from "./downgrade.ts";
import { electVerbs } from "./elect.ts";
import { keyVerbs } from "./keys.ts";
import { leaseVerbs } from "./lease.ts";
import { lockVerbs } from "./lock.ts";
import { memberVerbs } from "./members.ts";
import { ownVerbs } from "./own-verbs.ts";
import { roleVerbs } from "./roles.ts";
import { snapshotVerbs } from "./snapshot.ts";
import { txnVerbs } from "./txn.ts";
import { userVerbs } from "./users.ts";
import type { Verb } from "./verb.ts";
import { versionVerbs } from "./version.ts";
import { watchVerbs } from "./watch.ts";

export const verbs: readonly Verb[] = [
  ...keyVerbs,
  ...txnVerbs,
  ...watchVerbs,
  ...leaseVerbs,
  ...lockVerbs,
  ...electVerbs,
  ...memberVerbs,
  ...clusterVerbs,
  ...snapshotVerbs,
  ...downgradeVerbs,
  ...authVerbs,
  ...userVerbs,
  ...roleVerbs,
  ...checkVerbs,
  ...versionVerbs,
  ...ownVerbs,
];

/** What the first words of verbs of two words are called in help. */
export const families: Readonly<Record<string, string>> = {
  lease: "Leases",
  member: "Members",
  endpoint: "Endpoints",
  alarm: "Alarms",
  snapshot: "Backups",
  downgrade: "Going back to an older version",
  auth: "Authentication",
  user: "Users",
  role: "Roles",
  check: "Checks of a cluster under load",
  context: "Named contexts: clusters and how to reach them",
};
