// Transactions that take place once: each answer, each request lost or late, at every point, while
// their conditions come and go; and what is said when the writer's lease is over.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grpcStatus } from "../../src/base/index.ts";
import { type CallOptions, ClientError, UnavailableError } from "../../src/client/index.ts";
import { OnceWriter } from "../../src/recipes/once-writer.ts";
import { Quorate } from "../../src/sdk/index.ts";
import { startTestCluster, type TestCluster } from "../../src/testing/index.ts";
import type { TxnRequest, TxnResponse } from "../../src/wire/index.ts";

type Send = () => Promise<TxnResponse>;
/** What becomes of one request; `send` carries it out. */
type Fate = (send: Send) => Promise<TxnResponse>;

const timeoutMs = 60_000;
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster(1);
});

afterAll(() => cluster.close());

const lost = (): never => {
  throw new UnavailableError("the connection broke");
};

/** A store whose transactions meet what `fateOf` says, once it is set. */
function faultyStore(): { readonly store: Quorate; fateOf?: (request: TxnRequest) => Fate } {
  const faulty: { readonly store: Quorate; fateOf?: (request: TxnRequest) => Fate } = {
    store: new Quorate({ endpoints: cluster.endpoints }),
  };
  const { client } = faulty.store;
  const commit = client.txn.bind(client);
  client.txn = (request: Partial<TxnRequest>, options?: CallOptions) => {
    // A late request is not bound to the time limit of the call that gave up on it.
    const fate = faulty.fateOf?.(request as TxnRequest);
    return fate === undefined ? commit(request, options) : fate(() => commit(request));
  };
  return faulty;
}

const ok: Fate = (send) => send();
const requestLost: Fate = async () => lost();
const answerLost: Fate = async (send) => {
  await send();
  return lost();
};

/** Meets the given fates one after the other, then nothing. */
function inTurn(...fates: readonly Fate[]): () => Fate {
  let calls = 0;
  return () => fates[calls++] ?? ok;
}

