import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GrpcStatus, QuorateError, silentLogger, utf8 } from "../../src/base/index.ts";
import { gatewayRoutes } from "../../src/http/gateway-routes.ts";
import { createHttpDoor, type HttpDoor } from "../../src/http/index.ts";
import { serviceDescriptors } from "../../src/wire/index.ts";
import { clusterId, memberId } from "../api/fake-node.ts";
import { makeWorld, type World } from "../api/harness.ts";

let world: World;
let door: HttpDoor;
let port: Server;
let base: string;
let ended: [string, GrpcStatus][];

beforeEach(async () => {
  world = makeWorld();
  ended = [];
  door = createHttpDoor({
    handle: world.node,
    metrics: world.metrics,
    logger: silentLogger,
    versions: { etcdServer: "3.6.7", etcdCluster: "3.6.0", storage: "3.6.0", quorate: "0.1.0" },
    bodyBytesMax: 100_000,
    gateway: {
      services: world.api.services,
      onCallEnd: (path, status) => ended.push([path, status]),
    },
  });
  door.server.emit("listening");
  port = createServer((socket) => door.server.emit("connection", socket));
  await new Promise<void>((resolve) => port.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(port.address() as AddressInfo).port}`;
});

afterEach(async () => {
  door.close();
  door.server.close();
  door.server.closeAllConnections();
  await new Promise((resolve) => port.close(resolve));
});

async function post(path: string, body: string, headers = {}): Promise<[number, unknown]> {
  const response = await fetch(`${base}${path}`, { method: "POST", body, headers });
  return [response.status, await response.json()];
}

const header = {
  cluster_id: String(clusterId),
  member_id: String(memberId),
  revision: "2",
  raft_term: "3",
};

it("has a route for every method but those that etcd gives none", () => {
  const routed = new Set(Object.values(gatewayRoutes).map(([s, m]) => `${s}/${m}`));
  const declared = Object.entries(serviceDescriptors).flatMap(([service, methods]) =>
    Object.keys(methods).map((method) => `${service}/${method}`),
  );
  expect(declared.filter((path) => !routed.has(path)).sort()).toEqual([
    "etcdserverpb.KV/RangeStream",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
  ]);
  expect([...routed].filter((path) => !declared.includes(path))).toEqual([]);
});

describe("unary calls", () => {
  it("go in and out as JSON", async () => {
    expect(await post("/v3/kv/put", '{"key":"YQ==","value":"YjE="}')).toEqual([200, { header }]);
    const pair = {
      key: "YQ==",
      create_revision: "2",
      mod_revision: "2",
      version: "1",
      value: "YjE=",
    };
    const found = [200, { header, kvs: [pair], count: "1" }];
    expect(await post("/v3/kv/range", '{"key":"YQ=="}')).toEqual(found);
    expect(await post("/v3beta/kv/range", '{"key":"YQ==","limit":"7"}')).toEqual(found);
    expect(ended.at(-1)).toEqual(["/etcdserverpb.KV/Range", 0]);
  });

  it("fail with etcd's text and the HTTP status of the code", async () => {
    const failure = (code: number, message: string): object => ({ code, message, details: [] });
    const noKey = [400, failure(3, "etcdserver: key is not provided")];
    expect(await post("/v3/kv/range", "{}")).toEqual(noKey);
    expect(await post("/v3/kv/range", "")).toEqual(noKey);
    expect(ended.at(-1)).toEqual(["/etcdserverpb.KV/Range", 3]);
    const noLease = [404, failure(5, "etcdserver: requested lease not found")];
    expect(await post("/v3/kv/put", '{"key":"YQ==","lease":"5"}')).toEqual(noLease);
    expect((await post("/v3/kv/range", "{bad"))[0]).toBe(400);
    expect((await post("/v3/kv/range", '{"key":7}'))[0]).toBe(400);
    world.node.failWith = new QuorateError("permissionDenied");
    const denied = await post("/v3/kv/put", '{"key":"YQ=="}');
    expect(denied).toEqual([403, failure(7, "etcdserver: permission denied")]);
    world.node.failWith = undefined;
    expect(await post("/v3/kv/nope", "{}")).toEqual([404, failure(5, "Not Found")]);
    const got = await fetch(`${base}/v3/kv/range`);
    expect([got.status, await got.json()]).toEqual([501, failure(12, "Method Not Allowed")]);
  });

  it("pass the metadata on", async () => {
    world.node.statusOverrides = { leader: 0n as typeof memberId };
    const body = '{"key":"YQ=="}';
    expect((await post("/v3/kv/range", body))[0]).toBe(200);
    const refused = await post("/v3/kv/range", body, { "grpc-metadata-hasleader": "true" });
    expect(refused).toMatchObject([503, { message: "etcdserver: no leader" }]);
  });
});

describe("streams", () => {
  it("answer each request of the body, then end", async () => {
    const response = await fetch(`${base}/v3/lease/keepalive`, {
      method: "POST",
      body: '{"ID":"77"}\n{"ID":"78"}',
    });
    const lines = (await response.text()).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { result: { header: { ...header, revision: "1" }, ID: "77" } },
      { result: { header: { ...header, revision: "1" }, ID: "78" } },
    ]);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(ended).toEqual([["/etcdserverpb.Lease/LeaseKeepAlive", 0]]);
  });

  it("show events until the client goes", async () => {
    const client = new AbortController();
    const response = await fetch(`${base}/v3/watch`, {
      method: "POST",
      body: '{"create_request":{"key":"YQ=="}}',
      signal: client.signal,
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const created: unknown = JSON.parse((await reader?.read())?.value ?? "");
    expect(created).toMatchObject({ result: { created: true, header: { revision: "1" } } });
    world.node.store.put(utf8("a"), utf8("1"), 0n);
    world.node.commit();
    const event: unknown = JSON.parse((await reader?.read())?.value ?? "");
    expect(event).toMatchObject({
      result: { header, events: [{ kv: { key: "YQ==", value: "MQ==", mod_revision: "2" } }] },
    });
    client.abort();
    await expect.poll(() => ended).toEqual([["/etcdserverpb.Watch/Watch", 1]]);
  });

  it("fail as a unary call does before their first answer", async () => {
    world.node.leaseKeepAlive = () => Promise.reject(new QuorateError("noLeader"));
    const failed = await post("/v3/lease/keepalive", '{"ID":"1"}');
    expect(failed).toMatchObject([503, { code: 14, message: "etcdserver: no leader" }]);
    expect((await post("/v3/watch", "{bad"))[0]).toBe(400);
  });

  it("fail with a last line after it", async () => {
    const id = '{"ID":"1"}';
    let asked = 0;
    world.node.leaseKeepAlive = () =>
      ++asked === 1 ? Promise.resolve(9) : Promise.reject(new RangeError("odd"));
    const response = await fetch(`${base}/v3/lease/keepalive`, { method: "POST", body: id + id });
    const lines = (await response.text()).trim().split("\n");
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[1] ?? "")).toEqual({
      error: { code: 13, message: "internal error", details: [] },
    });
  });
});
