import { describe, expect, it } from "vitest";
import { QuorateError, toMemberId, utf8 } from "../../src/base/index.ts";
import { RpcError } from "../../src/grpc/index.ts";
import type { Member } from "../../src/node/handle.ts";
import {
  AlarmRequest,
  AlarmResponse,
  AuthStatusResponse,
  HashKVRequest,
  HashKVResponse,
  HealthCheckRequest,
  HealthCheckResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MoveLeaderRequest,
  PutRequest,
  StatusResponse,
} from "../../src/wire/index.ts";
import { clusterId, memberId } from "./fake-node.ts";
import { makeWorld, settled, type World } from "./harness.ts";

const empty = new Uint8Array(0);
const lease = (method: string): string => `/etcdserverpb.Lease/${method}`;
const maintenance = (method: string): string => `/etcdserverpb.Maintenance/${method}`;
const header = { clusterId, memberId, revision: 1, raftTerm: 3 };

async function grant(world: World, ttl: number, id = 0n): Promise<LeaseGrantResponse> {
  const bytes = LeaseGrantRequest.encode({ ttl, id });
  return LeaseGrantResponse.decode(await world.call(lease("LeaseGrant"), bytes));
}

describe("Lease", () => {
  it("chooses a positive id when the client does not", async () => {
    const world = makeWorld();
    const first = await grant(world, 30);
    const second = await grant(world, 30);
    expect(first.header).toEqual(header);
    expect(first.ttl).toBe(30);
    expect(first.id > 0n && second.id > 0n && first.id !== second.id).toBe(true);
    expect((await grant(world, 1, -5n)).id).toBe(-5n);
    await expect(grant(world, 30, first.id)).rejects.toMatchObject({ code: "leaseExists" });
    await expect(grant(world, 9_000_000_001)).rejects.toMatchObject({ code: "leaseTtlTooLarge" });
  });

  it("revokes, and tells of what is left", async () => {
    const world = makeWorld();
    await grant(world, 30, 7n);
    await world.call(
      "/etcdserverpb.KV/Put",
      PutRequest.encode(PutRequest.create({ key: utf8("a"), lease: 7n })),
    );
    const ttl = async (id: bigint): Promise<LeaseTimeToLiveResponse> =>
      LeaseTimeToLiveResponse.decode(
        await world.call(
          lease("LeaseTimeToLive"),
          LeaseTimeToLiveRequest.encode({ id, keys: true }),
        ),
      );
    expect(await ttl(7n)).toEqual({
      header: { ...header, revision: 2 },
      id: 7n,
      ttl: 29,
      grantedTtl: 30,
      keys: [utf8("a")],
    });
    await grant(world, 30, 3n);
    const listed = LeaseLeasesResponse.decode(await world.call(lease("LeaseLeases"), empty));
    expect(listed.leases).toEqual([{ id: 3n }, { id: 7n }]);
    const revoke = (id: bigint): Promise<Uint8Array> =>
      world.call(lease("LeaseRevoke"), LeaseRevokeRequest.encode({ id }));
    expect(LeaseRevokeResponse.decode(await revoke(7n)).header?.revision).toBe(3);
    await expect(revoke(7n)).rejects.toMatchObject({ code: "leaseNotFound" });
    expect(await ttl(7n)).toMatchObject({ id: 7n, ttl: -1, grantedTtl: 0, keys: [] });
  });

  it("counts against the quota", async () => {
    const world = makeWorld();
    world.node.statusOverrides = { quotaBytes: 5_000, sizeInUseBytes: 4_990 };
    await expect(grant(world, 30)).rejects.toMatchObject({ code: "noSpace" });
  });

  describe("LeaseKeepAlive", () => {
    const ask = (id: bigint): Uint8Array => LeaseKeepAliveRequest.encode({ id });

    it("answers in order, TTL 0 for what is gone, and ends when the client has", async () => {
      const world = makeWorld();
      await grant(world, 30, 7n);
      const stream = world.stream(lease("LeaseKeepAlive"));
      stream.send(ask(7n));
      stream.send(ask(8n));
      stream.send(ask(7n));
      stream.halfClose();
      expect(stream.ended).toBeUndefined();
      await settled();
      const answers = stream.written.map((bytes) => LeaseKeepAliveResponse.decode(bytes));
      expect(answers.map(({ id, ttl }) => [id, ttl])).toEqual([
        [7n, 30],
        [8n, 0],
        [7n, 30],
      ]);
      expect(answers[0]?.header).toEqual(header);
      expect(stream.ended).toBeNull();
    });

    it("keeps the order when renewals overtake each other", async () => {
      const world = makeWorld();
      const release: (() => void)[] = [];
      world.node.leaseKeepAlive = (id) =>
        new Promise((resolve) => release.push(() => resolve(Number(id))));
      const stream = world.stream(lease("LeaseKeepAlive"));
      for (const id of [1n, 2n, 3n]) {
        stream.send(ask(id));
      }
      release[2]?.();
      release[1]?.();
      await settled();
      expect(stream.written).toHaveLength(0);
      release[0]?.();
      await settled();
      const ids = stream.written.map((bytes) => LeaseKeepAliveResponse.decode(bytes).ttl);
      expect(ids).toEqual([1, 2, 3]);
    });

    it("asks a client to wait that sends faster than it is answered", async () => {
      const world = makeWorld();
      const stream = world.stream(lease("LeaseKeepAlive"));
      for (let i = 0; i < 256; i++) {
        expect(stream.paused).toBe(false);
        stream.send(ask(1n));
      }
      expect(stream.paused).toBe(true);
      await settled();
      expect(stream.paused).toBe(false);
      expect(stream.written).toHaveLength(256);
    });

    it("waits for a slow connection", async () => {
      const world = makeWorld();
      const stream = world.stream(lease("LeaseKeepAlive"));
      stream.writesUntilFull = 1;
      stream.send(ask(1n));
      stream.send(ask(2n));
      await settled();
      expect(stream.written).toHaveLength(1);
      stream.drain();
      expect(stream.written).toHaveLength(2);
    });

    it("ends with the error of a renewal or of a request that does not parse", async () => {
      const world = makeWorld();
      world.node.failWith = new QuorateError("timeout");
      const failing = world.stream(lease("LeaseKeepAlive"));
      failing.send(ask(1n));
      await settled();
      expect(failing.ended).toMatchObject({ status: 14, message: "etcdserver: request timed out" });
      const malformed = world.stream(lease("LeaseKeepAlive"));
      malformed.send(new Uint8Array([0x08]));
      expect(malformed.ended).toMatchObject({ status: 13 });
      expect(malformed.ended?.message).toMatch(/^grpc: error unmarshalling request: /);
    });
  });
});

