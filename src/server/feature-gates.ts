// etcd's switches for what is not finished there. Some of it is always so here, some is without
// meaning.

import type { MetricsRegistry } from "../base/index.ts";

export interface FeatureGate {
  readonly name: string;
  /** etcd's, for the metric etcd_server_feature_enabled. */
  readonly stage: "ALPHA" | "BETA";
  /** What is so when nothing is said. */
  readonly default: boolean;
  /** Whether it can be changed; else `default` is how it is. */
  readonly works: boolean;
  readonly doc: string;
}

function gate(
  name: string,
  stage: FeatureGate["stage"],
  byDefault: boolean,
  works: boolean,
  doc: string,
): FeatureGate {
  return { name, stage, default: byDefault, works, doc };
}

export const featureGates: readonly FeatureGate[] = [
  gate("AutoPromoteLearners", "ALPHA", false, true, "Make voters of learners that keep up."),
  gate("CompactHashCheck", "ALPHA", true, true, "On here: see --compact-hash-check-time."),
  gate("FastLeaseKeepAlive", "BETA", true, false, "Renewals are answered without waiting."),
  gate("InitialCorruptCheck", "ALPHA", false, true, "Compare with the others before serving."),
  gate("LeaseCheckpoint", "ALPHA", true, false, "Remaining TTLs are always replicated."),
  gate("LeaseCheckpointPersist", "ALPHA", true, false, "And always kept."),
  gate("PriorityRequest", "ALPHA", false, false, "No meaning here: no request goes first."),
  gate("SetMemberLocalAddr", "ALPHA", false, false, "No meaning here: the system chooses."),
  gate("StopGRPCServiceOnDefrag", "ALPHA", false, false, "No meaning here: nothing stops."),
  gate("TxnModeWriteWithSharedBuffer", "BETA", true, false, "No meaning here: no such buffer."),
];

/** As etcd tells which gates are on. */
export function registerGates(
  registry: MetricsRegistry,
  inForce: ReadonlyMap<string, boolean>,
): void {
  const family = registry.gaugeFamily(
    "etcd_server_feature_enabled",
    "Whether a feature gate is on.",
    ["name", "stage"],
  );
  for (const { name, stage } of featureGates) {
    family.with(name, stage).set(inForce.get(name) === true ? 1 : 0);
  }
}
