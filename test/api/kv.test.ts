import { describe, expect, it } from "vitest";
import { emptyBytes, fromUtf8, QuorateError, toRevision, utf8 } from "../../src/base/index.ts";
import {
  AlarmRequest,
  Compare,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RangeStreamResponse,
  type RequestOp,
  TxnRequest,
  TxnResponse,
} from "../../src/wire/index.ts";
import { clusterId, memberId } from "./fake-node.ts";
import { FakeCall, type FakeStream, handlerOf, makeWorld, settled, type World } from "./harness.ts";

const kv = (method: string): string => `/etcdserverpb.KV/${method}`;

async function put(world: World, request: Partial<PutRequest>): Promise<PutResponse> {
  const bytes = PutRequest.encode(PutRequest.create(request));
  return PutResponse.decode(await world.call(kv("Put"), bytes));
}
async function range(world: World, request: Partial<RangeRequest>): Promise<RangeResponse> {
  const bytes = RangeRequest.encode(RangeRequest.create(request));
  return RangeResponse.decode(await world.call(kv("Range"), bytes));
}
async function txn(world: World, request: Partial<TxnRequest>): Promise<TxnResponse> {
  const bytes = TxnRequest.encode(TxnRequest.create(request));
  return TxnResponse.decode(await world.call(kv("Txn"), bytes));
}

const key = utf8("a");
const all = { key: new Uint8Array(1), rangeEnd: new Uint8Array(1) };
const rangeOp = (request: Partial<RangeRequest>): RequestOp => ({
  request: { kind: "requestRange", value: RangeRequest.create(request) },
});
const putOp = (name: string, value: string): RequestOp => ({
  request: {
    kind: "requestPut",
    value: PutRequest.create({ key: utf8(name), value: utf8(value) }),
  },
});

describe("Put", () => {
  it("answers with the whole header and logs the client's own bytes", async () => {
    const world = makeWorld();
    const bytes = PutRequest.encode(PutRequest.create({ key, value: utf8("1") }));
    const reply = PutResponse.decode(await world.call(kv("Put"), bytes));
    expect(reply.header).toEqual({ clusterId, memberId, revision: 2, raftTerm: 3 });
    expect(reply.prevKv).toBeUndefined();
    expect(world.node.proposed[0]?.kind).toBe("put");
    expect(world.node.proposed[0]?.body).toBe(bytes);
  });

  it("gives the pair it replaced when asked", async () => {
    const world = makeWorld();
    expect((await put(world, { key, value: utf8("1"), prevKv: true })).prevKv).toBeUndefined();
    const second = await put(world, { key, value: utf8("2"), prevKv: true });
    expect(second.prevKv).toMatchObject({ key, value: utf8("1"), modRevision: 2, version: 1 });
  });

  it("turns failures of apply and of shape into etcd's errors, changing nothing", async () => {
    const world = makeWorld();
    await expect(put(world, {})).rejects.toThrow("etcdserver: key is not provided");
    expect(world.node.proposed).toEqual([]);
    const lost = put(world, { key, lease: 5n });
    await expect(lost).rejects.toMatchObject({ code: "leaseNotFound", status: 5 });
    const missing = put(world, { key, ignoreValue: true });
    await expect(missing).rejects.toMatchObject({ code: "keyNotFound", status: 3 });
  });

  it("refuses a request beyond the limit, and malformed bytes", async () => {
    const world = makeWorld({ requestBytesMax: 100 });
    const big = put(world, { key, value: new Uint8Array(100) });
    await expect(big).rejects.toMatchObject({ code: "requestTooLarge" });
    await expect(world.call(kv("Put"), new Uint8Array([0x0a, 5]))).rejects.toThrow("truncated");
    expect(world.node.proposed).toEqual([]);
  });

  it("refuses what would pass the quota before anything else, and raises the alarm", async () => {
    const world = makeWorld();
    world.node.statusOverrides = { quotaBytes: 5_000, sizeInUseBytes: 4_800 };
    await expect(put(world, {})).rejects.toMatchObject({ code: "noSpace" });
    expect(world.node.proposed).toHaveLength(1);
    expect(AlarmRequest.decode(world.node.proposed[0]?.body ?? emptyBytes)).toEqual({
      action: 1,
      memberId,
      alarm: 1,
    });
    // What frees space still may.
    const bytes = DeleteRangeRequest.encode(DeleteRangeRequest.create({ key }));
    await world.call(kv("DeleteRange"), bytes);
    world.node.statusOverrides = { quotaBytes: 0, sizeInUseBytes: 4_800 };
    await put(world, { key });
  });

  it("passes the node's failures on", async () => {
    const world = makeWorld();
    world.node.failWith = new QuorateError("timeoutLeaderFailure");
    await expect(put(world, { key })).rejects.toBe(world.node.failWith);
  });
});

