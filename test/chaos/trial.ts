// One cluster under load and faults, from its start to the verdict.

import { SeededRng } from "../../src/base/index.ts";
import { LeaseLeasesRequest, LeaseLeasesResponse, RangeRequest } from "../../src/wire/index.ts";
import { demand } from "../sim/violation.ts";
import { checkHistory, checkSameEvents } from "./check.ts";
import type { CheckCounts } from "./check.ts";
import { eventually } from "./cluster.ts";
import type { ChaosCluster, ChaosMember } from "./cluster.ts";
import { shuffled } from "./faults.ts";
import type { Fault, FaultContext } from "./faults.ts";
import { History } from "./history.ts";
import { LeaseHolder, leaseTtlSecondsMax } from "./lease-holders.ts";
import { shortList, shortMinima } from "./options.ts";
import type { ChaosOptions } from "./options.ts";
import { Watcher, replay } from "./watchers.ts";
import type { EventLog } from "./watchers.ts";
import { Caller, Client, Probe, allKeys, sleep } from "./workload.ts";

/** After a fault every member answers linearizable reads again within this, milliseconds. */
const recoveryMsMax = 15_000;
/** How much longer waits are on a machine that is busy with other things. */
const patienceFactor = 6;
const clientsPerMember = 2;
const roamingClients = 2;
const thinkMs = 20;
const probeEveryMs = 20;
/** Time before a fault that shows how long gaps are on this machine as it is, milliseconds. */
const calmMs = 500;
/** Acknowledged writes between two faults. */
const progressMin = 40;

export interface Injected {
  readonly fault: Fault;
  readonly detail: string;
  readonly gapMs: number;
  readonly recoveryMs: number;
}

export interface Verdict {
  readonly size: number;
  readonly injected: readonly Injected[];
  readonly skipped: ReadonlyMap<string, string>;
  readonly counts: CheckCounts;
  readonly failedCalls: number;
  readonly revision: number;
  readonly watched: number;
  readonly resumptions: number;
  readonly leases: number;
  readonly renewals: number;
  readonly audits: number;
}

interface Audit {
  readonly who: string;
  readonly events: EventLog;
  readonly revision: number;
}

export class Trial {
  readonly cluster: ChaosCluster;
  readonly #options: ChaosOptions;
  readonly #say: (line: string) => void;
  readonly #history = new History();
  readonly #rng: SeededRng;
  readonly #clients: Client[] = [];
  readonly #holders: LeaseHolder[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #probe: Probe;
  readonly #audits: Audit[] = [];
  readonly #injected: Injected[] = [];
  readonly #skipped = new Map<string, string>();
  readonly #recoveryMsMax: number;
  #violation: Error | undefined;

