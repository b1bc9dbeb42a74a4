// etcdserverpb.Cluster and etcdserverpb.Maintenance, one case an RPC.

import { createHash } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import * as wire from "../../../src/wire/index.ts";
import { bytes, expectRefused, RawClient } from "../raw-client.ts";
import { eventually } from "../targets.ts";
import { compacted, farRevision, future, refusesAll, type RpcCases, type Scene } from "./scene.ts";

const { INVALID_ARGUMENT: invalid, FAILED_PRECONDITION: precondition } = status;
const notFound = "etcdserver: member not found";
const badUrls = "etcdserver: given member URLs are invalid";
const taken = "etcdserver: Peer URLs already exists";

async function members(client: RawClient): Promise<readonly wire.Member[]> {
  return (await client.call("memberList", { linearizable: true })).members;
}

/** Adds a learner that never starts for as long as `use` runs. */
async function withLearner(
  client: RawClient,
  use: (member: wire.Member, reply: wire.MemberAddResponse) => Promise<void>,
): Promise<void> {
  let reply: wire.MemberAddResponse | undefined;
  // A cluster that has just started is not healthy enough for a change, for five seconds.
  await eventually(
    () => client.call("memberAdd", { peerUrls: ["http://127.0.0.1:9"], isLearner: true }),
    (value) => {
      reply = value;
    },
    15_000,
  );
  const member = reply?.member;
  if (reply === undefined || member === undefined) {
    throw new Error("no member was added");
  }
  try {
    await use(member, reply);
  } finally {
    await client.call("memberRemove", { id: member.id }).catch(() => {});
  }
}

async function memberAdd({ client }: Scene): Promise<void> {
  const before = await members(client);
  const [peerUrl = ""] = before[0]?.peerUrls ?? [];
  await withLearner(client, async (member, reply) => {
    expect(member).toMatchObject({ name: "", clientUrls: [], isLearner: true });
    const ids = [...before.map(({ id }) => id), member.id];
    expect(new Set(reply.members.map(({ id }) => id))).toEqual(new Set(ids));
    expect(reply.header?.revision).toBe(0);
    const learner = { peerUrls: ["http://127.0.0.1:10"], isLearner: true };
    await refusesAll(client, "memberAdd", [
      [learner, precondition, "etcdserver: too many learner members in cluster"],
      [{ peerUrls: [peerUrl] }, precondition, taken],
      [{ peerUrls: ["http://127.0.0.1:12", ...member.peerUrls] }, precondition, taken],
      [{ peerUrls: [] }, invalid, badUrls],
      [{ peerUrls: ["127.0.0.1:1"] }, invalid, badUrls],
      [{ peerUrls: ["http://127.0.0.1"] }, invalid, badUrls],
      [{ peerUrls: ["http://127.0.0.1:1/path"] }, invalid, badUrls],
    ]);
  });
  expect(await members(client)).toEqual(before);
}

async function memberRemove({ client }: Scene): Promise<void> {
  await withLearner(client, async ({ id }) => {
    const reply = await client.call("memberRemove", { id });
    expect(reply.members.some((member) => member.id === id)).toBe(false);
    await refusesAll(client, "memberRemove", [
      [{ id }, status.NOT_FOUND, notFound],
      [{ id: 1n }, status.NOT_FOUND, notFound],
    ]);
  });
}

async function memberUpdate({ client }: Scene): Promise<void> {
  await withLearner(client, async ({ id }) => {
    const peerUrls = ["http://127.0.0.1:11"];
    const reply = await client.call("memberUpdate", { id, peerUrls });
    expect(reply.members.find((member) => member.id === id)?.peerUrls).toEqual(peerUrls);
    const other = (await members(client)).find((member) => member.id !== id);
    await refusesAll(client, "memberUpdate", [
      [{ id: 1n, peerUrls: ["http://127.0.0.1:12"] }, status.NOT_FOUND, notFound],
      [{ id, peerUrls: other?.peerUrls ?? [] }, precondition, taken],
    ]);
  });
}

async function memberPromote({ client }: Scene): Promise<void> {
  const [voter] = await members(client);
  await withLearner(client, async ({ id }) => {
    const learner = "etcdserver: can only promote a learner member";
    await refusesAll(client, "memberPromote", [
      [{ id }, precondition, `${learner} which is in sync with leader`],
      [{ id: voter?.id ?? 0n }, precondition, learner],
      [{ id: 1n }, status.NOT_FOUND, notFound],
    ]);
    const same = (await members(client)).find((member) => member.id === id);
    expect(same?.isLearner).toBe(true);
  });
}

