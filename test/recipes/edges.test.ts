// Queues, topics, rate limits and leaderboards where it is narrow: leases that end in between,
// large messages, callers that leave or dispose early, crowds on one key.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UnavailableError } from "../../src/client/index.ts";
import { Leaderboard, Queue, RateLimiter, Topic } from "../../src/recipes/index.ts";
import { InvalidValueError, Quorate } from "../../src/sdk/index.ts";
import { startTestCluster, type TestCluster } from "../../src/testing/index.ts";

let cluster: TestCluster;
let store: Quorate;

beforeAll(async () => {
  cluster = await startTestCluster(1);
});

afterAll(() => cluster.close());

/** A store of one's own, to tamper with. */
function ownStore(): Quorate {
  store = new Quorate({ endpoints: cluster.endpoints });
  return store;
}

function writersOf(name: string): Promise<number> {
  return store.count({ prefix: `${name}/writers/` });
}

describe("a queue", () => {
  it("goes on taking when the lease was over before the item was claimed", async () => {
    await using own = ownStore();
    await using queue = new Queue<string>(own, "taken");
    await queue.push("x");
    const { client } = own;
    const grant = client.leaseGrant.bind(client);
    let losses = 0;
    client.leaseGrant = async (request, options) => {
      const granted = await grant(request, options);
      if (losses++ === 0) {
        await client.leaseRevoke(granted.id);
      }
      return granted;
    };
    const item = await queue.take();
    expect([item.value, item.held, losses]).toEqual(["x", true, 2]);
    await item.done();
  });

  it("ends what was begun before it is disposed of", async () => {
    await using own = ownStore();
    const queue = new Queue<number>(own, "ending");
    const pushing = Promise.all([1, 2, 3].map((value) => queue.push(value)));
    await queue[Symbol.asyncDispose]();
    expect([await queue.size(), await writersOf("ending")]).toEqual([3, 0]);
    await pushing;
  });
});

