// Rate limits: exactly so many in a window, whoever asks, while members are killed and links cut;
// and the fields that an HTTP client sees.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rateLimit, RateLimiter } from "../../src/recipes/index.ts";
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

describe("a rate limiter", () => {
  it("gives exactly the limit to two processes together, and all of it again afterwards", async () => {
    await using other = new Quorate({ endpoints: cluster.endpoints });
    const options = { limit: 25, windowSeconds: 5 };
    await using one = new RateLimiter(store, "two", options);
    await using two = new RateLimiter(other, "two", options);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? one : two).take("ada")),
    );
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(25);
    const refused = await one.take("ada");
    expect(refused).toMatchObject({ allowed: false, remaining: 0 });
    expect(refused.resetSeconds).toBeGreaterThan(0);
    expect(refused.resetSeconds).toBeLessThanOrEqual(5);
    expect(await one.take("bob")).toMatchObject({ allowed: true, remaining: 24 });
    await expect
      .poll(async () => (await two.take("ada")).allowed, { timeout: 30_000, interval: 200 })
      .toBe(true);
    expect((await one.take("ada")).remaining).toBe(23);
    await expect.poll(() => store.count({ prefix: "two/keys/" }), patient).toBe(0);
  });

  it("gives several units or none, and refuses what cannot be", async () => {
    await using limiter = new RateLimiter(store, "units", { limit: 10, windowSeconds: 60 });
    expect(await limiter.take("x", { units: 7 })).toMatchObject({ allowed: true, remaining: 3 });
    expect(await limiter.take("x", { units: 4 })).toMatchObject({ allowed: false, remaining: 3 });
    expect(await limiter.take("x", { units: 3 })).toMatchObject({ allowed: true, remaining: 0 });
    expect(() => limiter.take("x", { units: 11 })).toThrow(RangeError);
    expect(() => new RateLimiter(store, "x", { limit: 0, windowSeconds: 1 })).toThrow(RangeError);
    await expect(limiter.take("y", { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });

  it("gives exactly the limit under faults", async () => {
    await underFaults(cluster, { durationMs: 6_000 }, async (over) => {
      const limit = 100;
      let [allowed, refused] = [0, 0];
      const ask = async (): Promise<void> => {
        await using own = new Quorate({ endpoints: cluster.endpoints });
        await using limiter = new RateLimiter(own, "chaos", { limit, windowSeconds: 600 });
        while (!over.aborted || allowed + refused < limit + 50) {
          const answer = await limiter.take("all");
          allowed += answer.allowed ? 1 : 0;
          refused += answer.allowed ? 0 : 1;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      await Promise.all([ask(), ask(), ask()]);
      expect(allowed).toBe(limit);
      expect(refused).toBeGreaterThan(0);
    });
  });
});

describe("the middleware", () => {
  it("tells clients where they stand, and refuses with 429", async () => {
    await using limiter = new RateLimiter(store, "web", { limit: 2, windowSeconds: 60 });
    const limited = rateLimit(limiter, {
      key: (request) => request.headers["x-user"]?.toString(),
      policy: 'per "user"',
    });
    const server = createServer((request, response) => {
      limited(request, response, (error) => response.end(error === undefined ? "fine" : "failed"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const get = (): Promise<Response> => fetch(url, { headers: { "x-user": "ada" } });
    const first = await get();
    expect([first.status, await first.text()]).toEqual([200, "fine"]);
    expect(first.headers.get("ratelimit-policy")).toBe('"per \\"user\\"";q=2;w=60');
    expect(first.headers.get("ratelimit")).toMatch(/^"per \\"user\\"";r=1;t=\d+$/);
    await get();
    const third = await get();
    expect(third.status).toBe(429);
    expect(Number(third.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(third.headers.get("ratelimit")).toMatch(/;r=0;t=\d+$/);
    const uncounted = await fetch(url);
    expect([uncounted.status, uncounted.headers.get("ratelimit")]).toEqual([200, null]);
    server.closeAllConnections();
    server.close();
  });

  it("leaves a store that is away to the caller", async () => {
    const nowhere = new Quorate({ endpoints: ["127.0.0.1:1"] });
    await using limiter = new RateLimiter(nowhere, "web", { limit: 2, windowSeconds: 60 });
    const limited = rateLimit(limiter, { key: () => "all", patienceMs: 100 });
    const error = await new Promise((resolve) => limited({} as never, {} as never, resolve));
    expect(String(error)).toMatch(/timeout/i);
    nowhere.close();
  });
});
