// Discovery: the list follows instances, a dead one gets no call after its time, and look-ups go on
// while the store changes its leader.

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { follow, type Instance, register, registerGrpcResolver } from "../../src/recipes/index.ts";
import { json, Quorate } from "../../src/sdk/index.ts";
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

function idsOf(instances: readonly Instance[]): string {
  return instances.map(({ id }) => id).join(" ");
}

describe("a service", () => {
  it("has the instances that are registered, as followers see them", async () => {
    await using list = await follow<{ zone: string }>(store, "plain");
    expect(list.instances).toEqual([]);
    const told: string[] = [];
    list.onChange((instances) => told.push(idsOf(instances)));
    await using first = await register(store, "plain", {
      id: "a",
      address: "10.0.0.1:80",
      metadata: { zone: "x" },
    });
    const second = await register(store, "plain", { id: "b", address: "10.0.0.2:80" });
    await expect.poll(() => idsOf(list.instances), patient).toBe("a b");
    expect(list.instances[0]).toEqual({
      id: "a",
      address: "10.0.0.1:80",
      metadata: { zone: "x" },
    });
    await first.update({ zone: "y" });
    await expect.poll(() => list.instances[0]?.metadata?.zone, patient).toBe("y");
    await second.close();
    await expect.poll(() => idsOf(list.instances), patient).toBe("a");
    expect(told).toEqual(["a", "a b", "a b", "a"]);
    // What etcd's resolver in Go reads.
    const raw = await store.withCodec(json()).get("plain/a");
    expect(raw?.value).toEqual({ Op: 0, Addr: "10.0.0.1:80", Metadata: { zone: "y" } });
  });

  it("refuses ids that are no part of a key", async () => {
    const address = "10.0.0.1:80";
    await expect(register(store, "plain", { id: "a/b", address })).rejects.toThrow("without");
  });

  it("gets an instance back whose lease was lost", async () => {
    await using list = await follow(store, "back");
    await using registration = await register(store, "back", { id: "a", address: "h:1" });
    const lease = (await store.get("back/a"))?.leaseId ?? 0n;
    await store.client.leaseRevoke(lease);
    await expect.poll(() => idsOf(list.instances), patient).toBe("");
    await expect.poll(() => idsOf(list.instances), patient).toBe("a");
    expect(registration.listed).toBe(true);
  });

  it("keeps every living instance under faults, and ends with the right list", async () => {
    await underFaults(cluster, { durationMs: 5_000 }, async (over) => {
      await using list = await follow(store, "chaos");
      await using _steady = await register(store, "chaos", {
        id: "steady",
        address: "h:1",
        ttlSeconds: 5,
      });
      await expect.poll(() => idsOf(list.instances), patient).toContain("steady");
      const missing: string[] = [];
      list.onChange((instances) => {
        if (!idsOf(instances).includes("steady")) {
          missing.push(idsOf(instances));
        }
      });
      for (let i = 0; !over.aborted; i++) {
        await using _guest = await register(store, "chaos", {
          id: `guest-${i}`,
          address: "h:2",
          ttlSeconds: 2,
        });
        await sleep(100);
      }
      expect(missing).toEqual([]);
      await expect.poll(() => idsOf(list.instances), patient).toBe("steady");
    });
  }, 90_000);
});

const whoIsThere = {
  path: "/test.Orders/WhoIsThere",
  requestStream: false,
  responseStream: false,
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
} as const;

/** A server that says who it is, with its own connection to the store, so that it can go silent. */
class OrdersServer implements AsyncDisposable {
  readonly id: string;
  readonly store = new Quorate({ endpoints: cluster.endpoints });
  readonly #server = new Server();
  /** When it was called last. */
  calledAtMs = 0;

