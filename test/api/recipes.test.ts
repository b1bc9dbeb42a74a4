import { describe, expect, it } from "vitest";
import { fromUtf8, noLease, toLeaseId, toRevision, utf8 } from "../../src/base/index.ts";
import {
  CampaignRequest,
  CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  LockRequest,
  LockResponse,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
  UnlockRequest,
  UnlockResponse,
} from "../../src/wire/index.ts";
import { FakeCall, handlerOf, joined, makeWorld, settled, type World } from "./harness.ts";

function world(): World {
  const made = makeWorld();
  for (const id of [0xa1n, 0xb2n, 0xc3n]) {
    made.node.leases.set(toLeaseId(id), 30);
  }
  return made;
}

interface Pending<T> {
  readonly call: FakeCall;
  readonly reply: Promise<T>;
  /** What came of it so far. */
  outcome: T | Error | undefined;
}

function start<T>(
  { api }: World,
  path: string,
  request: Uint8Array,
  decode: (bytes: Uint8Array) => T,
): Pending<T> {
  const call = new FakeCall(path);
  const handler = handlerOf(api, path);
  if (handler.kind !== "unary") {
    throw new Error("not unary");
  }
  const reply = Promise.resolve(handler.handle(request, call)).then((r) => decode(joined(r)));
  const pending: Pending<T> = { call, reply, outcome: undefined };
  reply.then(
    (value) => {
      pending.outcome = value;
    },
    (error: Error) => {
      pending.outcome = error;
    },
  );
  return pending;
}

/** More turns than a recipe has steps. */
async function steps(): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await settled();
  }
}

describe("Lock", () => {
  const name = utf8("door");
  const lock = (w: World, lease: bigint, of = name): Pending<LockResponse> =>
    start(w, "/v3lockpb.Lock/Lock", LockRequest.encode({ name: of, lease }), (bytes) =>
      LockResponse.decode(bytes),
    );
  const unlock = async (w: World, key: Uint8Array): Promise<UnlockResponse> =>
    UnlockResponse.decode(await w.call("/v3lockpb.Lock/Unlock", UnlockRequest.encode({ key })));

  it("is held by one at a time, in the order of asking", async () => {
    const w = world();
    const first = await lock(w, 0xa1n).reply;
    expect(fromUtf8(first.key)).toBe("door/a1");
    expect(first.header?.revision).toBe(2);
    const second = lock(w, 0xb2n);
    await steps();
    const third = lock(w, 0xc3n);
    await steps();
    expect([second.outcome, third.outcome]).toEqual([undefined, undefined]);
    await unlock(w, first.key);
    expect(fromUtf8((await second.reply).key)).toBe("door/b2");
    await steps();
    expect(third.outcome).toBeUndefined();
    await unlock(w, (await second.reply).key);
    expect(fromUtf8((await third.reply).key)).toBe("door/c3");
  });

  it("is not another name's", async () => {
    const w = world();
    await lock(w, 0xa1n).reply;
    await lock(w, 0xb2n, utf8("doo")).reply;
    await lock(w, 0xb2n, utf8("door2")).reply;
  });

  it("is given again to the lease that holds it", async () => {
    const w = world();
    const first = await lock(w, 0xa1n).reply;
    expect((await lock(w, 0xa1n).reply).key).toEqual(first.key);
  });

  it("goes to the next when the holder's lease ends, past those who gave up", async () => {
    const w = world();
    await lock(w, 0xa1n).reply;
    const second = lock(w, 0xb2n);
    await steps();
    const third = lock(w, 0xc3n);
    await steps();
    second.call.cancel();
    await steps();
    expect(second.outcome).toMatchObject({ status: 1 });
    expect(w.node.store.latest(utf8("door/b2"))).toBeUndefined();
    w.node.store.delete({ key: utf8("door/a1"), rangeEnd: new Uint8Array(0) });
    w.node.commit();
    expect(fromUtf8((await third.reply).key)).toBe("door/c3");
  });

  it("is not had by a waiter whose own key went", async () => {
    const w = world();
    await lock(w, 0xa1n).reply;
    const second = lock(w, 0xb2n);
    await steps();
    await unlock(w, utf8("door/b2"));
    await unlock(w, utf8("door/a1"));
    await steps();
    expect(second.outcome).toMatchObject({ status: 2, message: "mutex: session is expired" });
  });

  it("brings its own lease when the client has none", async () => {
    const w = world();
    const { key } = await lock(w, 0n).reply;
    const [, hex] = fromUtf8(key).split("/");
    expect(w.node.leases.get(toLeaseId(BigInt(`0x${hex}`)))).toBe(60);
    expect(w.node.store.meta(key)?.lease).not.toBe(noLease);
  });

  it("answers as a client's error would, Unknown", async () => {
    const w = world();
    await expect(lock(w, 5n).reply).rejects.toMatchObject({
      status: 2,
      message: "etcdserver: requested lease not found",
    });
    await expect(unlock(w, new Uint8Array(0))).rejects.toMatchObject({
      status: 2,
      message: "etcdserver: key is not provided",
    });
    expect((await unlock(w, utf8("none"))).header?.revision).toBe(1);
  });

  it("looks again when what it waits on is compacted", async () => {
    const w = world();
    await lock(w, 0xa1n).reply;
    const openWatchStream = w.node.openWatchStream.bind(w.node);
    let opened = 0;
    w.node.openWatchStream = (sink) => {
      if (++opened > 1) {
        return openWatchStream(sink);
      }
      queueMicrotask(() =>
        sink.notify({ kind: "compacted", watchId: 0n, compactedRevision: toRevision(9) }),
      );
      const nothing = (): void => {};
      return {
        create: nothing,
        cancel: nothing,
        requestProgress: nothing,
        resume: nothing,
        close: nothing,
      };
    };
    const second = lock(w, 0xb2n);
    await steps();
    expect(opened).toBe(2);
    await unlock(w, utf8("door/a1"));
    await second.reply;
  });
});

