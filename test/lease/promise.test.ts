// The lease promise under leader changes: no lease ends earlier than its TTL after the last
// acknowledged renewal was asked for. Raft is abstract here: one committed log, a leader whose
// uncommitted tail may be lost, deposed leaders that go on believing for a while and whose
// proposals reach their successor late, members that apply with a lag.

import { expect, test } from "vitest";

import { SeededRng, toLeaseId } from "../../src/base/index.ts";
import type { LeaseId } from "../../src/base/index.ts";
import { Lessor } from "../../src/lease/index.ts";

type Command =
  | { readonly kind: "expire"; readonly term: number; readonly ids: readonly LeaseId[] }
  | {
      readonly kind: "checkpoint";
      readonly term: number;
      readonly id: LeaseId;
      readonly seconds: number;
    };

interface Entry {
  readonly term: number;
  readonly command: Command | undefined;
}

/** A renewal under way at the leader of `term`. */
interface Renewal {
  readonly id: LeaseId;
  readonly askedMs: number;
  readonly term: number;
  /** Log length that must be applied before the next step. */
  waitsFor: number;
}

class Member {
  readonly lessor = new Lessor({ checkpointIntervalSeconds: 3 });
  applied = 0;
  /** The term in which it believes to lead. */
  leads: number | undefined;
}

const leaseCount = 4;
const ttlSeconds = [4, 8, 12, 20] as const;
const extensionMs = 1000;

class Cluster {
  readonly rng: SeededRng;
  readonly members = [new Member(), new Member(), new Member()];
  readonly log: Entry[] = [];
  #committed = 0;
  #term = 0;
  #leader = 0;
  #nowMs = 1000;
  #openedAt = 0;
  #renewals: Renewal[] = [];
  readonly #late: Command[] = [];
  readonly #promisedMs = new Map<LeaseId, number>();
  acknowledged = 0;
  ended = 0;
  resets = 0;

  constructor(seed: number) {
    this.rng = new SeededRng(seed);
    for (let i = 0; i < leaseCount; i++) {
      const id = toLeaseId(BigInt(i + 1));
      for (const { lessor } of this.members) {
        lessor.grant(id, ttlSeconds[i] as number);
      }
      this.#promisedMs.set(id, this.#nowMs + (ttlSeconds[i] as number) * 1000);
    }
    this.#elect();
  }

  step(): void {
    this.#nowMs += this.rng.below(400);
    const choice = this.rng.below(100);
    if (choice < 2) {
      this.#elect();
    } else if (choice < 8) {
      this.#stepDownSomeone();
    } else if (choice < 14) {
      this.#appendLate();
    } else if (choice < 40) {
      this.#askRenewal();
    } else if (choice < 60) {
      this.#tickLeaders();
    } else {
      this.#progress();
    }
    this.#serve();
  }

  get #now(): Member {
    return this.members[this.#leader] as Member;
  }

  /** A member takes over with all that is committed and a part of the tail. */
  #elect(): void {
    const tail = this.log.length - this.#committed;
    this.log.length -= this.rng.below(tail + 1);
    this.#leader = this.rng.below(this.members.length);
    this.#term++;
    this.log.push({ term: this.#term, command: undefined });
    this.#openedAt = this.log.length;
    this.#now.leads = this.#term;
    this.#now.lessor.demote();
  }

  #stepDownSomeone(): void {
    const member = this.members[this.rng.below(this.members.length)] as Member;
    if (member !== this.#now && member.leads !== undefined) {
      member.leads = undefined;
      member.lessor.demote();
    }
  }

  /** A proposal of a deposed leader reaches the log of its successor. */
  #appendLate(): void {
    const command = this.#late.shift();
    if (command !== undefined) {
      this.log.push({ term: this.#term, command });
    }
  }

  #propose(from: Member, command: Command): void {
    if (from === this.#now && from.leads === this.#term) {
      this.log.push({ term: this.#term, command });
    } else {
      this.#late.push(command);
    }
  }

  #askRenewal(): void {
    const id = toLeaseId(BigInt(1 + this.rng.below(leaseCount)));
    const waitsFor = Math.max(this.#openedAt, this.#committed);
    this.#renewals.push({ id, askedMs: this.#nowMs, term: this.#term, waitsFor });
  }

  /** Deposed members that do not know it yet measure and propose like the leader. */
  #tickLeaders(): void {
    for (const member of this.members) {
      if (member.leads === undefined) {
        continue;
      }
      const term = member.leads;
      for (const due of member.lessor.checkpointsDue(this.#nowMs)) {
        const seconds = due.remainingTtlSeconds;
        this.#propose(member, { kind: "checkpoint", term, id: due.id, seconds });
      }
      const ids = member.lessor.expired(this.#nowMs, 10);
      if (ids.length > 0) {
        this.#propose(member, { kind: "expire", term, ids });
      }
    }
  }

  #progress(): void {
    this.#committed += this.rng.below(this.log.length - this.#committed + 1);
    for (const member of this.members) {
      const until = member.applied + this.rng.below(this.#committed - member.applied + 1);
      while (member.applied < until) {
        this.#apply(member, this.log[member.applied] as Entry);
        member.applied++;
        if (member === this.#now && member.applied === this.#openedAt) {
          member.lessor.promote(this.#nowMs, extensionMs);
        }
      }
    }
  }

  #apply({ lessor }: Member, { term, command }: Entry): void {
    if (command === undefined || command.term !== term) {
      return;
    }
    if (command.kind === "checkpoint") {
      lessor.checkpoint(command.id, command.seconds);
      return;
    }
    for (const id of command.ids) {
      if (lessor.revoke(id)) {
        const earlyMs = (this.#promisedMs.get(id) ?? 0) - this.#nowMs;
        if (earlyMs > 0) {
          throw new Error(`lease ${id} ended ${earlyMs} ms early`);
        }
        this.ended++;
      }
    }
  }

  /** Renewals whose round is done; those of a deposed leader are never acknowledged. */
  #serve(): void {
    const waiting = this.#renewals;
    this.#renewals = [];
    for (const renewal of waiting) {
      if (renewal.term !== this.#term) {
        continue;
      }
      if (this.#now.applied < renewal.waitsFor) {
        this.#renewals.push(renewal);
        continue;
      }
      this.#renew(renewal);
    }
  }

  #renew(renewal: Renewal): void {
    const { id, askedMs, term } = renewal;
    const outcome = this.#now.lessor.renew(id, this.#nowMs);
    if (outcome.kind === "renewed") {
      const untilMs = askedMs + outcome.ttlSeconds * 1000;
      this.#promisedMs.set(id, Math.max(this.#promisedMs.get(id) ?? 0, untilMs));
      this.acknowledged++;
    } else if (outcome.kind === "needsCheckpoint") {
      this.#propose(this.#now, { kind: "checkpoint", term, id, seconds: 0 });
      renewal.waitsFor = this.log.length;
      this.#renewals.push(renewal);
      this.resets++;
    }
  }
}

test("no lease ends before its time, whoever leads", () => {
  let [acknowledged, ended, resets] = [0, 0, 0];
  for (let seed = 1; seed <= 400; seed++) {
    const cluster = new Cluster(seed);
    try {
      for (let step = 0; step < 600; step++) {
        cluster.step();
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    acknowledged += cluster.acknowledged;
    ended += cluster.ended;
    resets += cluster.resets;
  }
  expect(acknowledged).toBeGreaterThan(10_000);
  expect(ended).toBeGreaterThan(1_000);
  expect(resets).toBeGreaterThan(1_000);
});
