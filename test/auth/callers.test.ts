// Who calls: tokens, certificates, gateways; and tokens that this member has yet to hear of.

import { describe, expect, it } from "vitest";
import { toLogIndex, utf8 } from "../../src/base/index.ts";
import type { CallContext } from "../../src/grpc/index.ts";
import { rpcPath, rpcTable } from "../../src/api/index.ts";
import { Callers } from "../../src/api/callers.ts";
import { HeldStream } from "../../src/api/held-stream.ts";
import { parseSimpleToken } from "../../src/api/simple-token.ts";
import {
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  PermissionType,
  RangeRequest,
  WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from "../../src/wire/index.ts";
import { FakeNode } from "../api/fake-node.ts";
import { FakeCall, FakeStream, makeWorld, settled } from "../api/harness.ts";

const token = "abcdefghijklmnop.11";
const range = "/etcdserverpb.KV/Range";

function enable(node: FakeNode): void {
  const { auth } = node;
  for (const name of ["root", "user"]) {
    auth.addUser(name, utf8("hash"), false);
  }
  auth.grantRole("root", "root");
  auth.addRole("r");
  const perm = { permType: PermissionType.READ, key: utf8("a"), rangeEnd: new Uint8Array(0) };
  auth.grantPermission("r", perm);
  auth.grantRole("user", "r");
  auth.enable();
}

/** The token as members know it. */
function storedOf(simple: string): string {
  return parseSimpleToken(simple)?.stored ?? "";
}

function certifiedCall(metadata: Record<string, string>): CallContext {
  return {
    path: range,
    peer: { address: "1.2.3.4:5", certificateCommonName: "user", isEncrypted: true },
    deadlineMs: undefined,
    cancelled: false,
    metadata: (name) => metadata[name],
    onCancel: () => {},
  };
}

describe("the caller", () => {
  const node = new FakeNode();
  const call = (metadata: Record<string, string> = {}): FakeCall => new FakeCall(range, metadata);
  const certified = (metadata: Record<string, string> = {}): CallContext => certifiedCall(metadata);

  it("is not asked for while authentication is off", () => {
    const callers = new Callers(node, undefined, true);
    expect(callers.of(call({ token: "nonsense" }))).toBeUndefined();
    enable(node);
    node.auth.issueToken("user", storedOf(token), node.auth.revision);
  });

  it("is the user of a token, wherever that stands", () => {
    const callers = new Callers(node, undefined, false);
    const user = { user: "user", authRevision: node.auth.revision };
    expect(callers.of(call({ token }))).toEqual(user);
    expect(callers.of(call({ authorization: token }))).toEqual(user);
    expect(callers.of(call({ authorization: `Bearer ${token}` }))).toEqual(user);
    expect(callers.of(call({ token, authorization: "nonsense" }))).toEqual(user);
    // What members store of it is no token.
    const bads = ["", "Bearer ", "Bearer", `bearer ${token}`, `${token} `, "x.11", storedOf(token)];
    for (const bad of bads) {
      expect(() => callers.of(call({ token: bad })), bad).toThrow("invalid auth token");
    }
    expect(callers.of(call())).toEqual({ user: "", authRevision: 0 });
  });

  it("is the name in a certificate only where that was asked for, and never behind a gateway", () => {
    const user = { user: "user", authRevision: node.auth.revision };
    const nobody = { user: "", authRevision: 0 };
    const on = new Callers(node, undefined, true);
    const off = new Callers(node, undefined, false);
    expect(on.of(certified())).toEqual(user);
    expect(off.of(certified())).toEqual(nobody);
    expect(on.of(certified({ "grpcgateway-accept": "application/json" }))).toEqual(nobody);
    expect(on.of(call())).toEqual(nobody);
    // A token that is not good does not fall back on the certificate.
    expect(() => on.of(certified({ token: "nonsense.1" }))).toThrow("invalid auth token");
  });

  it("may have a token that is yet to come", () => {
    const callers = new Callers(node, undefined, false);
    expect(callers.isAhead(call({ token: "abcdefghijklmnop.12" }))).toBe(true);
    expect(callers.isAhead(call({ token: "Bearer abcdefghijklmnop.12" }))).toBe(true);
    for (const known of [
      token,
      "zzz.11",
      "zzz.1",
      "zzz",
      "zzz.",
      ".99",
      "a.b.99",
      "a.1e9",
      "a.99 ",
    ]) {
      expect(callers.isAhead(call({ token: known })), known).toBe(false);
    }
    expect(callers.isAhead(call())).toBe(false);
  });
});

describe("while authentication is on", () => {
  const userToken = "abcdefghijklmnop.12";
  const unary = rpcTable.filter(({ kind }) => kind === "unary");
  const guarded = unary.filter(({ access }) => access === "login" || access === "root");
  const rootOnly = unary.filter(({ access }) => access === "root");

  function enabled(): ReturnType<typeof makeWorld> {
    const world = makeWorld();
    enable(world.node);
    world.node.auth.issueToken("user", storedOf(userToken), world.node.auth.revision);
    return world;
  }

  it("nobody in particular may call anything about leases, members, users or this member", async () => {
    const world = enabled();
    expect(guarded.length).toBeGreaterThan(25);
    for (const rpc of guarded) {
      const called = world.call(rpcPath(rpc), new Uint8Array(0));
      await expect(called, rpcPath(rpc)).rejects.toMatchObject({ code: "userEmpty" });
    }
  });

  it("a user who is not root may not call what only root may", async () => {
    const world = enabled();
    expect(rootOnly.length).toBeGreaterThan(15);
    for (const rpc of rootOnly) {
      const called = world.call(rpcPath(rpc), new Uint8Array(0), { token: userToken });
      await expect(called, rpcPath(rpc)).rejects.toMatchObject({ code: "permissionDenied" });
    }
  });
});

describe("a token that is not applied here yet", () => {
  const ahead = "abcdefghijklmnop.50";

  /** A node that hears of the token in its next ReadIndex round. */
  function behind(user = "user"): ReturnType<typeof makeWorld> {
    const world = makeWorld();
    enable(world.node);
    const { node } = world;
    const read = node.read.bind(node);
    node.read = (linearizable, body) => {
      if (linearizable && node.statusOverrides.applied === undefined) {
        node.statusOverrides = { applied: toLogIndex(60) };
        node.auth.issueToken(user, storedOf(ahead), node.auth.revision);
      }
      return read(linearizable, body);
    };
    return world;
  }

  it("is waited for by a call", async () => {
    const world = behind();
    const request = RangeRequest.encode(
      RangeRequest.create({ key: utf8("a"), serializable: true }),
    );
    await world.call(range, request, { token: ahead });
    expect(world.node.reads).toEqual([true, false]);
    const unknown = world.call(range, request, { token: "abcdefghijklmnop.59" });
    await expect(unknown).rejects.toMatchObject({ code: "invalidAuthToken" });
  });

  it("is waited for by a stream, whose messages keep", async () => {
    const world = behind();
    const stream = world.stream("/etcdserverpb.Watch/Watch", { token: ahead });
    const create = WatchCreateRequest.create({ key: utf8("a") });
    stream.send(WatchRequest.encode({ requestUnion: { kind: "createRequest", value: create } }));
    expect(stream.written).toEqual([]);
    expect(stream.paused).toBe(true);
    await settled();
    await settled();
    expect(stream.paused).toBe(false);
    expect(stream.written.map((bytes) => WatchResponse.decode(bytes))).toMatchObject([
      { created: true, canceled: false },
    ]);
  });

  it("keeps the order of messages and the end of them", async () => {
    const world = behind("root");
    world.node.leases.set(7n as never, 60);
    const stream = world.stream("/etcdserverpb.Lease/LeaseKeepAlive", { token: ahead });
    for (const id of [7n, 8n]) {
      stream.send(LeaseKeepAliveRequest.encode({ id }));
    }
    stream.halfClose();
    await settled();
    await settled();
    await settled();
    const ids = stream.written.map((bytes) => LeaseKeepAliveResponse.decode(bytes).id);
    expect(ids).toEqual([7n, 8n]);
    expect(stream.ended).toBeNull();
  });

  it("that never comes ends the stream", async () => {
    const world = behind();
    const stream = world.stream("/etcdserverpb.Lease/LeaseKeepAlive", {
      token: "abcdefghijklmnop.59",
    });
    await settled();
    await settled();
    expect(stream.ended).toMatchObject({ status: 16, message: "etcdserver: invalid auth token" });
  });

  it("passes a held stream's calls on", () => {
    const call = new FakeStream("/a/B", { token });
    const held = new HeldStream(call);
    expect(held.path).toBe("/a/B");
    expect(held.metadata("token")).toBe(token);
    expect(held.peer).toBe(call.peer);
    expect(held.write(Uint8Array.of(1))).toBe(true);
    held.end();
    expect(call.written).toHaveLength(1);
    expect(call.ended).toBeNull();
  });
});
