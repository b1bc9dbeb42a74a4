// One life of a cluster from a seed: a phase with faults, a phase in which a quorum is healed and
// must make progress, and the checks.

import { crc32 } from "node:zlib";
import { SeededRng, utf8 } from "../../src/base/index.ts";
import type { MemberId } from "../../src/base/index.ts";
import { RangeRequest, PutRequest } from "../../src/wire/index.ts";
import { Client } from "./clients.ts";
import { checkHistory } from "./history-check.ts";
import { History } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import { LeaseBook } from "./leases.ts";
import type { SimMember } from "./member.ts";
import { healthyLink } from "./network.ts";
import { Nemesis } from "./nemesis.ts";
import type { FaultKind, SimOptions } from "./options.ts";
import { Patrol } from "./patrol.ts";
import { Registers } from "./registers.ts";
import { Requests } from "./requests.ts";
import { Violation, demand } from "./violation.ts";
import type { WatchRecord } from "./watch-record.ts";
import { Watcher } from "./watchers.ts";
import { World } from "./world.ts";

export interface Report {
  readonly options: SimOptions;
  /** Undefined when every promise was kept. */
  readonly failure: string | undefined;
  readonly simulatedMs: number;
  readonly events: number;
  readonly operations: number;
  readonly answered: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
  readonly marks: ReadonlyMap<string, number>;
  /** Equal for equal lives. */
  readonly hash: number;
}

/** The healed quorum answers everything within this, simulated milliseconds. */
const answerWithinMs = 30_000;

/** One life, for `playLife` and for the tests of the checks. */
export class Life {
  readonly #world: World;
  readonly #options: SimOptions;
  readonly #history = new History();
  readonly #leases: LeaseBook;
  readonly #registers: Registers;
  readonly #nemesis: Nemesis;
  readonly #clients: Client[];
  readonly #watchers: Watcher[];
  readonly #prober: Client;
  #healed: SimMember[] = [];