async function memberList({ client, at }: Scene): Promise<void> {
  for (const linearizable of [true, false]) {
    const reply = await client.call("memberList", { linearizable });
    const ids = reply.members.map(({ id }) => id);
    expect(ids).toEqual([...ids].sort((a, b) => (a < b ? -1 : 1)));
    expect([ids.length, reply.header?.revision]).toEqual([at.size, 0]);
  }
  await withLearner(client, async ({ id }) => {
    const unstarted = (await members(client)).find((member) => member.id === id);
    expect(unstarted).toMatchObject({ name: "", clientUrls: [], isLearner: true });
  });
}

async function alarm({ client, at, prefix }: Scene): Promise<void> {
  const key = bytes(prefix);
  await client.call("put", { key });
  const memberId = (await client.call("status")).header?.memberId ?? 0n;
  const corrupt = { memberId, alarm: 2 };
  expect((await client.call("alarm")).alarms).toEqual([]);
  const raised = await client.call("alarm", { action: 1, ...corrupt });
  expect(raised.alarms).toEqual([corrupt]);
  const { DATA_LOSS: dataLoss } = status;
  const words = "etcdserver: corrupt cluster";
  const put = wire.PutRequest.create({ key });
  for (const endpoint of at.endpoints) {
    using other = new RawClient(endpoint);
    await eventually(
      async () => (await other.call("alarm", { alarm: 2 })).alarms,
      (alarms) => expect(alarms).toEqual([corrupt]),
    );
    await expectRefused(other.call("put", { key }), dataLoss, words);
    await expectRefused(other.call("deleteRange", { key }), dataLoss, words);
    const op = { request: { kind: "requestPut", value: put } } as const;
    await expectRefused(other.call("txn", { success: [op] }), dataLoss, words);
    await expectRefused(other.call("grant", { ttl: 60 }), dataLoss, words);
    await expectRefused(other.call("compact", { revision: 2 }), dataLoss, words);
    expect((await other.call("range", { key })).count).toBe(1);
    expect((await other.call("status")).errors).toEqual([`memberID:${memberId} alarm:CORRUPT`]);
  }
  expect((await client.call("alarm", { alarm: 1 })).alarms).toEqual([]);
  // One that is not there is disarmed without a word.
  const other = await client.call("alarm", { action: 2, memberId: 1n, alarm: 2 });
  expect(other.alarms).toEqual([]);
  const off = await client.call("alarm", { action: 2, ...corrupt });
  expect(off.alarms).toEqual([corrupt]);
  expect((await client.call("alarm")).alarms).toEqual([]);
  await client.call("put", { key });
}

async function memberStatus({ client, at }: Scene): Promise<void> {
  const reply = await client.call("status");
  expect(reply.version).toMatch(/^3\.6\.\d+$/);
  expect(reply.storageVersion).toMatch(/^3\.6\.\d+$/);
  expect(reply.leader === reply.header?.memberId).toBe(at.role !== "follower of three");
  expect(reply.raftIndex).toBeGreaterThanOrEqual(reply.raftAppliedIndex);
  expect(reply.raftTerm).toBe(reply.header?.raftTerm);
  expect(reply.dbSize).toBeGreaterThanOrEqual(reply.dbSizeInUse);
  expect(reply).toMatchObject({
    dbSizeQuota: 2 * 1024 ** 3,
    errors: [],
    isLearner: false,
    downgradeInfo: { enabled: false, targetVersion: "" },
  });
}

async function defragment({ client, prefix }: Scene): Promise<void> {
  await client.call("put", { key: bytes(prefix) });
  const { hash } = await client.call("hashKv");
  // Its reply has nothing at all, not even a header.
  const reply = await client.bytes("/etcdserverpb.Maintenance/Defragment", new Uint8Array());
  expect(reply).toHaveLength(0);
  expect((await client.call("hashKv")).hash).toBe(hash);
  expect((await client.call("range", { key: bytes(prefix) })).count).toBe(1);
}

async function hash({ client, prefix }: Scene): Promise<void> {
  await client.call("put", { key: bytes(prefix) });
  const before = await client.call("hash");
  expect(before.header?.revision).toBeGreaterThan(1);
  await client.call("put", { key: bytes(prefix) });
  expect((await client.call("hash")).hash).not.toBe(before.hash);
}

async function hashKv({ client, at, prefix }: Scene): Promise<void> {
  const put = async (): Promise<number> =>
    (await client.call("put", { key: bytes(prefix) })).header?.revision ?? 0;
  const first = await put();
  const last = await put();
  const own = await client.call("hashKv", { revision: last });
  expect([own.hashRevision, own.header?.revision]).toEqual([last, last]);
  expect((await client.call("hashKv")).hash).toBe(own.hash);
  expect((await client.call("hashKv", { revision: first })).hash).not.toBe(own.hash);
  for (const endpoint of at.endpoints) {
    using other = new RawClient(endpoint);
    await other.call("range", { key: bytes(prefix) });
    expect((await other.call("hashKv", { revision: last })).hash).toBe(own.hash);
  }
  await client.call("compact", { revision: last, physical: true });
  expect((await client.call("hashKv")).compactRevision).toBe(last);
  await refusesAll(client, "hashKv", [
    [{ revision: first }, status.OUT_OF_RANGE, compacted],
    [{ revision: farRevision }, status.OUT_OF_RANGE, future],
  ]);
}

