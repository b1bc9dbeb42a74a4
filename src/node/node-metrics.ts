// The node's own observations, under etcd's names where etcd has one, so that dashboards and
// alerts made for etcd read them unchanged.

import { exponentialBuckets, idToHex } from "../base/index.ts";
import type { Counter, Histogram, MetricsRegistry } from "../base/index.ts";
import type { CommandResult } from "../apply/command.ts";
import type { WatchHubStats } from "../mvcc/index.ts";
import type { NodeStatus } from "./handle.ts";

/** etcd's disk buckets: 1 ms doubling to 8 s. */
const diskBuckets = exponentialBuckets(0.001, 2, 14);

export interface NodeMetricsSource {
  status(): NodeStatus;
  pendingProposals(): number;
  keyCount(): number;
  watch(): WatchHubStats;
}

export class NodeMetrics {
  readonly leaderChanges: Counter;
  readonly proposalsFailed: Counter;
  readonly heartbeatSendFailures: Counter;
  readonly slowReadIndexes: Counter;
  readonly walWriteSeconds: Histogram;
  readonly checkpointSeconds: Histogram;
  readonly puts: Counter;
  readonly deletes: Counter;
  readonly txns: Counter;
  readonly leasesGranted: Counter;
  readonly leasesRevoked: Counter;
  readonly leasesRenewed: Counter;
  readonly leasesExpired: Counter;

  constructor(registry: MetricsRegistry, source: NodeMetricsSource) {
    const counter = (name: string, help: string): Counter => registry.counter(name, help);
    this.leaderChanges = counter(
      "etcd_server_leader_changes_seen_total",
      "The number of leader changes seen.",
    );
    this.proposalsFailed = counter(
      "etcd_server_proposals_failed_total",
      "The total number of failed proposals seen.",
    );
    this.heartbeatSendFailures = counter(
      "etcd_server_heartbeat_send_failures_total",
      "The total number of leader heartbeat send failures (likely overloaded from slow disk).",
    );
    this.slowReadIndexes = counter(
      "etcd_server_slow_read_indexes_total",
      "The total number of pending read indexes not in sync with leader's or timed out.",
    );
    this.walWriteSeconds = registry.histogram(
      "etcd_disk_wal_fsync_duration_seconds",
      "The latency distributions of durable writes to the write-ahead log.",
      diskBuckets,
    );
    this.checkpointSeconds = registry.histogram(
      "etcd_disk_backend_commit_duration_seconds",
      "The latency distributions of background writes to the state store.",
      diskBuckets,
    );
    this.puts = counter("etcd_mvcc_put_total", "Total number of puts seen by this member.");
    this.deletes = counter("etcd_mvcc_delete_total", "Total number of deletes seen.");
    this.txns = counter("etcd_mvcc_txn_total", "Total number of txns seen by this member.");
    this.leasesGranted = counter(
      "etcd_debugging_lease_granted_total",
      "The total number of granted leases.",
    );
    this.leasesRevoked = counter(
      "etcd_debugging_lease_revoked_total",
      "The total number of revoked leases.",
    );
    this.leasesRenewed = counter(
      "etcd_debugging_lease_renewed_total",
      "The number of renewed leases seen by the leader.",
    );
    this.leasesExpired = counter(
      "etcd_debugging_server_lease_expired_total",
      "The total number of expired leases.",
    );
    registerGauges(registry, source);
    registerWatch(registry, source);
  }

  /** Counts a command that was applied here. */
  applied(result: CommandResult): void {
    switch (result.kind) {
      case "put":
        this.puts.inc();
        break;
      case "deleteRange":
        this.deletes.inc();
        break;
      case "txn":
        this.txns.inc();
        break;
      case "leaseGrant":
        this.leasesGranted.inc();
        break;
      case "leaseRevoke":
        this.leasesRevoked.inc();
        break;
      default:
    }
  }
}

function registerWatch(registry: MetricsRegistry, source: NodeMetricsSource): void {
  const streams = registry.gauge(
    "etcd_debugging_mvcc_watch_stream_total",
    "Total number of watch streams.",
  );
  const watchers = registry.gauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.");
  const slow = registry.gauge(
    "etcd_debugging_mvcc_slow_watcher_total",
    "Total number of watchers that miss events.",
  );
  const events = registry.counter(
    "etcd_debugging_mvcc_events_total",
    "Total number of events sent by this member.",
  );
  registry.onCollect(() => {
    const stats = source.watch();
    streams.set(stats.streams);
    watchers.set(stats.watchers);
    slow.set(stats.slowWatchers);
    events.set(stats.eventsDelivered);
  });
}

function registerGauges(registry: MetricsRegistry, source: NodeMetricsSource): void {
  const gauge = (name: string, help: string, read: (status: NodeStatus) => number) => ({
    series: registry.gauge(name, help),
    read,
  });
  const all = [
    gauge("etcd_server_has_leader", "Whether or not a leader exists.", (s) => +(s.leader !== 0n)),
    gauge("etcd_server_is_leader", "Whether or not this member is a leader.", (s) => +s.isLeader),
    gauge(
      "etcd_server_is_learner",
      "Whether or not this member is a learner.",
      (s) => +s.isLearner,
    ),
    gauge(
      "etcd_server_proposals_committed_total",
      "The total number of consensus proposals committed.",
      (s) => s.commit,
    ),
    gauge(
      "etcd_server_proposals_applied_total",
      "The total number of consensus proposals applied.",
      (s) => s.applied,
    ),
    gauge("etcd_server_proposals_pending", "The current number of pending proposals.", () =>
      source.pendingProposals(),
    ),
    gauge(
      "etcd_server_quota_backend_bytes",
      "Current backend storage quota size in bytes.",
      (s) => s.quotaBytes,
    ),
    gauge(
      "etcd_mvcc_db_total_size_in_bytes",
      "Total size of the state store on disk in bytes.",
      (s) => s.sizeBytes,
    ),
    gauge(
      "etcd_mvcc_db_total_size_in_use_in_bytes",
      "Total size of the live data in bytes.",
      (s) => s.sizeInUseBytes,
    ),
    gauge(
      "etcd_debugging_mvcc_current_revision",
      "The current revision of the store.",
      (s) => s.revision,
    ),
    gauge(
      "etcd_debugging_mvcc_compact_revision",
      "The revision of the last compaction.",
      (s) => s.compactedRevision,
    ),
    gauge("etcd_debugging_mvcc_keys_total", "Total number of keys.", () => source.keyCount()),
  ];
  const id = registry.gaugeFamily("etcd_server_id", "Server or member ID in hexadecimal format.", [
    "server_id",
  ]);
  registry.onCollect(() => {
    const status = source.status();
    for (const each of all) {
      each.series.set(each.read(status));
    }
    id.with(idToHex(status.memberId)).set(1);
  });
}
