// Barriers: nobody passes before its time, all pass then, while members are killed and links cut.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Barrier, enterTogether } from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { History, threeMembers, underFaults } from "./chaos.ts";

const patient = { timeout: 20_000 };
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

describe("a barrier", () => {
  it("holds everybody until it is released", async () => {
    const barrier = new Barrier(store, "gate");
    await barrier.wait();
    await barrier.hold();
    let passed = 0;
    const waiting = [1, 2, 3].map(() =>
      barrier.wait().then(() => {
        passed++;
      }),
    );
    await sleep(300);
    expect(passed).toBe(0);
    await expect(barrier.wait(AbortSignal.timeout(100))).rejects.toThrow(/timeout/i);
    await barrier.release();
    await Promise.all(waiting);
    expect(passed).toBe(3);
  });
});

describe("a double barrier", () => {
  it("lets all in together and out together, and leaves nothing", async () => {
    const steps: string[] = [];
    const participant = async (name: string, delayMs: number): Promise<void> => {
      await sleep(delayMs);
      steps.push(`${name} comes`);
      const together = await enterTogether(store, "plain", 3);
      steps.push(`${name} in`);
      await sleep(delayMs);
      steps.push(`${name} goes`);
      await together.leave();
      steps.push(`${name} out`);
    };
    await Promise.all([participant("a", 0), participant("b", 100), participant("c", 300)]);
    const at = (step: string): number[] =>
      steps.flatMap((text, i) => (text.endsWith(step) ? [i] : []));
    expect(Math.max(...at("comes"))).toBeLessThan(Math.min(...at("in")));
    expect(Math.max(...at("goes"))).toBeLessThan(Math.min(...at("out")));
    await expect.poll(() => store.count({ prefix: "plain/" }), patient).toBe(0);
  });

  it("does not wait for ever for one who died inside", async () => {
    const own = new Quorate({ endpoints: cluster.endpoints });
    const [survivor] = await Promise.all([
      enterTogether(store, "death", 2),
      enterTogether(own, "death", 2, { ttlSeconds: 1 }),
    ]);
    own.close();
    await survivor.leave(AbortSignal.timeout(20_000));
  });

  it("takes back who gives up waiting", async () => {
    const signal = AbortSignal.timeout(200);
    await expect(enterTogether(store, "alone", 2, { signal })).rejects.toThrow(/timeout/i);
    await expect.poll(() => store.count({ prefix: "alone/" }), patient).toBe(0);
    await expect(enterTogether(store, "alone", 0)).rejects.toThrow("at least one");
  });

  it("keeps rounds apart under faults", async () => {
    const count = 4;
    const history = new History<{ readonly round: number; readonly step: string }>();
    const enough = (): boolean => history.all().some(({ what }) => what.round > 2);
    await underFaults(cluster, { durationMs: 4_000, enough }, async (over) => {
      let last = Number.POSITIVE_INFINITY;
      const participant = async (name: string): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        for (let round = 1; round <= last; round++) {
          history.add(name, { round, step: "comes" });
          const together = await enterTogether(own, `round-${round}`, count, { ttlSeconds: 30 });
          history.add(name, { round, step: "in" });
          if (over.aborted) {
            last = Math.min(last, round + 1);
          }
          history.add(name, { round, step: "goes" });
          await together.leave();
          history.add(name, { round, step: "out" });
        }
      };
      await Promise.all(["a", "b", "c", "d"].map(participant));
    });
    const happened = history.all();
    const rounds = Math.max(...happened.map(({ what }) => what.round));
    expect(rounds).toBeGreaterThan(1);
    const indexesOf = (round: number, step: string): number[] =>
      happened.flatMap(({ what }, i) => (what.round === round && what.step === step ? [i] : []));
    for (let round = 1; round <= rounds; round++) {
      const [comes, goes] = [indexesOf(round, "comes"), indexesOf(round, "goes")];
      expect([comes.length, goes.length]).toEqual([count, count]);
      expect(Math.max(...comes)).toBeLessThan(Math.min(...indexesOf(round, "in")));
      expect(Math.max(...goes)).toBeLessThan(Math.min(...indexesOf(round, "out")));
    }
    console.info(`${rounds} rounds of ${count} under faults`);
  }, 120_000);
});
