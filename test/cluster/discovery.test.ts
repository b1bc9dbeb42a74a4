// First members that find each other by a discovery service: another Quorate, asked as etcd asks.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MemberListRequest, MemberListResponse } from "../../src/wire/index.ts";
import { KvClient } from "../support/kv-client.ts";
import { freePorts } from "../support/ports.ts";
import { ClusterProcesses, MemberProcess } from "../support/processes.ts";

const registry = "/_etcd/registry/token-1";

let service: ClusterProcesses;
let registered: KvClient;
let directory = "";
const members: MemberProcess[] = [];

beforeAll(async () => {
  service = await ClusterProcesses.start(1);
  registered = new KvClient(service.endpoints[0] ?? "");
  directory = await mkdtemp(join(tmpdir(), "quorate-discovery-"));
}, 60_000);
afterAll(async () => {
  await Promise.all(members.map((member) => member.stop("SIGKILL")));
  registered.close();
  await service[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function prepare(name: string, token = "token-1"): Promise<MemberProcess> {
  const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
  const flags = [`--discovery-endpoints=${service.endpoints[0]}`, `--discovery-token=${token}`];
  const dataDirectory = join(directory, name);
  const member = new MemberProcess({ name, clientPort, peerPort, dataDirectory, flags });
  members.push(member);
  return member;
}

async function namesAt(member: MemberProcess): Promise<string[]> {
  const client = new KvClient(member.endpoint);
  const path = "/etcdserverpb.Cluster/MemberList";
  const request = { linearizable: true };
  const reply = await client.call(path, MemberListRequest, MemberListResponse, request, 10_000);
  client.close();
  return reply.members.map(({ name }) => name).sort();
}

test("without a size nobody begins, and nothing is left behind", async () => {
  const member = await prepare("early");
  await expect(member.start()).rejects.toThrow("discovery: size key not found");
  await registered.put("/_etcd/registry/token-2/_config/size", "three");
  const other = await prepare("bad", "token-2");
  await expect(other.start()).rejects.toThrow("discovery: size key is bad");
});

test("three find each other, a fourth is refused, and later starts need nobody", async () => {
  await registered.put(`${registry}/_config/size`, "3");
  const [a, b, c] = [await prepare("a"), await prepare("b"), await prepare("c")] as const;
  await Promise.all([a.start(), b.start(), c.start()]);
  await expect
    .poll(() => Promise.all([a, b, c].map(namesAt)), { timeout: 20_000 })
    .toEqual(Array(3).fill(["a", "b", "c"]));
  const found = await registered.range({
    key: Buffer.from(`${registry}/members/`),
    rangeEnd: Buffer.from(`${registry}/members0`),
  });
  expect(found.kvs.map(({ value }) => Buffer.from(value).toString()).sort()).toEqual(
    [a, b, c].map(({ options }) => `${options.name}=http://127.0.0.1:${options.peerPort}`),
  );
  const late = await prepare("late");
  await expect(late.start()).rejects.toThrow("discovery: cluster is full");

  await service.members[0]?.stop("SIGKILL");
  await b.stop();
  await b.start();
  expect(await namesAt(b)).toEqual(["a", "b", "c"]);
}, 90_000);
