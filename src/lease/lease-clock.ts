// What only the leader keeps: when each lease runs out. Never replicated, never stored; made anew
// at each promotion.
//
// The replicated state has no clock, so a lease that was just granted gets its deadline at the
// next call that brings the time. That makes it live a little longer, which is allowed; shorter
// would not be.

import { compareIds } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import type { Deadlined } from "./deadline-heap.ts";

/** The replicated part of a lease. */
export interface Lease {
  readonly id: LeaseId;
  readonly grantedTtlSeconds: number;
  /** Checkpointed remaining time, or 0 for none: then the whole TTL counts. */
  readonly remainingTtlSeconds: number;
}

export type RenewOutcome =
  | { readonly kind: "renewed"; readonly ttlSeconds: number }
  /** No such lease, or it ran out and is being revoked: answer TTL 0. */
  | { readonly kind: "notFound" }
  /**
   * A checkpoint says less than the renewal will promise. Propose a checkpoint of 0 for the lease
   * and renew again when it is applied; only then acknowledge.
   */
  | { readonly kind: "needsCheckpoint" }
  | { readonly kind: "notLeader" };

export interface Checkpoint {
  readonly id: LeaseId;
  readonly remainingTtlSeconds: number;
}

class Running implements Deadlined {
  readonly id: LeaseId;
  readonly ttlMs: number;
  /** 0 until the time was told. */
  dueMs = 0;
  queuedMs = 0;
  gone = false;
  /** Handed out as expired: no renewal can save it any more. */
  expired = false;
  /** A checkpoint was handed out and is not known to be applied. */
  checkpointing = false;
  readonly checkpoint: CheckpointTimer | undefined;

  constructor(lease: Lease, checkpointIntervalMs: number) {
    this.id = lease.id;
    this.ttlMs = lease.grantedTtlSeconds * 1000;
    this.checkpoint =
      this.ttlMs > checkpointIntervalMs ? new CheckpointTimer(this) : undefined;
  }
}

class CheckpointTimer implements Deadlined {
  readonly lease: Running;
  /** 0 while it is not in the heap. */
  dueMs = 0;
  queuedMs = 0;

  constructor(lease: Running) {
    this.lease = lease;
  }

  get gone(): boolean {
    return this.lease.gone;
  }
}

/** Leases of one checkpoint command. */
const checkpointsPerBatch = 1000;

export class LeaseClock {
  readonly #checkpointIntervalMs: number;
  readonly #running = new Map<LeaseId, Running>();
  readonly #deadlines = new DeadlineHeap<Running>();
  readonly #checkpoints = new DeadlineHeap<CheckpointTimer>();
  /** Waiting for the time to be told: just granted, or renewed through the log. */
  #undated: Running[] = [];
  /** Ran out and not revoked yet, in the order they ran out. */
  readonly #expired = new Set<Running>();

