// Lessor: the leases of the replicated state, and, while this member leads, their clock.

import { compareIds, leaseTtlSecondsMax, noLease } from "../base/index.ts";
import type { ErrorCode, LeaseId } from "../base/index.ts";
import type { BatchOperation, Row } from "../storage/engine.ts";
import { countedTtlSeconds, LeaseClock } from "./lease-clock.ts";
import type { Checkpoint, Lease, RenewOutcome } from "./lease-clock.ts";
import { decodeLease, encodeLease, leaseKey } from "./lease-records.ts";

export interface LessorOptions {
  /** A lease of whatever TTL is checkpointed when it goes unrenewed for so long, seconds. */
  readonly checkpointIntervalSeconds: number;
}

/** As in etcd's leaseCheckpointInterval. */
export const lessorDefaults: LessorOptions = { checkpointIntervalSeconds: 300 };

export type GrantOutcome =
  | { readonly kind: "granted"; readonly ttlSeconds: number }
  | { readonly kind: "refused"; readonly code: ErrorCode };

export class Lessor {
  readonly #options: LessorOptions;
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #dirty = new Set<LeaseId>();
  #clock: LeaseClock | undefined;

  constructor(options: LessorOptions = lessorDefaults) {
    this.#options = options;
  }

  // Replicated: the same calls in the same order on every member.

  /**
   * `ttlSeconds` is what the client asked for, raised by its front door to the least that the
   * cluster can keep; that least depends on a setting, which members might not agree on, so it
   * must not be looked at here.
   */
  grant(id: LeaseId, ttlSeconds: number): GrantOutcome {
    if (id === noLease) {
      return { kind: "refused", code: "leaseNotFound" };
    }
    if (ttlSeconds > leaseTtlSecondsMax) {
      return { kind: "refused", code: "leaseTtlTooLarge" };
    }
    if (this.#leases.has(id)) {
      return { kind: "refused", code: "leaseExists" };
    }
    const grantedTtlSeconds = Math.max(1, ttlSeconds);
    const lease: Lease = { id, grantedTtlSeconds, remainingTtlSeconds: 0 };
    this.#leases.set(id, lease);
    this.#dirty.add(id);
    this.#clock?.granted(lease);
    return { kind: "granted", ttlSeconds: grantedTtlSeconds };
  }

  /** Forgets the lease; its keys are the caller's to delete. False when there is none. */
  revoke(id: LeaseId): boolean {
    if (!this.#leases.delete(id)) {
      return false;
    }
    this.#dirty.add(id);
    this.#clock?.revoked(id);
    return true;
  }

  /** Sets what a new leader counts for the lease; 0 = its whole TTL. Skips an unknown lease. */
  checkpoint(id: LeaseId, remainingTtlSeconds: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      return;
    }
    const kept = Math.max(0, Math.min(remainingTtlSeconds, lease.grantedTtlSeconds));
    if (kept !== lease.remainingTtlSeconds) {
      this.#leases.set(id, { ...lease, remainingTtlSeconds: kept });
      this.#dirty.add(id);
    }
    this.#clock?.checkpointed(id, kept);
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  get(id: LeaseId): Lease | undefined {
    return this.#leases.get(id);
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Ascending. */
  ids(): LeaseId[] {
    return [...this.#leases.keys()].sort(compareIds);
  }

  /**
   * By the time that is left of them, then by id. Where this member does not lead, by what a new
   * leader would count.
   */
  idsByTimeLeft(nowMs: number): LeaseId[] {
    const leftMs = (lease: Lease): number =>
      this.#clock?.peekMs(lease, nowMs) ?? countedTtlSeconds(lease) * 1000;
    return [...this.#leases.values()]
      .map((lease) => ({ id: lease.id, leftMs: leftMs(lease) }))
      .sort((a, b) => a.leftMs - b.leftMs || compareIds(a.id, b.id))
      .map(({ id }) => id);
  }

  // The leader's: volatile. Times are monotonic milliseconds of this member.

  /**
   * This member leads from now on, and everything of earlier terms is applied here: only then is
   * it known which renewals were acknowledged. Every lease gets its whole time anew, or what a
   * checkpoint left of it, and `extensionMs` on top for the time without a leader. Its deadlines
   * are looked at bit by bit, in the calls of `expired`.
   */
  promote(nowMs: number, extensionMs: number): void {
    this.#clock = new LeaseClock(
      this.#leases.values(),
      this.#options.checkpointIntervalSeconds,
      nowMs,
      extensionMs,
    );
  }

  demote(): void {
    this.#clock = undefined;
  }

  /** The caller has made sure, after the request came in, that this member still leads. */
  renew(id: LeaseId, nowMs: number): RenewOutcome {
    if (this.#clock === undefined) {
      return { kind: "notLeader" };
    }
    const lease = this.#leases.get(id);
    return lease === undefined ? { kind: "notFound" } : this.#clock.renew(lease, nowMs);
  }

  /** Milliseconds left; 0 for an unknown lease or when not leading. */
  remainingMs(id: LeaseId, nowMs: number): number {
    const lease = this.#leases.get(id);
    return lease === undefined ? 0 : (this.#clock?.remainingMs(lease, nowMs) ?? 0);
  }

  /**
   * At most `max` leases that ran out, for a leaseExpiry command. Once named here a lease cannot
   * be renewed any more; it is named at each call until it is revoked.
   */
  expired(nowMs: number, max: number): LeaseId[] {
    return this.#clock?.expired(nowMs, max) ?? [];
  }

  /** A bounded batch of checkpoints that ought to be put into the log; each is named once. */
  checkpointsDue(nowMs: number): Checkpoint[] {
    return this.#clock?.checkpointsDue(nowMs) ?? [];
  }

  /** Checkpoints that are worth their while before another member leads; each is named once. */
  checkpointsAhead(nowMs: number): Checkpoint[] {
    return this.#clock?.checkpointsAhead(nowMs) ?? [];
  }

  // Records.

  /** Installs rows of `leaseRange`, read at start. Throws CorruptionError. */
  load(rows: readonly Row[]): void {
    for (const [key, value] of rows) {
      const lease = decodeLease(key, value);
      this.#leases.set(lease.id, lease);
    }
  }

  /** What changed since the last call, for the next batch to the engine. */
  collectDirty(): BatchOperation[] {
    const operations: BatchOperation[] = [];
    for (const id of [...this.#dirty].sort(compareIds)) {
      const lease = this.#leases.get(id);
      const key = leaseKey(id);
      operations.push(
        lease === undefined
          ? { kind: "delete", key }
          : { kind: "put", key, value: encodeLease(lease) },
      );
    }
    this.#dirty.clear();
    return operations;
  }
}
