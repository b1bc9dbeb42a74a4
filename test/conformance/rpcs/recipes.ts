// Lock, Election, health and reflection, one case an RPC.

import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import * as wire from "../../../src/wire/index.ts";
import { bytes, expectRefused, prefixEnd, type RawClient, text } from "../raw-client.ts";
import { eventually } from "../targets.ts";
import { refusesAll, type RpcCases, type Scene } from "./scene.ts";

const leaseGone = "etcdserver: requested lease not found";
const leaderMissing = '"leader" field must be provided';
const { UNKNOWN: unknown } = status;

async function leaseOf(client: RawClient): Promise<bigint> {
  return (await client.call("grant", { ttl: 600 })).id;
}

async function countUnder({ client }: Scene, name: string): Promise<number> {
  const range = { key: bytes(`${name}/`), rangeEnd: prefixEnd(`${name}/`), countOnly: true };
  return (await client.call("range", range)).count;
}

async function lock(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const name = `${prefix}lock`;
  const [first, second] = [await leaseOf(client), await leaseOf(client)];
  const { key } = await client.call("lock", { name: bytes(name), lease: first });
  expect(text(key)).toBe(`${name}/${first.toString(16)}`);
  const again = await client.call("lock", { name: bytes(name), lease: first });
  expect(text(again.key)).toBe(text(key));
  const late = client.call("lock", { name: bytes(name), lease: second }, { deadlineMs: 500 });
  await expect(late).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  // Who gave up waiting leaves no key behind.
  await eventually(
    () => countUnder(scene, name),
    (count) => expect(count).toBe(1),
  );
  const waiting = client.call("lock", { name: bytes(name), lease: second });
  await eventually(
    () => countUnder(scene, name),
    (count) => expect(count).toBe(2),
  );
  await client.call("revoke", { id: first });
  expect(text((await waiting).key)).toBe(`${name}/${second.toString(16)}`);
  await client.call("revoke", { id: second });
  const own = await client.call("lock", { name: bytes(name) });
  const id = BigInt(`0x${text(own.key).slice(name.length + 1)}`);
  expect((await client.call("timeToLive", { id })).grantedTtl).toBe(60);
  await client.call("revoke", { id });
  await refusesAll(client, "lock", [[{ name: bytes(name), lease: first }, unknown, leaseGone]]);
}

async function unlock(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const name = `${prefix}lock`;
  const { key } = await client.call("lock", { name: bytes(name), lease: await leaseOf(client) });
  const { header } = await client.call("unlock", { key });
  expect(await countUnder(scene, name)).toBe(0);
  // What is not there is unlocked too.
  expect((await client.call("unlock", { key })).header?.revision).toBe(header?.revision);
  await refusesAll(client, "unlock", [[{}, unknown, "etcdserver: key is not provided"]]);
}

async function campaign(scene: Scene): Promise<void> {
  const { client, prefix } = scene;
  const name = bytes(prefix);
  const [first, second] = [await leaseOf(client), await leaseOf(client)];
  const won = await client.call("campaign", { name, lease: first, value: bytes("one") });
  expect(won.leader).toMatchObject({ lease: first, rev: won.header?.revision });
  expect(text(won.leader?.key)).toBe(`${prefix}/${first.toString(16)}`);
  // The same lease again leads on, with what it says now.
  const again = await client.call("campaign", { name, lease: first, value: bytes("1") });
  expect(again.leader?.rev).toBe(won.leader?.rev);
  const waiting = client.call("campaign", { name, lease: second, value: bytes("two") });
  await eventually(
    () => countUnder(scene, prefix),
    (count) => expect(count).toBe(2),
  );
  await client.call("revoke", { id: first });
  expect((await waiting).leader?.lease).toBe(second);
  await client.call("revoke", { id: second });
  await refusesAll(client, "campaign", [[{ name, lease: first }, unknown, leaseGone]]);
}

async function proclaim({ client, prefix }: Scene): Promise<void> {
  const name = bytes(prefix);
  const lease = await leaseOf(client);
  const { leader } = await client.call("campaign", { name, lease, value: bytes("one") });
  await client.call("proclaim", { leader, value: bytes("two") });
  const told = await client.call("electionLeader", { name });
  expect([text(told.kv?.value), told.kv?.version]).toEqual(["two", 2]);
  await refusesAll(client, "proclaim", [[{ value: bytes("x") }, unknown, leaderMissing]]);
  await client.call("revoke", { id: lease });
  const late = "election: not leader";
  await refusesAll(client, "proclaim", [[{ leader, value: bytes("x") }, unknown, late]]);
}