describe("Election", () => {
  const election = (method: string): string => `/v3electionpb.Election/${method}`;
  const name = utf8("boss");
  const campaign = (w: World, lease: bigint, value: string): Pending<CampaignResponse> =>
    start(
      w,
      election("Campaign"),
      CampaignRequest.encode({ name, lease, value: utf8(value) }),
      (bytes) => CampaignResponse.decode(bytes),
    );
  const leader = async (w: World): Promise<LeaderResponse> =>
    LeaderResponse.decode(await w.call(election("Leader"), LeaderRequest.encode({ name })));
  const value = (response: LeaderResponse): string => fromUtf8(response.kv?.value ?? utf8("?"));

  it("has one leader, who proclaims and resigns", async () => {
    const w = world();
    await expect(leader(w)).rejects.toMatchObject({ status: 2, message: "election: no leader" });
    const first = await campaign(w, 0xa1n, "one").reply;
    expect(first.leader).toEqual({ name, key: utf8("boss/a1"), rev: 2, lease: 0xa1n });
    expect(value(await leader(w))).toBe("one");
    const second = campaign(w, 0xb2n, "two");
    await steps();
    expect(second.outcome).toBeUndefined();
    const bytes = ProclaimRequest.encode({ leader: first.leader, value: utf8("uno") });
    const proclaimed = ProclaimResponse.decode(await w.call(election("Proclaim"), bytes));
    expect(proclaimed.header?.revision).toBe(4);
    expect(value(await leader(w))).toBe("uno");
    const resign = ResignRequest.encode({ leader: first.leader });
    const resigned = ResignResponse.decode(await w.call(election("Resign"), resign));
    expect(resigned.header?.revision).toBe(5);
    await second.reply;
    expect(value(await leader(w))).toBe("two");
    await expect(w.call(election("Proclaim"), bytes)).rejects.toMatchObject({
      status: 2,
      message: "election: not leader",
    });
  });

  it("takes a new value from a contender that stands already", async () => {
    const w = world();
    await campaign(w, 0xa1n, "one").reply;
    const again = await campaign(w, 0xa1n, "uno").reply;
    expect(again.leader?.rev).toBe(2);
    expect(value(await leader(w))).toBe("uno");
  });

  it("withdraws a contender whose client has gone", async () => {
    const w = world();
    await campaign(w, 0xa1n, "one").reply;
    const second = campaign(w, 0xb2n, "two");
    await steps();
    second.call.cancel();
    await steps();
    expect(second.outcome).toMatchObject({ status: 1 });
    expect(w.node.store.latest(utf8("boss/b2"))).toBeUndefined();
  });

  it("wants to know which leader speaks", async () => {
    const w = world();
    for (const method of ["Proclaim", "Resign"]) {
      await expect(w.call(election(method), new Uint8Array(0))).rejects.toMatchObject({
        status: 2,
        message: '"leader" field must be provided',
      });
    }
  });

  it("shows every leader and value to those who observe", async () => {
    const w = world();
    const stream = w.stream(election("Observe"));
    stream.send(LeaderRequest.encode({ name }));
    await steps();
    expect(stream.written).toEqual([]);
    const first = await campaign(w, 0xa1n, "one").reply;
    await steps();
    const second = campaign(w, 0xb2n, "two");
    await steps();
    const bytes = ProclaimRequest.encode({ leader: first.leader, value: utf8("uno") });
    await w.call(election("Proclaim"), bytes);
    await steps();
    await w.call(election("Resign"), ResignRequest.encode({ leader: first.leader }));
    await second.reply;
    await steps();
    const seen = stream.written.map((message) => LeaderResponse.decode(message));
    expect(seen.map(value)).toEqual(["one", "uno", "two"]);
    expect(seen.map(({ header }) => header?.revision)).toEqual([2, 4, 5]);
    stream.cancel();
    await steps();
    expect(stream.written).toHaveLength(3);
  });
});