describe("Range", () => {
  it("answers at once, without a promise, when the node can", () => {
    const world = makeWorld();
    const handler = handlerOf(world.api, kv("Range"));
    const bytes = RangeRequest.encode(RangeRequest.create({ key, serializable: true }));
    const reply =
      handler.kind === "unary" ? handler.handle(bytes, new FakeCall(kv("Range"))) : undefined;
    expect(reply).not.toBeInstanceOf(Promise);
  });

  it("reads linearizably unless told otherwise", async () => {
    const world = makeWorld();
    await range(world, { key });
    await range(world, { key, serializable: true });
    expect(world.node.reads).toEqual([true, false]);
  });

  it("passes every option on", async () => {
    const world = makeWorld();
    for (const name of ["b", "a", "c", "d"]) {
      await put(world, { key: utf8(name), value: utf8(`v${name}`) });
    }
    const names = (reply: RangeResponse): string =>
      reply.kvs.map((pair) => fromUtf8(pair.key)).join("");
    const limited = await range(world, { ...all, limit: 2 });
    expect([names(limited), limited.more, limited.count]).toEqual(["ab", true, 4]);
    const newest = await range(world, { ...all, sortOrder: 2, sortTarget: 3, limit: 1 });
    expect(names(newest)).toBe("d");
    const counted = await range(world, { ...all, countOnly: true });
    expect([counted.kvs, counted.count]).toEqual([[], 4]);
    const keys = await range(world, { ...all, keysOnly: true });
    expect([names(keys), keys.kvs[0]?.value.length]).toEqual(["abcd", 0]);
    expect(names(await range(world, { ...all, minModRevision: 3, maxModRevision: 4 }))).toBe("ac");
    expect(names(await range(world, { ...all, minCreateRevision: 5 }))).toBe("d");
    const old = await range(world, { ...all, revision: 2 });
    expect([names(old), old.header?.revision]).toEqual(["b", 5]);
    expect(names(await range(world, { ...all, limit: -1 }))).toBe("abcd");
  });

  it("refuses future and compacted revisions, not the compacted one itself", async () => {
    const world = makeWorld();
    await put(world, { key });
    await put(world, { key });
    await expect(range(world, { key, revision: 4 })).rejects.toMatchObject({
      code: "futureRevision",
    });
    world.node.store.compactedRevision = toRevision(3);
    await expect(range(world, { key, revision: 2 })).rejects.toMatchObject({ code: "compacted" });
    expect((await range(world, { key, revision: 3 })).count).toBe(1);
    expect((await range(world, { key, revision: -5 })).count).toBe(1);
  });
});

describe("DeleteRange", () => {
  it("counts, and gives the pairs in key order when asked", async () => {
    const world = makeWorld();
    await put(world, { key: utf8("b"), value: utf8("2") });
    await put(world, { key: utf8("a"), value: utf8("1") });
    const call = async (request: Partial<DeleteRangeRequest>): Promise<DeleteRangeResponse> => {
      const bytes = DeleteRangeRequest.encode(DeleteRangeRequest.create(request));
      return DeleteRangeResponse.decode(await world.call(kv("DeleteRange"), bytes));
    };
    const reply = await call({ ...all, prevKv: true });
    expect([reply.deleted, reply.header?.revision]).toEqual([2, 4]);
    expect(reply.prevKvs.map((pair) => fromUtf8(pair.value))).toEqual(["1", "2"]);
    const nothing = await call({ ...all, prevKv: true });
    expect([nothing.deleted, nothing.header?.revision]).toEqual([0, 4]);
    await expect(call({})).rejects.toThrow("key is not provided");
  });
});