  constructor(cluster: ChaosCluster, options: ChaosOptions, say: (line: string) => void) {
    this.cluster = cluster;
    this.#options = options;
    this.#say = say;
    const { seed } = options;
    this.#recoveryMsMax = recoveryMsMax * (options.isPatient ? patienceFactor : 1);
    const size = cluster.members.length;
    this.#rng = new SeededRng(seed, size);
    const endpoints = cluster.members.map(({ endpoint }) => endpoint);
    for (let i = 0; i < clientsPerMember * size + roamingClients; i++) {
      const home = i < clientsPerMember * size ? endpoints[i % size] : undefined;
      const rng = new SeededRng(seed, 100 * size + i);
      this.#clients.push(new Client(i, rng, endpoints, home, this.#history, thinkMs));
    }
    for (let i = 0; i < size; i++) {
      const rng = new SeededRng(seed, 100 * size + 50 + i);
      this.#holders.push(new LeaseHolder(i, rng, endpoints, this.#history));
      this.#watchers.push(
        new Watcher(`watcher ${i}`, endpoints, i, this.#history, (error) => {
          this.#violation ??= error instanceof Error ? error : new Error(String(error));
        }),
      );
    }
    this.#probe = new Probe(this.#history, endpoints, probeEveryMs);
  }

  /** Injects faults for the time that was asked for, then heals and checks. Throws Violation. */
  async run(): Promise<Verdict> {
    try {
      await this.#settle();
      await this.#inject();
      await this.#endLoad();
      return await this.#judge();
    } finally {
      await this.stop();
    }
  }

  async stop(): Promise<void> {
    await Promise.all([
      this.#probe.stop(),
      ...this.#clients.map((client) => client.stop()),
      ...this.#holders.map((holder) => holder.stop()),
      ...this.#watchers.map((watcher) => watcher.stop()),
    ]);
  }

  async #inject(): Promise<void> {
    if (this.#options.isShort) {
      const size = this.cluster.members.length;
      const kinds = new Set(shortList(this.#options, size));
      for (const fault of shuffled(this.#rng, this.#possible()).filter((each) => kinds.has(each))) {
        await this.#injectOne(fault);
      }
      await this.#enough();
      return;
    }
    const untilMs = performance.now() + this.#options.secs * 1000;
    let queue: Fault[] = [];
    while (performance.now() < untilMs) {
      if (queue.length === 0) {
        queue = shuffled(this.#rng, this.#possible());
      }
      await this.#injectOne(queue.shift() as Fault);
    }
  }

  /** Until the load has done what makes the run mean something. */
  async #enough(): Promise<void> {
    const untilMs = performance.now() + this.#recoveryMsMax;
    while (
      this.#history.acknowledgedMs.length < shortMinima.writes ||
      this.#history.answeredReads < shortMinima.reads
    ) {
      demand(performance.now() < untilMs, "the load does not get on");
      await sleep(50);
    }
  }

  #possible(): Fault[] {
    return this.#options.faults.filter((fault) => {
      const why =
        this.cluster.members.length < (fault.membersMin ?? 0)
          ? `takes ${fault.membersMin} members`
          : fault.unavailable?.(this.cluster);
      if (why !== undefined) {
        this.#skipped.set(fault.name, why);
      }
      return why === undefined;
    });
  }

  async #injectOne(fault: Fault): Promise<void> {
    let healedMs: number | undefined;
    const context: FaultContext = {
      cluster: this.cluster,
      rng: this.#rng,
      isShort: this.#options.isShort,
      avoid: (members) => {
        this.#probe.avoided = new Set(members.map(({ name }) => name));
      },
      healed: () => {
        healedMs = performance.now();
      },
      audit: (member) => this.#audit(member),
    };
    await sleep(calmMs);
    const startedMs = performance.now();
    const calmGapMs = Math.round(this.#history.longestGapMs(startedMs - calmMs, startedMs));
    const detail = await fault.run(context);
    const endedMs = performance.now();
    const gapMs = Math.round(this.#history.longestGapMs(startedMs, healedMs ?? endedMs));
    this.#probe.avoided = new Set();
    await this.#settle();
    const recoveryMs = Math.round(performance.now() - endedMs);
    this.#injected.push({ fault, detail, gapMs, recoveryMs });
    this.#say(
      `${fault.name}: ${detail}; gap ${gapMs} ms (${calmGapMs} ms before), ` +
        `whole after ${recoveryMs} ms`,
    );
    demand(
      this.#options.isPatient || gapMs <= (fault.gapMsMax ?? gapMs) + calmGapMs,
      () =>
        `${fault.name} (${detail}) left clients ${gapMs} ms without an acknowledged write; ` +
        `without faults the longest gap was ${calmGapMs} ms`,
    );
  }

  /** Until every member answers a linearizable read, and writes go on. */
  async #settle(): Promise<void> {
    const untilMs = performance.now() + this.#recoveryMsMax;
    await Promise.all(this.cluster.members.map((member) => this.#answers(member, untilMs)));
    const target = this.#history.acknowledgedMs.length + progressMin;
    while (this.#history.acknowledgedMs.length < target) {
      demand(performance.now() < untilMs, "writes do not go on");
      await sleep(20);
    }
    if (this.#violation !== undefined) {
      throw this.#violation;
    }
  }

  async #answers(member: ChaosMember, untilMs: number): Promise<void> {
    const caller = new Caller(this.#history);
    while (!(await caller.read(member.endpoint, { key: allKeys.key }))) {
      demand(member.process.running, () => `${member.name} has ended by itself`);
      demand(performance.now() < untilMs, () => `${member.name} answers no read`);
      await sleep(50);
    }
  }

  /** Everything that a member holds, kept for the check at the end; its hash is checked at once. */
  async #audit(member: ChaosMember): Promise<void> {
    const { endpoint } = member;
    await this.#settle();
    const revision = this.#history.knownRevision;
    const events = await replay(endpoint, revision, this.#recoveryMsMax);
    this.#audits.push({ who: `an audit of ${member.name}`, events, revision });
    await endpoint.kv.range(RangeRequest.create({ ...allKeys, serializable: true }));
    await new Caller(this.#history).read(endpoint, { ...allKeys, serializable: true });
    const other = this.cluster.others(member)[0] as ChaosMember;
    const [mine, theirs] = await Promise.all([
      endpoint.kv.hashKv(revision),
      other.endpoint.kv.hashKv(revision),
    ]);
    demand(mine.hash === theirs.hash, () => `${member.name} holds other data, unnoticed`);
  }

  async #endLoad(): Promise<void> {
    await Promise.all([
      this.#probe.stop(),
      ...this.#clients.map((client) => client.stop()),
      ...this.#holders.map((holder) => holder.stop()),
    ]);
    const untilMs = performance.now() + leaseTtlSecondsMax * 1000 + this.#recoveryMsMax;
    const path = "/etcdserverpb.Lease/LeaseLeases";
    const { kv } = (this.cluster.members[0] as ChaosMember).endpoint;
    for (;;) {
      const reply = await eventually(() =>
        kv.call(path, LeaseLeasesRequest, LeaseLeasesResponse, {}, 10_000),
      );
      if (reply.leases.length === 0) {
        return;
      }
      demand(
        performance.now() < untilMs,
        () => `leases outlive their time: ${reply.leases.map(({ id }) => id).join(", ")}`,
      );
      await sleep(200);
    }
  }

  async #judge(): Promise<Verdict> {
    const { members } = this.cluster;
    const first = members[0] as ChaosMember;
    const last = await first.endpoint.kv.range(RangeRequest.create(allKeys));
    const revision = last.header?.revision ?? 0;
    for (const watcher of this.#watchers) {
      const untilMs = performance.now() + this.#recoveryMsMax;
      while (watcher.log.revision < revision) {
        demand(
          performance.now() < untilMs,
          () => `a watcher stays at ${watcher.log.revision} of ${revision}`,
        );
        await sleep(50);
      }
    }
    if (this.#violation !== undefined) {
      throw this.#violation;
    }
    const replays = await Promise.all(
      members.map((each) => replay(each.endpoint, revision, 2 * this.#recoveryMsMax)),
    );
    const truth = replays[0] as EventLog;
    const counts = checkHistory(this.#history, truth, revision);
    replays.forEach((log, i) => checkSameEvents(truth, log, revision, members[i]?.name ?? ""));
    for (const [i, { log }] of this.#watchers.entries()) {
      checkSameEvents(truth, log.events, revision, `watcher ${i}`);
    }
    for (const audit of this.#audits) {
      checkSameEvents(truth, audit.events, audit.revision, audit.who);
    }
    const hashes = await Promise.all(members.map(({ endpoint }) => endpoint.kv.hashKv(revision)));
    const distinct = new Set(hashes.map(({ hash }) => hash));
    demand(distinct.size === 1, () => `members hold different data: ${[...distinct].join(", ")}`);
    return this.#verdict(counts, revision);
  }

  #verdict(counts: CheckCounts, revision: number): Verdict {
    const sum = (numbers: number[]): number => numbers.reduce((all, each) => all + each, 0);
    const leases = [...this.#history.leases.values()];
    return {
      size: this.cluster.members.length,
      injected: this.#injected,
      skipped: this.#skipped,
      counts,
      failedCalls: this.#history.failed,
      revision,
      watched: sum(this.#watchers.map(({ log }) => log.events.size)),
      resumptions: sum(this.#watchers.map((watcher) => watcher.resumptions)),
      leases: leases.length,
      renewals: sum(leases.map((lease) => lease.renewals)),
      audits: this.#audits.length,
    };
  }
}