  constructor(
    leases: Iterable<Lease>,
    checkpointIntervalSeconds: number,
    nowMs: number,
    extensionMs: number,
  ) {
    this.#checkpointIntervalMs = checkpointIntervalSeconds * 1000;
    for (const lease of leases) {
      const running = new Running(lease, this.#checkpointIntervalMs);
      const leftSeconds = lease.remainingTtlSeconds || lease.grantedTtlSeconds;
      running.dueMs = nowMs + extensionMs + leftSeconds * 1000;
      if (running.checkpoint !== undefined) {
        running.checkpoint.dueMs = nowMs + this.#checkpointIntervalMs;
      }
      this.#running.set(lease.id, running);
    }
    this.#rebuild();
  }

  granted(lease: Lease): void {
    const running = new Running(lease, this.#checkpointIntervalMs);
    this.#running.set(lease.id, running);
    this.#undated.push(running);
  }

  revoked(id: LeaseId): void {
    const running = this.#running.get(id);
    if (running !== undefined) {
      running.gone = true;
      this.#running.delete(id);
      this.#expired.delete(running);
    }
    // Leases that were revoked long before their time would otherwise stay in the heaps till then.
    if (this.#deadlines.size > 2 * this.#running.size + 1024) {
      this.#rebuild();
    }
  }

  /**
   * A checkpoint was applied. One that forgets is a renewal on its way: it counts from the next
   * time told, unless the lease ran out before.
   */
  checkpointed(id: LeaseId, remainingTtlSeconds: number): void {
    const running = this.#running.get(id);
    if (running === undefined || running.gone) {
      return;
    }
    running.checkpointing = false;
    if (remainingTtlSeconds === 0 && !running.expired) {
      this.#undated.push(running);
    }
  }

  renew(lease: Lease, nowMs: number): RenewOutcome {
    this.#date(nowMs);
    const running = this.#running.get(lease.id);
    if (running === undefined || running.expired || running.dueMs <= nowMs) {
      return { kind: "notFound" };
    }
    this.#scheduleCheckpoint(running, nowMs);
    if (lease.remainingTtlSeconds !== 0 || running.checkpointing) {
      return { kind: "needsCheckpoint" };
    }
    this.#postpone(running, nowMs + running.ttlMs);
    return { kind: "renewed", ttlSeconds: lease.grantedTtlSeconds };
  }

  /** Milliseconds left, not below 0. */
  remainingMs(id: LeaseId, nowMs: number): number {
    this.#date(nowMs);
    const running = this.#running.get(id);
    return running === undefined ? 0 : Math.max(0, running.dueMs - nowMs);
  }

  /** At most `max` leases that ran out; given again at each call until they are revoked. */
  expired(nowMs: number, max: number): LeaseId[] {
    this.#date(nowMs);
    while (this.#expired.size < max) {
      const running = this.#deadlines.popDue(nowMs);
      if (running === undefined) {
        break;
      }
      running.expired = true;
      this.#expired.add(running);
    }
    const ids: LeaseId[] = [];
    for (const running of this.#expired) {
      if (ids.length === max) {
        break;
      }
      ids.push(running.id);
    }
    return ids;
  }

  /** Long leases that went unrenewed for a checkpoint interval, with what they have left. */
  checkpointsDue(nowMs: number): Checkpoint[] {
    this.#date(nowMs);
    const due: Checkpoint[] = [];
    while (due.length < checkpointsPerBatch) {
      const timer = this.#checkpoints.popDue(nowMs);
      if (timer === undefined) {
        break;
      }
      const { lease } = timer;
      const leftMs = lease.dueMs - nowMs;
      if (lease.expired || leftMs <= 0) {
        timer.dueMs = 0;
        continue;
      }
      timer.dueMs = nowMs + this.#checkpointIntervalMs;
      this.#checkpoints.push(timer);
      // Rounded up, so that a successor never counts less than is left here.
      const remainingTtlSeconds = Math.ceil(leftMs / 1000);
      if (remainingTtlSeconds * 1000 < lease.ttlMs) {
        lease.checkpointing = true;
        due.push({ id: lease.id, remainingTtlSeconds });
      }
    }
    return due.sort((a, b) => compareIds(a.id, b.id));
  }

  #date(nowMs: number): void {
    if (this.#undated.length === 0) {
      return;
    }
    const undated = this.#undated;
    this.#undated = [];
    for (const running of undated) {
      if (running.gone) {
        continue;
      }
      this.#scheduleCheckpoint(running, nowMs);
      this.#postpone(running, nowMs + running.ttlMs);
    }
  }

  /** Never brings a deadline forward: the heap relies on it, and so does every promise made. */
  #postpone(running: Running, dueMs: number): void {
    if (running.dueMs === 0) {
      running.dueMs = dueMs;
      this.#deadlines.push(running);
    } else if (dueMs > running.dueMs) {
      running.dueMs = dueMs;
    }
  }

  #scheduleCheckpoint(running: Running, nowMs: number): void {
    const timer = running.checkpoint;
    if (timer === undefined) {
      return;
    }
    const queued = timer.dueMs !== 0;
    timer.dueMs = nowMs + this.#checkpointIntervalMs;
    if (!queued) {
      this.#checkpoints.push(timer);
    }
  }

  #rebuild(): void {
    const dated: Running[] = [];
    const timers: CheckpointTimer[] = [];
    for (const running of this.#running.values()) {
      if (running.dueMs !== 0 && !running.expired) {
        dated.push(running);
      }
      if (running.checkpoint !== undefined && running.checkpoint.dueMs !== 0) {
        timers.push(running.checkpoint);
      }
    }
    this.#deadlines.rebuild(dated);
    this.#checkpoints.rebuild(timers);
  }
}
