// etcdserverpb.KV, one case an RPC.

import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import * as wire from "../../../src/wire/index.ts";
import { bytes, expectRefused, prefixEnd, type RawClient, text } from "../raw-client.ts";
import {
  compacted,
  farRevision,
  future,
  refusesAll,
  revisionOf,
  type RpcCases,
  type Scene,
} from "./scene.ts";

const emptyKey = "etcdserver: key is not provided";
const { INVALID_ARGUMENT: invalid, OUT_OF_RANGE: outOfRange, NOT_FOUND: notFound } = status;

/** Puts `prefix + name` for each with the name as value; the revision of the last. */
async function fill({ client, prefix }: Scene, ...names: string[]): Promise<number> {
  let revision = 0;
  for (const name of names) {
    const reply = await client.call("put", { key: bytes(prefix + name), value: bytes(name) });
    revision = reply.header?.revision ?? 0;
  }
  return revision;
}

function allOf({ prefix }: Scene): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  return { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
}

async function range(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const first = await fill(scene, "a");
  const last = await fill(scene, "a", "b", "c");
  const read = async (request: Partial<wire.RangeRequest>): Promise<string> => {
    const reply = await client.call("range", { ...allOf(scene), ...request });
    expect(reply.header?.revision).toBeGreaterThanOrEqual(last);
    const names = reply.kvs.map((kv) => text(kv.key).slice(prefix.length) + text(kv.value));
    return `${names.join(" ")}${reply.more ? " more" : ""} of ${reply.count}`;
  };
  const key = bytes(`${prefix}b`);
  expect(await read({})).toBe("aa bb cc of 3");
  expect(await read({ serializable: true, limit: 2 })).toBe("aa bb more of 3");
  expect(await read({ limit: 3 })).toBe("aa bb cc of 3");
  expect(await read({ key, rangeEnd: bytes("") })).toBe("bb of 1");
  expect(await read({ key, rangeEnd: bytes("\0"), limit: 1 })).toMatch(/^bb( more)? of \d+$/);
  expect(await read({ key, rangeEnd: key })).toBe(" of 0");
  expect(await read({ key, rangeEnd: bytes(prefix) })).toBe(" of 0");
  expect(await read({ keysOnly: true })).toBe("a b c of 3");
  expect(await read({ countOnly: true, limit: 1 })).toBe(" of 3");
  expect(await read({ revision: first })).toBe("aa of 1");
  expect(await read({ revision: -5 })).toBe("aa bb cc of 3");
  expect(await read({ sortOrder: 2, limit: 1 })).toBe("cc more of 3");
  expect(await read({ minCreateRevision: last - 1, maxModRevision: last - 1 })).toBe("bb of 3");
  const sort = "etcdserver: invalid sort option";
  await refusesAll(client, "range", [
    [{}, invalid, emptyKey],
    [{ rangeEnd: bytes("\0") }, invalid, emptyKey],
    [{ ...allOf(scene), sortOrder: 3 }, invalid, sort],
    [{ ...allOf(scene), sortTarget: 5 }, invalid, sort],
    [{ ...allOf(scene), revision: farRevision }, outOfRange, future],
  ]);
  await client.call("compact", { revision: last });
  expect(await read({ revision: last })).toBe("aa bb cc of 3");
  await refusesAll(client, "range", [
    [{ ...allOf(scene), revision: first }, outOfRange, compacted],
    [{ ...allOf(scene), revision: first, countOnly: true }, outOfRange, compacted],
  ]);
}

async function rangeStream(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const names = Array.from({ length: 40 }, (_, i) => String(i).padStart(2, "0"));
  const last = await fill(scene, ...names);
  const all = async (
    request: Partial<wire.RangeRequest>,
  ): Promise<(wire.RangeResponse | undefined)[]> => {
    using stream = client.rangeStream({ ...allOf(scene), ...request });
    expect(await stream.end()).toEqual({ code: status.OK, details: "" });
    return stream.queued.map((reply) => reply.rangeResponse);
  };
  const pieces = await all({ limit: 35 });
  expect(pieces.length).toBeGreaterThan(1);
  const heads = pieces.map((piece) => [piece?.header !== undefined, piece?.more, piece?.count]);
  expect(heads.pop()).toEqual([true, true, 40]);
  expect(heads).toEqual(heads.map(() => [false, false, 0]));
  expect(pieces.at(-1)?.header?.revision).toBeGreaterThanOrEqual(last);
  const keys = pieces.flatMap((piece) => (piece?.kvs ?? []).map((kv) => text(kv.key)));
  expect(keys).toEqual(names.slice(0, 35).map((name) => prefix + name));
  expect(await all({ countOnly: true })).toMatchObject([{ kvs: [], count: 40 }]);
  expect(await all({ key: bytes(`${prefix}x`), rangeEnd: bytes("") })).toMatchObject([
    { kvs: [], count: 0, more: false },
  ]);
  const unserved = "RangeStream does not support";
  const refused: [Partial<wire.RangeRequest>, number, string][] = [
    [{ key: bytes("") }, invalid, emptyKey],
    [{ revision: farRevision }, outOfRange, future],
    [{ sortOrder: 1, sortTarget: 1 }, status.UNIMPLEMENTED, `${unserved} custom sort orders`],
    [{ maxModRevision: 9 }, status.UNIMPLEMENTED, `${unserved} revision filters`],
  ];
  for (const [request, code, details] of refused) {
    using stream = client.rangeStream({ ...allOf(scene), ...request });
    expect(await stream.end()).toEqual({ code, details });
    expect(stream.queued).toEqual([]);
  }
}