describe("Txn", () => {
  it("answers in the shape of etcd: inner headers hold the revision alone", async () => {
    const world = makeWorld();
    const nested = TxnRequest.create({ success: [putOp("n", "1")] });
    const reply = await txn(world, {
      compare: [
        Compare.create({ target: 1, key, targetUnion: { kind: "createRevision", value: 0 } }),
      ],
      success: [
        putOp("a", "1"),
        rangeOp(all),
        { request: { kind: "requestTxn", value: nested } },
        {
          request: {
            kind: "requestDeleteRange",
            value: DeleteRangeRequest.create({ key: utf8("zz"), prevKv: true }),
          },
        },
      ],
    });
    expect(reply.succeeded).toBe(true);
    expect(reply.header).toEqual({ clusterId, memberId, revision: 2, raftTerm: 3 });
    const inner = { clusterId: 0n, memberId: 0n, raftTerm: 0 };
    const [first, second, third, fourth] = reply.responses.map((op) => op.response);
    expect(first).toEqual({
      kind: "responsePut",
      value: { header: { ...inner, revision: 2 }, prevKv: undefined },
    });
    expect(second).toMatchObject({
      kind: "responseRange",
      value: { header: { ...inner, revision: 2 }, count: 1, kvs: [{ key }] },
    });
    expect(third).toMatchObject({
      kind: "responseTxn",
      value: { header: { ...inner, revision: 0 }, succeeded: true },
    });
    expect(fourth).toMatchObject({ kind: "responseDeleteRange", value: { deleted: 0 } });
  });

  it("serves read-only ones as reads", async () => {
    const world = makeWorld();
    await put(world, { key, value: utf8("1") });
    const reply = await txn(world, { success: [rangeOp({ key })] });
    expect(reply.responses[0]?.response).toMatchObject({ kind: "responseRange" });
    await txn(world, { success: [rangeOp({ key, serializable: true })] });
    expect(await txn(world, {})).toMatchObject({ succeeded: true, responses: [] });
    expect(world.node.reads).toEqual([true, false, false]);
    expect(world.node.proposed).toHaveLength(1);
    const future = txn(world, { success: [rangeOp({ key, revision: 9 })] });
    await expect(future).rejects.toMatchObject({ code: "futureRevision" });
  });

  it("splices a reply of very many pairs", async () => {
    const world = makeWorld();
    for (let i = 0; i < 300; i++) {
      world.node.store.put(utf8(`k${i}`), emptyBytes, 0n);
    }
    world.node.commit();
    const reply = await txn(world, { success: [rangeOp(all), putOp("x", "")] });
    expect(reply.responses[0]?.response?.value).toMatchObject({ count: 300 });
  });

  it("takes the quota from the dearer branch", async () => {
    const world = makeWorld();
    world.node.statusOverrides = { quotaBytes: 4_096 + 300, sizeInUseBytes: 4_096 };
    await txn(world, { success: [putOp("a", "1")] });
    const dear = txn(world, { success: [], failure: [putOp("a", "1"), putOp("b", "1")] });
    await expect(dear).rejects.toMatchObject({ code: "noSpace" });
  });
});

describe("Compact", () => {
  const compact = async (world: World, revision: number, physical = false) =>
    CompactionResponse.decode(
      await world.call(kv("Compact"), CompactionRequest.encode({ revision, physical })),
    );

  it("waits for the space to be freed when asked", async () => {
    const world = makeWorld();
    await put(world, { key });
    await put(world, { key });
    expect((await compact(world, 2)).header?.revision).toBe(3);
    expect(world.node.compactionDoneCalls).toBe(0);
    await compact(world, 3, true);
    expect(world.node.compactionDoneCalls).toBe(1);
    await expect(compact(world, 3)).rejects.toMatchObject({ code: "compacted" });
    await expect(compact(world, 9)).rejects.toMatchObject({ code: "futureRevision" });
  });
});

describe("A large Range", () => {
  const large = new Uint8Array(400 * 1024).fill(7);

  function filled(count: number): World {
    const world = makeWorld();
    for (let i = 0; i < count; i++) {
      world.node.store.put(utf8(`k${i}`), large, 0n);
      world.node.commit();
    }
    return world;
  }

  it("is read in pieces at one revision, while the store goes on", async () => {
    const world = filled(9);
    const answer = range(world, all);
    await Promise.resolve();
    await Promise.resolve();
    world.node.store.put(utf8("k1"), emptyBytes, 0n);
    world.node.store.put(utf8("k11"), emptyBytes, 0n);
    world.node.commit();
    const { kvs, count, more, header } = await answer;
    expect(kvs.map((pair) => fromUtf8(pair.key))).toEqual(
      Array.from({ length: 9 }, (_, i) => `k${i}`),
    );
    expect(kvs.every((pair) => pair.value.length === large.length)).toBe(true);
    expect([count, more, header?.revision]).toEqual([9, false, 10]);
    expect(world.node.reads.length).toBeGreaterThan(3);
    expect(world.node.reads.filter((linearizable) => linearizable)).toHaveLength(1);
  });

  it("keeps to its limit and counts beyond it", async () => {
    const { kvs, count, more } = await range(filled(9), { ...all, limit: 7 });
    expect([kvs.length, count, more]).toEqual([7, 9, true]);
  });

  it("begins anew when compaction overtakes it, unless it asked for that revision", async () => {
    const world = filled(9);
    const [latest, old] = [range(world, all), range(world, { ...all, revision: 10 })];
    await Promise.resolve();
    await Promise.resolve();
    world.node.store.put(utf8("k9"), large, 0n);
    world.node.commit();
    world.node.store.compactedRevision = world.node.store.revision;
    await expect(old).rejects.toMatchObject({ code: "compacted" });
    expect((await latest).kvs).toHaveLength(10);
  });

  it("is not read on for a client that has gone", async () => {
    const world = filled(9);
    const call = new FakeCall(kv("Range"));
    const request = RangeRequest.encode(RangeRequest.create(all));
    const handler = handlerOf(world.api, kv("Range"));
    const answer = handler.kind === "unary" ? handler.handle(request, call) : undefined;
    await Promise.resolve();
    call.cancel();
    await expect(answer).rejects.toMatchObject({ status: 1 });
    expect(world.node.reads.length).toBeLessThan(4);
  });
});