async function snapshot({ client, prefix }: Scene): Promise<void> {
  await client.call("put", { key: bytes(prefix), value: new Uint8Array(100_000).fill(7) });
  const path = "/etcdserverpb.Maintenance/Snapshot";
  using stream = client.stream(path, wire.SnapshotRequest, wire.SnapshotResponse);
  stream.send({});
  stream.halfClose();
  expect((await stream.end(20_000)).code).toBe(status.OK);
  const pieces = stream.queued;
  const total = pieces.reduce((sum, { blob }) => sum + blob.length, 0);
  // A bbolt file of whole pages, then its hash.
  expect(total % 512).toBe(32);
  let left = total - 32;
  // What remains is of the file, without the hash.
  for (const { blob, remainingBytes, version, header } of pieces.slice(0, -1)) {
    left -= blob.length;
    expect(blob.length).toBeLessThanOrEqual(32_768);
    expect([remainingBytes, version.slice(0, 4), header]).toEqual([left, "3.6.", undefined]);
  }
  const whole = Buffer.concat(pieces.slice(0, -1).map(({ blob }) => blob));
  const last = pieces.at(-1);
  expect([last?.remainingBytes, Buffer.from(last?.blob ?? [])]).toEqual([
    0,
    createHash("sha256").update(whole).digest(),
  ]);
}

async function moveLeader({ client }: Scene): Promise<void> {
  const { leader, header } = await client.call("status");
  const isLeader = leader === header?.memberId;
  const refused = isLeader ? "etcdserver: bad leader transferee" : "etcdserver: not leader";
  await refusesAll(client, "moveLeader", [
    [{ targetId: 1n }, precondition, refused],
    [{}, precondition, refused],
  ]);
  if (isLeader) {
    await withLearner(client, async ({ id }) => {
      await refusesAll(client, "moveLeader", [[{ targetId: id }, precondition, refused]]);
    });
    // To itself: it leads already.
    const request = wire.MoveLeaderRequest.encode({ targetId: leader });
    const reply = await client.bytes("/etcdserverpb.Maintenance/MoveLeader", request);
    expect(reply).toHaveLength(0);
  }
  expect((await client.call("status")).leader).toBe(leader);
}

async function downgrade({ client }: Scene): Promise<void> {
  const [validate, enable, cancel] = [0, 1, 2];
  const wrong = "etcdserver: wrong downgrade target version format";
  const not = "etcdserver: invalid downgrade target version";
  for (const action of [validate, enable]) {
    await refusesAll(client, "downgrade", [
      [{ action, version: "" }, invalid, wrong],
      [{ action, version: "three" }, invalid, wrong],
      [{ action, version: "3" }, invalid, wrong],
      [{ action, version: "3.6.0" }, invalid, not],
      [{ action, version: "3.7" }, invalid, not],
      [{ action, version: "3.1" }, invalid, not],
    ]);
  }
  // There is nothing to cancel, and that is no error.
  expect((await client.call("downgrade", { action: cancel })).version).toBe("3.6");
  const unknown = "etcdserver: unknown downgrade action";
  await refusesAll(client, "downgrade", [[{ action: 3 }, status.UNKNOWN, unknown]]);
  expect((await client.call("status")).downgradeInfo?.enabled).toBe(false);
}

export const clusterMaintenanceCases: RpcCases = {
  "/etcdserverpb.Cluster/MemberAdd": memberAdd,
  "/etcdserverpb.Cluster/MemberRemove": memberRemove,
  "/etcdserverpb.Cluster/MemberUpdate": memberUpdate,
  "/etcdserverpb.Cluster/MemberList": memberList,
  "/etcdserverpb.Cluster/MemberPromote": memberPromote,
  "/etcdserverpb.Maintenance/Alarm": alarm,
  "/etcdserverpb.Maintenance/Status": memberStatus,
  "/etcdserverpb.Maintenance/Defragment": defragment,
  "/etcdserverpb.Maintenance/Hash": hash,
  "/etcdserverpb.Maintenance/HashKV": hashKv,
  "/etcdserverpb.Maintenance/Snapshot": snapshot,
  "/etcdserverpb.Maintenance/MoveLeader": moveLeader,
  "/etcdserverpb.Maintenance/Downgrade": downgrade,
};
