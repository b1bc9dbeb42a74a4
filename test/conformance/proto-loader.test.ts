// The files of proto/ in the hands of others: @grpc/proto-loader loads them as they are, and a
// client made of them alone, that knows nothing of our codecs, uses every service.

import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { beforeEach, describe, expect, test } from "vitest";
import { freshPrefix, roles, useTargets } from "./targets.ts";

const target = useTargets();

const directory = fileURLToPath(new URL("../../proto/", import.meta.url));
const files = [
  "auth.proto",
  "health.proto",
  "kv.proto",
  "reflection.proto",
  "reflection_v1alpha.proto",
  "rpc.proto",
  "storage.proto",
  "v3election.proto",
  "v3lock.proto",
];
const definition = loadSync(files, {
  includeDirs: [directory],
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** A message as proto-loader gives it. */
type Message = Record<string, unknown>;

/** Calls by their full names, with plain objects. */
class LoadedClient {
  readonly #client: grpc.Client;

  constructor(endpoint: string) {
    this.#client = new grpc.Client(endpoint, grpc.credentials.createInsecure());
  }

  #method(service: string, name: string): grpc.MethodDefinition<object, object> {
    const methods = definition[service] as grpc.ServiceDefinition | undefined;
    const method = methods?.[name];
    if (method === undefined) {
      throw new Error(`${service} has no ${name}`);
    }
    return method;
  }

  call(service: string, name: string, request: Message = {}): Promise<Message> {
    const { path, requestSerialize, responseDeserialize } = this.#method(service, name);
    const options = { deadline: Date.now() + 10_000 };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        options,
        (error, reply) => (error === null ? resolve(reply as Message) : reject(error)),
      );
    });
  }

  stream(service: string, name: string): grpc.ClientDuplexStream<object, object> {
    const { path, requestSerialize, responseDeserialize } = this.#method(service, name);
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  }

  close(): void {
    this.#client.close();
  }
}

/** The messages of a stream, one by one; none is lost between two calls. */
function reader(stream: grpc.ClientDuplexStream<object, object>): () => Promise<Message> {
  const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Message, undefined>;
  return async () => {
    const { value } = await iterator.next();
    return value ?? {};
  };
}

test("services and messages are all there, under etcd's names", () => {
  for (const service of [
    "etcdserverpb.KV",
    "etcdserverpb.Watch",
    "etcdserverpb.Lease",
    "etcdserverpb.Cluster",
    "etcdserverpb.Maintenance",
    "etcdserverpb.Auth",
    "v3lockpb.Lock",
    "v3electionpb.Election",
    "grpc.health.v1.Health",
    "mvccpb.KeyValue",
    "mvccpb.Event",
    "authpb.Permission",
  ]) {
    expect(definition[service], service).toBeDefined();
  }
});

