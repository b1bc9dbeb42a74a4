// What clients were promised of leases: alive until the TTL has passed since the last renewal
// that was acknowledged, counted from when it was asked for; and gone once it was seen gone.

import { LeaseExpiry, LeaseRevokeRequest } from "../../src/wire/index.ts";
import type { Applied } from "./ledger.ts";
import { demand } from "./violation.ts";

interface Lease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  promisedUntilMs: number;
  /** When its end was first applied. */
  endedMs: number | undefined;
  expired: boolean;
  /** When somebody last tried to renew it, with whatever success. */
  triedMs: number;
}

export class LeaseBook {
  readonly #leases = new Map<bigint, Lease>();
  /** Ends of leases whose grant was not answered yet: a slow member may tell of it long after. */
  readonly #ends = new Map<bigint, { readonly atMs: number; readonly expired: boolean }>();
  /** How much faster than true time a member's clock may run. */
  readonly #rateMax: number;
  expired = 0;

  constructor(rateMax: number) {
    this.#rateMax = rateMax;
  }

  /** Leases that clients know of and that were not seen to end. */
  get known(): bigint[] {
    return [...this.#leases.values()]
      .filter((one) => one.endedMs === undefined)
      .map(({ id }) => id);
  }

  /** Leases that clients know of; also those that have ended. */
  get all(): bigint[] {
    return [...this.#leases.keys()];
  }

  granted(id: bigint, ttlSeconds: number, callMs: number): void {
    const lease = this.#leases.get(id) ?? {
      id,
      ttlSeconds,
      promisedUntilMs: 0,
      endedMs: undefined,
      expired: false,
      triedMs: callMs,
    };
    this.#leases.set(id, lease);
    this.#promise(lease, callMs);
    const end = this.#ends.get(id);
    if (end !== undefined) {
      this.#ended(id, end.atMs, end.expired);
    }
  }

  tried(id: bigint, nowMs: number): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) {
      lease.triedMs = nowMs;
    }
  }

  /** The answer to a renewal: seconds granted anew, 0 when there is no such lease. */
  renewed(id: bigint, seconds: number, callMs: number, nowMs: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      return;
    }
    if (seconds === 0) {
      demand(
        lease.endedMs !== undefined || nowMs >= lease.promisedUntilMs,
        () => `lease ${id} is said to be gone, but it was promised until ${lease.promisedUntilMs}`,
      );
      return;
    }
    demand(seconds === lease.ttlSeconds, () => `lease ${id} was renewed by ${seconds} seconds`);
    demand(
      lease.endedMs === undefined || lease.endedMs >= callMs,
      () => `lease ${id} was renewed after its end`,
    );
    this.#promise(lease, callMs);
  }

  timeToLive(id: bigint, seconds: number, callMs: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      return;
    }
    if (seconds < 0) {
      demand(lease.endedMs !== undefined, () => `lease ${id} is said to be gone, and it is not`);
    } else {
      demand(
        lease.endedMs === undefined || lease.endedMs >= callMs,
        () => `lease ${id} is said to have ${seconds} s left after its end`,
      );
    }
  }

  /** The end of leases, as the log has it. */
  applied(applied: Applied): void {
    if (applied.body === undefined) {
      return;
    }
    if (applied.kind === "leaseRevoke") {
      this.#ended(LeaseRevokeRequest.decode(applied.body).id, applied.atMs, false);
    } else if (applied.kind === "leaseExpiry") {
      const { term, ids } = LeaseExpiry.decode(applied.body);
      for (const id of term === applied.term ? ids : []) {
        this.#ended(id, applied.atMs, true);
      }
    }
  }

  /** Leases that nobody renews and that are still there long after their time. */
  overdue(nowMs: number, graceMs: number): bigint[] {
    return [...this.#leases.values()]
      .filter(
        (one) =>
          one.endedMs === undefined &&
          Math.max(one.triedMs, one.promisedUntilMs - one.ttlSeconds * 1000) +
            one.ttlSeconds * 1000 * 1.3 +
            graceMs <
            nowMs,
      )
      .map(({ id }) => id);
  }

  #ended(id: bigint, atMs: number, expired: boolean): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      this.#ends.set(id, { atMs, expired });
      return;
    }
    if (lease.endedMs !== undefined) {
      return;
    }
    lease.endedMs = atMs;
    lease.expired = expired;
    if (expired) {
      this.expired++;
      this.#checkExpiry(lease);
    }
  }

  #promise(lease: Lease, fromMs: number): void {
    const untilMs = fromMs + (lease.ttlSeconds * 1000) / this.#rateMax;
    lease.promisedUntilMs = Math.max(lease.promisedUntilMs, untilMs);
    this.#checkExpiry(lease);
  }

  #checkExpiry(lease: Lease): void {
    const { id, endedMs, expired, promisedUntilMs } = lease;
    demand(
      !expired || endedMs === undefined || endedMs >= promisedUntilMs,
      () => `lease ${id} expired at ${endedMs}, it was promised until ${promisedUntilMs}`,
    );
  }
}
