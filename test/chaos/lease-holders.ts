// Clients that hold leases with one key each, renew them for a while and then let them go.

import type { Rng } from "../../src/base/index.ts";
import { utf8 } from "../../src/base/index.ts";
import { LeaseGrantRequest, LeaseGrantResponse, PutRequest } from "../../src/wire/index.ts";
import type { Endpoint } from "./endpoint.ts";
import type { History, LeaseRecord } from "./history.ts";
import { Caller, sleep } from "./workload.ts";

export const leaseTtlSecondsMax = 5;
const deadlineMs = 2_000;

export class LeaseHolder {
  readonly #number: number;
  readonly #rng: Rng;
  readonly #endpoints: readonly Endpoint[];
  readonly #history: History;
  #isOver = false;
  #count = 0;
  readonly #done: Promise<void>;

  constructor(number: number, rng: Rng, endpoints: readonly Endpoint[], history: History) {
    this.#number = number;
    this.#rng = rng;
    this.#endpoints = endpoints;
    this.#history = history;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const lease = await this.#grant();
      if (lease === undefined) {
        await sleep(100);
        continue;
      }
      const value = utf8(`l${lease.id}`);
      const put = PutRequest.create({ key: utf8(lease.key), value, lease: lease.id });
      await new Caller(this.#history).put(this.#any(), put);
      await this.#renew(lease, this.#rng.below(8));
    }
  }

  async #grant(): Promise<LeaseRecord | undefined> {
    const id = BigInt(1_000_000 * (this.#number + 1) + this.#count++);
    const ttl = 2 + this.#rng.below(leaseTtlSecondsMax - 1);
    const lease = { id, key: `lease/${id}`, ttlSeconds: ttl, promisedUntilMs: 0, renewals: 0 };
    this.#history.leases.set(id, lease);
    const callMs = performance.now();
    try {
      const path = "/etcdserverpb.Lease/LeaseGrant";
      const request = { id, ttl };
      const { kv } = this.#any();
      await kv.call(path, LeaseGrantRequest, LeaseGrantResponse, request, deadlineMs);
    } catch {
      return undefined;
    }
    lease.promisedUntilMs = callMs + ttl * 1000;
    return lease;
  }

  async #renew(lease: LeaseRecord, times: number): Promise<void> {
    for (let i = 0; i < times && !this.#isOver; i++) {
      await sleep((lease.ttlSeconds * 1000) / 3);
      const callMs = performance.now();
      try {
        const seconds = await this.#any().keepAlive(lease.id, deadlineMs);
        if (seconds > 0) {
          lease.promisedUntilMs = Math.max(lease.promisedUntilMs, callMs + seconds * 1000);
          lease.renewals++;
        }
      } catch {
        // Unanswered: nothing was promised.
      }
    }
  }

  #any(): Endpoint {
    return this.#endpoints[this.#rng.below(this.#endpoints.length)] as Endpoint;
  }
}
