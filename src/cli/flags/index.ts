// The table of server flags: every flag of etcd's, and a few of our own, as data.
//
// Parsing, environment variables, the configuration file, --help and docs/compatibility.md all
// read this table and nothing else. A flag that etcd has and we do not is still a row, so that a
// script written for etcd starts Quorate or is told in one line why not.

import { clusterFlags } from "./cluster.ts";
import type { Flag } from "./flag.ts";
import { memberFlags } from "./member.ts";
import { legacyNames, operationsFlags } from "./operations.ts";
import { ownFlags } from "./own.ts";
import { securityFlags } from "./security.ts";

export type { Flag, FlagGroup, FlagKind, FlagStatus } from "./flag.ts";
export { legacyNames } from "./operations.ts";

/** Every flag, in the order of --help. */
export const flagTable: readonly Flag[] = [
  ...memberFlags,
  ...clusterFlags,
  ...securityFlags,
  ...operationsFlags,
  ...ownFlags,
];

const byName = new Map(flagTable.map((flag) => [flag.name, flag]));
const legacy = new Set(legacyNames);

/** etcd 3.6's experimental names that became feature gates or nothing. */
const experimentalGone = new Set([
  "experimental-initial-corrupt-check",
  "experimental-compact-hash-check-enabled",
  "experimental-enable-lease-checkpoint",
  "experimental-enable-lease-checkpoint-persist",
  "experimental-txn-mode-write-with-shared-buffer",
  "experimental-stop-grpc-service-on-defrag",
  "experimental-set-member-localaddr",
]);

/** What a name given by the user means. */
export type Lookup =
  | { readonly kind: "flag"; readonly flag: Flag }
  | { readonly kind: "legacy" }
  | { readonly kind: "unknown" };

/** Finds a flag; `experimental-x` is `x`, as in etcd 3.6. */
export function lookUpFlag(name: string): Lookup {
  const flag = byName.get(name) ?? byName.get(name.replace(/^experimental-/, ""));
  if (flag !== undefined) {
    return { kind: "flag", flag };
  }
  return legacy.has(name) || experimentalGone.has(name) ? { kind: "legacy" } : { kind: "unknown" };
}
