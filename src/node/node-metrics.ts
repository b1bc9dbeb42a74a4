// The node's own observations, under etcd's names where etcd has one, so that dashboards and
// alerts made for etcd read them unchanged.

import { exponentialBuckets, idToHex } from "../base/index.ts";
import type { Counter, Gauge, Histogram, MetricFamily, MetricsRegistry } from "../base/index.ts";
import type { ApplyOutcome } from "../apply/index.ts";
import type { Store } from "../mvcc/contract.ts";
import type { WatchHubStats } from "../mvcc/index.ts";
import type { ApplyMetrics } from "./apply-metrics.ts";
import type { Alarm, Member, NodeStatus } from "./handle.ts";
import { LeaseMetrics } from "./lease-metrics.ts";
import { WorkMetrics } from "./work-metrics.ts";

/** etcd's disk buckets: 1 ms doubling to 8 s. */
const diskBuckets = exponentialBuckets(0.001, 2, 14);

export interface NodeMetricsSource {
  status(): NodeStatus;
  pendingProposals(): number;
  store(): Pick<Store, "keyCount" | "putBytes" | "compactedVersions">;
  watch(): WatchHubStats;
  alarms(): readonly Alarm[];
  members(): readonly Pick<Member, "id">[];
  walWrittenBytes(): number;
}

export class NodeMetrics {
  readonly leaderChanges: Counter;
  readonly proposalsFailed: Counter;
  readonly heartbeatSendFailures: Counter;
  readonly slowReadIndexes: Counter;
  readonly readIndexesFailed: Counter;
  readonly work: WorkMetrics;
  readonly leases: LeaseMetrics;
  readonly #apply: ApplyMetrics;
  /** 1 while a received state is put in place. */
  readonly installing: Gauge;
  readonly #promotions: Counter;
  readonly #promotionFailures: MetricFamily<Counter>;
  readonly #walSyncSeconds: Histogram;
  readonly #walWriteSeconds: Histogram;
  readonly #checkpointSeconds: Histogram;
  readonly #syncedCheckpointSeconds: Histogram;
  readonly puts: Counter;
  readonly deletes: Counter;
  readonly txns: Counter;

  constructor(registry: MetricsRegistry, source: NodeMetricsSource, apply: ApplyMetrics) {
    this.#apply = apply;
    this.work = new WorkMetrics(registry);
    this.leases = new LeaseMetrics(registry);
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
    this.readIndexesFailed = counter(
      "etcd_server_read_indexes_failed_total",
      "The total number of failed read indexes seen.",
    );
    this.installing = registry.gauge(
      "etcd_server_snapshot_apply_in_progress_total",
      "1 if the server is applying the incoming snapshot. 0 if none.",
    );
    this.#promotions = counter(
      "etcd_server_learner_promote_successes",
      "The total number of successful learner promotions while this member is leader.",
    );
    this.#promotionFailures = registry.counterFamily(
      "etcd_server_learner_promote_failures",
      "The total number of failed learner promotions while this member is leader.",
      ["Reason"],
    );
    this.#walWriteSeconds = registry.histogram(
      "etcd_disk_wal_write_duration_seconds",
      "The latency distributions of writes to the log, which are durable when they end.",
      diskBuckets,
    );
    this.#walSyncSeconds = registry.histogram(
      "etcd_disk_wal_fsync_duration_seconds",
      "The latency distributions of durable writes to the write-ahead log.",
      diskBuckets,
    );
    this.#syncedCheckpointSeconds = registry.histogram(
      "etcd_debugging_snap_save_total_duration_seconds",
      "The latency distributions of making a point durable at which the log may be cut.",
      diskBuckets,
    );
    this.#checkpointSeconds = registry.histogram(
      "etcd_disk_backend_commit_duration_seconds",
      "The latency distributions of background writes to the state store.",
      diskBuckets,
    );
    this.puts = counter("etcd_mvcc_put_total", "Total number of puts seen by this member.");
    this.deletes = counter("etcd_mvcc_delete_total", "Total number of deletes seen.");
    this.txns = counter("etcd_mvcc_txn_total", "Total number of txns seen by this member.");
    registerGauges(registry, source);
    registerTotals(registry, source, this.work);
    registerWatch(registry, source);
  }

  /** One write to the state store. */
  checkpoint(elapsedMs: number, synced: boolean): void {
    this.#checkpointSeconds.observe(elapsedMs / 1000);
    if (synced) {
      this.#syncedCheckpointSeconds.observe(elapsedMs / 1000);
    }
  }

  /** One write to the log. */
  walWrite(elapsedMs: number): void {
    this.#walSyncSeconds.observe(elapsedMs / 1000);
    this.#walWriteSeconds.observe(elapsedMs / 1000);
  }

  /** One promotion on this leader; `refused` is the error's text. */
  promotion(refused: string | undefined): void {
    (refused === undefined ? this.#promotions : this.#promotionFailures.with(refused)).inc();
  }

  /** Counts a command that was applied here in `elapsedMs`, at `nowMs`. */
  applied({ kind, result }: ApplyOutcome, elapsedMs: number, nowMs: number): void {
    this.#apply.applied(kind, result, elapsedMs, nowMs);
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
        this.leases.granted(result.ttlSeconds);
        break;
      case "leaseRevoke":
        this.leases.revoked.inc();
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
  const pending = registry.gauge(
    "etcd_debugging_mvcc_pending_events_total",
    "Revisions whose events watchers that are behind have yet to get, added up.",
  );
  registry.onCollect(() => {
    const stats = source.watch();
    streams.set(stats.streams);
    watchers.set(stats.watchers);
    slow.set(stats.slowWatchers);
    events.set(stats.eventsDelivered);
    pending.set(stats.revisionsPending);
  });
}

/** etcd's names of the alarms. */
const alarmTypes = { noSpace: "NOSPACE", corrupt: "CORRUPT" } as const;

function registerTotals(
  registry: MetricsRegistry,
  source: NodeMetricsSource,
  work: WorkMetrics,
): void {
  const putBytes = registry.gauge(
    "etcd_debugging_mvcc_total_put_size_in_bytes",
    "The total size of put kv pairs seen by this member.",
  );
  const walBytes = registry.gauge(
    "etcd_disk_wal_write_bytes_total",
    "Total number of bytes written in WAL.",
  );
  const alarms = registry.gaugeFamily("etcd_debugging_server_alarms", "Alarms that are raised.", [
    "server_id",
    "alarm_type",
  ]);
  const known = registry.gaugeFamily(
    "etcd_network_known_peers",
    "The current number of known peers.",
    ["Local", "Remote"],
  );
  registry.onCollect(() => {
    const store = source.store();
    const self = source.status().memberId;
    known.clear();
    for (const { id } of source.members()) {
      if (id !== self) {
        known.with(idToHex(self), idToHex(id)).set(1);
      }
    }
    putBytes.set(store.putBytes);
    work.compactedKeys(store.compactedVersions);
    walBytes.set(source.walWrittenBytes());
    alarms.clear();
    for (const { memberId, kind } of source.alarms()) {
      alarms.with(idToHex(memberId), alarmTypes[kind]).set(1);
    }
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
      // Its name before etcd 3.4, which the dashboard at grafana.com still reads.
      "etcd_debugging_mvcc_db_total_size_in_bytes",
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
    gauge("etcd_debugging_mvcc_keys_total", "Total number of keys.", () => source.store().keyCount),
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
