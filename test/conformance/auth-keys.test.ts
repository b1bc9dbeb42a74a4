// What a user may and may not do to keys, call by call, on one node and three; and that what was
// refused has had no effect.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as wire from "../../src/wire/index.ts";
import { auth, logIn, setUpUsers } from "./auth-support.ts";
import { bytes, type CallOptions, expectRefused, prefixEnd, type RawClient } from "./raw-client.ts";
import { type Role, roles, useTargets } from "./targets.ts";

const unknown = 2;
const permissionDenied = 7;
const denied = "etcdserver: permission denied";
const none: Uint8Array = new Uint8Array(0);
const open: Uint8Array = Uint8Array.of(0);

const target = useTargets();
const callers = new Map<Role, { readonly root: CallOptions; readonly user: CallOptions }>();

beforeAll(async () => {
  await setUpUsers(target("one node").client);
  await setUpUsers(target("leader of three").client);
  for (const role of roles) {
    const { client } = target(role);
    callers.set(role, {
      root: { metadata: { token: await logIn(client, "root") } },
      // As the gateway and some clients send it.
      user: { metadata: { authorization: `Bearer ${await logIn(client, "user")}` } },
    });
  }
});

/** The calls of a user with rights on mine/, read/ and write/, and of root beside it. */
class Calls {
  readonly client: RawClient;
  readonly root: CallOptions;
  readonly user: CallOptions;

  constructor(role: Role) {
    const found = callers.get(role);
    if (found === undefined) {
      throw new Error(`nobody logged in on ${role}`);
    }
    this.client = target(role).client;
    this.root = found.root;
    this.user = found.user;
  }

  put(key: string, more: Partial<wire.PutRequest> = {}, options = this.user): Promise<unknown> {
    return this.client.call("put", { key: bytes(key), value: bytes("v"), ...more }, options);
  }

  range(key: string, rangeEnd = none, more: Partial<wire.RangeRequest> = {}): Promise<unknown> {
    return this.client.call("range", { key: bytes(key), rangeEnd, ...more }, this.user);
  }

  delete(key: string, rangeEnd = none, prevKv = false): Promise<unknown> {
    return this.client.call("deleteRange", { key: bytes(key), rangeEnd, prevKv }, this.user);
  }

  txn(request: Partial<wire.TxnRequest>): Promise<unknown> {
    return this.client.call("txn", request, this.user);
  }

  async revision(): Promise<number> {
    const { header } = await this.client.call("range", { key: bytes("x") }, this.root);
    return header?.revision ?? 0;
  }

  /** All of them are refused, and the store is as it was. */
  async areDenied(calls: readonly (() => Promise<unknown>)[]): Promise<void> {
    const before = await this.revision();
    for (const call of calls) {
      await expectRefused(call(), permissionDenied, denied);
    }
    expect(await this.revision()).toBe(before);
  }
}

function putOp(key: string): wire.RequestOp {
  const value = wire.PutRequest.create({ key: bytes(key), value: bytes("txn") });
  return { request: { kind: "requestPut", value } };
}

function rangeOp(key: string, serializable = false): wire.RequestOp {
  const value = wire.RangeRequest.create({ key: bytes(key), serializable });
  return { request: { kind: "requestRange", value } };
}

function txnOp(request: Partial<wire.TxnRequest>): wire.RequestOp {
  return { request: { kind: "requestTxn", value: wire.TxnRequest.create(request) } };
}

function compare(key: string, rangeEnd = none): wire.Compare {
  return wire.Compare.create({ key: bytes(key), rangeEnd });
}

