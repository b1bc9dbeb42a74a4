// How long commands take to apply, by kind, under etcd's names; and a warning for slow ones
// (--warning-apply-duration), which never shows keys or values.

import { exponentialBuckets, LineBudget } from "../base/index.ts";
import type { Counter, Histogram, Logger, MetricFamily, MetricsRegistry } from "../base/index.ts";
import type { CommandKind, CommandResult } from "./handle.ts";

/** etcd's default of --warning-apply-duration. */
const slowApplyMsDefault = 100;

/** etcd's names of the kinds. */
const operationNames: Readonly<Record<CommandKind, string>> = {
  put: "Put",
  deleteRange: "DeleteRange",
  txn: "Txn",
  compaction: "Compaction",
  leaseGrant: "LeaseGrant",
  leaseRevoke: "LeaseRevoke",
  leaseCheckpoint: "LeaseCheckpoint",
  leaseExpiry: "LeaseExpiry",
  alarm: "Alarm",
  memberAttributes: "ClusterMemberAttrSet",
  tokenIssue: "Authenticate",
  authEnable: "AuthEnable",
  authDisable: "AuthDisable",
  userAdd: "AuthUserAdd",
  userChangePassword: "AuthUserChangePassword",
  userDelete: "AuthUserDelete",
  userGrantRole: "AuthUserGrantRole",
  userRevokeRole: "AuthUserRevokeRole",
  roleAdd: "AuthRoleAdd",
  roleDelete: "AuthRoleDelete",
  roleGrantPermission: "AuthRoleGrantPermission",
  roleRevokePermission: "AuthRoleRevokePermission",
};

interface Outcomes {
  succeeded: Histogram | undefined;
  failed: Histogram | undefined;
}

export class ApplyMetrics {
  readonly #slow: Counter;
  readonly #seconds: MetricFamily<Histogram>;
  readonly #byKind = new Map<CommandKind, Outcomes>();
  readonly #slowMs: number;
  readonly #logger: Logger;
  readonly #lines = new LineBudget();

  constructor(registry: MetricsRegistry, slowMs: number | undefined, logger: Logger) {
    this.#slow = registry.counter(
      "etcd_server_slow_apply_total",
      "The total number of slow apply requests (likely overloaded from slow disk).",
    );
    this.#seconds = registry.histogramFamily(
      "etcd_server_apply_duration_seconds",
      "The latency distributions of applying a command, by kind.",
      ["version", "op", "success"],
      exponentialBuckets(0.0001, 2, 20),
    );
    this.#slowMs = slowMs ?? slowApplyMsDefault;
    this.#logger = logger;
    // The kinds of every day are there from the start, so that rates have a zero to rise from.
    for (const kind of ["put", "deleteRange", "txn"] as const) {
      this.#byKind.set(kind, { succeeded: this.#seriesOf(kind, true), failed: undefined });
    }
  }

  /** Counts one command that took `elapsedMs`; `nowMs` is when it ended. */
  applied(kind: CommandKind, result: CommandResult, elapsedMs: number, nowMs: number): void {
    let outcomes = this.#byKind.get(kind);
    if (outcomes === undefined) {
      outcomes = { succeeded: undefined, failed: undefined };
      this.#byKind.set(kind, outcomes);
    }
    if (result.kind === "error") {
      outcomes.failed ??= this.#seriesOf(kind, false);
      outcomes.failed.observe(elapsedMs / 1000);
    } else {
      outcomes.succeeded ??= this.#seriesOf(kind, true);
      outcomes.succeeded.observe(elapsedMs / 1000);
    }
    if (elapsedMs > this.#slowMs) {
      this.#warn(kind, elapsedMs, nowMs);
    }
  }

  #seriesOf(kind: CommandKind, succeeded: boolean): Histogram {
    return this.#seconds.with("v3", operationNames[kind], String(succeeded));
  }

  #warn(kind: CommandKind, elapsedMs: number, nowMs: number): void {
    this.#slow.inc();
    const silenced = this.#lines.take(nowMs);
    if (silenced !== undefined) {
      this.#logger.warn(
        {
          op: operationNames[kind],
          tookMs: Math.round(elapsedMs),
          expectedMs: this.#slowMs,
          ...(silenced > 0 ? { silenced } : {}),
        },
        "apply request took too long",
      );
    }
  }
}
