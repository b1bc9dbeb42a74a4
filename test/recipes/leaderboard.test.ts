// Leaderboards: every addition counts once, the order is always whole, while members are killed and
// links cut.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Leaderboard } from "../../src/recipes/index.ts";
import { sortableNumber } from "../../src/recipes/sortable.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { threeMembers, underFaults } from "./chaos.ts";

let cluster: TestCluster;
let store: Quorate;

beforeAll(async () => {
  cluster = await threeMembers();
  store = new Quorate({ endpoints: cluster.endpoints });
});

afterAll(async () => {
  store.close();
  await cluster.close();
});

describe("sortable numbers", () => {
  it("sort as numbers do", () => {
    const number = fc.double({ noNaN: true });
    fc.assert(
      fc.property(number, number, (a, b) => {
        const [textA, textB] = [sortableNumber(a), sortableNumber(b)];
        expect(textA < textB).toBe(a < b);
        expect(textA === textB).toBe(a === b);
      }),
    );
  });
});

describe("a leaderboard", () => {
  it("ranks, re-ranks, and leaves nothing of who is removed", async () => {
    await using board = new Leaderboard(store, "weekly");
    expect(await board.top(3)).toEqual([]);
    await board.set("ada", 5);
    await board.set("bob", -1.5);
    await board.add("cid/x", 7);
    expect(await board.add("bob", 10)).toEqual({ member: "bob", score: 8.5 });
    expect(await board.top(10)).toEqual([
      { member: "bob", score: 8.5, rank: 1 },
      { member: "cid/x", score: 7, rank: 2 },
      { member: "ada", score: 5, rank: 3 },
    ]);
    expect(await board.top(1, { from: 2 })).toEqual([{ member: "cid/x", score: 7, rank: 2 }]);
    expect(await board.of("ada")).toEqual({ member: "ada", score: 5, rank: 3 });
    expect([await board.rank("nobody"), await board.score("nobody")]).toEqual([
      undefined,
      undefined,
    ]);
    await board.add("ada", 2);
    expect([await board.rank("ada"), await board.rank("cid/x")]).toEqual([1 + 1, 3]);
    expect([await board.remove("ada"), await board.remove("ada")]).toEqual([true, false]);
    expect([await board.size(), await store.count({ prefix: "weekly/order/" })]).toEqual([2, 2]);
  });

  it("ranks the smallest first when it is told to", async () => {
    await using board = new Leaderboard(store, "times", { order: "ascending" });
    await board.set("slow", 12.5);
    await board.set("quick", 9.75);
    expect((await board.top(2)).map(({ member }) => member)).toEqual(["quick", "slow"]);
  });

  it("refuses what is no number, or no count", async () => {
    await using board = new Leaderboard(store, "refusal");
    await expect(board.add("ada", Number.NaN)).rejects.toThrow(RangeError);
    await expect(board.top(0)).rejects.toThrow(RangeError);
    expect(await board.size()).toBe(0);
  });

  it("counts each addition once under faults", async () => {
    const members = ["ada", "bob", "cid"];
    await underFaults(cluster, { durationMs: 6_000 }, async (over) => {
      const sums = new Map(members.map((member) => [member, 0]));
      const add = async (): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using board = new Leaderboard(own, "chaos");
        for (let i = 0; !over.aborted; i++) {
          const member = members[i % members.length] as string;
          await board.add(member, (i % 7) + 1);
          sums.set(member, (sums.get(member) ?? 0) + (i % 7) + 1);
        }
      };
      const look = async (): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using board = new Leaderboard(own, "chaos");
        while (!over.aborted) {
          const top = await board.top(10);
          expect(new Set(top.map(({ member }) => member)).size).toBe(top.length);
          expect(top.map(({ score }) => score)).toEqual(
            top.map(({ score }) => score).toSorted((a, b) => b - a),
          );
        }
      };
      await Promise.all([add(), add(), look()]);
      await using board = new Leaderboard(store, "chaos");
      const scores = await Promise.all(members.map((member) => board.score(member)));
      expect(scores).toEqual(members.map((member) => sums.get(member)));
    });
  });
});
