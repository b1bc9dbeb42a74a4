// Sessions: none lost and none too long, whoever leads; express-session and @fastify/session on
// them.

import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { createServer } from "node:http";
import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import express from "express";
import session from "express-session";
import Fastify from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { expressSessionStore, fastifySessionStore, Sessions } from "../../src/recipes/index.ts";
import { Quorate, schema } from "../../src/sdk/index.ts";
import type { TestCluster } from "../../src/testing/index.ts";
import { threeMembers, underFaults } from "./chaos.ts";

declare module "express-session" {
  interface SessionData {
    views: number;
  }
}

declare module "fastify" {
  interface Session {
    views?: number;
  }
}

const patient = { timeout: 20_000 };
const secret = "a secret of more than thirty-two characters";
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

describe("sessions", () => {
  it("are set, read, replaced, touched and destroyed", async () => {
    const sessions = new Sessions<{ user: string }>(store, { prefix: "plain/" });
    expect(await sessions.get("s1")).toBeUndefined();
    expect(await sessions.touch("s1")).toBe(false);
    await sessions.set("s1", { user: "ada" });
    expect(await sessions.get("s1")).toEqual({ user: "ada" });
    const before = await store.get("plain/s1");
    await sessions.set("s1", { user: "grace" });
    const after = await store.get("plain/s1");
    // The same lease: no session leaves one behind with each change.
    expect(after?.leaseId).toBe(before?.leaseId);
    expect(await sessions.touch("s1")).toBe(true);
    expect((await store.get("plain/s1"))?.modRevision).toBe(after?.modRevision);
    expect(await sessions.count()).toBe(1);
    expect(await sessions.destroy("s1")).toBe(true);
    expect(await sessions.destroy("s1")).toBe(false);
    expect(await sessions.get("s1")).toBeUndefined();
  });

  it("end when their time is over, on every member, and not while they are touched", async () => {
    const sessions = new Sessions<string>(store, { prefix: "short/", ttlSeconds: 2 });
    await sessions.set("quiet", "x");
    await sessions.set("touched", "x");
    const end = performance.now() + 5_000;
    while (performance.now() < end) {
      expect(await sessions.touch("touched")).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    for (const { endpoint } of cluster.members) {
      await using own = new Quorate({ endpoints: [endpoint] });
      const theirs = new Sessions<string>(own, { prefix: "short/" });
      expect(await theirs.get("quiet")).toBeUndefined();
      expect(await theirs.get("touched")).toBe("x");
    }
  });

  it("refuse data that does not fit their schema", async () => {
    const codec = schema(z.object({ user: z.string() }));
    const sessions = new Sessions(store, { prefix: "typed/", codec });
    await sessions.set("s", { user: "ada" });
    await expect(sessions.set("s", { user: 5 } as never)).rejects.toThrow("user");
    expect((await sessions.get("s"))?.user).toBe("ada");
  });

  it("lose nothing that was set, under faults", async () => {
    const sessions = new Sessions<number>(store, { prefix: "chaos/", ttlSeconds: 60 });
    const set = new Map<string, number>();
    const enough = (): boolean => [...set.values()].filter((count) => count > 5).length === 3;
    await underFaults(cluster, { durationMs: 5_000, enough }, async (over) => {
      const server = async (id: string): Promise<void> => {
        for (let i = 1; !over.aborted; i++) {
          await sessions.set(id, i);
          set.set(id, i);
          expect(await sessions.get(id)).toBe(i);
          expect(await sessions.touch(id)).toBe(true);
        }
      };
      await Promise.all(["a", "b", "c"].map(server));
      expect(enough()).toBe(true);
    });
    for (const [id, count] of set) {
      expect(await sessions.get(id)).toBe(count);
    }
    const leases = await store.client.leases();
    const kept = await store.range({ prefix: "chaos/" }).list();
    expect(new Set(kept.entries.map(({ leaseId }) => leaseId)).size).toBe(3);
    expect(leases.leases.length).toBeGreaterThanOrEqual(3);
  }, 120_000);
});

/** Asks with the cookie that it got before; resolves with the body. */
class Browser {
  readonly #url: string;
  #cookie = "";

  constructor(url: string) {
    this.#url = url;
  }

  async get(path: string): Promise<string> {
    const reply = await fetch(this.#url + path, { headers: { cookie: this.#cookie } });
    const [cookie] = reply.headers.getSetCookie();
    this.#cookie = cookie?.split(";")[0] ?? this.#cookie;
    return reply.text();
  }
}

describe("express-session", () => {
  it("keeps its sessions here, for all servers", async () => {
    const sessions = new Sessions(store, { prefix: "express/" });
    const serve = async (): Promise<{ url: string; close: () => void }> => {
      const app = express();
      app.use(
        session({
          store: expressSessionStore(session.Store, sessions),
          secret,
          resave: false,
          saveUninitialized: false,
          cookie: { maxAge: 3_000 },
        }),
      );
      app.get("/", (request, response) => {
        request.session.views = (request.session.views ?? 0) + 1;
        response.end(String(request.session.views));
      });
      app.get("/look", (request, response) => {
        response.end(String(request.session.views ?? "none"));
      });
      app.get("/new", (request, response) => {
        request.session.regenerate((error) => response.end(String(error ?? "renewed")));
      });
      app.get("/out", (request, response) => {
        request.session.destroy((error) => response.end(String(error ?? "gone")));
      });
      const server = createServer(app).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
    };
    const [first, second] = [await serve(), await serve()];
    try {
      const browser = new Browser(first.url);
      expect(await browser.get("/")).toBe("1");
      expect(await browser.get("/")).toBe("2");
      await cluster.killLeader().then((member) => member.start());
      expect(await browser.get("/")).toBe("3");
      expect(await sessions.count()).toBe(1);
      expect(await browser.get("/new")).toBe("renewed");
      expect(await browser.get("/look")).toBe("none");
      expect(await browser.get("/")).toBe("1");
      // The cookie's age is the session's.
      await expect.poll(() => sessions.count(), patient).toBe(0);
      expect(await browser.get("/look")).toBe("none");
      expect(await browser.get("/")).toBe("1");
      expect(await browser.get("/out")).toBe("gone");
      await expect.poll(() => sessions.count(), patient).toBe(0);
      expect(await new Browser(second.url).get("/look")).toBe("none");
    } finally {
      first.close();
      second.close();
    }
  }, 60_000);
});

describe("@fastify/session", () => {
  it("keeps its sessions here, for all servers", async () => {
    const sessions = new Sessions(store, { prefix: "fastify/" });
    const serve = async (): Promise<ReturnType<typeof Fastify>> => {
      const app = Fastify();
      await app.register(fastifyCookie);
      await app.register(fastifySession, {
        store: fastifySessionStore(sessions),
        secret,
        saveUninitialized: false,
        cookie: { secure: false, maxAge: 60_000 },
      });
      app.get("/", (request) => {
        request.session.views = (request.session.views ?? 0) + 1;
        return String(request.session.views);
      });
      app.get("/out", async (request) => {
        await request.session.destroy();
        return "gone";
      });
      return app;
    };
    const [first, second] = [await serve(), await serve()];
    const begun = await first.inject("/");
    expect(begun.body).toBe("1");
    const [{ name, value } = { name: "", value: "" }] = begun.cookies;
    const cookies = { [name]: value };
    expect((await second.inject({ url: "/", cookies })).body).toBe("2");
    await cluster.killLeader().then((member) => member.start());
    expect((await first.inject({ url: "/", cookies })).body).toBe("3");
    expect(await sessions.count()).toBe(1);
    expect((await second.inject({ url: "/out", cookies })).body).toBe("gone");
    await expect.poll(() => sessions.count(), patient).toBe(0);
    expect((await first.inject({ url: "/", cookies })).body).toBe("1");
    await Promise.all([first.close(), second.close()]);
  }, 60_000);
});