  constructor(options: SimOptions, trace?: (line: string) => void) {
    const { seed } = options;
    const world = new World(options, trace);
    this.#world = world;
    this.#options = options;
    this.#leases = new LeaseBook(options.faults.includes("drift") ? 1.2 : 1);
    world.ledger.onApplied = (applied) => this.#leases.applied(applied);
    this.#nemesis = new Nemesis(world, new SeededRng(seed, 4));
    this.#registers = new Registers(new SeededRng(seed, 7));
    const requests = new Requests(new SeededRng(seed, 5), options);
    const client = (number: number, compacts: boolean): Client =>
      new Client(
        world,
        number,
        new SeededRng(seed, 100 + number),
        requests,
        this.#history,
        this.#leases,
        compacts,
        this.#registers,
      );
    this.#clients = Array.from({ length: options.clients + 1 }, (_, i) =>
      client(i, i === options.clients),
    );
    this.#prober = client(options.clients + 2, false);
    const poker = client(options.clients + 3, false);
    this.#nemesis.onStale = (leader) => poker.poke(leader);
    this.#watchers = Array.from(
      { length: options.watchers },
      (_, i) => new Watcher(world, i, new SeededRng(seed, 200 + i)),
    );
  }

  get history(): History {
    return this.#history;
  }

  get ledger(): Ledger {
    return this.#world.ledger;
  }

  get watchRecords(): WatchRecord[] {
    return this.#watchers.flatMap(({ records }) => records);
  }

  async play(): Promise<Report> {
    const world = this.#world;
    this.#nemesis.begin();
    new Patrol(world, (member) => this.#nemesis.isStopping(member)).begin();
    for (const each of [...this.#clients, ...this.#watchers]) {
      each.begin();
    }
    await world.run(this.#options.faultSecs * 1000);
    await this.#heal();
    await this.#demandProgress();
    if (world.failure === undefined) {
      this.#checkAll();
    }
    world.settleMarks();
    return this.#report();
  }

  #checkAll(): void {
    const { ledger, marks } = this.#world;
    try {
      checkHistory(this.#history, ledger);
      this.#registers.check(marks);
      for (const watcher of this.#watchers) {
        for (const record of watcher.records) {
          record.check(ledger.model);
        }
        watcher.settledAt(this.#healed)?.checkComplete(ledger.model);
      }
    } catch (error) {
      this.#world.fail(error);
    }
  }

  /** A quorum of sound members is up and connected from now on; the rest is cut off. */
  async #heal(): Promise<void> {
    const world = this.#world;
    const { members, network, scheduler } = world;
    const rng = new SeededRng(this.#options.seed, 6);
    const whole = members.filter((member) => member.isSound);
    const sound = whole.filter((member) => !this.#isRemoved(member));
    // Removed, and not told so by anybody: who stays may need its vote to learn of it.
    const leaving = whole.filter((member) => this.#isRemoved(member) && !member.isRemoved);
    const quorum = Math.floor(members.length / 2) + 1;
    // With members on the move all are healed: which of them are a quorum is not settled yet.
    const isMoving = this.#options.faults.includes("membership") || this.#nemesis.hasMovedMembers;
    const wanted = isMoving
      ? sound.length
      : Math.max(quorum, Math.min(sound.length, quorum + rng.below(2)));
    const healed = [...sound];
    while (healed.length > wanted) {
      healed.splice(rng.below(healed.length), 1);
    }
    this.#healed = healed;
    const mended = [...healed, ...leaving];
    this.#nemesis.end(mended);
    world.trace(`healing ${healed.map(({ name }) => name).join(" ")}`);
    for (const from of members) {
      for (const to of members) {
        const both = mended.includes(from) && mended.includes(to);
        network.setFault(from.id, to.id, both ? healthyLink : { ...healthyLink, cut: true });
      }
    }
    for (const member of mended) {
      const { device } = member;
      const failing = member.mayFail || this.#nemesis.isStopping(member);
      if (device !== undefined && failing) {
        world.kill(member, false);
      } else if (device !== undefined) {
        device.slowMs = 0;
      }
      world.disarm(member);
      member.process?.resume();
      member.clockFault = { ...member.clockFault, wallOffsetMs: 0 };
      world.start(member);
    }
    const fromMs = scheduler.nowMs;
    // Starting takes some milliseconds of disk; then ten election timeouts.
    await world.run(fromMs + 1_000 + 10 * this.#options.electionTimeoutMs);
    this.#guard(() => {
      demand(
        !this.#hasQuorum() || healed.some((member) => member.status()?.isLeader === true),
        "no leader ten election timeouts after a quorum was healed",
      );
    });
  }

  /**
   * Whether those healed are one. A change that nobody heard the end of may still take a sound
   * member out while others have lost their disks; then nothing is lost, and nothing goes on.
   */
  #hasQuorum(): boolean {
    const { voters, votersOutgoing } = this.#world.ledger.membership.confState;
    const most = (ids: readonly MemberId[]): boolean =>
      ids.length === 0 ||
      ids.filter((id) => this.#healed.some((each) => each.id === id)).length * 2 > ids.length;
    return most(voters) && most(votersOutgoing);
  }

  /** By the log, whether the member has heard of it or not. */
  #isRemoved({ id }: SimMember): boolean {
    return this.#world.ledger.membership.isRemoved(id);
  }

  async #demandProgress(): Promise<void> {
    const world = this.#world;
    const { scheduler } = world;
    const fromMs = scheduler.nowMs;
    const probes = this.#healed.map((member, i) => this.#probe(member, i));
    // A short life stays short in this as well.
    await world.run(fromMs + Math.min(answerWithinMs / 3, this.#options.faultSecs * 1000));
    for (const client of this.#clients) {
      client.end();
    }
    for (const watcher of this.#watchers) {
      watcher.settle();
    }
    await world.run(fromMs + answerWithinMs);
    if (!this.#hasQuorum()) {
      world.marks.hit("no quorum left");
      return;
    }
    this.#guard(() => {
      for (const probe of probes) {
        demand(probe.isDone(), `a healed quorum did not answer ${probe.name} in 30 seconds`);
      }
    });
    await this.#compareStates();
  }

  /** A write and a read through `member`, tried until they succeed. */
  #probe(member: SimMember, number: number): { readonly name: string; isDone(): boolean } {
    let wrote = false;
    let read = false;
    const prober = this.#prober;
    const again = (): void => {
      if (member.node === undefined) {
        if (!this.#isRemoved(member)) {
          this.#world.scheduler.after(100, again);
        }
        return;
      }
      if (!wrote) {
        const request = PutRequest.create({ key: utf8("probe"), value: utf8(`last${number}`) });
        prober.propose(member, "put", PutRequest.encode(request), (result) => {
          wrote = result?.kind === "put";
          this.#world.scheduler.after(10, again);
        });
      } else if (!read) {
        const range = RangeRequest.create({ key: utf8("probe") });
        prober.read(member, true, range, (answer) => {
          read = answer !== undefined;
          this.#world.scheduler.after(10, again);
        });
      }
    };
    again();
    const isDone = (): boolean => this.#isRemoved(member) || (wrote && read);
    return { name: `a write and a read at ${member.name}`, isDone };
  }

  /** HashKV, at the newest revision, and the pairs at some old ones. */
  async #compareStates(): Promise<void> {
    const world = this.#world;
    if (world.failure !== undefined) {
      return;
    }
    const hashes = new Map<string, string>();
    const asked = this.#healed.filter((member) => !this.#isRemoved(member));
    for (const member of asked) {
      const { node, process } = member;
      this.#guard(() => demand(node !== undefined, `${member.name} is healed and not up`));
      process?.run(() => {
        node?.hashKv(0).then(
          ({ hash, hashRevision, compactedRevision }) =>
            hashes.set(member.name, `${hash} at ${hashRevision}, ${compactedRevision}`),
          (error: unknown) => this.#world.fail(error),
        );
      });
      this.#readOld(member);
    }
    const untilMs = world.scheduler.nowMs + answerWithinMs;
    while (hashes.size < asked.length && world.scheduler.nowMs < untilMs && !world.failure) {
      await world.run(world.scheduler.nowMs + 500);
    }
    this.#guard(() => {
      const told = [...hashes.values()];
      demand(told.length === asked.length, "a healed member gave no hash");
      demand(
        new Set(told).size === 1,
        () => `hashes differ: ${[...hashes].map(([name, hash]) => `${name} ${hash}`).join("; ")}`,
      );
      const overdue = this.#leases.overdue(
        world.scheduler.nowMs,
        5_000 + 4 * this.#options.electionTimeoutMs,
      );
      demand(overdue.length === 0, () => `leases ${overdue.join(" ")} ought to have expired`);
    });
  }

  #readOld(member: SimMember): void {
    const { compacted, revision } = this.#world.ledger.model;
    const rng = new SeededRng(this.#options.seed, 300 + member.position);
    for (let count = 0; count < 5; count++) {
      const at = Math.max(1, compacted + rng.below(Math.max(1, revision - compacted + 1)));
      const range = RangeRequest.create({ key: utf8("k"), rangeEnd: utf8("\0"), revision: at });
      this.#prober.read(member, true, range, () => {});
    }
  }

  #guard(check: () => void): void {
    if (this.#world.failure !== undefined) {
      return;
    }
    try {
      check();
    } catch (error) {
      this.#world.fail(error);
    }
  }

  #report(): Report {
    const { scheduler, marks, failure, network } = this.#world;
    const { counters } = network;
    marks.count("frame lost", counters.lost);
    marks.count("frame doubled", counters.duplicated);
    marks.count("frame overtaken", counters.reordered);
    marks.count("lease expired", this.#leases.expired);
    for (const watcher of this.#watchers) {
      marks.count("watch resumed", watcher.resumes);
      for (const record of watcher.records) {
        marks.count("event watched", record.eventCount);
        marks.count("watch compacted", record.wasCompacted ? 1 : 0);
      }
    }
    for (const { kind, answer, error, returnMs } of this.#history.operations) {
      this.#world.note(crc32(`${returnMs} ${answer} ${error}`));
      marks.count(`${kind} ${answer === undefined ? "unanswered" : "answered"}`, 1);
      if (error !== undefined) {
        marks.hit(`error ${error}`);
      }
    }
    return {
      options: this.#options,
      failure: failure === undefined ? undefined : describe(failure),
      simulatedMs: scheduler.nowMs,
      events: scheduler.eventsRun,
      operations: this.#history.operations.length,
      answered: this.#history.answered,
      faults: this.#nemesis.injected,
      marks: marks.counts,
      hash: this.#world.hash,
    };
  }
}

function describe(failure: unknown): string {
  if (failure instanceof Violation) {
    return failure.message;
  }
  return failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
}

/** Plays one life to its end, or to the first broken promise. */
export function playLife(options: SimOptions, trace?: (line: string) => void): Promise<Report> {
  return new Life(options, trace).play();
}
