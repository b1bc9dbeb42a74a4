// When the leader promotes a learner by itself, on made-up progress.

import { expect, test } from "vitest";
import { toLogIndex, toMemberId, toTerm } from "../../src/base/index.ts";
import type { MemberId } from "../../src/base/index.ts";
import { LearnerPromotion } from "../../src/node/learner-promotion.ts";
import type { RaftStatus } from "../../src/raft/index.ts";

const [leader, learner] = [toMemberId(1n), toMemberId(2n)] as const;
const steadyMs = 1_000;

class World {
  isLeader = true;
  enabled = true;
  match = 100_000;
  lastIndex = 100_000;
  active = true;
  name = "learner";
  isLearner = true;
  refusal: Error | undefined;
  readonly promoted: MemberId[] = [];
  readonly outcomes: string[] = [];

  make(): LearnerPromotion {
    return new LearnerPromotion(
      {
        raft: () => this.#status(),
        members: () => [
          { id: leader, name: "leader", peerUrls: [], clientUrls: [], isLearner: false },
          {
            id: learner,
            name: this.name,
            peerUrls: [],
            clientUrls: [],
            isLearner: this.isLearner,
          },
        ],
        promote: (id) => {
          this.promoted.push(id);
          return this.refusal === undefined ? Promise.resolve() : Promise.reject(this.refusal);
        },
      },
      this.enabled,
      steadyMs,
      (_id, error) => this.outcomes.push(error instanceof Error ? error.message : "promoted"),
    );
  }

  #status(): RaftStatus {
    const progress = {
      match: toLogIndex(this.match),
      isLearner: this.isLearner,
      recentlyActive: this.active,
    };
    return {
      role: this.isLeader ? "leader" : "follower",
      term: toTerm(1),
      lastIndex: toLogIndex(this.lastIndex),
      progress: new Map([[learner, progress]]),
    } as unknown as RaftStatus;
  }
}

/** Ticks each quarter of a second from `fromMs` to `toMs`. */
async function run(promotion: LearnerPromotion, fromMs: number, toMs: number): Promise<void> {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 250) {
    promotion.tick(nowMs);
    await Promise.resolve();
    await Promise.resolve();
  }
}

test("a learner that has kept up for a while is promoted, once", async () => {
  const world = new World();
  const promotion = world.make();
  await run(promotion, 0, 750);
  expect(world.promoted).toEqual([]);
  await run(promotion, 1_000, 1_000);
  expect(world.promoted).toEqual([learner]);
  world.isLearner = false;
  await run(promotion, 1_250, 10_000);
  expect(world.promoted).toEqual([learner]);
  expect(world.outcomes).toEqual(["promoted"]);
});

test.each([
  ["is far behind, though nine tenths are there", { lastIndex: 105_001 }],
  ["has not been heard of", { active: false }],
  ["has not started", { name: "" }],
  ["is one where this member does not lead", { isLeader: false }],
  ["is one where nobody asked for promotion", { enabled: false }],
])("not a learner that %s", async (_case, change) => {
  const world = Object.assign(new World(), change);
  await run(world.make(), 0, 20_000);
  expect(world.promoted).toEqual([]);
});

test("falling behind, or losing the lead, starts the wait anew", async () => {
  const world = new World();
  const promotion = world.make();
  await run(promotion, 0, 750);
  world.match = 0;
  await run(promotion, 1_000, 1_000);
  world.match = 100_000;
  await run(promotion, 1_250, 2_000);
  world.isLeader = false;
  await run(promotion, 2_250, 2_250);
  world.isLeader = true;
  await run(promotion, 2_500, 3_250);
  expect(world.promoted).toEqual([]);
  await run(promotion, 3_500, 3_500);
  expect(world.promoted).toEqual([learner]);
});

test("what is refused is tried again, not at every tick", async () => {
  const world = new World();
  world.refusal = new Error("etcdserver: unhealthy cluster");
  await run(world.make(), 0, 7_000);
  expect(world.promoted).toHaveLength(4);
  expect(world.outcomes).toEqual(Array(4).fill("etcdserver: unhealthy cluster"));
});