describe("Cluster", () => {
  it("lists members by id, with no revision in the header", async () => {
    const world = makeWorld();
    const member = (id: bigint, name: string): Member => ({
      id: toMemberId(id),
      name,
      peerUrls: [`http://${name}:2380`],
      clientUrls: [],
      isLearner: false,
    });
    world.node.members.push(member(0xf000000000000000n, "z"), member(2n, "b"), member(1n, "a"));
    const bytes = MemberListRequest.encode({ linearizable: true });
    const reply = MemberListResponse.decode(
      await world.call("/etcdserverpb.Cluster/MemberList", bytes),
    );
    expect(reply.header).toEqual({ ...header, revision: 0 });
    expect(reply.members.map(({ name }) => name)).toEqual(["a", "b", "z"]);
    expect(reply.members[2]?.id).toBe(0xf000000000000000n);
    expect(world.node.reads).toEqual([true]);
  });

  it("refuses peer URLs that are none", async () => {
    const world = makeWorld();
    for (const peerUrls of [[], ["localhost:2380"], ["http://a:1/b"], ["http://a:1", "x"]]) {
      const bytes = MemberAddRequest.encode({ peerUrls, isLearner: false });
      const call = world.call("/etcdserverpb.Cluster/MemberAdd", bytes);
      await expect(call).rejects.toEqual(new QuorateError("memberBadUrls"));
    }
    expect(world.node.members).toEqual([]);
  });

  it("adds, promotes and removes a member, each reply with the members there are now", async () => {
    const world = makeWorld();
    const add = MemberAddRequest.encode({ peerUrls: ["http://a:1"], isLearner: true });
    const added = MemberAddResponse.decode(
      await world.call("/etcdserverpb.Cluster/MemberAdd", add),
    );
    const id = added.member?.id ?? 0n;
    expect(added.member).toMatchObject({ isLearner: true, peerUrls: ["http://a:1"] });
    expect(added.members).toEqual([added.member]);
    const promoted = MemberPromoteResponse.decode(
      await world.call("/etcdserverpb.Cluster/MemberPromote", MemberPromoteRequest.encode({ id })),
    );
    expect(promoted.members).toMatchObject([{ id, isLearner: false }]);
    const removed = MemberRemoveResponse.decode(
      await world.call("/etcdserverpb.Cluster/MemberRemove", MemberRemoveRequest.encode({ id })),
    );
    expect(removed.members).toEqual([]);
  });
});

