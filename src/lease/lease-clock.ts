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

/** What a new leader counts for a lease. */
export function countedTtlSeconds(lease: Lease): number {
  return lease.remainingTtlSeconds || lease.grantedTtlSeconds;
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
  /**
   * Resets asked for by `renew` and not known to be applied. While there are any, no checkpoint is
   * handed out, so that a reset that is applied stands behind every checkpoint handed out. One that
   * was lost on its way only leaves the lease without checkpoints under this leader.
   */
  resets = 0;
  /** When it was granted, renewed or found last; 0 until the time was told. */
  touchedMs = 0;
  /** A quiet time that is unusual for this lease, milliseconds: then it is checkpointed. */
  quietMs: number;
  readonly checkpoint = new CheckpointTimer(this);

  constructor(lease: Lease, quietMs: number) {
    this.id = lease.id;
    this.ttlMs = lease.grantedTtlSeconds * 1000;
    this.quietMs = quietMs;
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

/**
 * A lease that is not renewed is checkpointed each tenth of its TTL. One that is renewed would pay
 * for a checkpoint with a command at its next renewal, so it is left alone until it has been quiet
 * for half as long again as between its last renewals; one found at a promotion, for half its TTL.
 */
const quietShareMin = 0.1;
const quietShareMax = 0.75;
const quietShareFound = 0.5;
const quietPerGap = 1.5;
const quietMsMin = 1_000;
/** Leases of one checkpoint command. */
const checkpointsPerBatch = 1000;
/** Leases read in one call of `expired` after a promotion: some milliseconds. */
const readPerCall = 16_384;

export class LeaseClock {
  readonly #checkpointIntervalMs: number;
  readonly #promotedMs: number;
  readonly #extensionMs: number;
  #unread: Iterator<Lease> | undefined;
  readonly #running = new Map<LeaseId, Running>();
  readonly #deadlines = new DeadlineHeap<Running>();
  readonly #checkpoints = new DeadlineHeap<CheckpointTimer>();
  /** Waiting for the time to be told: just granted, or renewed through the log. */
  #undated: Running[] = [];
  /** Ran out and not revoked yet, in the order they ran out. */
  readonly #expired = new Set<Running>();

  /**
   * Reads `leases` a piece at a time: so many that one walk would hold up heartbeats are possible.
   * A lease not read yet has its deadline all the same, counted from the promotion; it only is not
   * looked at, which is late, never early.
   */
  constructor(
    leases: Iterator<Lease>,
    checkpointIntervalSeconds: number,
    nowMs: number,
    extensionMs: number,
  ) {
    this.#unread = leases;
    this.#checkpointIntervalMs = checkpointIntervalSeconds * 1000;
    this.#promotedMs = nowMs;
    this.#extensionMs = extensionMs;
  }

  granted(lease: Lease): void {
    const running = new Running(lease, this.#quietMs(lease, quietShareMin));
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
    if (remainingTtlSeconds === 0) {
      running.resets = Math.max(0, running.resets - 1);
      if (!running.expired) {
        this.#undated.push(running);
      }
    }
  }

  renew(lease: Lease, nowMs: number): RenewOutcome {
    this.#date(nowMs);
    const running = this.#running.get(lease.id) ?? this.#start(lease);
    if (running.expired || running.dueMs <= nowMs) {
      return { kind: "notFound" };
    }
    this.#touch(running, nowMs);
    if (lease.remainingTtlSeconds !== 0 || running.checkpointing) {
      running.resets++;
      return { kind: "needsCheckpoint" };
    }
    this.#postpone(running, nowMs + running.ttlMs);
    return { kind: "renewed", ttlSeconds: lease.grantedTtlSeconds };
  }

  /** Milliseconds left, not below 0. */
  remainingMs(lease: Lease, nowMs: number): number {
    this.#date(nowMs);
    const running = this.#running.get(lease.id) ?? this.#start(lease);
    return Math.max(0, running.dueMs - nowMs);
  }

  /** The same, negative once it is past, and without taking up a lease that was not read yet. */
  peekMs(lease: Lease, nowMs: number): number {
    this.#date(nowMs);
    return (this.#running.get(lease.id)?.dueMs ?? this.#firstDueMs(lease)) - nowMs;
  }

  /** At most `max` leases that ran out; given again at each call until they are revoked. */
  expired(nowMs: number, max: number): LeaseId[] {
    this.#date(nowMs);
    this.#readMore();
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

  /**
   * Leases that went unrenewed for longer than is usual, with what they have left. The order
   * of proposing must be that of these calls and of the resets that `renew` asks for.
   */
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
      timer.dueMs = nowMs + this.#boundedQuietMs(quietShareMin * lease.ttlMs);
      this.#checkpoints.push(timer);
      // Rounded up, so that a successor never counts less than is left here.
      const remainingTtlSeconds = Math.ceil(leftMs / 1000);
      if (remainingTtlSeconds * 1000 < lease.ttlMs && lease.resets === 0) {
        lease.checkpointing = true;
        due.push({ id: lease.id, remainingTtlSeconds });
      }
    }
    return due.sort((a, b) => compareIds(a.id, b.id));
  }

  /**
   * For an orderly change of leader: leases that are half way to their next checkpoint, or past it,
   * with what they have left. Walks all leases. The order is that of `checkpointsDue`.
   */
  checkpointsAhead(nowMs: number): Checkpoint[] {
    this.#date(nowMs);
    const ahead: Checkpoint[] = [];
    for (const lease of this.#running.values()) {
      const { checkpoint, quietMs, ttlMs } = lease;
      const leftMs = lease.dueMs - nowMs;
      const remainingTtlSeconds = Math.ceil(leftMs / 1000);
      const isNear = checkpoint.dueMs - nowMs <= quietMs / 2;
      const isWorth = leftMs > 0 && remainingTtlSeconds * 1000 < ttlMs;
      if (isNear && isWorth && !lease.expired && lease.resets === 0) {
        lease.checkpointing = true;
        ahead.push({ id: lease.id, remainingTtlSeconds });
      }
    }
    return ahead.sort((a, b) => compareIds(a.id, b.id));
  }

  /** A lease from before the promotion begins to run. */
  #start(lease: Lease): Running {
    // What a checkpoint says of a lease is that nobody renewed it.
    const share = lease.remainingTtlSeconds === 0 ? quietShareFound : quietShareMin;
    const running = new Running(lease, this.#quietMs(lease, share));
    running.touchedMs = this.#promotedMs;
    running.dueMs = this.#firstDueMs(lease);
    this.#running.set(lease.id, running);
    this.#deadlines.push(running);
    this.#scheduleCheckpoint(running, this.#promotedMs);
    return running;
  }

  #firstDueMs(lease: Lease): number {
    return this.#promotedMs + this.#extensionMs + countedTtlSeconds(lease) * 1000;
  }

  #readMore(): void {
    for (let read = 0; read < readPerCall && this.#unread !== undefined; read++) {
      const next = this.#unread.next();
      if (next.done === true) {
        this.#unread = undefined;
      } else if (!this.#running.has(next.value.id)) {
        this.#start(next.value);
      }
    }
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
      this.#touch(running, nowMs);
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

  /** Granted or renewed. */
  #touch(running: Running, nowMs: number): void {
    if (running.touchedMs !== 0) {
      const gapMs = quietPerGap * (nowMs - running.touchedMs);
      const { ttlMs } = running;
      const share = Math.min(Math.max(gapMs, quietShareMin * ttlMs), quietShareMax * ttlMs);
      running.quietMs = this.#boundedQuietMs(share);
    }
    running.touchedMs = nowMs;
    this.#scheduleCheckpoint(running, nowMs);
  }

  #quietMs({ grantedTtlSeconds }: Lease, share: number): number {
    return this.#boundedQuietMs(share * grantedTtlSeconds * 1000);
  }

  #boundedQuietMs(quietMs: number): number {
    return Math.min(Math.max(Math.round(quietMs), quietMsMin), this.#checkpointIntervalMs);
  }

  /** As with deadlines, a time is never brought forward. */
  #scheduleCheckpoint({ checkpoint, quietMs }: Running, nowMs: number): void {
    const queued = checkpoint.dueMs !== 0;
    checkpoint.dueMs = Math.max(checkpoint.dueMs, nowMs + quietMs);
    if (!queued) {
      this.#checkpoints.push(checkpoint);
    }
  }

  #rebuild(): void {
    const dated: Running[] = [];
    const timers: CheckpointTimer[] = [];
    for (const running of this.#running.values()) {
      if (running.dueMs !== 0 && !running.expired) {
        dated.push(running);
      }
      if (running.checkpoint.dueMs !== 0) {
        timers.push(running.checkpoint);
      }
    }
    this.#deadlines.rebuild(dated);
    this.#checkpoints.rebuild(timers);
  }
}
