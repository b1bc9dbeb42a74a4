// What an operator asks a member, by its rules: status, members, hashes, alarms, leadership,
// health, ranges in a stream, and the calls that are not there yet.

import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { serviceDescriptors } from "../../src/wire/index.ts";
import { ClusterProcesses } from "../support/processes.ts";
import { bytes, expectRefused, prefixEnd, RawClient, text, unaryMethods } from "./raw-client.ts";
import { eventually, freshPrefix, leaderOf, roles, type Target, useTargets } from "./targets.ts";

const target = useTargets(["--max-request-bytes=100000"]);

describe.each(roles)("%s", (role) => {
  let client: RawClient;
  let at: Target;
  let prefix = "";
  beforeEach(() => {
    at = target(role);
    client = at.client;
    prefix = freshPrefix("operate");
  });

  async function fill(count: number, value: Uint8Array): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        client.call("put", { key: bytes(prefix + String(i).padStart(4, "0")), value }),
      ),
    );
  }

  test("status says what this member is", async () => {
    await client.call("put", { key: bytes(prefix) });
    const own = await client.call("status");
    expect(own.version).toMatch(/^3\.6\.\d+$/);
    expect(own.storageVersion).toMatch(/^3\.6\.\d+$/);
    expect(own.leader === own.header?.memberId).toBe(role !== "follower of three");
    expect(own.errors).toEqual([]);
    expect(own.isLearner).toBe(false);
    expect(own.raftTerm).toBeGreaterThan(0);
    expect(own.raftAppliedIndex).toBeGreaterThan(0);
    expect(own.raftIndex).toBeGreaterThanOrEqual(own.raftAppliedIndex);
    expect(own.dbSize).toBeGreaterThanOrEqual(own.dbSizeInUse);
    expect(own.dbSizeQuota).toBe(2 * 1024 ** 3);
    expect(own.downgradeInfo).toEqual({ enabled: false, targetVersion: "" });
  });

  test("members, sorted by id, in a header without a revision", async () => {
    for (const linearizable of [false, true]) {
      const { members, header } = await client.call("memberList", { linearizable });
      expect(members).toHaveLength(at.size);
      expect(header?.revision).toBe(0);
      expect(header?.memberId).toBe((await client.call("status")).header?.memberId);
      const ids = members.map((member) => member.id);
      expect(ids).toEqual([...ids].sort((a, b) => (a < b ? -1 : 1)));
      const urls = members.flatMap((member) => member.clientUrls);
      expect(new Set(urls)).toEqual(new Set(at.endpoints.map((endpoint) => `http://${endpoint}`)));
      expect(
        members.every(
          ({ name, peerUrls, isLearner }) => name !== "" && peerUrls.length === 1 && !isLearner,
        ),
      ).toBe(true);
    }
  });

  test("hashes are the same on all members, and of the past", async () => {
    await fill(10, bytes("v"));
    const middle = (await client.call("put", { key: bytes(prefix) })).header?.revision ?? 0;
    await client.call("deleteRange", { key: bytes(`${prefix}0001`) });
    const clients = at.endpoints.map((endpoint) => new RawClient(endpoint));
    const hashesAt = async (revision: number): Promise<Set<number>> => {
      const replies = await Promise.all(clients.map((each) => each.call("hashKv", { revision })));
      for (const reply of replies) {
        expect(reply.hashRevision).toBe(revision);
        expect(reply.header?.revision).toBeGreaterThanOrEqual(revision);
      }
      return new Set(replies.map((reply) => reply.hash));
    };
    const now = await client.call("hashKv");
    const last = now.hashRevision;
    expect(await hashesAt(last)).toEqual(new Set([now.hash]));
    const past = await hashesAt(middle);
    expect(past.size).toBe(1);
    expect(past).not.toEqual(new Set([now.hash]));
    await client.call("compact", { revision: last, physical: true });
    const compacted = await Promise.all(clients.map((each) => each.call("hashKv")));
    expect(new Set(compacted.map((reply) => reply.compactRevision))).toEqual(new Set([last]));
    expect(new Set(compacted.map((reply) => reply.hash)).size).toBe(1);
    await expectRefused(
      client.call("hashKv", { revision: middle }),
      status.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision has been compacted",
    );
    await expectRefused(
      client.call("hashKv", { revision: last + 1_000_000 }),
      status.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision is a future revision",
    );
    expect((await client.call("hash")).hash).toBeGreaterThanOrEqual(0);
    for (const each of clients) {
      each[Symbol.dispose]();
    }
  });

  test("members: what is refused", async () => {
    const { members } = await client.call("memberList", { linearizable: true });
    const [member] = members;
    const id = member?.id ?? 0n;
    const taken = { peerUrls: [...(member?.peerUrls ?? [])] };
    const wrong = "etcdserver: given member URLs are invalid";
    const unknown = { id: 12_345n, peerUrls: ["http://127.0.0.1:9"] };
    const notFound = "etcdserver: member not found";
    for (const peerUrls of [[], ["nonsense"], ["http://127.0.0.1"], ["http://127.0.0.1:1/path"]]) {
      const add = client.call("memberAdd", { peerUrls, isLearner: true });
      await expectRefused(add, status.INVALID_ARGUMENT, wrong);
    }
    const duplicate = "etcdserver: Peer URLs already exists";
    await expectRefused(client.call("memberAdd", taken), status.FAILED_PRECONDITION, duplicate);
    await expectRefused(client.call("memberRemove", unknown), status.NOT_FOUND, notFound);
    await expectRefused(client.call("memberUpdate", unknown), status.NOT_FOUND, notFound);
    await expectRefused(client.call("memberPromote", unknown), status.NOT_FOUND, notFound);
    await expectRefused(
      client.call("memberPromote", { id }),
      status.FAILED_PRECONDITION,
      "etcdserver: can only promote a learner member",
    );
    const after = await client.call("memberList", { linearizable: true });
    expect(after.members).toEqual(members);
  });

  test("no alarms", async () => {
    expect((await client.call("alarm")).alarms).toEqual([]);
  });

  test("only a leader moves the leadership, and only to a member", async () => {
    const { leader, header } = await client.call("status");
    const call = client.call("moveLeader", { targetId: 12_345n });
    if (leader === header?.memberId) {
      await expectRefused(call, status.FAILED_PRECONDITION, "etcdserver: bad leader transferee");
    } else {
      await expectRefused(call, status.FAILED_PRECONDITION, "etcdserver: not leader");
    }
  });

  test("health", async () => {
    expect((await client.call("healthCheck", { service: "" })).status).toBe(1);
    await expect(client.call("healthCheck", { service: "none" })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  test("a range as a stream: one state in several pieces, counts in the last", async () => {
    await fill(100, new Uint8Array(10_000));
    const range = { key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
    using stream = client.rangeStream({ ...range, limit: 90 });
    const keys: string[] = [];
    let pieces = 0;
    for (;;) {
      const { rangeResponse } = await stream.next();
      pieces++;
      keys.push(...(rangeResponse?.kvs ?? []).map((kv) => text(kv.key).slice(prefix.length)));
      if (rangeResponse?.header !== undefined) {
        expect([rangeResponse.more, rangeResponse.count]).toEqual([true, 100]);
        break;
      }
      expect([rangeResponse?.more, rangeResponse?.count]).toEqual([false, 0]);
    }
    expect(await stream.end()).toMatchObject({ code: status.OK });
    expect(pieces).toBeGreaterThan(1);
    expect(keys).toEqual(Array.from({ length: 90 }, (_, i) => String(i).padStart(4, "0")));
    using counted = client.rangeStream({ ...range, countOnly: true });
    expect((await counted.next()).rangeResponse).toMatchObject({ count: 100, kvs: [] });
    using sorted = client.rangeStream({ ...range, sortOrder: 2 });
    expect(await sorted.end()).toEqual({
      code: status.UNIMPLEMENTED,
      details: "RangeStream does not support custom sort orders",
    });
    using filtered = client.rangeStream({ ...range, minModRevision: 1 });
    expect(await filtered.end()).toEqual({
      code: status.UNIMPLEMENTED,
      details: "RangeStream does not support revision filters",
    });
    await client.call("deleteRange", range);
  });

  test("every unary call of etcdserverpb is answered; those of the tables are served", async () => {
    const served = new Set(Object.values(unaryMethods).map(({ path }) => path));
    const paths = Object.entries(serviceDescriptors)
      .filter(([service]) => service.startsWith("etcdserverpb."))
      .flatMap(([service, methods]) =>
        Object.entries(methods)
          .filter(([, method]) => !method.requestStream && !method.responseStream)
          .map(([name]) => `/${service}/${name}`),
      );
    expect(paths.length).toBeGreaterThan(35);
    const empty = new Uint8Array();
    const codes = await Promise.all(
      paths.map((path) =>
        client.bytes(path, empty, { deadlineMs: 10_000 }).then(
          () => status.OK,
          (error: unknown) => (error as { readonly code: number }).code,
        ),
      ),
    );
    const silent = paths.filter((_, i) => codes[i] === status.DEADLINE_EXCEEDED);
    expect(silent).toEqual([]);
    const missing = paths.filter(
      (path, i) => codes[i] === status.UNIMPLEMENTED && served.has(path),
    );
    expect(missing).toEqual([]);
    await client.call("put", { key: bytes(prefix) });
  });
});

describe("a full store", () => {
  let cluster: ClusterProcesses;
  beforeAll(async () => {
    cluster = await ClusterProcesses.start(3, ["--quota-backend-bytes=400000"]);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("writes stop on all members; reads and deletes go on", async () => {
    const leader = await leaderOf(cluster);
    const clients = cluster.members.map((member) => new RawClient(member.endpoint));
    const own = clients[cluster.members.indexOf(leader)] ?? new RawClient(leader.endpoint);
    const noSpace = "etcdserver: mvcc: database space exceeded";
    const value = new Uint8Array(50_000);
    let refusal: unknown;
    for (let i = 0; i < 100 && refusal === undefined; i++) {
      refusal = await own.call("put", { key: bytes(`k${i}`), value }).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    expect(refusal).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: noSpace });
    for (const client of clients) {
      await eventually(
        async () => (await client.call("alarm")).alarms.map(({ alarm }) => alarm),
        (value) => expect(value).toContain(1),
      );
      const put = client.call("put", { key: bytes("more"), value });
      await expectRefused(put, status.RESOURCE_EXHAUSTED, noSpace);
      await expectRefused(client.call("grant", { ttl: 60 }), status.RESOURCE_EXHAUSTED, noSpace);
      const { errors } = await client.call("status");
      expect(errors[0]).toMatch(/^memberID:\d+ alarm:NOSPACE$/);
      expect((await client.call("range", { key: bytes("k0") })).count).toBe(1);
      await client.call("deleteRange", { key: bytes("none") });
      client[Symbol.dispose]();
    }
  });
});