describe("Maintenance", () => {
  it("tells its status", async () => {
    const world = makeWorld();
    world.node.alarms = [{ memberId, kind: "noSpace" }];
    world.node.statusOverrides = { leader: toMemberId(0n) };
    const reply = StatusResponse.decode(await world.call(maintenance("Status"), empty));
    expect(reply).toEqual({
      header,
      version: "3.6.7",
      dbSize: 4096,
      leader: 0n,
      raftIndex: 12,
      raftTerm: 3,
      raftAppliedIndex: 11,
      errors: ["etcdserver: no leader", `memberID:${memberId} alarm:NOSPACE`],
      dbSizeInUse: 2048,
      isLearner: false,
      storageVersion: "3.6.0",
      dbSizeQuota: 2 ** 31,
      downgradeInfo: { enabled: false, targetVersion: "" },
    });
  });

  it("hashes", async () => {
    const world = makeWorld();
    const hashKv = async (revision: number): Promise<HashKVResponse> =>
      HashKVResponse.decode(
        await world.call(maintenance("HashKV"), HashKVRequest.encode({ revision })),
      );
    expect(await hashKv(0)).toEqual({
      header,
      hash: 0xdeadbeef,
      compactRevision: -1,
      hashRevision: 1,
    });
    await expect(hashKv(2)).rejects.toMatchObject({ code: "futureRevision" });
    await world.call(maintenance("Hash"), empty);
  });

  it("moves the leader from the leader only", async () => {
    const world = makeWorld();
    const move = (targetId: bigint): Promise<Uint8Array> =>
      world.call(maintenance("MoveLeader"), MoveLeaderRequest.encode({ targetId }));
    await expect(move(5n)).rejects.toMatchObject({ code: "badLeaderTransferee" });
    const five = { id: toMemberId(5n), name: "", peerUrls: [], clientUrls: [], isLearner: false };
    world.node.members.push(five);
    expect(await move(5n)).toEqual(empty);
    expect(world.node.movedTo).toBe(5n);
    world.node.statusOverrides = { isLeader: false };
    await expect(move(5n)).rejects.toMatchObject({ code: "notLeader" });
  });

  it("raises, lists and disarms alarms", async () => {
    const world = makeWorld();
    const call = async (action: number, alarm: number, id = 0n): Promise<unknown> =>
      AlarmResponse.decode(
        await world.call(
          maintenance("Alarm"),
          AlarmRequest.encode({ action, memberId: id, alarm }),
        ),
      ).alarms;
    const raised = { memberId: 9n, alarm: 1 };
    expect(await call(0, 0)).toEqual([]);
    expect(await call(2, 1, 9n)).toEqual([]);
    expect(await call(1, 1, 9n)).toEqual([raised]);
    expect(await call(1, 0, 9n)).toEqual([]);
    expect(await call(0, 0)).toEqual([raised]);
    expect(await call(0, 2)).toEqual([]);
    expect(await call(2, 1, 9n)).toEqual([raised]);
    expect(await call(0, 1)).toEqual([]);
    await expect(call(7, 1)).rejects.toMatchObject({ status: 3 });
  });
});

describe("Auth", () => {
  it("is off", async () => {
    const world = makeWorld();
    const bytes = await world.call("/etcdserverpb.Auth/AuthStatus", empty);
    expect(AuthStatusResponse.decode(bytes)).toEqual({ header, enabled: false, authRevision: 1 });
    const login = world.call("/etcdserverpb.Auth/Authenticate", empty);
    await expect(login).rejects.toMatchObject({ code: "authNotEnabled" });
  });
});

describe("Health", () => {
  const check = "/grpc.health.v1.Health/Check";
  const of = (service: string): Uint8Array => HealthCheckRequest.encode({ service });

  it("serves until it shuts down, and tells those who watch", async () => {
    const world = makeWorld();
    const stream = world.stream("/grpc.health.v1.Health/Watch");
    stream.send(of(""));
    const unknown = world.stream("/grpc.health.v1.Health/Watch");
    unknown.send(of("x"));
    expect(HealthCheckResponse.decode(await world.call(check, of(""))).status).toBe(1);
    await expect(world.call(check, of("x"))).rejects.toEqual(new RpcError(5, "unknown service"));
    world.api.shutdown();
    expect(HealthCheckResponse.decode(await world.call(check, of(""))).status).toBe(2);
    const seen = [stream, unknown].map(({ written }) =>
      written.map((bytes) => HealthCheckResponse.decode(bytes).status),
    );
    expect(seen).toEqual([[1, 2], [3]]);
  });
});
