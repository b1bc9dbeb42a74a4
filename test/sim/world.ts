// The cluster and what surrounds it: simulated time, network, members with their disks. It starts
// and ends processes, and has everything checked after each event.

import { SeededRng, StorageError, CorruptionError, compareIds } from "../../src/base/index.ts";
import type { ClusterId, Logger, MemberId, SnapshotMeta } from "../../src/base/index.ts";
import { Membership } from "../../src/membership/index.ts";
import {
  RemovedError,
  deriveClusterId,
  deriveMemberId,
  foundingRecords,
} from "../../src/node/index.ts";
import type { Member } from "../../src/node/index.ts";
import { bootstrapState, joinState } from "../../src/raft/index.ts";
import type { EffectPoint } from "./device.ts";
import { VirtualDisk } from "./disk.ts";
import type { DiskBeginning } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import { Marks } from "./marks.ts";
import { SimMember } from "./member.ts";
import type { MemberSurroundings } from "./member.ts";
import { SimNetwork } from "./network.ts";
import type { SimOptions } from "./options.ts";
import { Scheduler } from "./scheduler.ts";
import { Violation, briefly, demand } from "./violation.ts";

/** A process that ended by itself is gone after this, milliseconds. */
const exitMs = 5;

export interface ArmedCrash {
  readonly point: EffectPoint;
  /** How many such points pass before. */
  skip: number;
  readonly power: boolean;
}

export class World {
  readonly options: SimOptions;
  readonly scheduler = new Scheduler();
  readonly network: SimNetwork;
  readonly members: SimMember[];
  readonly clusterId: ClusterId;
  readonly ledger: Ledger;
  readonly marks = new Marks();
  /** One stream a purpose, so that a draw in one shifts no other. */
  readonly crashRng: SeededRng;
  /** One a kind of point; they outlive processes, as some points are reached seldom. */
  readonly #armed = new Map<SimMember, Map<EffectPoint, ArmedCrash>>();
  readonly #killSoon = new Map<SimMember, boolean>();
  readonly #around: MemberSurroundings;
  readonly #trace: ((line: string) => void) | undefined;
  #failure: unknown;
  #hash = 0;
  /** A member came down without anybody having asked for it; the nemesis restarts it. */
  onDown: (member: SimMember) => void = () => {};