describe.each(roles)("%s", (role) => {
  let calls: Calls;
  beforeEach(async () => {
    calls = new Calls(role);
    for (const key of ["mine/a", "read/a", "write/a", "other"]) {
      await calls.put(key, {}, calls.root);
    }
  });

  test("reads", async () => {
    await calls.range("mine/", prefixEnd("mine/"));
    await calls.range("read/a");
    await calls.range("read/a", none, { serializable: true });
    await calls.areDenied([
      () => calls.range("write/a"),
      () => calls.range("other"),
      () => calls.range("other", none, { serializable: true }),
      () => calls.range("none"),
      () => calls.range("read/", open),
      () => calls.range("read", prefixEnd("read/")),
      () => calls.range("\0", open),
      () => calls.range("\0", open, { countOnly: true }),
      () => calls.range("mine/", prefixEnd("read/")),
    ]);
  });

  test("reads in a stream", async () => {
    const { client, user } = calls;
    for (const [key, end] of [
      ["read/", undefined],
      ["other", [permissionDenied, denied]],
    ] as const) {
      const path = "/etcdserverpb.KV/RangeStream";
      using stream = client.stream(path, wire.RangeRequest, wire.RangeStreamResponse, user);
      stream.send(wire.RangeRequest.create({ key: bytes(key), rangeEnd: prefixEnd(key) }));
      stream.halfClose();
      const { code, details } = await stream.end();
      expect([code, details]).toEqual(end ?? [0, ""]);
    }
  });

  test("writes", async () => {
    await calls.put("mine/a", { prevKv: true });
    await calls.put("write/a");
    await calls.delete("write/", prefixEnd("write/"));
    await calls.delete("mine/", prefixEnd("mine/"), true);
    await calls.areDenied([
      () => calls.put("read/a"),
      () => calls.put("other"),
      () => calls.put("write/a", { prevKv: true }),
      () => calls.put("other", { ignoreValue: true, value: none }),
      () => calls.delete("read/a"),
      () => calls.delete("other"),
      () => calls.delete("none"),
      () => calls.delete("write/", open),
      () => calls.delete("write/", prefixEnd("write/"), true),
    ]);
  });

  test("transactions: comparisons, both branches, any depth", async () => {
    await calls.txn({ compare: [compare("read/a")], success: [putOp("mine/a")], failure: [] });
    await calls.txn({ success: [rangeOp("read/a"), rangeOp("mine/a")] });
    await calls.areDenied([
      () => calls.txn({ compare: [compare("write/a")] }),
      () => calls.txn({ compare: [compare("read/", open)], success: [putOp("mine/a")] }),
      () => calls.txn({ success: [putOp("mine/a"), putOp("other")] }),
      () => calls.txn({ success: [putOp("mine/a")], failure: [putOp("other")] }),
      () => calls.txn({ success: [putOp("mine/a")], failure: [rangeOp("write/a")] }),
      () => calls.txn({ success: [txnOp({ success: [txnOp({ failure: [putOp("other")] })] })] }),
      () => calls.txn({ success: [txnOp({ compare: [compare("other")] })] }),
      // Without a write, which does not go through the log.
      () => calls.txn({ success: [rangeOp("other")] }),
      () => calls.txn({ success: [rangeOp("mine/a")], failure: [rangeOp("other", true)] }),
      () => calls.txn({ success: [rangeOp("other", true)] }),
      () => calls.txn({ compare: [compare("other")], success: [rangeOp("mine/a", true)] }),
    ]);
  });

  test("watches", async () => {
    using stream = calls.client.watch(calls.user);
    const attempt = async (key: string, rangeEnd: Uint8Array): Promise<wire.WatchResponse> => {
      const value = wire.WatchCreateRequest.create({ key: bytes(key), rangeEnd });
      stream.send({ requestUnion: { kind: "createRequest", value } });
      return stream.next();
    };
    for (const [key, end] of [
      ["write/a", none],
      ["read/a", open],
      ["read/", prefixEnd("write/")],
      ["", none],
      ["", open],
    ] as const) {
      expect(await attempt(key, end)).toMatchObject({
        created: true,
        canceled: true,
        watchId: -1n,
        cancelReason: `rpc error: code = PermissionDenied desc = ${denied}`,
      });
    }
    expect(await attempt("read/a", none)).toMatchObject({ canceled: false, watchId: 0n });
    await calls.put("read/a", {}, calls.root);
    expect((await stream.next()).events).toHaveLength(1);
  });

  test("leases are as good as the keys on them", async () => {
    const { client, user, root } = calls;
    const grant = async (): Promise<bigint> => (await client.call("grant", { ttl: 600 }, user)).id;
    const [own, foreign] = [await grant(), await grant()];
    await calls.put("mine/leased", { lease: own });
    await calls.put("read/leased", { lease: foreign }, root);
    await calls.areDenied([
      () => calls.put("mine/b", { lease: foreign }),
      () => calls.txn({ failure: [putOp("mine/b")], success: [leasedOp("mine/b", foreign)] }),
      () => client.call("revoke", { id: foreign }, user),
    ]);
    // Its keys may be read.
    const { keys } = await client.call("timeToLive", { id: foreign, keys: true }, user);
    expect(keys.map((key) => Buffer.from(key).toString())).toEqual(["read/leased"]);
    expect((await client.call("leases", {}, user)).leases.length).toBeGreaterThanOrEqual(2);
    await calls.put("other", { lease: foreign }, root);
    await calls.areDenied([
      () => client.call("timeToLive", { id: foreign, keys: true }, user),
      () => client.call("leases", {}, user),
    ]);
    // Without its keys a lease tells nothing.
    const { ttl } = await client.call("timeToLive", { id: foreign }, user);
    expect(ttl).toBeGreaterThan(0);
    for (const [id, outcome] of [
      [own, undefined],
      [foreign, [permissionDenied, denied]],
    ] as const) {
      const path = "/etcdserverpb.Lease/LeaseKeepAlive";
      using stream = client.stream(
        path,
        wire.LeaseKeepAliveRequest,
        wire.LeaseKeepAliveResponse,
        user,
      );
      stream.send({ id });
      if (outcome === undefined) {
        expect(await stream.next()).toMatchObject({ id, ttl: 600 });
      } else {
        const { code, details } = await stream.end();
        expect([code, details]).toEqual(outcome);
      }
    }
    await client.call("revoke", { id: own }, user);
    await client.call("revoke", { id: foreign }, root);
  });

  test("locks and elections need what they are made of", async () => {
    const { client, user } = calls;
    const before = await calls.revision();
    // The services are clients of their own server, and a client's error is Unknown to gRPC.
    const { id: lease } = await client.call("grant", { ttl: 600 }, user);
    await expectRefused(client.call("lock", { name: bytes("l"), lease }, user), unknown, denied);
    await expectRefused(client.call("unlock", { key: bytes("other") }, user), unknown, denied);
    const campaign = client.call("campaign", { name: bytes("e"), lease }, user);
    await expectRefused(campaign, unknown, denied);
    await expectRefused(client.call("electionLeader", { name: bytes("e") }, user), unknown, denied);
    expect(await calls.revision()).toBe(before);
    const { key } = await client.call("lock", { name: bytes("mine/lock"), lease }, user);
    await client.call("unlock", { key }, user);
    await client.call("revoke", { id: lease }, user);
  });

  test("a user sees itself and its roles, and nobody else's", async () => {
    const { client, user } = calls;
    const token = user.metadata?.["authorization"]?.slice("Bearer ".length) ?? "";
    expect((await auth(client, "userGet", { name: "user" }, token)).roles).toEqual(["some"]);
    expect((await auth(client, "roleGet", { role: "some" }, token)).perm).toHaveLength(3);
    await calls.areDenied([
      () => auth(client, "userGet", { name: "root" }, token),
      () => auth(client, "userGet", { name: "nobody" }, token),
      () => auth(client, "userGet", {}, token),
      () => auth(client, "roleGet", { role: "root" }, token),
      () => auth(client, "userList", {}, token),
      () => auth(client, "changePassword", { name: "user", password: "x" }, token),
    ]);
  });

  test("alarms: looking is for users, raising and disarming for root", async () => {
    const { client, user } = calls;
    await client.call("alarm", {}, user);
    await calls.areDenied([
      () => client.call("alarm", { action: 1, alarm: 1 }, user),
      () => client.call("alarm", { action: 2, alarm: 1 }, user),
    ]);
    expect((await client.call("alarm", {}, user)).alarms).toEqual([]);
  });
});

function leasedOp(key: string, lease: bigint): wire.RequestOp {
  const value = wire.PutRequest.create({ key: bytes(key), value: bytes("v"), lease });
  return { request: { kind: "requestPut", value } };
}