describe("a writer of transactions that take place once", () => {
  const fates = ["ok", "request lost", "answer lost", "late", "at the end"] as const;
  const numbers = [0, 1, 2];

  interface Scenario {
    readonly fates: readonly (typeof fates)[number][];
    /** Whether the condition on the gate holds, before each request. */
    readonly gates: readonly boolean[];
  }

  function scenarios(): Scenario[] {
    const all: Scenario[] = [];
    for (let code = 0; code < fates.length ** numbers.length; code++) {
      for (let bits = 0; bits < 2 ** numbers.length; bits++) {
        const each = numbers.map(
          (n) => fates[Math.floor(code / fates.length ** n) % fates.length] ?? "ok",
        );
        all.push({ fates: each, gates: numbers.map((n) => ((bits >> n) & 1) === 1) });
      }
    }
    return all;
  }

  /** The fates of one scenario's requests; `flush` carries out what is still under way. */
  function play(store: Quorate, name: string, { fates, gates }: Scenario) {
    const late: { readonly send: Send; atEnd: boolean }[] = [];
    const arrive = async (atEnd: boolean): Promise<void> => {
      for (const each of late.splice(0)) {
        if (each.atEnd && !atEnd) {
          late.push(each);
        } else {
          await each.send().catch(() => undefined);
        }
      }
    };
    let calls = 0;
    let gate = "";
    const fate: Fate = async (send) => {
      const call = calls++;
      const kind = fates[call] ?? "ok";
      const next = gates[call] === false ? "shut" : "open";
      if (next !== gate) {
        gate = next;
        await store.put(`gate/${name}`, gate);
      }
      if (kind === "late" || kind === "at the end") {
        late.push({ send, atEnd: kind === "at the end" });
        return lost();
      }
      const reply = kind === "request lost" ? undefined : await send();
      await arrive(false);
      return reply === undefined || kind === "answer lost" ? lost() : reply;
    };
    return { fate, flush: () => arrive(true) };
  }

  it(
    "does each once, or not at all when it says so",
    async () => {
      const faulty = faultyStore();
      const { store } = faulty;
      const plays = new Map<string, ReturnType<typeof play>>();
      const decoder = new TextDecoder();
      faulty.fateOf = ({ compare }) => {
        const [, name = ""] = decoder.decode(compare[0]?.key).split("/");
        return plays.get(name)?.fate ?? ok;
      };
      const broken: string[] = [];
      const run = async (scenario: Scenario, index: number): Promise<void> => {
        const name = String(index);
        const played = play(store, name, scenario);
        plays.set(name, played);
        await using writer = new OnceWriter(store, `w/${name}/`);
        const keys = [`made/${name}/a`, `made/${name}/b`];
        const results = await Promise.all(
          keys.map((key) =>
            writer.commit({
              conditions: [store.when(`gate/${name}`).value("=", "open"), store.when(key).absent()],
              operations: [store.op.put(key, "x")],
              otherwise: key,
            }),
          ),
        );
        await played.flush();
        const entries = await Promise.all(keys.map((key) => store.get(key)));
        const said = results.map(({ done, revision }) => (done ? revision : undefined));
        const truth = entries.map((entry) => entry?.modRevision);
        const wasShut = scenario.gates.includes(false);
        if (said.join() !== truth.join() || (!wasShut && truth.includes(undefined))) {
          broken.push(`${JSON.stringify(scenario)}: said ${said.join()}, is ${truth.join()}`);
        }
      };
      await Promise.all(scenarios().map(run));
      expect(broken).toEqual([]);
      await expect.poll(() => store.count({ prefix: "w/" }), { timeout: timeoutMs }).toBe(0);
      store.close();
    },
    2 * timeoutMs,
  );

  /** A transaction that takes place once by its own condition: afterwards, it does not hold. */
  function once(store: Quorate, key: string) {
    return {
      conditions: [store.when(key).absent()],
      operations: [store.op.put(key, "x")],
      otherwise: key,
    };
  }

  /** Ends the leases of the writers' keys. */
  async function dropLeases(store: Quorate, prefix: string): Promise<void> {
    const { entries } = await store.range({ prefix }).list();
    expect(entries).toHaveLength(1);
    await Promise.all(entries.map(({ leaseId = 0n }) => store.client.leaseRevoke(leaseId)));
  }

  const uncertain = { uncertain: true };

  it("does not call refused what took place before its lease was over", async () => {
    const faulty = faultyStore();
    const { store } = faulty;
    await using writer = new OnceWriter(store, "over/");
    faulty.fateOf = inTurn(async (send) => {
      await send();
      await dropLeases(store, "over/");
      return lost();
    });
    await expect(writer.commit(once(store, "over-1"))).rejects.toMatchObject(uncertain);
    expect((await writer.commit(once(store, "over-2"))).done).toBe(true);
    store.close();
  });

  it("does not call refused what took place while it made sure, and the lease was over", async () => {
    const faulty = faultyStore();
    const { store } = faulty;
    await using writer = new OnceWriter(store, "fence/");
    await writer.commit(once(store, "fence-0"));
    await store.put("gate", "shut");
    let late: Send | undefined;
    faulty.fateOf = inTurn(
      async (send) => {
        late = send;
        return lost();
      },
      ok,
      async (send) => {
        await store.put("gate", "open");
        await late?.();
        await dropLeases(store, "fence/");
        return send();
      },
    );
    const gated = {
      ...once(store, "fence-1"),
      conditions: [store.when("gate").value("=", "open")],
    };
    await expect(writer.commit(gated)).rejects.toMatchObject(uncertain);
    expect((await store.get("fence-1"))?.value).toBe("x");
    store.close();
  });

  it("says that it does not know when a later attempt is refused for another reason", async () => {
    const faulty = faultyStore();
    const { store } = faulty;
    await using writer = new OnceWriter(store, "space/");
    faulty.fateOf = inTurn(answerLost, () => {
      throw new ClientError(grpcStatus.permissionDenied, "permission denied");
    });
    await expect(writer.commit(once(store, "space"))).rejects.toMatchObject({
      ...uncertain,
      message: expect.stringContaining("permission denied"),
    });
    store.close();
  });

  it("goes on after connections that break in the middle of an answer", async () => {
    const faulty = faultyStore();
    const { store } = faulty;
    await using writer = new OnceWriter(store, "torn/");
    faulty.fateOf = inTurn(async (send) => {
      await send();
      throw new ClientError(grpcStatus.internal, "Received RST_STREAM with code 2");
    });
    expect((await writer.commit(once(store, "torn"))).done).toBe(true);
    store.close();
  });

  it("takes another lease when its own is over", async () => {
    const { store } = faultyStore();
    await using writer = new OnceWriter(store, "again/");
    await writer.commit(once(store, "again-1"));
    await dropLeases(store, "again/");
    expect((await writer.commit(once(store, "again-2"))).done).toBe(true);
    store.close();
  });

  it("lets a caller go while others before it wait", async () => {
    const faulty = faultyStore();
    const { store } = faulty;
    const writer = new OnceWriter(store, "turn/");
    let isAway = true;
    faulty.fateOf = () => (isAway ? requestLost : ok);
    const first = writer.commit(once(store, "turn-1"));
    const signal = AbortSignal.timeout(50);
    await expect(writer.commit(once(store, "turn-2"), signal)).rejects.toThrow(/timeout/i);
    isAway = false;
    expect((await first).done).toBe(true);
    await writer[Symbol.asyncDispose]();
    expect(await store.get("turn-2")).toBeUndefined();
    store.close();
  });
});
