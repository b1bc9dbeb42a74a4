// What is counted about leases, under etcd's names.

import { exponentialBuckets } from "../base/index.ts";
import type { Counter, Histogram, MetricsRegistry } from "../base/index.ts";

export class LeaseMetrics {
  readonly revoked: Counter;
  readonly renewed: Counter;
  readonly expired: Counter;
  readonly #granted: Counter;
  readonly #ttls: Histogram;

  constructor(registry: MetricsRegistry) {
    this.#granted = registry.counter(
      "etcd_debugging_lease_granted_total",
      "The total number of granted leases.",
    );
    this.revoked = registry.counter(
      "etcd_debugging_lease_revoked_total",
      "The total number of revoked leases.",
    );
    this.renewed = registry.counter(
      "etcd_debugging_lease_renewed_total",
      "The number of renewed leases seen by the leader.",
    );
    this.expired = registry.counter(
      "etcd_debugging_server_lease_expired_total",
      "The total number of expired leases.",
    );
    this.#ttls = registry.histogram(
      "etcd_debugging_lease_ttl_total",
      "Bucketed histogram of lease TTLs.",
      exponentialBuckets(1, 2, 24),
    );
  }

  granted(ttlSeconds: number): void {
    this.#granted.inc();
    this.#ttls.observe(ttlSeconds);
  }
}