  constructor(options: SimOptions, trace?: (line: string) => void) {
    this.options = options;
    this.#trace = trace;
    this.network = new SimNetwork(this.scheduler, new SeededRng(options.seed, 2));
    this.crashRng = new SeededRng(options.seed, 3);
    const founders = this.#founders();
    const ids = founders.map(({ id }) => id).sort(compareIds);
    this.clusterId = deriveClusterId(ids);
    this.#around = this.#surroundings();
    this.members = this.#found(founders);
    this.ledger = new Ledger(
      () => this.members,
      () => this.scheduler.nowMs,
      Membership.bootstrap(this.clusterId, founders),
    );
    this.network.onSend = (from, _to, type, bytes) => {
      const sender = this.members.find((member) => member.id === from);
      let kind = "";
      if (sender !== undefined) {
        this.#guard(() => {
          kind = this.ledger.sent(sender, type, bytes);
        });
      }
      // A connection does not double what it carries, and the core relies on it here.
      return kind !== "proposeForward";
    };
    for (const member of this.members) {
      this.#followDisk(member);
    }
  }

  #followDisk(member: SimMember): void {
    member.disk.onWrote((entries, before) =>
      this.#guard(() => this.ledger.wrote(member, entries, before)),
    );
  }

  /** Makes the machine of a member that was added, and starts it with nothing. */
  join(member: Member, listed: readonly Member[]): SimMember {
    const { hardState, applied, conf } = joinState();
    const membership = new Membership(
      { clusterId: this.clusterId, members: listed, removed: [], confState: conf },
      { stored: false },
    );
    const at: SnapshotMeta = { index: applied, term: hardState.term, conf };
    const joined = this.#machine(member.id, this.members.length, {
      hardState,
      snapshot: undefined,
      founding: foundingRecords(membership, at),
    });
    this.members.push(joined);
    this.#followDisk(joined);
    this.marks.hit("member joined");
    this.start(joined);
    return joined;
  }

  get failure(): unknown {
    return this.#failure;
  }

  /** A number that depends on everything that has happened. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  get traces(): boolean {
    return this.#trace !== undefined;
  }

  trace(line: string): void {
    this.#trace?.(`${this.scheduler.nowMs.toFixed(2).padStart(10)} ${line}`);
  }

  fail(error: unknown): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      this.trace(`FAILED ${briefly(error)}`);
    }
  }

  /** Mixes something that happened into the hash. */
  note(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x9e3779b1);
    this.#hash ^= this.#hash >>> 15;
  }

  /** Runs until `untilMs` of simulated time, or until something is broken. */
  async run(untilMs: number): Promise<void> {
    if (this.#failure !== undefined) {
      return;
    }
    try {
      await this.scheduler.run(untilMs, () => this.#afterEvent());
    } catch (error) {
      this.fail(error);
    }
  }

  start(member: SimMember): void {
    if (member.isLost || member.isRemoved || member.isUp) {
      return;
    }
    this.trace(`${member.name} starts`);
    member.start();
  }

  kill(member: SimMember, power: boolean): void {
    if (!member.isUp) {
      return;
    }
    this.trace(`${member.name} ${power ? "loses power" : "is killed"}`);
    this.marks.hit(member.node === undefined ? "crash during start" : "crash");
    this.#countDisk(member);
    member.kill(this.crashRng, power);
    this.#countDisk(member);
  }

  /** Kills `member` when it next reaches an effect boundary of that kind. */
  arm(member: SimMember, crash: ArmedCrash): void {
    const armed = this.#armed.get(member) ?? new Map<EffectPoint, ArmedCrash>();
    this.#armed.set(member, armed.set(crash.point, crash));
  }

  disarm(member: SimMember): void {
    this.#armed.delete(member);
    this.#killSoon.delete(member);
  }

  #countDisk({ disk }: SimMember): void {
    this.marks.count("torn tail cut", disk.tornTailsCut);
    this.marks.count("engine batches lost", disk.batchesLost);
    this.marks.count("install finished at start", disk.installsFinished);
    this.marks.count("snapshot installed", disk.statesInstalled);
    disk.tornTailsCut = 0;
    disk.batchesLost = 0;
    disk.installsFinished = 0;
    disk.statesInstalled = 0;
  }

  /** Counters of disks whose processes live on. */
  settleMarks(): void {
    for (const member of this.members) {
      this.#countDisk(member);
    }
    this.marks.count("election", this.ledger.elections);
  }

  #afterEvent(): boolean {
    for (const member of this.members) {
      const { process } = member;
      if (process?.ran === true) {
        process.ran = false;
        this.note(this.scheduler.nowMs * 1000 + member.position);
        this.#guard(() => this.ledger.check(member));
      }
    }
    if (this.#killSoon.size > 0) {
      const dying = [...this.#killSoon];
      this.#killSoon.clear();
      for (const [member, power] of dying) {
        this.#guard(() => this.kill(member, power));
        this.onDown(member);
      }
    }
    return this.#failure !== undefined;
  }

  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.fail(error);
    }
  }

  #founders(): Member[] {
    return Array.from({ length: this.options.members }, (_, i) => ({
      id: deriveMemberId([`http://m${i + 1}:2380`], "sim"),
      name: "",
      peerUrls: [`http://m${i + 1}:2380`],
      clientUrls: [],
      isLearner: false,
    }));
  }

  #found(founders: readonly Member[]): SimMember[] {
    const { hardState, snapshot } = bootstrapState(founders.map(({ id }) => id));
    return founders.map(({ id }, position) => {
      const membership = Membership.bootstrap(this.clusterId, founders);
      const founding = foundingRecords(membership, snapshot as SnapshotMeta);
      return this.#machine(id, position, { hardState, snapshot, founding });
    });
  }

  #machine(
    id: MemberId,
    position: number,
    beginning: Pick<DiskBeginning, "hardState" | "snapshot" | "founding">,
  ): SimMember {
    const disk = new VirtualDisk({
      ...beginning,
      identity: { clusterId: this.clusterId, memberId: id },
      segmentBytes: this.options.segmentBytes,
      salt: this.options.seed + position + 1,
    });
    return new SimMember(id, position, disk, this.#around);
  }

  #surroundings(): MemberSurroundings {
    return {
      scheduler: this.scheduler,
      network: this.network,
      options: this.options,
      clusterId: this.clusterId,
      logger: (member) => this.#logger(member),
      onPoint: (member, point) => this.#onPoint(member, point),
      onStarted: (member) => this.trace(`${member.name} has started`),
      onStopped: (member, error) => this.#onStopped(member, error),
      onRefused: (member, error) => this.#onRefused(member, error),
    };
  }

  #onPoint(member: SimMember, point: EffectPoint): void {
    const armed = this.#armed.get(member);
    const crash = armed?.get(point);
    if (crash !== undefined && crash.skip-- === 0) {
      armed?.delete(point);
      this.trace(`${member.name} at ${point}`);
      this.marks.hit(`crash at ${point}`);
      this.#killSoon.set(member, crash.power);
    }
  }

  #onStopped(member: SimMember, error: unknown): void {
    this.trace(`${member.name} stops by itself: ${briefly(error)}`);
    if (error instanceof RemovedError) {
      this.#remove(member);
      return;
    }
    const isDisk = error instanceof StorageError;
    if (!(isDisk && member.mayFail)) {
      this.fail(
        new Violation(`${member.name} stopped without a fault: ${describe(error)}`, {
          cause: error,
        }),
      );
      return;
    }
    this.marks.hit("member stopped by its disk");
    this.#leave(member, error);
  }

  #onRefused(member: SimMember, error: unknown): void {
    this.trace(`${member.name} cannot start: ${briefly(error)}`);
    if (error instanceof RemovedError) {
      this.#remove(member);
      return;
    }
    if (!(error instanceof StorageError && member.mayFail)) {
      this.fail(new Violation(`${member.name} cannot start: ${describe(error)}`, { cause: error }));
      return;
    }
    this.marks.hit("start refused");
    this.#leave(member, error);
  }

  /** Whoever was removed ends; only then, as the log must show. */
  #remove(member: SimMember): void {
    this.#guard(() => {
      demand(
        this.ledger.membership.isRemoved(member.id),
        () => `${member.name} holds itself for removed, and it is not`,
      );
    });
    member.isRemoved = true;
    this.#leave(member, undefined);
  }

  #leave(member: SimMember, error: unknown): void {
    const life = member.lives;
    if (error instanceof CorruptionError) {
      this.marks.hit("corruption found");
      member.isLost = true;
    }
    this.scheduler.after(exitMs, () => {
      if (member.lives === life && member.isUp) {
        this.kill(member, false);
        this.onDown(member);
      }
    });
  }

  #logger(member: SimMember): Logger {
    const line =
      (level: string) =>
      (fields: object, message: string): void => {
        if (this.#trace !== undefined) {
          const { err } = fields as { err?: unknown };
          this.trace(
            `${member.name} ${level} ${message}${err === undefined ? "" : ` (${briefly(err)})`}`,
          );
        }
      };
    return { debug: () => {}, info: line("info"), warn: line("warn"), error: line("error") };
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : briefly(error);
}