describe.each(roles)("%s", (role) => {
  let client: LoadedClient;
  let prefix = "";
  const kv = "etcdserverpb.KV";
  const lease = "etcdserverpb.Lease";
  beforeEach(() => {
    prefix = freshPrefix("loaded");
    client = new LoadedClient(target(role).endpoint);
    return () => client.close();
  });

  test("KV", async () => {
    const key = Buffer.from(prefix);
    await client.call(kv, "Put", { key, value: Buffer.from("1") });
    const put = await client.call(kv, "Put", { key, value: Buffer.from("2"), prev_kv: true });
    expect(put).toMatchObject({ prev_kv: { key, value: Buffer.from("1"), version: "1" } });
    const range = await client.call(kv, "Range", {
      key,
      sort_order: "DESCEND",
      sort_target: "MOD",
    });
    expect(range).toMatchObject({
      header: { cluster_id: expect.stringMatching(/^\d+$/) as string },
      kvs: [{ key, value: Buffer.from("2"), version: "2", lease: "0" }],
      count: "1",
      more: false,
    });
    const txn = await client.call(kv, "Txn", {
      compare: [{ key, target: "VALUE", result: "EQUAL", value: Buffer.from("2") }],
      success: [{ request_delete_range: { key } }, { request_range: { key } }],
      failure: [{ request_put: { key } }],
    });
    expect(txn).toMatchObject({
      succeeded: true,
      responses: [
        { response: "response_delete_range", response_delete_range: { deleted: "1" } },
        { response: "response_range", response_range: { count: "0", kvs: [] } },
      ],
    });
    const { header } = txn as { readonly header: { readonly revision: string } };
    await client.call(kv, "Compact", { revision: header.revision, physical: true });
    await expect(client.call(kv, "Range", { key, revision: "1" })).rejects.toMatchObject({
      code: grpc.status.OUT_OF_RANGE,
      details: "etcdserver: mvcc: required revision has been compacted",
    });
  });

  test("Watch", async () => {
    const key = Buffer.from(prefix);
    const stream = client.stream("etcdserverpb.Watch", "Watch");
    const next = reader(stream);
    stream.write({ create_request: { key, prev_kv: true, filters: ["NODELETE"] } });
    expect(await next()).toMatchObject({ created: true, watch_id: "0", canceled: false });
    await client.call(kv, "Put", { key, value: Buffer.from("v") });
    expect(await next()).toMatchObject({
      events: [{ type: "PUT", kv: { key, value: Buffer.from("v") }, prev_kv: null }],
    });
    stream.write({ cancel_request: { watch_id: "0" } });
    expect(await next()).toMatchObject({ canceled: true, watch_id: "0" });
    stream.on("error", () => {});
    stream.cancel();
  });

  test("Lease", async () => {
    const { ID } = (await client.call(lease, "LeaseGrant", { TTL: "60" })) as {
      readonly ID: string;
    };
    const key = Buffer.from(prefix);
    await client.call(kv, "Put", { key, lease: ID });
    const stream = client.stream(lease, "LeaseKeepAlive");
    const next = reader(stream);
    stream.write({ ID });
    expect(await next()).toMatchObject({ ID, TTL: "60" });
    stream.end();
    const told = await client.call(lease, "LeaseTimeToLive", { ID, keys: true });
    expect(told).toMatchObject({ ID, grantedTTL: "60", keys: [key] });
    const { leases } = await client.call(lease, "LeaseLeases");
    expect(leases).toContainEqual({ ID });
    await client.call(lease, "LeaseRevoke", { ID });
    expect(await client.call(kv, "Range", { key, count_only: true })).toMatchObject({ count: "0" });
  });

  test("Cluster and Maintenance", async () => {
    const { members } = (await client.call("etcdserverpb.Cluster", "MemberList", {
      linearizable: true,
    })) as { readonly members: readonly Message[] };
    expect(members).toHaveLength(target(role).size);
    expect(members[0]).toMatchObject({ peerURLs: [expect.any(String)], isLearner: false });
    const maintenance = "etcdserverpb.Maintenance";
    expect(await client.call(maintenance, "Status")).toMatchObject({
      version: expect.stringMatching(/^3\.6\./) as string,
      errors: [],
    });
    expect(await client.call(maintenance, "HashKV", { revision: "0" })).toMatchObject({
      hash: expect.any(Number) as number,
    });
    expect(await client.call(maintenance, "Alarm", { action: "GET" })).toMatchObject({
      alarms: [],
    });
    await expect(
      client.call(maintenance, "MoveLeader", { targetID: "18446744073709551615" }),
    ).rejects.toMatchObject({ code: grpc.status.FAILED_PRECONDITION });
  });

  test("Auth: what is off says so", async () => {
    await expect(
      client.call("etcdserverpb.Auth", "Authenticate", { name: "a", password: "b" }),
    ).rejects.toMatchObject({
      code: grpc.status.FAILED_PRECONDITION,
      details: "etcdserver: authentication is not enabled",
    });
    expect(await client.call("etcdserverpb.Auth", "AuthStatus")).toMatchObject({ enabled: false });
  });

  test("Lock, Election and Health", async () => {
    const name = Buffer.from(`${prefix}lock`);
    const { key } = (await client.call("v3lockpb.Lock", "Lock", { name })) as {
      readonly key: Buffer;
    };
    expect(key.toString()).toMatch(new RegExp(`^${name.toString()}/[0-9a-f]+$`));
    await client.call("v3lockpb.Lock", "Unlock", { key });
    const election = "v3electionpb.Election";
    const chosen = { name: Buffer.from(`${prefix}election`) };
    const { leader } = await client.call(election, "Campaign", {
      ...chosen,
      value: Buffer.from("me"),
    });
    expect(await client.call(election, "Leader", chosen)).toMatchObject({
      kv: { value: Buffer.from("me") },
    });
    await client.call(election, "Resign", { leader });
    await expect(client.call(election, "Leader", chosen)).rejects.toMatchObject({
      code: grpc.status.UNKNOWN,
      details: "election: no leader",
    });
    expect(await client.call("grpc.health.v1.Health", "Check")).toEqual({ status: "SERVING" });
  });
});
