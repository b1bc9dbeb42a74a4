// Who does harm: at random times one of the faults that the seed has chosen. What it breaks it
// mends again after a while, until the second phase.

import type { Rng } from "../../src/base/index.ts";
import type { EffectPoint } from "./device.ts";
import { faultOf, linksOf } from "./link-faults.ts";
import type { SimMember } from "./member.ts";
import { healthyLink } from "./network.ts";
import type { LinkFault } from "./network.ts";
import { Operator } from "./operator.ts";
import type { FaultKind } from "./options.ts";
import type { SimProcess } from "./process.ts";
import type { World } from "./world.ts";

const effectPoints: readonly EffectPoint[] = [
  "walStart",
  "walDurable",
  "engineStart",
  "engineDurable",
  "segmentStart",
  "segmentDurable",
  "installStart",
  "installDurable",
];

export class Nemesis {
  readonly #world: World;
  readonly #rng: Rng;
  readonly injected = new Map<FaultKind, number>();
  readonly #stopping = new Set<SimProcess>();
  #isOver = false;
  #healed: readonly SimMember[] = [];
  /** Whether harm comes to the next leader at once. */
  #awaitsLeader = false;

  readonly #operator: Operator;
  /** A leader of the past is awake again and does not know: the time to ask it things. */
  onStale: (leader: SimMember) => void = () => {};

  constructor(world: World, rng: Rng) {
    this.#world = world;
    this.#rng = rng;
    this.#operator = new Operator(world, rng);
    world.onDown = (member) => this.#restartLater(member);
    world.ledger.onLeader = (leader) => this.#meetLeader(leader);
  }

  begin(): void {
    const { options } = this.#world;
    for (const member of this.#world.members) {
      this.#setClock(member);
      this.#world.start(member);
    }
    const needsOperator: readonly FaultKind[] = ["membership", "logRot", "stateRot"];
    if (needsOperator.some((kind) => options.faults.includes(kind))) {
      this.#operator.begin();
    }
    if (options.faults.length > 0) {
      this.#next();
    }
  }

  /** From now on nothing new is broken; what is broken stays so, but for `healed`. */
  end(healed: readonly SimMember[]): void {
    this.#isOver = true;
    this.#healed = healed;
  }

  /** On its way to an orderly end. */
  isStopping(member: SimMember): boolean {
    return member.process !== undefined && this.#stopping.has(member.process);
  }

