// etcdserverpb.Watch and etcdserverpb.Lease, one case an RPC.

import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import * as wire from "../../../src/wire/index.ts";
import { bytes, expectRefused, prefixEnd, type RawStream, text } from "../raw-client.ts";
import { refusesAll, revisionOf, type RpcCases, type Scene } from "./scene.ts";

type WatchCall = RawStream<wire.WatchRequest, wire.WatchResponse>;

function create(stream: WatchCall, request: Partial<wire.WatchCreateRequest>): void {
  const value = wire.WatchCreateRequest.create(request);
  stream.send({ requestUnion: { kind: "createRequest", value } });
}

/** "PUT a=1" or "DELETE a" for each event, with the value before in brackets. */
function told(reply: wire.WatchResponse, prefix: string): string[] {
  return reply.events.map(({ type, kv, prevKv }) => {
    const key = text(kv?.key).slice(prefix.length);
    const before = prevKv === undefined ? "" : ` (${text(prevKv.value)})`;
    return (type === 0 ? `PUT ${key}=${text(kv?.value)}` : `DELETE ${key}`) + before;
  });
}

async function watch({ client, prefix }: Scene): Promise<void> {
  const put = async (name: string, value: string): Promise<number> => {
    const reply = await client.call("put", { key: bytes(prefix + name), value: bytes(value) });
    return reply.header?.revision ?? 0;
  };
  const all = { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
  const first = await put("a", "1");
  await put("a", "2");
  using stream = client.watch();
  create(stream, { ...all, startRevision: first, prevKv: true });
  expect(await stream.next()).toMatchObject({ watchId: 0n, created: true, canceled: false });
  expect(told(await stream.next(), prefix)).toEqual(["PUT a=1", "PUT a=2 (1)"]);
  create(stream, { ...all, watchId: 7n, filters: [0] });
  create(stream, { ...all, watchId: 7n });
  create(stream, { key: bytes(`${prefix}b`), rangeEnd: bytes(`${prefix}a`) });
  create(stream, { ...all, startRevision: -1 });
  const made = await stream.take(4);
  const shown = made.map((r) => [r.watchId, r.created, r.canceled, r.cancelReason]);
  expect(shown).toEqual([
    [7n, true, false, ""],
    [-1n, true, true, "mvcc: duplicate watch ID provided on the WatchStream"],
    [-1n, true, true, "mvcc: watcher range is empty"],
    [-1n, true, true, "etcdserver: mvcc: required revision has been compacted"],
  ]);
  // The other watch filters puts.
  const second = await put("b", "3");
  const reply = await stream.next();
  expect([reply.watchId, reply.header?.revision]).toEqual([0n, second]);
  await client.call("deleteRange", all);
  const both = [await stream.next(), await stream.next()];
  expect(new Set(both.map((each) => each.watchId))).toEqual(new Set([0n, 7n]));
  expect(told(both.find((each) => each.watchId === 0n) ?? reply, prefix)).toEqual([
    "DELETE a (2)",
    "DELETE b (3)",
  ]);
  expect(told(both.find((each) => each.watchId === 7n) ?? reply, prefix)).toEqual([
    "DELETE a",
    "DELETE b",
  ]);
  stream.send({ requestUnion: { kind: "progressRequest", value: {} } });
  const progress = await stream.next();
  expect([progress.watchId, progress.events, progress.header?.revision]).toEqual([
    -1n,
    [],
    second + 1,
  ]);
  for (const watchId of [99n, 7n]) {
    stream.send({ requestUnion: { kind: "cancelRequest", value: { watchId } } });
  }
  expect(await stream.next()).toMatchObject({ watchId: 7n, canceled: true, cancelReason: "" });
  // A start that was compacted: made, then cancelled with the revision, in a header without one.
  await client.call("compact", { revision: second });
  create(stream, { ...all, watchId: 8n, startRevision: first });
  const [, gone] = await stream.take(2);
  expect(gone).toMatchObject({ watchId: 8n, canceled: true, compactRevision: second });
  expect([gone?.cancelReason, gone?.header?.revision]).toEqual(["", 0]);
  create(stream, { ...all, watchId: 9n, startRevision: second });
  const [, again] = await stream.take(2);
  expect(told(again as wire.WatchResponse, prefix)).toEqual(["PUT b=3", "DELETE a", "DELETE b"]);
  expect(stream.queued).toEqual([]);
  stream.cancel();
  expect((await stream.end()).code).toBe(status.CANCELLED);
}

let leases = 0x6100_0000n;
const leaseGone = "etcdserver: requested lease not found";

async function grant({ client }: Scene): Promise<void> {
  const before = await revisionOf(client);
  const chosen = await client.call("grant", { ttl: 600 });
  expect([chosen.id > 0n, chosen.ttl, chosen.error]).toEqual([true, 600, ""]);
  leases++;
  const id = leases;
  expect(await client.call("grant", { id, ttl: 1 })).toMatchObject({ id, ttl: 2 });
  await client.call("revoke", { id });
  expect(await client.call("grant", { id, ttl: 9_000_000_000 })).toMatchObject({
    ttl: 9_000_000_000,
  });
  await refusesAll(client, "grant", [
    [{ id, ttl: 60 }, status.FAILED_PRECONDITION, "etcdserver: lease already exists"],
    [{ ttl: 9_000_000_001 }, status.OUT_OF_RANGE, "etcdserver: too large lease TTL"],
  ]);
  expect(await revisionOf(client)).toBe(before);
  await client.call("revoke", { id });
  await client.call("revoke", { id: chosen.id });
}

async function revoke({ client, prefix }: Scene): Promise<void> {
  const { id } = await client.call("grant", { ttl: 600 });
  for (const name of ["b", "a"]) {
    await client.call("put", { key: bytes(prefix + name), lease: id });
  }
  const before = await revisionOf(client);
  const { header } = await client.call("revoke", { id });
  expect(header?.revision).toBe(before + 1);
  const range = { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
  expect((await client.call("range", range)).count).toBe(0);
  const { id: empty } = await client.call("grant", { ttl: 600 });
  expect((await client.call("revoke", { id: empty })).header?.revision).toBe(before + 1);
  await refusesAll(client, "revoke", [
    [{ id }, status.NOT_FOUND, leaseGone],
    [{ id: 0n }, status.NOT_FOUND, leaseGone],
  ]);
}

async function keepAlive({ client }: Scene): Promise<void> {
  const { id } = await client.call("grant", { ttl: 600 });
  using stream = client.keepAlive();
  for (const each of [id, 0x7ff3n, id]) {
    stream.send({ id: each });
  }
  const replies = await stream.take(3);
  expect(replies.map((reply) => [reply.id, reply.ttl])).toEqual([
    [id, 600],
    [0x7ff3n, 0],
    [id, 600],
  ]);
  expect(replies.every((reply) => (reply.header?.revision ?? 0) > 0)).toBe(true);
  await client.call("revoke", { id });
  stream.send({ id });
  expect(await stream.next()).toMatchObject({ id, ttl: 0 });
  stream.halfClose();
  expect((await stream.end()).code).toBe(status.OK);
}

async function timeToLive({ client, prefix }: Scene): Promise<void> {
  const { id } = await client.call("grant", { ttl: 600 });
  for (const name of ["b", "a"]) {
    await client.call("put", { key: bytes(prefix + name), lease: id });
  }
  const plain = await client.call("timeToLive", { id });
  expect([plain.id, plain.grantedTtl, plain.keys]).toEqual([id, 600, []]);
  expect(plain.ttl).toBeLessThanOrEqual(600);
  expect(plain.ttl).toBeGreaterThan(500);
  const { keys } = await client.call("timeToLive", { id, keys: true });
  expect(keys.map(text)).toEqual([`${prefix}a`, `${prefix}b`]);
  await client.call("revoke", { id });
  expect(await client.call("timeToLive", { id, keys: true })).toMatchObject({
    id,
    ttl: -1,
    grantedTtl: 0,
    keys: [],
  });
}

async function leaseLeases({ client }: Scene): Promise<void> {
  const granted: bigint[] = [];
  for (const ttl of [3_000, 1_000, 2_000]) {
    granted.push((await client.call("grant", { ttl })).id);
  }
  const [longest, shortest, middle] = granted as [bigint, bigint, bigint];
  const own = (await client.call("leases")).leases
    .map(({ id }) => id)
    .filter((id) => granted.includes(id));
  // By what is left of them.
  expect(own).toEqual([shortest, middle, longest]);
  for (const id of granted) {
    await client.call("revoke", { id });
  }
  const left = (await client.call("leases")).leases.map(({ id }) => id);
  expect(left.some((id) => granted.includes(id))).toBe(false);
  await expectRefused(
    client.call("put", { key: bytes("x"), lease: longest }),
    status.NOT_FOUND,
    leaseGone,
  );
}

export const watchLeaseCases: RpcCases = {
  "/etcdserverpb.Watch/Watch": watch,
  "/etcdserverpb.Lease/LeaseGrant": grant,
  "/etcdserverpb.Lease/LeaseRevoke": revoke,
  "/etcdserverpb.Lease/LeaseKeepAlive": keepAlive,
  "/etcdserverpb.Lease/LeaseTimeToLive": timeToLive,
  "/etcdserverpb.Lease/LeaseLeases": leaseLeases,
};