describe("a topic", () => {
  it("takes large messages together, and each as it was when it was published", async () => {
    await using own = ownStore();
    const topic = new Topic<{ n: number; text: string }>(own, "large");
    const message = { n: 0, text: "x".repeat(200_000) };
    const publishing: Promise<unknown>[] = [];
    for (let n = 1; n <= 12; n++) {
      message.n = n;
      publishing.push(topic.publish(message));
    }
    await Promise.all(publishing);
    const seen: number[] = [];
    for await (const { offset, value } of topic.subscribe({ after: 0 })) {
      seen.push(value.n);
      if (offset === 12) {
        break;
      }
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    await topic[Symbol.asyncDispose]();
  });

  it("ends what was begun before it is disposed of", async () => {
    await using own = ownStore();
    const topic = new Topic<number>(own, "ending-topic");
    const publishing = Promise.all(Array.from({ length: 120 }, (_, i) => topic.publish(i)));
    await topic[Symbol.asyncDispose]();
    expect([await topic.lastOffset(), await writersOf("ending-topic")]).toEqual([120, 0]);
    await publishing;
  });

  it("leaves no rejection unheard when a value is refused while others are written", async () => {
    await using own = ownStore();
    const unheard: unknown[] = [];
    const listen = (reason: unknown): void => void unheard.push(reason);
    process.on("unhandledRejection", listen);
    await using topic = new Topic<unknown>(own, "unheard");
    const first = topic.publish(1);
    await new Promise((resolve) => setImmediate(resolve));
    const second = topic.publish(undefined);
    await expect(second).rejects.toThrow(InvalidValueError);
    expect([await first, unheard]).toEqual([{ offset: 1 }, []]);
    process.off("unhandledRejection", listen);
  });

  it("lets a publisher go, and ends a subscription, by their signals", async () => {
    await using own = ownStore();
    const away = new Quorate({ endpoints: ["127.0.0.1:1"] });
    const signal = AbortSignal.timeout(50);
    await expect(new Topic<number>(away, "away").publish(1, { signal })).rejects.toThrow(
      /timeout/i,
    );
    away.close();
    await using topic = new Topic<number>(own, "signals");
    await Promise.all([1, 2, 3].map((value) => topic.publish(value)));
    const stop = new AbortController();
    const seen: number[] = [];
    for await (const { value } of topic.subscribe({ after: 0, signal: stop.signal })) {
      seen.push(value);
      stop.abort();
    }
    expect(seen).toEqual([1]);
  });

  it("refuses numbers that make no sense", async () => {
    await using own = ownStore();
    expect(() => new Topic(own, "senseless", { historyMax: 1.5 })).toThrow(RangeError);
    const topic = new Topic(own, "senseless");
    for (const after of [-1, 0.5, Number.NaN]) {
      await expect(topic.subscribe({ after }).next()).rejects.toThrow(RangeError);
    }
  });
});

describe("a rate limiter", () => {
  it("begins another window when the store was away for longer than the first", async () => {
    await using own = ownStore();
    const { client } = own;
    const grant = client.leaseGrant.bind(client);
    const leases: bigint[] = [];
    client.leaseGrant = async (request, options) => {
      const granted = await grant(request, options);
      leases.push(granted.id);
      return granted;
    };
    const commit = client.txn.bind(client);
    let transactions = 0;
    client.txn = async (request, options) => {
      if (transactions++ === 0) {
        await client.leaseRevoke(leases[0] ?? 0n);
        throw new UnavailableError("the connection broke");
      }
      return commit(request, options);
    };
    await using limiter = new RateLimiter(own, "outage", { limit: 5, windowSeconds: 60 });
    expect(await limiter.take("ada")).toMatchObject({ allowed: true, remaining: 4 });
  });

  it("knows windows longer than a timer can be", async () => {
    await using own = ownStore();
    const warnings: string[] = [];
    const listen = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", listen);
    await using limiter = new RateLimiter(own, "month", { limit: 5, windowSeconds: 30 * 86_400 });
    await limiter.take("ada");
    expect((await limiter.take("ada")).resetSeconds).toBeGreaterThan(29 * 86_400);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", listen);
    expect(warnings).toEqual([]);
  });

  it("ends what was begun before it is disposed of", async () => {
    await using own = ownStore();
    const limiter = new RateLimiter(own, "ending-limit", { limit: 10, windowSeconds: 60 });
    const taking = Promise.all(["a", "b", "a"].map((key) => limiter.take(key)));
    await limiter[Symbol.asyncDispose]();
    expect(await writersOf("ending-limit")).toBe(0);
    expect((await taking).map(({ allowed }) => allowed)).toEqual([true, true, true]);
  });
});

describe("a leaderboard", () => {
  it("ranks when history is compacted between its two reads", async () => {
    await using own = ownStore();
    await using board = new Leaderboard(own, "compacted");
    await board.add("ada", 1);
    const { client } = own;
    const range = client.range.bind(client);
    let compactions = 0;
    client.range = async (request, options) => {
      if (compactions++ === 0) {
        const { revision } = await own.put("elsewhere", "x");
        await client.compact({ revision });
      }
      return range(request, options);
    };
    expect(await board.rank("ada")).toBe(1);
    expect(compactions).toBeGreaterThan(1);
  });

  it("adds a crowd's points to one member without a crowd of attempts", async () => {
    await using own = ownStore();
    const { client } = own;
    const commit = client.txn.bind(client);
    let transactions = 0;
    client.txn = (request, options) => {
      transactions++;
      return commit(request, options);
    };
    const board = new Leaderboard(own, "crowd");
    const adding = Promise.all(Array.from({ length: 40 }, () => board.add("ada", 1)));
    await board[Symbol.asyncDispose]();
    expect([await board.score("ada"), await writersOf("crowd")]).toEqual([40, 0]);
    await adding;
    expect(transactions).toBeLessThanOrEqual(50);
  });

  it("lets a caller go while others before it wait", async () => {
    const away = new Quorate({ endpoints: ["127.0.0.1:1"] });
    const board = new Leaderboard(away, "away");
    const first = board.add("ada", 1).catch(() => "closed");
    const signal = AbortSignal.timeout(50);
    await expect(board.add("ada", 1, { signal })).rejects.toThrow(/timeout/i);
    away.close();
    expect(await first).toBe("closed");
  });
});