  constructor(id: string) {
    this.id = id;
    const definition: ServiceDefinition = { WhoIsThere: whoIsThere };
    this.#server.addService(definition, {
      WhoIsThere: (_call: unknown, reply: (error: null, id: string) => void) => {
        this.calledAtMs = performance.now();
        reply(null, this.id);
      },
    });
  }

  async start(service: string, ttlSeconds: number): Promise<void> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const address = `127.0.0.1:${port}`;
    await register(this.store, service, { id: this.id, address, ttlSeconds });
  }

  /** Dies as far as the store can tell; calls would still be answered. */
  goSilent(): void {
    this.store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.close();
    this.#server.forceShutdown();
  }
}

function call(client: Client, deadlineMs = 20_000): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = whoIsThere;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      "hello",
      { deadline: Date.now() + deadlineMs },
      (error, reply) => (error === null ? resolve(reply ?? "") : reject(error)),
    );
  });
}

describe("a grpc-js client that dials quorate:///orders", () => {
  it("calls all instances in turn, new ones too, and none after its time", async () => {
    registerGrpcResolver(store);
    await using a = new OrdersServer("a");
    await using b = new OrdersServer("b");
    await using late = new OrdersServer("late");
    await a.start("orders", 2);
    const ttlSeconds = 3;
    await b.start("orders", ttlSeconds);
    const client = new Client("quorate:///orders", credentials.createInsecure());
    const calls = async (count: number): Promise<Set<string>> => {
      const answers = new Set<string>();
      for (let i = 0; i < count; i++) {
        answers.add(await call(client));
      }
      return answers;
    };
    await expect.poll(async () => [...(await calls(6))].sort(), patient).toEqual(["a", "b"]);
    await late.start("orders", 2);
    await expect
      .poll(async () => [...(await calls(9))].sort(), patient)
      .toEqual(["a", "b", "late"]);

    b.goSilent();
    const silentAtMs = performance.now();
    while (performance.now() - silentAtMs < 8_000) {
      await call(client);
    }
    const lastCallMs = b.calledAtMs - silentAtMs;
    console.info(`the last call came ${Math.round(lastCallMs)} ms after the silence began`);
    // The promise is a second after its TTL; one more for a machine that is busy with other tests.
    expect(lastCallMs).toBeLessThan((ttlSeconds + 2) * 1000);
    expect([...(await calls(6))].sort()).toEqual(["a", "late"]);
    client.close();
  }, 60_000);

  it("finds the service anew at each dialing while the store changes its leader", async () => {
    registerGrpcResolver(store, { authority: "second" });
    await using server = new OrdersServer("only");
    await server.start("steady", 10);
    const failures: string[] = [];
    let dialed = 0;
    const lookUp = async (): Promise<void> => {
      const client = new Client("quorate://second/steady", credentials.createInsecure());
      try {
        await call(client);
        dialed++;
      } catch (error) {
        failures.push(String(error));
      } finally {
        client.close();
      }
    };
    const done = new AbortController();
    const looking = (async () => {
      while (!done.signal.aborted) {
        await lookUp();
      }
    })();
    let changes = 0;
    for (; changes < 3 || (dialed <= 10 && changes < 30); changes++) {
      const old = await cluster.killLeader();
      await cluster.leader();
      await old.start();
    }
    done.abort();
    await looking;
    console.info(`${dialed} look-ups over ${changes} changes of leader`);
    expect(failures).toEqual([]);
    expect(dialed).toBeGreaterThan(10);
  }, 60_000);

  it("waits for the first instance, and says so when its deadline comes", async () => {
    registerGrpcResolver(store);
    const client = new Client("quorate:///nobody", credentials.createInsecure());
    await expect(call(client, 500)).rejects.toThrow(/DEADLINE_EXCEEDED|UNAVAILABLE/);
    const answer = call(client);
    await using server = new OrdersServer("first");
    await server.start("nobody", 5);
    expect(await answer).toBe("first");
    client.close();
    const stranger = new Client("quorate://unknown/orders", credentials.createInsecure());
    await expect(call(stranger)).rejects.toThrow("no store is registered");
    stranger.close();
  }, 60_000);
});