async function put(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const key = bytes(`${prefix}k`);
  const { id: lease } = await client.call("grant", { ttl: 600 });
  const before = await revisionOf(client);
  const first = await client.call("put", { key, value: bytes("1"), lease, prevKv: true });
  expect([first.header?.revision, first.prevKv]).toEqual([before + 1, undefined]);
  const second = await client.call("put", { key, value: bytes("2"), ignoreLease: true });
  const kept = await client.call("put", { key, ignoreValue: true, lease, prevKv: true });
  expect([text(kept.prevKv?.value), kept.prevKv?.version, kept.prevKv?.lease]).toEqual([
    "2",
    2,
    lease,
  ]);
  expect(second.prevKv).toBeUndefined();
  await client.call("put", { key, value: bytes("4") });
  const [plain] = (await client.call("range", { key })).kvs;
  expect([plain?.lease, plain?.version, plain?.createRevision]).toEqual([0n, 4, before + 1]);
  await client.call("deleteRange", { key });
  await client.call("put", { key });
  expect((await client.call("range", { key })).kvs[0]?.version).toBe(1);
  const value = bytes("x");
  const missing = bytes(`${prefix}none`);
  const tooLarge = new Uint8Array(1_572_864);
  await refusesAll(client, "put", [
    [{ value }, invalid, emptyKey],
    [{ key, value, lease: 0x7ff1n }, notFound, "etcdserver: requested lease not found"],
    [{ key, value, ignoreValue: true }, invalid, "etcdserver: value is provided"],
    [{ key, value, lease, ignoreLease: true }, invalid, "etcdserver: lease is provided"],
    [{ key: missing, ignoreValue: true }, invalid, "etcdserver: key not found"],
    [{ key: missing, value, ignoreLease: true }, invalid, "etcdserver: key not found"],
    [{ key, value: tooLarge }, invalid, "etcdserver: request is too large"],
  ]);
  await client.call("revoke", { id: lease });
}

async function deleteRange(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const last = await fill(scene, "b", "a", "c", "d");
  const one = await client.call("deleteRange", { key: bytes(`${prefix}d`), prevKv: true });
  expect([one.deleted, one.header?.revision]).toEqual([1, last + 1]);
  expect(one.prevKvs.map((kv) => [text(kv.value), kv.modRevision])).toEqual([["d", last]]);
  const empty = { key: bytes(`${prefix}b`), rangeEnd: bytes(`${prefix}a`) };
  for (const request of [{ key: bytes(`${prefix}d`) }, empty]) {
    const none = await client.call("deleteRange", { ...request, prevKv: true });
    expect([none.deleted, none.prevKvs, none.header?.revision]).toEqual([0, [], last + 1]);
  }
  const rest = await client.call("deleteRange", { ...allOf(scene), prevKv: true });
  expect(rest.prevKvs.map((kv) => text(kv.value))).toEqual(["a", "b", "c"]);
  expect([rest.deleted, rest.header?.revision]).toEqual([3, last + 2]);
  const past = await client.call("range", { ...allOf(scene), revision: last });
  expect(past.count).toBe(4);
  await refusesAll(client, "deleteRange", [
    [{}, invalid, emptyKey],
    [{ rangeEnd: bytes("\0") }, invalid, emptyKey],
  ]);
}

const putOp = (key: string, more: Partial<wire.PutRequest> = {}): wire.RequestOp => ({
  request: {
    kind: "requestPut",
    value: wire.PutRequest.create({ key: bytes(key), value: bytes("v"), ...more }),
  },
});
const rangeOp = (key: string, more: Partial<wire.RangeRequest> = {}): wire.RequestOp => ({
  request: {
    kind: "requestRange",
    value: wire.RangeRequest.create({ key: bytes(key), ...more }),
  },
});
const deleteOp = (key: string, rangeEnd = ""): wire.RequestOp => ({
  request: {
    kind: "requestDeleteRange",
    value: wire.DeleteRangeRequest.create({ key: bytes(key), rangeEnd: bytes(rangeEnd) }),
  },
});
const txnOp = (request: Partial<wire.TxnRequest>): wire.RequestOp => ({
  request: { kind: "requestTxn", value: wire.TxnRequest.create(request) },
});