async function electionLeader({ client, prefix }: Scene): Promise<void> {
  const name = bytes(prefix);
  const none = [[{ name }, unknown, "election: no leader"]] as const;
  await refusesAll(client, "electionLeader", none);
  const lease = await leaseOf(client);
  await client.call("campaign", { name, lease, value: bytes("one") });
  expect(text((await client.call("electionLeader", { name })).kv?.value)).toBe("one");
  await client.call("revoke", { id: lease });
  await refusesAll(client, "electionLeader", none);
}

async function observe({ client, prefix }: Scene): Promise<void> {
  const name = bytes(prefix);
  using observer = client.observe(name);
  for (const value of ["one", "two"]) {
    const lease = await leaseOf(client);
    const { leader } = await client.call("campaign", { name, lease, value: bytes(value) });
    expect(text((await observer.next()).kv?.value)).toBe(value);
    await client.call("proclaim", { leader, value: bytes(`${value}!`) });
    expect(text((await observer.next()).kv?.value)).toBe(`${value}!`);
    await client.call("revoke", { id: lease });
  }
  expect(observer.queued).toEqual([]);
  observer.cancel();
  expect((await observer.end()).code).toBe(status.CANCELLED);
}

async function resign({ client, prefix }: Scene): Promise<void> {
  const name = bytes(prefix);
  const lease = await leaseOf(client);
  const { leader } = await client.call("campaign", { name, lease, value: bytes("one") });
  await client.call("resign", { leader });
  const gone = client.call("electionLeader", { name });
  await expectRefused(gone, unknown, "election: no leader");
  // Again, and from an election that was lost since: no error, and the next one stays.
  const next = await leaseOf(client);
  await client.call("campaign", { name, lease: next, value: bytes("two") });
  await client.call("resign", { leader });
  expect((await client.call("electionLeader", { name })).kv?.lease).toBe(next);
  await refusesAll(client, "resign", [[{}, unknown, leaderMissing]]);
  await client.call("revoke", { id: lease });
  await client.call("revoke", { id: next });
}

async function healthCheck({ client }: Scene): Promise<void> {
  expect((await client.call("healthCheck", { service: "" })).status).toBe(1);
  const other = client.call("healthCheck", { service: "etcdserverpb.KV" });
  await expectRefused(other, status.NOT_FOUND, "unknown service");
}

async function healthWatch({ client }: Scene): Promise<void> {
  for (const [service, expected] of [
    ["", 1],
    ["none", 3],
  ] as const) {
    const path = "/grpc.health.v1.Health/Watch";
    using stream = client.stream(path, wire.HealthCheckRequest, wire.HealthCheckResponse);
    stream.send({ service });
    stream.halfClose();
    expect((await stream.next()).status).toBe(expected);
    stream.cancel();
    expect((await stream.end()).code).toBe(status.CANCELLED);
  }
}

function reflection(path: string) {
  return async ({ client }: Scene): Promise<void> => {
    using stream = client.stream(path, wire.ServerReflectionRequest, wire.ServerReflectionResponse);
    stream.send({ host: "", messageRequest: { kind: "listServices", value: "*" } });
    const list = (await stream.next()).messageResponse;
    const services = list?.kind === "listServicesResponse" ? list.value.service : [];
    expect(services.map(({ name }) => name)).toContain("etcdserverpb.KV");
    for (const [value, kind] of [
      ["etcdserverpb.KV", "fileDescriptorResponse"],
      ["etcdserverpb.None", "errorResponse"],
    ] as const) {
      stream.send({ host: "", messageRequest: { kind: "fileContainingSymbol", value } });
      expect((await stream.next()).messageResponse?.kind).toBe(kind);
    }
    stream.halfClose();
    expect((await stream.end()).code).toBe(status.OK);
  };
}

const reflectionPath = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const alphaPath = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

export const recipeCases: RpcCases = {
  "/v3lockpb.Lock/Lock": lock,
  "/v3lockpb.Lock/Unlock": unlock,
  "/v3electionpb.Election/Campaign": campaign,
  "/v3electionpb.Election/Proclaim": proclaim,
  "/v3electionpb.Election/Leader": electionLeader,
  "/v3electionpb.Election/Observe": observe,
  "/v3electionpb.Election/Resign": resign,
  "/grpc.health.v1.Health/Check": healthCheck,
  "/grpc.health.v1.Health/Watch": healthWatch,
  [reflectionPath]: reflection(reflectionPath),
  [alphaPath]: reflection(alphaPath),
};
