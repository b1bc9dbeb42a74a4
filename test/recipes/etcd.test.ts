// Recipes on Quorate and, where it is installed, on etcd itself: the basic round of each.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Leaderboard, Queue, RateLimiter, Topic } from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import { isInstalled, startTarget, type Target, targetNames } from "../sdk/targets.ts";

const patient = { timeout: 20_000 };

describe.each(targetNames.filter(isInstalled))("on %s", (name) => {
  let target: Target;
  let store: Quorate;

  beforeAll(async () => {
    target = await startTarget(name);
    store = new Quorate({ endpoints: target.endpoints });
  });

  afterAll(async () => {
    store.close();
    await target[Symbol.asyncDispose]();
  });

  it("a queue hands out in order, takes back, and is empty in the end", async () => {
    await using queue = new Queue<string>(store, "queue");
    await queue.push("a");
    await queue.push("b");
    await queue.push("first", { priority: 1 });
    const given = await queue.take();
    await given.release();
    const seen: string[] = [];
    for (let i = 0; i < 3; i++) {
      const item = await queue.take();
      seen.push(item.value);
      await item.done();
    }
    expect([seen, await queue.size()]).toEqual([["first", "a", "b"], 0]);
    const coming = queue.take();
    await queue.push("c");
    await (await coming).done();
    await queue[Symbol.asyncDispose]();
    await expect.poll(() => store.count({ prefix: "queue/" }), patient).toBe(0);
  });

  it("a topic gives its history and what comes, over a compaction", async () => {
    await using topic = new Topic<number>(store, "topic", { historyMax: 4 });
    for (let i = 1; i <= 6; i++) {
      await topic.publish(i);
    }
    const { revision } = await store.put("elsewhere", "x");
    await store.client.compact({ revision });
    const seen: string[] = [];
    for await (const { offset, value, missed } of topic.subscribe({ after: 0 })) {
      seen.push(`${offset} ${value} ${missed}`);
      if (offset === 6) {
        await topic.publish(7);
      } else if (offset === 7) {
        break;
      }
    }
    expect(seen).toEqual(["3 3 2", "4 4 0", "5 5 0", "6 6 0", "7 7 0"]);
  });

  it("a rate limiter gives exactly the limit, and all of it again afterwards", async () => {
    await using other = new Quorate({ endpoints: target.endpoints });
    const options = { limit: 10, windowSeconds: 6 };
    await using one = new RateLimiter(store, "limit", options);
    await using two = new RateLimiter(other, "limit", options);
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? one : two).take("ada")),
    );
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(10);
    await expect.poll(async () => (await one.take("ada")).allowed, patient).toBe(true);
  });

  it("a leaderboard ranks, and counts every addition", async () => {
    await using board = new Leaderboard(store, "board");
    await Promise.all(Array.from({ length: 10 }, (_, i) => board.add(i % 2 === 0 ? "a" : "b", i)));
    await board.set("c", 22.5);
    expect(await board.top(3)).toEqual([
      { member: "b", score: 25, rank: 1 },
      { member: "c", score: 22.5, rank: 2 },
      { member: "a", score: 20, rank: 3 },
    ]);
    expect([await board.rank("a"), await board.remove("b"), await board.rank("a")]).toEqual([
      3,
      true,
      2,
    ]);
  });
});