async function txn(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const [a, b, c] = ["a", "b", "c"].map((name) => prefix + name) as [string, string, string];
  const before = await fill(scene, "a");
  expect(await client.call("txn")).toMatchObject({ succeeded: true, responses: [] });
  // A missing key is version 0, and equal to no value and different from none.
  const version = wire.Compare.create({ key: bytes(b), target: 0, result: 0 });
  const value = wire.Compare.create({ key: bytes(b), target: 3, result: 3 });
  expect((await client.call("txn", { compare: [version] })).succeeded).toBe(true);
  expect((await client.call("txn", { compare: [value] })).succeeded).toBe(false);
  const reply = await client.call("txn", {
    compare: [version],
    success: [
      putOp(b),
      rangeOp(b),
      txnOp({ compare: [version], success: [putOp(a)], failure: [putOp(c), deleteOp(a)] }),
    ],
    failure: [deleteOp(prefix, text(prefixEnd(prefix)))],
  });
  expect(reply.header?.revision).toBe(before + 1);
  expect(reply.responses.map((each) => each.response?.kind)).toEqual([
    "responsePut",
    "responseRange",
    "responseTxn",
  ]);
  // The nested comparison was made before anything was put.
  const { kvs } = await client.call("range", allOf(scene));
  expect(kvs.map((kv) => [text(kv.key), kv.modRevision])).toEqual([
    [a, before + 1],
    [b, before + 1],
  ]);
  await txnRefusals(client, a, b, prefix);
}

async function txnRefusals(client: RawClient, a: string, b: string, prefix: string): Promise<void> {
  const many = (count: number): wire.RequestOp[] =>
    Array.from({ length: count }, (_, i) => putOp(`${prefix}many/${i}`));
  const tooMany = "etcdserver: too many operations in txn request";
  const duplicate = "etcdserver: duplicate key given in txn request";
  const missing = "etcdserver: key not found";
  const keepingOp = (key: string): wire.RequestOp =>
    putOp(key, { value: bytes(""), ignoreValue: true });
  await refusesAll(client, "txn", [
    [{ success: many(129) }, invalid, tooMany],
    [{ failure: many(129) }, invalid, tooMany],
    // A nested one has what its parent left of 128.
    [{ success: [...many(127), txnOp({ success: [putOp(a)] })] }, invalid, tooMany],
    [{ success: [putOp(b), putOp(b)] }, invalid, duplicate],
    [{ success: [putOp(b), deleteOp(prefix, `${prefix}z`)] }, invalid, duplicate],
    [{ success: [deleteOp(b), txnOp({ failure: [putOp(b)] })] }, invalid, duplicate],
    [{ success: [putOp(b), { request: undefined }] }, invalid, missing],
    [{ success: [putOp("")] }, invalid, emptyKey],
    [{ compare: [wire.Compare.create({})] }, invalid, emptyKey],
    [{ success: [putOp(a), keepingOp(`${prefix}none`)] }, invalid, missing],
    [
      { success: [putOp(a), putOp(b, { lease: 0x7ff2n })] },
      notFound,
      "etcdserver: requested lease not found",
    ],
    [{ success: [putOp(a), rangeOp(b, { revision: farRevision })] }, outOfRange, future],
  ]);
  // The same key in both branches is no duplicate, nor is what is deleted twice.
  await client.call("txn", { success: [putOp(a)], failure: [putOp(a)] });
  await client.call("txn", { success: [deleteOp(a), deleteOp(prefix, `${prefix}z`)] });
}

async function compact(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const first = await fill(scene, "a");
  const deleted = await client.call("deleteRange", { key: bytes(`${prefix}a`) });
  const kept = await fill(scene, "b", "b", "c");
  const { header } = await client.call("compact", { revision: kept - 1 });
  expect(header?.revision).toBe(kept);
  const at = await client.call("range", { ...allOf(scene), revision: kept - 1 });
  expect(at.kvs.map((kv) => kv.version)).toEqual([2]);
  await refusesAll(client, "compact", [
    [{ revision: kept - 1 }, outOfRange, compacted],
    [{ revision: first }, outOfRange, compacted],
    [{ revision: -1 }, outOfRange, compacted],
    [{ revision: farRevision }, outOfRange, future],
  ]);
  for (const revision of [first, deleted.header?.revision ?? 0]) {
    const past = client.call("range", { ...allOf(scene), revision });
    await expectRefused(past, outOfRange, compacted);
  }
  await client.call("compact", { revision: kept, physical: true });
  expect((await client.call("range", allOf(scene))).count).toBe(2);
}

export const kvCases: RpcCases = {
  "/etcdserverpb.KV/Range": range,
  "/etcdserverpb.KV/RangeStream": rangeStream,
  "/etcdserverpb.KV/Put": put,
  "/etcdserverpb.KV/DeleteRange": deleteRange,
  "/etcdserverpb.KV/Txn": txn,
  "/etcdserverpb.KV/Compact": compact,
};
