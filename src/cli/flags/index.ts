// The table of server flags: every flag of etcd's, and a few of our own, as data.
//
// Parsing, environment variables, the configuration file, --help and docs/compatibility.md all
// read this table and nothing else. A flag that etcd has and we do not is still a row, so that a
// script written for etcd starts Quorate or is told in one line why not.

import { clusterFlags } from "./cluster.ts";
import type { Flag } from "./flag.ts";
import { gateFlags } from "./gate-flags.ts";
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

/** What a name given by the user means. */
export type Lookup =
  | { readonly kind: "flag"; readonly flag: Flag }
  /** A flag of etcd 3.6 that became a feature gate; it takes a boolean. */
  | { readonly kind: "gate"; readonly gate: string }
  | { readonly kind: "legacy" }
  | { readonly kind: "unknown" };

/** Finds a flag; `experimental-x` is `x`, as in etcd 3.6. */
export function lookUpFlag(name: string): Lookup {
  const flag = byName.get(name) ?? byName.get(name.replace(/^experimental-/, ""));
  if (flag !== undefined) {
    return { kind: "flag", flag };
  }
  const gate = gateFlags.get(name);
  if (gate !== undefined) {
    return { kind: "gate", gate };
  }
  return legacy.has(name) ? { kind: "legacy" } : { kind: "unknown" };
}