  #next(): void {
    const { scheduler, options } = this.#world;
    scheduler.after(this.#rng.below(2 * options.faultEveryMs), () => {
      if (this.#isOver) {
        return;
      }
      const kind = this.#kind();
      if (this.#inflict(kind)) {
        this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
      }
      this.#next();
    });
  }

  #kind(): FaultKind {
    const { faults } = this.#world.options;
    // What takes the cluster into its rarest states comes more often than the others.
    const isRare = faults.includes("leaveBehind") && this.#rng.below(6) === 0;
    return isRare ? "leaveBehind" : (faults[this.#rng.below(faults.length)] as FaultKind);
  }

  #member(): SimMember {
    const { members } = this.#world;
    // The leader is the most interesting victim.
    const leader = members.find((member) => member.status()?.isLeader === true);
    if (leader !== undefined && this.#rng.below(3) === 0) {
      return leader;
    }
    return members[this.#rng.below(members.length)] as SimMember;
  }

  #inflict(kind: FaultKind): boolean {
    const world = this.#world;
    const member = this.#member();
    switch (kind) {
      case "crash":
      case "powerCut":
        return this.#crash(member, kind === "powerCut");
      case "crashAll": {
        const power = this.#rng.below(2) === 0;
        return world.members.map((each) => this.#crash(each, power)).some(Boolean);
      }
      case "effectCrash":
        return this.#armCrash(member);
      case "stop":
        return this.#stop(member);
      case "pause":
        return this.#pause(member);
      case "membership":
        return this.#operator.act();
      case "moveLeader": {
        const { members } = world;
        const leader = members.find((each) => each.status()?.isLeader === true);
        return this.#moveLeader(leader, members[this.#rng.below(members.length)] as SimMember);
      }
      case "handover":
        return this.#handOver();
      case "staleLeader":
        return this.#makeStale();
      case "fallenLeader":
        this.#awaitsLeader = true;
        return this.#stepDown();
      case "leaveBehind":
        return this.#leaveBehind();
      case "drift":
        return this.#crash(member, false);
      case "wallJump":
        member.process?.jumpWallClock((this.#rng.below(2) === 0 ? -1 : 1) * 3_600_000);
        return member.isUp;
      case "slowDisk":
      case "diskFull":
      case "writeError":
        return this.#disturbDisk(member, kind);
      case "logRot":
      case "stateRot":
        return this.#rot(member, kind);
      default:
        return this.#disturbNetwork(kind, member);
    }
  }

  #crash(member: SimMember, power: boolean): boolean {
    if (!member.isUp) {
      return false;
    }
    this.#world.kill(member, power);
    this.#restartLater(member);
    return true;
  }

  #restartLater(member: SimMember): void {
    const { scheduler, options } = this.#world;
    const most = this.#rng.below(2) === 0 ? 200 : 10 * options.electionTimeoutMs;
    const life = member.lives;
    scheduler.after(this.#rng.below(most), () => {
      if (member.lives === life && (!this.#isOver || this.#healed.includes(member))) {
        this.#setClock(member);
        this.#world.start(member);
      }
    });
  }

  #setClock(member: SimMember): void {
    const drifts = this.#world.options.faults.includes("drift");
    const jumps = this.#world.options.faults.includes("wallJump");
    member.clockFault = {
      rate: drifts ? 0.8 + this.#rng.below(400) / 1000 : 1,
      wallOffsetMs: jumps ? this.#rng.below(7_200_000) - 3_600_000 : 0,
    };
  }

  #armCrash(member: SimMember): boolean {
    if (!member.isUp) {
      return false;
    }
    const point = effectPoints[this.#rng.below(effectPoints.length)] as EffectPoint;
    this.#world.arm(member, {
      point,
      // Whole states are received seldom.
      skip: point.startsWith("install") || this.#rng.below(2) === 0 ? 0 : this.#rng.below(12),
      power: this.#rng.below(2) === 0,
    });
    return true;
  }

  /** An orderly end, as on SIGTERM. */
  #stop(member: SimMember): boolean {
    const { node, process } = member;
    if (node === undefined || process === undefined || process.paused) {
      return false;
    }
    this.#world.trace(`${member.name} is told to stop`);
    this.#stopping.add(process);
    const gone = (): void => {
      if (member.process === process) {
        this.#world.marks.hit("orderly stop");
        this.#crash(member, false);
      }
    };
    // A deferred turn, so that it happens inside the process.
    process.after(0, () => {
      node.stop().then(gone, gone);
    });
    return true;
  }

  #pause(member: SimMember): boolean {
    const { process } = member;
    if (process === undefined || process.paused) {
      return false;
    }
    const { scheduler, options } = this.#world;
    this.#world.trace(`${member.name} is paused`);
    process.pause();
    const most = this.#rng.below(3) === 0 ? 20_000 : 3 * options.electionTimeoutMs;
    scheduler.after(100 + this.#rng.below(most), () => {
      if (!this.#isOver) {
        this.#world.trace(`${member.name} resumes`);
        process.resume();
      }
    });
    return true;
  }

  #moveLeader(leader: SimMember | undefined, to: SimMember): boolean {
    const { node, process } = leader ?? {};
    if (node === undefined || process === undefined) {
      return false;
    }
    this.#world.trace(`leadership is to move to ${to.name}`);
    process.after(0, () => {
      node.moveLeader(to.id).then(
        () => this.#world.marks.hit("leader moved"),
        () => this.#world.marks.hit("leader not moved"),
      );
    });
    return true;
  }

  /** A member other than the leader that is up; undefined when there is no such, or no leader. */
  #pair(): { readonly leader: SimMember; readonly other: SimMember } | undefined {
    const { members } = this.#world;
    const leader = members.find((member) => member.status()?.isLeader === true);
    const others = members.filter((member) => member !== leader && member.node !== undefined);
    const other = others[this.#rng.below(Math.max(1, others.length))];
    return leader === undefined || other === undefined ? undefined : { leader, other };
  }

  /**
   * Leadership is to go to a member that is slow to take the last entries, so it hangs a while; or
   * to one that was away and has most of them to catch up on.
   */
  #handOver(): boolean {
    const { scheduler, options } = this.#world;
    const pair = this.#pair();
    const device = pair?.other.device;
    if (pair === undefined || device === undefined) {
      return false;
    }
    const { leader, other: to } = pair;
    if (this.#rng.below(3) === 0) {
      const awayMs = options.electionTimeoutMs * (1 + this.#rng.below(4));
      this.#cutOff(to, awayMs);
      scheduler.after(awayMs, () => {
        const { members } = this.#world;
        const now = members.find((member) => member.status()?.isLeader === true);
        if (!this.#isOver && now !== to) {
          this.#moveLeader(now, to);
        }
      });
      return true;
    }
    device.slowMs = this.#rng.below(options.electionTimeoutMs);
    scheduler.after(2 * options.electionTimeoutMs, () => {
      device.slowMs = 0;
    });
    if (this.#rng.below(2) === 0) {
      scheduler.after(this.#rng.below(options.electionTimeoutMs), () => {
        if (!this.#isOver) {
          this.#cutOff(leader, options.electionTimeoutMs * (2 + this.#rng.below(3)));
        }
      });
    }
    return this.#moveLeader(leader, to);
  }

  /**
   * A follower is cut off until the others' logs begin behind its own, and needs the whole state
   * when it comes back; now and then it dies of that.
   */
  #leaveBehind(): boolean {
    const { options } = this.#world;
    const pair = this.#pair();
    if (pair === undefined) {
      return false;
    }
    const { other } = pair;
    this.#cutOff(other, options.electionTimeoutMs * (4 + this.#rng.below(16)));
    if (this.#rng.below(2) === 0) {
      const point = this.#rng.below(2) === 0 ? "installStart" : "installDurable";
      this.#world.arm(other, { point, skip: 0, power: this.#rng.below(2) === 0 });
    }
    return true;
  }

  /** The leader is cut off and sleeps until another rules; awake again, it cannot know. */
  #makeStale(): boolean {
    const { members, scheduler, options } = this.#world;
    const leader = members.find((member) => member.status()?.isLeader === true);
    const { process } = leader ?? {};
    if (leader === undefined || process === undefined || process.paused || members.length === 1) {
      return false;
    }
    const sleepMs = (options.electionTimeoutMs * (20 + this.#rng.below(60))) / 10;
    this.#world.trace(`${leader.name} sleeps in office`);
    this.#cutOff(leader, sleepMs + 2 * options.electionTimeoutMs);
    process.pause();
    scheduler.after(sleepMs, () => {
      if (!this.#isOver) {
        process.resume();
        this.onStale(leader);
      }
    });
    return true;
  }

  /** Makes an election: the leader, if there is one, is cut off. */
  #stepDown(): boolean {
    const { members, options } = this.#world;
    const leader = members.find((member) => member.status()?.isLeader === true);
    if (leader !== undefined) {
      this.#cutOff(leader, options.electionTimeoutMs * (1 + this.#rng.below(4)));
    }
    return true;
  }

  /** A leader in its first moments: some of its entries are out, and others are not. */
  #meetLeader(leader: SimMember): void {
    const { scheduler, options } = this.#world;
    if (options.faults.includes("membership") && this.#rng.below(3) === 0) {
      // Before an entry of its own is committed a leader must not change members.
      scheduler.after(0, () => {
        if (!this.#isOver) {
          this.#operator.actAt(leader);
        }
      });
    }
    if (!this.#awaitsLeader) {
      return;
    }
    this.#awaitsLeader = false;
    scheduler.after(this.#rng.below(40) / 4, () => {
      if (this.#isOver) {
        return;
      }
      this.#world.trace(`${leader.name} falls`);
      if (this.#rng.below(2) === 0) {
        this.#crash(leader, this.#rng.below(2) === 0);
      } else {
        this.#cutOff(leader, options.electionTimeoutMs * (1 + this.#rng.below(6)));
      }
    });
  }

  #cutOff(member: SimMember, forMs: number): void {
    const { members, network, scheduler } = this.#world;
    const setAll = (fault: LinkFault): void => {
      for (const other of members) {
        network.setFault(member.id, other.id, fault);
        network.setFault(other.id, member.id, fault);
      }
    };
    setAll({ ...healthyLink, cut: true });
    scheduler.after(forMs, () => {
      if (!this.#isOver) {
        setAll(healthyLink);
      }
    });
  }

  #disturbDisk(member: SimMember, kind: "slowDisk" | "diskFull" | "writeError"): boolean {
    const { device } = member;
    if (device === undefined) {
      return false;
    }
    this.#world.trace(`${member.name} gets ${kind}`);
    if (kind === "slowDisk") {
      device.slowMs = 5 + this.#rng.below(2 * this.#world.options.electionTimeoutMs);
      this.#world.scheduler.after(this.#rng.below(10_000), () => {
        device.slowMs = 0;
      });
      return true;
    }
    member.mayFail = true;
    if (kind === "diskFull") {
      device.isFull = true;
    } else {
      device.failNext = true;
    }
    return true;
  }

  /** Whether members have come or gone, or may yet. */
  get hasMovedMembers(): boolean {
    return this.#operator.hasActed;
  }

  /** Damage to what is at rest, in a minority of the voters at most. */
  #rot(member: SimMember, kind: "logRot" | "stateRot"): boolean {
    const { members, ledger } = this.#world;
    const { voters, votersOutgoing, learners } = ledger.membership.confState;
    const unsound = members.filter((each) => voters.includes(each.id) && !each.isSound);
    const room = Math.floor((voters.length - 1) / 2) - unsound.length;
    const isListed = voters.includes(member.id) || learners.includes(member.id);
    const isSettled = votersOutgoing.length === 0 && this.#operator.isIdle;
    if (room <= 0 || !isSettled || !isListed || !member.isSound) {
      return false;
    }
    this.#crash(member, false);
    const done =
      kind === "logRot" ? member.disk.rotLog(this.#rng) : member.disk.rotState(this.#rng);
    if (done) {
      member.isSuspect = true;
      this.#world.trace(`${member.name} has ${kind}`);
    }
    return done;
  }

  #disturbNetwork(kind: FaultKind, victim: SimMember): boolean {
    const { members, network, scheduler, options } = this.#world;
    if (members.length === 1) {
      return false;
    }
    const links = linksOf(kind, members, victim, this.#rng);
    const fault = faultOf(kind, this.#rng, options.electionTimeoutMs);
    this.#world.trace(`${kind}: ${links.map(([from, to]) => `${from.name}>${to.name}`).join(" ")}`);
    for (const [from, to] of links) {
      network.setFault(from.id, to.id, fault);
    }
    scheduler.after(this.#rng.below(12 * options.electionTimeoutMs), () => {
      if (!this.#isOver) {
        for (const [from, to] of links) {
          network.setFault(from.id, to.id, healthyLink);
        }
      }
    });
    return true;
  }
}
