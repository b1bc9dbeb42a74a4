// What background work costs, under etcd's names: hashing, backups, reclaiming space, compaction.

import { exponentialBuckets } from "../base/index.ts";
import type { Clock, Counter, Gauge, Histogram, MetricsRegistry } from "../base/index.ts";

/** Observes how long `work` takes when it succeeds, seconds. */
export async function timed<T>(
  clock: Clock,
  seconds: Histogram,
  work: () => Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonicMs();
  const result = await work();
  seconds.observe((clock.monotonicMs() - startedMs) / 1000);
  return result;
}

export class WorkMetrics {
  readonly hashSeconds: Histogram;
  readonly hashRevisionSeconds: Histogram;
  readonly backupSeconds: Histogram;
  readonly #reclaimSeconds: Histogram;
  readonly #reclaiming: Gauge;
  readonly #compactionPauseMs: Histogram;
  readonly #compactionTotalMs: Histogram;
  readonly #compactionLast: Gauge;
  readonly #compactedKeys: Counter;
  #compactionSinceMs: number | undefined;

  constructor(registry: MetricsRegistry) {
    const histogram = (name: string, help: string, bounds: readonly number[]): Histogram =>
      registry.histogram(name, help, bounds);
    this.hashSeconds = histogram(
      "etcd_mvcc_hash_duration_seconds",
      "The latency distribution of hashing everything stored.",
      exponentialBuckets(0.01, 2, 15),
    );
    this.hashRevisionSeconds = histogram(
      "etcd_mvcc_hash_rev_duration_seconds",
      "The latency distribution of hashing the pairs up to a revision.",
      exponentialBuckets(0.01, 2, 15),
    );
    this.backupSeconds = histogram(
      "etcd_disk_backend_snapshot_duration_seconds",
      "The latency distribution of making snapshots.",
      exponentialBuckets(0.01, 2, 17),
    );
    this.#reclaimSeconds = histogram(
      "etcd_disk_backend_defrag_duration_seconds",
      "The latency distribution of giving disk space back.",
      exponentialBuckets(0.1, 2, 13),
    );
    this.#reclaiming = registry.gauge(
      "etcd_disk_defrag_inflight",
      "Whether disk space is being given back, which stops nothing.",
    );
    this.#compactionPauseMs = histogram(
      "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
      "Bucketed histogram of how long a step of compaction keeps requests waiting.",
      exponentialBuckets(1, 2, 13),
    );
    this.#compactionTotalMs = histogram(
      "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
      "Bucketed histogram of the duration of a compaction.",
      exponentialBuckets(100, 2, 14),
    );
    this.#compactionLast = registry.gauge(
      "etcd_debugging_mvcc_db_compaction_last",
      "The unix time of the last compaction. Resets to 0 on start.",
    );
    this.#compactedKeys = registry.counter(
      "etcd_debugging_mvcc_db_compaction_keys_total",
      "Total number of versions of keys that compaction has freed.",
    );
  }

  /** Space is being given back from now on (undefined), or has been. */
  reclaim(elapsedMs: number | undefined): void {
    this.#reclaiming.set(elapsedMs === undefined ? 1 : 0);
    if (elapsedMs !== undefined) {
      this.#reclaimSeconds.observe(elapsedMs / 1000);
    }
  }

  /** Runs one step of compaction; `pending` says whether one is under way. */
  compactionStep(clock: Clock, step: () => boolean, pending: () => boolean): boolean {
    const startedMs = clock.monotonicMs();
    if (pending()) {
      this.#compactionSinceMs ??= startedMs;
    }
    const more = step();
    if (this.#compactionSinceMs !== undefined) {
      const nowMs = clock.monotonicMs();
      this.#compactionPauseMs.observe(nowMs - startedMs);
      if (!pending()) {
        this.#compactionTotalMs.observe(nowMs - this.#compactionSinceMs);
        this.#compactionLast.set(Math.floor(clock.wallMs() / 1000));
        this.#compactionSinceMs = undefined;
      }
    }
    return more;
  }

  compactedKeys(total: number): void {
    this.#compactedKeys.set(total);
  }
}
