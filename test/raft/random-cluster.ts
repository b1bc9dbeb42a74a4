// A cluster that does everything wrong that the core must bear: messages lost, doubled, reordered
// and late, writes that hang, crashes with and without the write that was out, slow application,
// links cut, members added and removed. One seed decides all of it. After every step the promises
// of the protocol are checked against a ledger of all that was ever seen.

import { assert, must, SeededRng, utf8 } from "../../src/base/index.ts";
import type { LogIndex, MemberId } from "../../src/base/index.ts";
import { bootstrapState, joinState } from "../../src/raft/index.ts";
import type { ConfChangeStep, Message } from "../../src/raft/index.ts";
import { Ledger } from "./ledger.ts";
import { imageOf, Member } from "./member.ts";
import { renderConf, renderRole } from "./render.ts";

/** How often rare things happened; a run of many seeds must have met all of them. */
export interface Happened {
  elections: number;
  applied: number;
  reads: number;
  readsDropped: number;
  snapshots: number;
  confChanges: number;
  crashes: number;
  tornWrites: number;
  transfers: number;
  overwrites: number;
}

const membersMax = 6;

export class RandomCluster {
  readonly happened: Happened = {
    elections: 0,
    applied: 0,
    reads: 0,
    readsDropped: 0,
    snapshots: 0,
    confChanges: 0,
    crashes: 0,
    tornWrites: 0,
    transfers: 0,
    overwrites: 0,
  };
  readonly #rng: SeededRng;
  readonly #seed: number;
  readonly #members: Member[] = [];
  readonly #ledger: Ledger;
  readonly #options;
  #queue: Message[] = [];
  readonly #cutLinks = new Set<string>();
  readonly #readsSince = new Map<number, number>();
  #nextRead = 1;
  #nextCommand = 1;
  #starts = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#rng = new SeededRng(seed, 1);
    this.#options = {
      electionTicks: 4,
      messageSizeBytesMax: this.#pick([1, 8, 1000]),
      inflightMessagesMax: this.#pick([1, 2, 100]),
      inflightBytesMax: this.#pick([4, 1000]),
      committedBytesMax: this.#pick([1, 8, 1000]),
      uncommittedBytesMax: this.#pick([10, 1000]),
    };
    const founders = Array.from(
      { length: this.#pick([1, 2, 3, 3, 3, 5]) },
      (_, i) => BigInt(i + 1) as MemberId,
    );
    this.#ledger = new Ledger(bootstrapState(founders).conf);
    for (const id of founders) {
      this.#members.push(new Member(id, this.#newRng(), bootstrapState(founders), this.#options));
    }
  }

  /** `count` steps of trouble. */
  trouble(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#step();
      for (const member of this.#members) {
        this.#check(member);
      }
    }
  }

  /** All faults end; the cluster must soon take a command and apply the same everywhere. */
  heal(): void {
    this.#cutLinks.clear();
    for (const member of this.#members) {
      member.isSlow = false;
      member.isLazy = false;
      if (member.isDown) {
        member.restart(this.#newRng());
      }
    }
    const probe = `c${this.#nextCommand++}`;
    for (let tick = 0; tick < 400; tick++) {
      for (const member of this.#members) {
        member.node.tick();
      }
      this.#settle();
      const leader = this.#members.find((member) => member.node.status().role === "leader");
      const isDone = leader?.state.commands.includes(probe) === true;
      if (isDone && this.#agree(leader)) {
        return;
      }
      if (tick % 20 === 10 && !isDone) {
        leader?.node.propose(utf8(probe));
      }
    }
    throw new Error(`seed ${this.#seed}: the healed cluster does not agree\n${this.#describe()}`);
  }

  /** Everybody in the leader's configuration has applied what it has. */
  #agree(leader: Member): boolean {
    const { voters, votersOutgoing, learners } = leader.node.status().conf;
    return (
      votersOutgoing.length === 0 &&
      [...voters, ...learners].every((id) => {
        const member = this.#members.find((one) => one.id === id);
        return member === undefined || member.state.index === leader.state.index;
      })
    );
  }

  #describe(): string {
    const lines = this.#members.map((member) => {
      const status = member.node.status();
      const { commit, applied, lastIndex, conf } = status;
      const at = `commit=${commit} applied=${applied} last=${lastIndex}`;
      const progress = [...status.progress].map(
        ([id, { state, match, next }]) => `${id}:${state} ${match}<${next}`,
      );
      return `${member.id} ${renderRole(status)} ${at}, ${renderConf(conf)}; ${progress.join(", ")}`;
    });
    return lines.join("\n");
  }

  #settle(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const member of this.#members) {
        if (member.writeOut !== undefined) {
          this.#finishWrite(member);
        }
        if (member.unapplied.length > 0) {
          this.#apply(member, member.unapplied.length);
        }
        while (member.hasWork) {
          moved = true;
          this.#work(member);
        }
        this.#check(member);
      }
      const batch = this.#queue;
      this.#queue = [];
      for (const message of batch) {
        moved = true;
        this.#hand(message);
      }
    }
  }

  #step(): void {
    const member = this.#pick(this.#members);
    const roll = this.#rng.below(1000);
    if (roll < 450) {
      for (let i = this.#rng.below(4); i >= 0; i--) {
        this.#network();
      }
    } else if (roll < 750) {
      this.#work(member);
    } else if (roll < 800) {
      this.#finishWrite(member);
    } else if (roll < 840) {
      this.#apply(member, 1 + this.#rng.below(3));
    } else if (roll < 900) {
      if (!member.isDown) {
        member.node.tick();
      }
    } else if (roll < 980) {
      this.#clients(member);
    } else {
      this.#fault(member);
    }
  }

  #network(): void {
    if (this.#queue.length === 0) {
      return;
    }
    // Mostly in order, sometimes from anywhere.
    const at = this.#chance(4) ? this.#rng.below(this.#queue.length) : 0;
    const message = must(this.#queue[at]);
    if (!this.#chance(20)) {
      this.#queue.splice(at, 1);
    }
    if (this.#chance(20)) {
      this.#lose(message);
    } else {
      this.#hand(message);
    }
    if (this.#queue.length > 300) {
      this.#queue.splice(0, 100).forEach((old) => this.#lose(old));
    }
  }

  #clients(member: Member): void {
    if (member.isDown) {
      return;
    }
    const roll = this.#rng.below(10);
    if (roll < 5) {
      member.node.propose(utf8(`c${this.#nextCommand++}`));
    } else if (roll < 7) {
      this.#readsSince.set(this.#nextRead, this.#ledger.length);
      member.node.readIndex(this.#nextRead++);
    } else if (roll < 8) {
      const to = this.#pick(this.#members).id;
      member.node.transferLeadership(to);
      this.happened.transfers++;
    } else if (roll < 9) {
      this.#changeMembers(member);
    } else if (member.state.index > 1) {
      const keepFrom = 1 + member.state.index - this.#rng.below(5);
      member.compact(Math.max(keepFrom, 1) as LogIndex);
    }
  }

  #changeMembers(member: Member): void {
    const steps: ConfChangeStep[] = [];
    for (let i = this.#pick([1, 1, 2, 3]); i > 0; i--) {
      const kind = this.#pick(["addVoter", "addVoter", "addLearner", "remove"] as const);
      const id = BigInt(1 + this.#rng.below(membersMax)) as MemberId;
      steps.push({ kind, member: id });
    }
    if (member.proposeChange({ steps }) !== "appended") {
      return;
    }
    for (const { member: id } of steps) {
      if (!this.#members.some((one) => one.id === id)) {
        this.#members.push(new Member(id, this.#newRng(), joinState(), this.#options));
      }
    }
  }

  #fault(member: Member): void {
    const roll = this.#rng.below(10);
    if (roll < 2 || member.isDown) {
      this.#crashOrRestart(member);
    } else if (roll < 4) {
      member.isSlow = !this.#chance(3);
    } else if (roll < 6) {
      member.isLazy = this.#chance(2);
    } else if (roll < 7) {
      const other = this.#pick(this.#members);
      this.#cutLinks.add(`${member.id}>${other.id}`);
    } else if (roll < 9) {
      this.#cutLinks.clear();
    } else if (!member.isDown) {
      member.node.reportUnreachable(this.#pick(this.#members).id);
    }
  }

  #crashOrRestart(member: Member): void {
    if (member.isDown) {
      member.restart(this.#newRng());
      this.#ledger.restarted(member);
      return;
    }
    const arrives = this.#chance(2);
    this.happened.crashes++;
    if (member.writeOut !== undefined && !arrives) {
      this.happened.tornWrites++;
    }
    member.crash(arrives);
  }

  #work(member: Member): void {
    if (!member.hasWork) {
      return;
    }
    const { base, entries } = member.disk;
    const before = base + entries.length;
    const { ready, sent } = member.work();
    const first = ready.persist?.entries[0];
    if (first !== undefined && first.index <= before) {
      this.happened.overwrites++;
    }
    this.happened.snapshots += ready.persist?.snapshot === undefined ? 0 : 1;
    this.happened.readsDropped += ready.readsDropped.length;
    this.#send(sent);
    for (const { context, index } of ready.reads) {
      this.happened.reads++;
      const least = must(this.#readsSince.get(context));
      this.#readsSince.delete(context);
      assert(index >= least, `seed ${this.#seed}: stale read: ${index} after ${least} was applied`);
    }
  }

  #finishWrite(member: Member): void {
    if (!member.isDown && member.writeOut !== undefined) {
      this.#send(member.finishWrite());
    }
  }

  #apply(member: Member, count: number): void {
    if (!member.isDown) {
      member.apply(count);
    }
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#ledger.sent(message);
      this.#queue.push(message);
    }
  }

  #hand(message: Message): void {
    const to = this.#members.find((member) => member.id === message.to);
    if (to === undefined || to.isDown || this.#cutLinks.has(`${message.from}>${message.to}`)) {
      this.#lose(message);
      return;
    }
    to.receive(message, imageOf(message));
    if (message.kind === "snapshotRequest") {
      this.#report(message, true);
    }
  }

  #lose(message: Message): void {
    if (message.kind === "snapshotRequest") {
      this.#report(message, false);
    }
  }

  #report(message: Message, delivered: boolean): void {
    const from = this.#members.find((member) => member.id === message.from);
    if (from !== undefined && !from.isDown) {
      from.node.reportSnapshot(message.to, delivered);
    }
  }

  #check(member: Member): void {
    if (member.isDown) {
      return;
    }
    try {
      const news = this.#ledger.check(member, this.#members);
      this.happened.elections += news.elections;
      this.happened.applied += news.applied;
      this.happened.confChanges += news.confChanges;
    } catch (error) {
      throw new Error(`seed ${this.#seed}: member ${member.id}`, { cause: error });
    }
  }

  #newRng(): SeededRng {
    return new SeededRng(this.#seed, 100 + this.#starts++);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#rng.below(from.length)] as T;
  }

  /** True once in `of` times. */
  #chance(of: number): boolean {
    return this.#rng.below(of) === 0;
  }
}
