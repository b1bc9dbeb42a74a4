import { describe, expect, it } from "vitest";
import { noMember, utf8 } from "../../src/base/index.ts";
import { rpcPath, rpcTable } from "../../src/api/index.ts";
import { RangeRequest, serviceDescriptors } from "../../src/wire/index.ts";
import { memberId } from "./fake-node.ts";
import { handlerOf, makeWorld } from "./harness.ts";

const range = "/etcdserverpb.KV/Range";
const keepAlive = "/etcdserverpb.Lease/LeaseKeepAlive";
const request = RangeRequest.encode(RangeRequest.create({ key: utf8("a") }));
const local = RangeRequest.encode(RangeRequest.create({ key: utf8("a"), serializable: true }));

describe("the table", () => {
  it("has every method of the protos, with its kind, and no other", () => {
    const declared = Object.entries(serviceDescriptors).flatMap(([service, methods]) =>
      Object.entries(methods).map(([method, { requestStream, responseStream }]) => {
        const kind = requestStream ? "bidiStream" : responseStream ? "serverStream" : "unary";
        return `/${service}/${method} ${kind}`;
      }),
    );
    const listed = rpcTable.map((rpc) => `${rpcPath(rpc)} ${rpc.kind}`);
    expect(listed.length).toBeGreaterThan(40);
    expect([...listed].sort()).toEqual([...declared].sort());
    expect(new Set(listed).size).toBe(listed.length);
  });

  it("gives every method a handler of its kind", () => {
    const { api } = makeWorld();
    for (const rpc of rpcTable) {
      const kind = rpc.kind === "unary" ? "unary" : "stream";
      expect([rpcPath(rpc), handlerOf(api, rpcPath(rpc)).kind]).toEqual([rpcPath(rpc), kind]);
    }
  });
});

describe("a member without a leader", () => {
  it("refuses calls that require one, at once", async () => {
    const world = makeWorld();
    world.node.statusOverrides = { leader: noMember };
    const refused = world.call(range, request, { hasleader: "true" });
    await expect(refused).rejects.toMatchObject({ code: "noLeader", status: 14 });
    await world.call(range, request);
    await world.call(range, request, { hasleader: "false" });
    const stream = world.stream(keepAlive, { hasleader: "true" });
    expect(stream.ended).toMatchObject({ status: 14, message: "etcdserver: no leader" });
  });

  it("ends streams after three election timeouts without one", () => {
    const world = makeWorld();
    const patient = world.stream(keepAlive);
    const strict = world.stream(keepAlive, { hasleader: "true" });
    world.clock.advance(1000);
    world.node.statusOverrides = { leader: noMember };
    world.clock.advance(1000);
    world.clock.advance(1000);
    world.node.statusOverrides = { leader: memberId };
    world.clock.advance(1000);
    world.node.statusOverrides = { leader: noMember };
    world.clock.advance(1000);
    world.clock.advance(1000);
    expect(strict.ended).toBeUndefined();
    world.clock.advance(1000);
    expect(strict.ended).toMatchObject({ status: 14, message: "etcdserver: no leader" });
    expect(patient.ended).toBeUndefined();
    expect(world.clock.timers).toBe(0);
  });

  it("forgets streams that ended by themselves", () => {
    const world = makeWorld();
    const gone = world.stream(keepAlive, { hasleader: "true" });
    const done = world.stream(keepAlive, { hasleader: "true" });
    expect(world.clock.timers).toBe(1);
    gone.cancel();
    done.halfClose();
    expect(done.ended).toBeNull();
    expect(world.clock.timers).toBe(0);
  });
});

describe("a learner", () => {
  it("serves its status and reads of its own state, nothing else", async () => {
    const world = makeWorld();
    world.node.statusOverrides = { isLearner: true };
    await world.call(range, local);
    await world.call("/etcdserverpb.Maintenance/Status", new Uint8Array(0));
    for (const path of [
      range,
      "/etcdserverpb.Cluster/MemberList",
      "/grpc.health.v1.Health/Check",
    ]) {
      await expect(world.call(path, request)).rejects.toMatchObject({
        code: "learnerRpcNotSupported",
      });
    }
    const stream = world.stream(keepAlive);
    expect(stream.ended).toMatchObject({ status: 9 });
  });
});

describe("the client's API version", () => {
  it("must be text", async () => {
    const world = makeWorld();
    const call = (version: string): Promise<Uint8Array> =>
      world.call(range, request, { "client-api-version": version });
    await call("3.5");
    await call(Buffer.from("3.5é").toString("latin1"));
    for (const bad of ["3.5\ufffd", "3.5\xff"]) {
      await expect(call(bad)).rejects.toMatchObject({ code: "invalidClientApiVersion" });
    }
    expect(world.metrics.render()).toContain(
      'etcd_server_client_requests_total{type="unary",client_api_version="3.5"} 1\n',
    );
  });
});

describe("metrics", () => {
  it("count calls as go-grpc-prometheus does", async () => {
    const world = makeWorld();
    await world.call(range, request);
    world.api.onCallEnd(range, 0, 2);
    world.api.onCallEnd(range, 3, 20);
    world.api.onCallEnd("/nobody.Knows/This", 12, 1);
    world.api.onTraffic(100, 300);
    const text = world.metrics.render();
    const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"';
    for (const line of [
      `grpc_server_started_total{${labels}} 1`,
      `grpc_server_handled_total{${labels},grpc_code="OK"} 1`,
      `grpc_server_handled_total{${labels},grpc_code="InvalidArgument"} 1`,
      `grpc_server_handling_seconds_count{${labels}} 2`,
      `grpc_server_handling_seconds_bucket{${labels},le="0.005"} 1`,
      'etcd_server_request_duration_seconds_count{type="Range",success="true"} 1',
      'etcd_server_client_requests_total{type="unary",client_api_version="unknown"} 1',
      "etcd_network_client_grpc_received_bytes_total 100",
      "etcd_network_client_grpc_sent_bytes_total 300",
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).not.toContain("nobody");
  });
});