describe("RangeStream", () => {
  function open(world: World, request: Partial<RangeRequest>): FakeStream {
    const stream = world.stream(kv("RangeStream"));
    stream.send(RangeRequest.encode(RangeRequest.create(request)));
    return stream;
  }
  const chunks = (stream: FakeStream): RangeResponse[] =>
    stream.written.map(
      (bytes) => RangeStreamResponse.decode(bytes).rangeResponse ?? RangeResponse.create(),
    );

  function filled(count: number, options = {}): World {
    const world = makeWorld(options);
    for (let i = 0; i < count; i++) {
      world.node.store.put(utf8(`k${String(i).padStart(3, "0")}`), utf8("value"), 0n);
      world.node.commit();
    }
    return world;
  }

  it("sends disjoint chunks that grow, header and count on the last alone", async () => {
    const world = filled(45);
    const stream = open(world, all);
    await settled();
    const got = chunks(stream);
    expect(got.map((chunk) => chunk.kvs.length)).toEqual([10, 20, 15]);
    expect(got.slice(0, 2).map((c) => [c.header, c.count])).toEqual([
      [undefined, 0],
      [undefined, 0],
    ]);
    expect(got[2]).toMatchObject({ count: 45, more: false, header: { revision: 46, memberId } });
    expect(new Set(got.flatMap((c) => c.kvs.map((pair) => fromUtf8(pair.key)))).size).toBe(45);
    expect(stream.ended).toBeNull();
    expect(world.node.reads).toEqual([true, false, false]);
  });

  it("keeps to the limit and counts what is beyond it", async () => {
    const stream = open(filled(45), { ...all, limit: 12 });
    await settled();
    const got = chunks(stream);
    expect(got.map((chunk) => chunk.kvs.length)).toEqual([10, 2]);
    expect(got[1]).toMatchObject({ count: 45, more: true });
  });

  it("answers an empty range and a count in one message", async () => {
    const world = filled(5);
    const none = open(world, { key: utf8("x") });
    const count = open(world, { ...all, countOnly: true });
    await settled();
    expect(chunks(none)).toMatchObject([{ kvs: [], count: 0, header: { revision: 6 } }]);
    expect(chunks(count)).toMatchObject([{ kvs: [], count: 5, header: { revision: 6 } }]);
  });

  it("does not see writes that come later, and ends when its revision is compacted", async () => {
    const world = filled(30);
    const stream = open(world, all);
    stream.writesUntilFull = 1;
    await settled();
    expect(stream.written).toHaveLength(1);
    world.node.store.put(utf8("k0101"), emptyBytes, 0n);
    world.node.commit();
    stream.drain();
    await settled();
    expect(chunks(stream).flatMap((chunk) => chunk.kvs)).toHaveLength(30);

    const late = open(world, all);
    late.writesUntilFull = 1;
    await settled();
    world.node.store.put(utf8("k0102"), emptyBytes, 0n);
    world.node.commit();
    world.node.store.compactedRevision = world.node.store.revision;
    late.drain();
    await settled();
    expect(late.ended).toMatchObject({ status: 11 });
    expect(late.ended?.message).toContain("compacted");
  });

  it("stops when the client goes", async () => {
    const world = filled(45);
    const stream = open(world, all);
    stream.writesUntilFull = 1;
    await settled();
    stream.cancel();
    await settled();
    expect(stream.written).toHaveLength(1);
    expect(world.node.reads).toHaveLength(1);
  });

  it("refuses orders and filters in etcd's words", async () => {
    const world = filled(3);
    const refused = [
      open(world, { ...all, sortOrder: 2 }),
      open(world, { ...all, sortOrder: 1, sortTarget: 1 }),
      open(world, { ...all, minModRevision: 1 }),
      open(world, {}),
    ];
    const allowed = open(world, { ...all, sortOrder: 0, sortTarget: 2 });
    await settled();
    expect(refused.map(({ ended }) => [ended?.status, ended?.message])).toEqual([
      [12, "RangeStream does not support custom sort orders"],
      [12, "RangeStream does not support custom sort orders"],
      [12, "RangeStream does not support revision filters"],
      [3, "etcdserver: key is not provided"],
    ]);
    expect(allowed.ended).toBeNull();
  });
});
