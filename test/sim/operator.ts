// Who runs the cluster: adds, promotes and removes members while everything else goes on, and
// starts the machine of whoever is on a member list and has none yet.

import type { Rng } from "../../src/base/index.ts";
import type { Member, QuorateNode } from "../../src/node/index.ts";
import type { SimMember } from "./member.ts";
import type { World } from "./world.ts";

/** Machines made in one life, at most. */
const machinesMax = 9;
const lookEveryMs = 500;

export class Operator {
  readonly #world: World;
  readonly #rng: Rng;
  #nextUrl: number;
  #isBusy = false;

  constructor(world: World, rng: Rng) {
    this.#world = world;
    this.#rng = rng;
    this.#nextUrl = world.members.length + 1;
  }

  /** Looks at member lists from now on. */
  begin(): void {
    this.#world.scheduler.after(lookEveryMs, () => {
      this.#look();
      this.begin();
    });
  }

  /** Changes something; false when nobody is there to ask. */
  act(): boolean {
    const { members } = this.#world;
    const up = members.filter((member) => member.node !== undefined);
    const at = up[this.#rng.below(Math.max(1, up.length))];
    if (at === undefined || this.#isBusy) {
      return false;
    }
    const listed = this.#list(at);
    const learner = listed.find((member) => member.isLearner);
    const chance = this.#rng.below(3);
    if (learner !== undefined && chance === 0) {
      this.#change(at, `promote ${learner.id}`, "member promoted", (node) =>
        node.memberPromote(learner.id),
      );
    } else if (chance === 1 && members.length < machinesMax) {
      const url = `http://m${this.#nextUrl++}:2380`;
      const isLearner = this.#rng.below(2) === 0;
      this.#change(at, `add ${isLearner ? "learner" : "voter"} ${url}`, "member added", (node) =>
        node.memberAdd([url], isLearner),
      );
    } else {
      const victim = listed[this.#rng.below(Math.max(1, listed.length))];
      if (victim === undefined || listed.length === 1) {
        return false;
      }
      this.#change(at, `remove ${victim.id}`, "member removed", (node) =>
        node.memberRemove(victim.id),
      );
    }
    return true;
  }

  #change(
    at: SimMember,
    what: string,
    mark: string,
    change: (node: QuorateNode) => Promise<unknown>,
  ): void {
    const { process, node } = at;
    this.#world.trace(`operator at ${at.name}: ${what}`);
    this.#isBusy = true;
    const patience = this.#world.scheduler.after(10_000, () => {
      this.#isBusy = false;
    });
    const ended = (outcome: string): void => {
      this.#isBusy = false;
      patience.cancel();
      this.#world.marks.hit(outcome);
      this.#world.trace(`operator: ${what}: ${outcome}`);
    };
    process?.run(() => {
      change(node as QuorateNode).then(
        () => ended(mark),
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
          this.#world.join(member, listed);
        }
      }
    }
  }
}
