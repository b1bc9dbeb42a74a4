// The queue: each item to one worker at a time, in order, none lost or pushed twice, while members
// are killed and links cut.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HoldLostError, Queue } from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { threeMembers, underFaults } from "./chaos.ts";

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

describe("a queue", () => {
  it("hands out in order, by priority first, and leaves nothing", async () => {
    await using queue = new Queue<string>(store, "ordered");
    for (const value of ["a", "b", "c"]) {
      await queue.push(value);
    }
    await queue.push("urgent", { priority: 1 });
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      const item = await queue.take();
      seen.push(item.value);
      await item.done();
    }
    expect(seen).toEqual(["urgent", "a", "b", "c"]);
    expect(await queue.tryTake()).toBeUndefined();
    expect(await queue.size()).toBe(0);
    await queue[Symbol.asyncDispose]();
    await expect.poll(() => store.count({ prefix: "ordered/" }), patient).toBe(0);
  });

  it("waits for an item, and for one that is given back", async () => {
    await using queue = new Queue<number>(store, "waiting");
    const first = queue.take();
    await queue.push(1);
    const item = await first;
    expect([item.value, item.held]).toEqual([1, true]);
    const again = queue.take();
    await item.release();
    const second = await again;
    expect([second.id, item.held, item.signal.aborted]).toEqual([item.id, false, true]);
    expect(second.token).toBeGreaterThan(item.token);
    await expect(item.done()).rejects.toThrow(HoldLostError);
    expect(await queue.size()).toBe(1);
    await second.done();
    const signal = AbortSignal.timeout(100);
    await expect(queue.take({ signal })).rejects.toThrow(/timeout/i);
  });

  it("gives the item of a worker that died to another, and refuses what the dead one does", async () => {
    await using queue = new Queue<string>(store, "death", { ttlSeconds: 1 });
    await queue.push("x");
    const own = new Quorate({ endpoints: cluster.endpoints });
    const dead = await new Queue<string>(own, "death", { ttlSeconds: 1 }).take();
    own.close();
    await using item = await queue.take({ signal: AbortSignal.timeout(20_000) });
    expect(item.value).toBe("x");
    const late = await store.txn().if(dead.condition()).do(store.op.put("late", "x")).commit();
    expect([late.succeeded, dead.held]).toEqual([false, false]);
    const fine = await store.txn().if(item.condition()).do(store.op.put("fine", "x")).commit();
    expect(fine.succeeded).toBe(true);
  });

  it("refuses priorities that do not fit", async () => {
    await using queue = new Queue<string>(store, "refusal");
    await expect(queue.push("x", { priority: -1 })).rejects.toThrow(RangeError);
    await expect(queue.push("x", { priority: 0.5 })).rejects.toThrow(RangeError);
  });

  it("loses nothing, doubles nothing and keeps the order under faults", async () => {
    const pushed: string[] = [];
    const done: string[] = [];
    const enough = (): boolean => done.length > 20;
    await underFaults(cluster, { durationMs: 7_000, enough }, async (over) => {
      const produce = async (name: string): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using queue = new Queue<string>(own, "chaos", { ttlSeconds: 5 });
        for (let i = 0; !over.aborted; i++) {
          await queue.push(`${name} ${i}`);
          pushed.push(`${name} ${i}`);
          await sleep(20);
        }
      };
      const stop = new AbortController();
      const work = async (): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using queue = new Queue<string>(own, "chaos", { ttlSeconds: 5 });
        while (!stop.signal.aborted) {
          const item = await queue.take({ signal: stop.signal }).catch((error: unknown) => {
            if (stop.signal.aborted) {
              return undefined;
            }
            throw error;
          });
          // A lost item is another worker's.
          const isMine = await item?.done().then(
            () => true,
            (error: unknown) => {
              expect(error).toBeInstanceOf(HoldLostError);
              return false;
            },
          );
          if (item !== undefined && isMine === true) {
            done.push(item.value);
          }
        }
      };
      const workers = Promise.all([work(), work()]);
      const failed = workers.catch((error: unknown) => error);
      await Promise.all([produce("a"), produce("b")]);
      const queue = new Queue<string>(store, "chaos");
      await expect.poll(() => queue.size(), { timeout: 30_000 }).toBe(0);
      stop.abort();
      await failed;
      await workers;
      expect(done.toSorted()).toEqual(pushed.toSorted());
      expect(done.length).toBeGreaterThan(20);
    });
  });
});
