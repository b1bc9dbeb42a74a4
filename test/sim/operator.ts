// Who runs the cluster: adds, promotes and removes members while everything else goes on, and
// starts the machine of whoever is on a member list and has none yet.

import type { MemberId, Rng } from "../../src/base/index.ts";
import type { Member, QuorateNode } from "../../src/node/index.ts";
import type { SimMember } from "./member.ts";
import type { World } from "./world.ts";

/** Machines made in one life, at most. */
const machinesMax = 9;
const lookEveryMs = 500;
/** After this the operator no longer waits for a change, milliseconds. */
const patienceMs = 10_000;

/** Changes under way at once: a second one must be refused, whoever asks for it. */
const changesMax = 2;

export class Operator {
  readonly #world: World;
  readonly #rng: Rng;
  #nextUrl: number;
  #underWay = 0;
  /** Machines to make in the place of lost ones that were removed. */
  #missing = 0;
  /** Whether anything was ever asked for. */
  hasActed = false;

  constructor(world: World, rng: Rng) {
    this.#world = world;
    this.#rng = rng;
    this.#nextUrl = world.members.length + 1;
  }

  /** No change is under way, as far as anybody knows. */
  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  /** Looks at member lists from now on, and refills members that lost their disks. */
  begin(): void {
    this.#world.scheduler.after(lookEveryMs, () => {
      this.#look();
      this.#refill();
      this.begin();
    });
  }

  /** Changes something, now and then two things at once; false when nobody is there to ask. */
  act(): boolean {
    const at = this.#anybody();
    if (at === undefined) {
      return false;
    }
    const done = this.actAt(at);
    if (this.#rng.below(3) === 0) {
      this.actAt(at);
    }
    return done;
  }

  /** Changes something by asking that member. */
  actAt(at: SimMember): boolean {
    const { members } = this.#world;
    if (this.#underWay >= changesMax || at.node === undefined) {
      return false;
    }
    const listed = this.#list(at);
    const learner = listed.find((member) => member.isLearner);
    const chance = this.#rng.below(8);
    if (learner !== undefined && chance < 5) {
      this.#change(at, `promote ${learner.id}`, "member promoted", (node) =>
        node.memberPromote(learner.id),
      );
    } else if (chance < 4 && members.length < machinesMax) {
      this.#add(at);
    } else if (chance === 4 || chance === 5) {
      const anyone = listed[this.#rng.below(Math.max(1, listed.length))];
      const member = this.#rng.below(2) === 0 ? (learner ?? anyone) : anyone;
      if (member === undefined) {
        return false;
      }
      const urls = [...member.peerUrls, `http://also${this.#rng.below(100)}:2380`].slice(-2);
      this.#change(at, `update ${member.id}`, "member updated", (node) =>
        node.memberUpdate(member.id, urls),
      );
    } else {
      const victim = listed[this.#rng.below(Math.max(1, listed.length))];
      if (victim === undefined || listed.length === 1 || !this.#mayGo(victim.id)) {
        return false;
      }
      this.#remove(at, victim.id);
    }
    return true;
  }

  /** What a disk was lost on is removed, and a new member takes its place. */
  #refill(): void {
    const { members, ledger } = this.#world;
    const at = this.#anybody();
    if (at === undefined || this.#underWay > 0 || members.length >= machinesMax) {
      return;
    }
    const listed = new Set(ledger.membership.members().map(({ id }) => id));
    const lost = members.find((member) => member.isLost && listed.has(member.id));
    if (lost !== undefined) {
      this.#remove(at, lost.id, () => {
        this.#missing++;
      });
    } else if (this.#missing > 0) {
      this.#missing--;
      this.#world.marks.hit("member refilled");
      this.#add(at);
    }
  }

  /** Now and then a newcomer is killed while it puts its first state in place. */
  #dieOfFirstState(joined: SimMember): void {
    if (this.#rng.below(2) === 0) {
      const point = this.#rng.below(2) === 0 ? "installStart" : "installDurable";
      this.#world.arm(joined, { point, skip: 0, power: this.#rng.below(2) === 0 });
    }
  }

  #anybody(): SimMember | undefined {
    const up = this.#world.members.filter((member) => member.node !== undefined);
    return up[this.#rng.below(Math.max(1, up.length))];
  }

  /** Whether the sound members are still a majority of the voters without this one. */
  #mayGo(id: MemberId): boolean {
    const { ledger, members } = this.#world;
    const voters = ledger.membership.confState.voters.filter((voter) => voter !== id);
    const sound = members.filter((member) => voters.includes(member.id) && member.isSound);
    return sound.length * 2 > voters.length;
  }

  #add(at: SimMember): void {
    const url = `http://m${this.#nextUrl++}:2380`;
    const isLearner = this.#rng.below(2) === 0;
    this.#change(at, `add ${isLearner ? "learner" : "voter"} ${url}`, "member added", (node) =>
      node.memberAdd([url], isLearner),
    );
  }

  #remove(at: SimMember, id: MemberId, done: () => void = () => {}): void {
    this.#change(at, `remove ${id}`, "member removed", (node) => node.memberRemove(id), done);
  }

  #change(
    at: SimMember,
    what: string,
    mark: string,
    change: (node: QuorateNode) => Promise<unknown>,
    done: () => void = () => {},
  ): void {
    const { process, node } = at;
    this.#world.trace(`operator at ${at.name}: ${what}`);
    this.hasActed = true;
    this.#underWay++;
    let isOver = false;
    const end = (): void => {
      this.#underWay -= isOver ? 0 : 1;
      isOver = true;
    };
    const patience = this.#world.scheduler.after(patienceMs, end);
    const ended = (outcome: string): void => {
      end();
      patience.cancel();
      this.#world.marks.hit(outcome);
      this.#world.trace(`operator: ${what}: ${outcome}`);
    };
    process?.run(() => {
      change(node as QuorateNode).then(
        () => {
          ended(mark);
          done();
        },
        () => ended("member change failed"),
      );
    });
  }

  #list(at: SimMember): readonly Member[] {
    try {
      const listed = at.node?.read(false, (state) => state.members());
      return listed === undefined || listed instanceof Promise ? [] : listed;
    } catch {
      // It is about to stop.
      return [];
    }
  }

  #look(): void {
    for (const at of this.#world.members) {
      if (at.process?.paused === true) {
        continue;
      }
      const listed = at.node === undefined ? [] : this.#list(at);
      for (const member of listed) {
        if (!this.#world.members.some((each) => each.id === member.id)) {
          this.#dieOfFirstState(this.#world.join(member, listed));
        }
      }
    }
  }
}
