// The recipes on one real server of each kind: Quorate's, and etcd's where it is installed. Faults
// have tests of their own.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  acquireLock,
  Cache,
  Election,
  follow,
  register,
  Sessions,
  tryLock,
} from "../../src/recipes/index.ts";
import { Quorate } from "../../src/sdk/index.ts";
import { isInstalled, startTarget, type Target, targetNames } from "../sdk/targets.ts";

const patient = { timeout: 20_000 };

describe.each(targetNames.filter(isInstalled))("on %s", (name) => {
  let target: Target;
  let root: Quorate;
  let store: Quorate;

  beforeAll(async () => {
    target = await startTarget(name);
    root = new Quorate({ endpoints: target.endpoints });
    // Everything in a namespace: recipes must not look beside it.
    store = root.namespace("tenant/");
  });
  afterAll(async () => {
    root?.close();
    await target?.[Symbol.asyncDispose]();
  });

  it("locks pass from one to the next, in order", async () => {
    // Not in the namespace: of no interest to those inside.
    await using _outside = await acquireLock(root, "lock");
    const first = await acquireLock(store, "lock");
    expect(await tryLock(store, "lock")).toBeUndefined();
    const second = acquireLock(store, "lock");
    await expect.poll(() => store.count({ prefix: "lock/" }), patient).toBe(2);
    const third = acquireLock(store, "lock");
    await expect.poll(() => store.count({ prefix: "lock/" }), patient).toBe(3);
    await first.release();
    const next = await second;
    expect(next.held && next.token > first.token).toBe(true);
    const guarded = store.txn().if(first.condition()).do(store.op.put("x", "stale")).commit();
    expect((await guarded).succeeded).toBe(false);
    await store.delete(next.key);
    expect((await next.lost).why).toBe("deleted");
    const last = await third;
    expect(last.token).toBeGreaterThan(next.token);
    await last.release();
  });

  it("elections have leaders that others see", async () => {
    const election = new Election(store, "election");
    const seen: (string | undefined)[] = [];
    const over = new AbortController();
    const observing = (async () => {
      for await (const leader of election.observe(over.signal)) {
        seen.push(leader?.value);
      }
    })();
    const leadership = await election.campaign("one");
    await leadership.proclaim("two");
    expect((await election.leader())?.value).toBe("two");
    await leadership.resign();
    await expect.poll(() => seen, patient).toEqual([undefined, "one", "two", undefined]);
    over.abort();
    await observing;
  });

  it("caches follow, and are fresh", async () => {
    await store.put("cache/a", "1");
    await using cache = await Cache.open(store, { prefix: "cache/" }, { checkIntervalMs: 100 });
    await cache.reached((await store.put("cache/b", "2")).revision);
    expect([...cache.entries()].map(({ value }) => value)).toEqual(["1", "2"]);
    await store.put("elsewhere", "x");
    await expect.poll(() => cache.freshness.ageMs, patient).toBeLessThan(1_000);
  });

  it("instances are found, and gone when they die", async () => {
    await using list = await follow(store, "service");
    await using _steady = await register(store, "service", { id: "steady", address: "h:1" });
    const dying = new Quorate({ endpoints: target.endpoints });
    await register(dying.namespace("tenant/"), "service", {
      id: "dying",
      address: "h:2",
      ttlSeconds: 1,
    });
    const ids = (): string => list.instances.map(({ id }) => id).join(" ");
    await expect.poll(ids, patient).toBe("dying steady");
    dying.close();
    await expect.poll(ids, patient).toBe("steady");
  });

  it("sessions live for as long as they are touched", async () => {
    const sessions = new Sessions<number>(store, { ttlSeconds: 2 });
    await sessions.set("a", 1);
    await sessions.set("b", 1);
    for (let i = 2; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await sessions.set("a", i);
    }
    expect(await sessions.get("a")).toBe(7);
    expect(await sessions.get("b")).toBeUndefined();
    expect(await sessions.destroy("a")).toBe(true);
    expect(await sessions.count()).toBe(0);
  });
});
