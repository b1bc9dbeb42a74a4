// Every call that must be refused, is, whoever makes it: every RPC of the table by somebody without
// a token, with one that has run out, of a user that was deleted, of one with too few rights, and
// over mutual TLS without a certificate or with another authority's. With etcd's code and text, and
// without any effect. And of all the passwords, tokens and keys used here nothing is to be found in
// what the member logged, at its most talkative, or wrote.

import { readdirSync, readFileSync, rmSync, statSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Rpc, rpcPath, rpcTable } from "../../src/api/index.ts";
import * as wire from "../../src/wire/index.ts";
import { CertificateFolder, type Leaf } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { MemberProcess } from "../support/processes.ts";
import { auth, logIn, passwordOf, setUpUsers } from "./auth-support.ts";
import { bytes, expectRefused, RawClient } from "./raw-client.ts";

const tokenTtlMs = 2_000;
const folder = new CertificateFolder();
const ca = folder.authority("ca");
const foreign = folder.authority("foreign");
const pairs = {
  server: ca.leaf("server"),
  client: ca.leaf("client"),
  stranger: foreign.leaf("stranger"),
};
const dataDirectory = mkdtempSync(join(tmpdir(), "quorate-refused-"));
const tokens: string[] = [];
let member: MemberProcess;
let client: RawClient;

/** Requests that would do something, for calls that look at what they are asked. */
const telling: Readonly<Record<string, Uint8Array>> = {
  "etcdserverpb.KV/Range": wire.RangeRequest.encode(
    wire.RangeRequest.create({ key: bytes("other") }),
  ),
  "etcdserverpb.KV/RangeStream": wire.RangeRequest.encode(
    wire.RangeRequest.create({ key: bytes("other") }),
  ),
  "etcdserverpb.KV/Put": wire.PutRequest.encode(wire.PutRequest.create({ key: bytes("other") })),
  "etcdserverpb.KV/DeleteRange": wire.DeleteRangeRequest.encode(
    wire.DeleteRangeRequest.create({ key: bytes("\0"), rangeEnd: bytes("\0") }),
  ),
  "etcdserverpb.KV/Txn": wire.TxnRequest.encode(
    wire.TxnRequest.create({
      success: [
        {
          request: {
            kind: "requestPut",
            value: wire.PutRequest.create({ key: bytes("other"), value: bytes("x") }),
          },
        },
      ],
    }),
  ),
  "etcdserverpb.Lease/LeaseRevoke": wire.LeaseRevokeRequest.encode({ id: 77n }),
  "etcdserverpb.Lease/LeaseTimeToLive": wire.LeaseTimeToLiveRequest.encode({ id: 77n, keys: true }),
  "etcdserverpb.Lease/LeaseKeepAlive": wire.LeaseKeepAliveRequest.encode({ id: 77n }),
  "etcdserverpb.Maintenance/Alarm": wire.AlarmRequest.encode({
    action: 1,
    memberId: 1n,
    alarm: 2,
  }),
  "v3lockpb.Lock/Lock": wire.LockRequest.encode({ name: bytes("lock"), lease: 77n }),
  "v3lockpb.Lock/Unlock": wire.UnlockRequest.encode({ key: bytes("other") }),
  "v3electionpb.Election/Campaign": wire.CampaignRequest.encode({
    name: bytes("e"),
    lease: 77n,
    value: bytes("v"),
  }),
  "v3electionpb.Election/Leader": wire.LeaderRequest.encode({ name: bytes("e") }),
  "v3electionpb.Election/Observe": wire.LeaderRequest.encode({ name: bytes("e") }),
};
const leaderKey = { name: bytes("e"), key: bytes("other"), rev: 2, lease: 77n };
const tellingToo: Readonly<Record<string, Uint8Array>> = {
  "v3electionpb.Election/Proclaim": wire.ProclaimRequest.encode({
    leader: leaderKey,
    value: bytes("v"),
  }),
  "v3electionpb.Election/Resign": wire.ResignRequest.encode({ leader: leaderKey }),
  "etcdserverpb.Auth/UserGet": wire.AuthUserGetRequest.encode({ name: "root" }),
  "etcdserverpb.Auth/RoleGet": wire.AuthRoleGetRequest.encode({ role: "root" }),
};

function requestOf({ service, method }: Rpc): Uint8Array {
  const name = `${service}/${method}`;
  return telling[name] ?? tellingToo[name] ?? new Uint8Array(0);
}

function attempt(by: RawClient, rpc: Rpc, token?: string): Promise<unknown> {
  const options = token === undefined ? {} : { metadata: { token } };
  if (rpc.kind === "unary") {
    return by.bytes(rpcPath(rpc), requestOf(rpc), options);
  }
  const { LeaseKeepAliveRequest: codec, LeaseKeepAliveResponse: reply } = wire;
  const stream = by.stream(rpcPath(rpc), codec, reply, options);
  stream.send(requestOf(rpc));
  return stream.end().then(({ code, details }) => Promise.reject({ code, details }));
}

async function tokenOf(name: string): Promise<string> {
  const token = await logIn(client, name);
  tokens.push(token);
  return token;
}

/** Everything that a call could have changed. */
async function fingerprint(): Promise<object> {
  const options = { metadata: { token: await tokenOf("root") } };
  const { hash, header } = await client.call("hashKv", {}, options);
  const { leases } = await client.call("leases", {}, options);
  const { members } = await client.call("memberList", { linearizable: true }, options);
  const { alarms } = await client.call("alarm", {}, options);
  const { enabled, authRevision } = await auth(client, "status");
  const { revision } = header ?? {};
  return { hash, revision, leases, members, alarms, enabled, authRevision };
}

beforeAll(async () => {
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const url = `https://127.0.0.1:${clientPort}`;
  member = new MemberProcess({
    name: "one",
    clientPort,
    peerPort,
    dataDirectory,
    flags: [
      `--initial-cluster=one=http://127.0.0.1:${peerPort}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--cert-file=${pairs.server.certFile}`,
      `--key-file=${pairs.server.keyFile}`,
      `--trusted-ca-file=${ca.caFile}`,
      "--client-cert-auth",
      "--bcrypt-cost=4",
      `--auth-token-ttl=${tokenTtlMs / 1000}`,
      "--log-level=debug",
    ],
  });
  await member.start();
  client = new RawClient(member.endpoint, { ca: ca.cert, pair: pairs.client });
  await client.call("grant", { id: 77n, ttl: 6_000 });
  await client.call("put", { key: bytes("other"), value: bytes("v"), lease: 77n });
  await setUpUsers(client);
});

afterAll(async () => {
  client?.[Symbol.dispose]();
  await member?.stop("SIGKILL");
  folder[Symbol.dispose]();
  rmSync(dataDirectory, { recursive: true });
});

const closed = rpcTable.filter(({ access }) => access !== "open" && access !== "watch");

async function allRefused(
  token: string,
  rpcs: readonly Rpc[],
  code: number | ((rpc: Rpc) => number),
  text: string,
): Promise<void> {
  expect(rpcs.length).toBeGreaterThan(15);
  const before = await fingerprint();
  for (const rpc of rpcs) {
    const expected = typeof code === "number" ? code : code(rpc);
    const call = expectRefused(attempt(client, rpc, token), expected, text);
    await expect(call, rpcPath(rpc)).resolves.toBeUndefined();
  }
  expect(await fingerprint()).toEqual(before);
}

const badToken = "etcdserver: invalid auth token";

describe("every call is refused", () => {
  test("to a token that has run out", async () => {
    const token = await tokenOf("root");
    await new Promise((resolve) => setTimeout(resolve, tokenTtlMs + 1_000));
    await allRefused(token, closed, status.UNAUTHENTICATED, badToken);
  }, 60_000);

  test("to a token of a user who was deleted, and of one whose password changed", async () => {
    const root = await tokenOf("root");
    for (const name of ["gone", "changed"]) {
      await auth(client, "userAdd", { name, password: passwordOf(name) }, root);
      await auth(client, "grantRole", { user: name, role: "root" }, root);
    }
    const [gone, changed] = [await tokenOf("gone"), await tokenOf("changed")];
    await client.call("range", { key: bytes("other") }, { metadata: { token: gone } });
    await auth(client, "userDelete", { name: "gone" }, root);
    const password = passwordOf("changed again");
    await auth(client, "changePassword", { name: "changed", password }, root);
    for (const token of [gone, changed]) {
      await allRefused(token, closed, status.UNAUTHENTICATED, badToken);
    }
  }, 60_000);

  test("to a user whose role gives no right to it, and to one whose role was taken", async () => {
    const root = await tokenOf("root");
    await auth(client, "userAdd", { name: "fallen", password: passwordOf("fallen") }, root);
    await auth(client, "grantRole", { user: "fallen", role: "root" }, root);
    const fallen = await tokenOf("fallen");
    await client.call("range", { key: bytes("other") }, { metadata: { token: fallen } });
    await auth(client, "revokeRole", { name: "fallen", role: "root" }, root);
    // What any user may do with what is nobody's.
    const free = new Set(["LeaseGrant", "LeaseTimeToLive", "LeaseLeases", "MemberList", "Status"]);
    const rpcs = closed.filter(({ method }) => !free.has(method));
    const codeOf = ({ access }: Rpc): number =>
      access === "recipe" ? status.UNKNOWN : status.PERMISSION_DENIED;
    const denied = "etcdserver: permission denied";
    for (const name of ["user", "fallen"]) {
      const token = name === "user" ? await tokenOf("user") : fallen;
      await allRefused(token, rpcs, codeOf, denied);
    }
  }, 60_000);

  test.each([
    ["without a certificate", undefined],
    ["with a certificate of another authority", pairs.stranger],
  ] as const)(
    "%s, before anything is asked",
    async (_, pair) => {
      const token = await tokenOf("root");
      const before = await fingerprint();
      using outsider = new RawClient(member.endpoint, { ca: ca.cert, pair });
      for (const rpc of rpcTable) {
        const error: unknown = await attempt(outsider, rpc, token).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect([rpcPath(rpc), error]).toMatchObject([rpcPath(rpc), { code: status.UNAVAILABLE }]);
      }
      expect(await fingerprint()).toEqual(before);
    },
    60_000,
  );
});

describe("a watch while rights change", () => {
  function create(key: string): wire.WatchRequest {
    const value = wire.WatchCreateRequest.create({ key: bytes(key) });
    return { requestUnion: { kind: "createRequest", value } };
  }

  test("goes on when its token runs out, but no other is made with that token", async () => {
    const token = await tokenOf("user");
    using stream = client.watch({ metadata: { token } });
    stream.send(create("mine/watched"));
    expect(await stream.next()).toMatchObject({ created: true, canceled: false });
    await new Promise((resolve) => setTimeout(resolve, tokenTtlMs + 1_000));
    const root = { metadata: { token: await tokenOf("root") } };
    await client.call("put", { key: bytes("mine/watched"), value: bytes("1") }, root);
    expect((await stream.next()).events).toHaveLength(1);
    stream.send(create("mine/watched"));
    expect(await stream.next()).toMatchObject({
      created: true,
      canceled: true,
      watchId: -1n,
      cancelReason: `rpc error: code = Unauthenticated desc = ${badToken}`,
    });
    await client.call("put", { key: bytes("mine/watched"), value: bytes("2") }, root);
    expect((await stream.next()).events).toHaveLength(1);
  }, 30_000);

  test("ends when its user's role is taken, before it hears of more", async () => {
    const root = await tokenOf("root");
    await auth(client, "userAdd", { name: "seer", password: passwordOf("seer") }, root);
    await auth(client, "grantRole", { user: "seer", role: "some" }, root);
    using stream = client.watch({ metadata: { token: await tokenOf("seer") } });
    stream.send(create("read/watched"));
    expect(await stream.next()).toMatchObject({ created: true, canceled: false });
    await auth(client, "revokeRole", { name: "seer", role: "some" }, root);
    const options = { metadata: { token: root } };
    await client.call("put", { key: bytes("read/watched") }, options);
    expect(await stream.next()).toMatchObject({
      watchId: 0n,
      canceled: true,
      events: [],
      cancelReason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
    });
  });
});

/** A segment of the log is given its whole size at once: what is not written yet is zeros. */
function withoutEndingZeros(bytes: Buffer): Buffer {
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return bytes.subarray(0, end);
}

describe("secrets", () => {
  /** What every file under `directory` holds, a character a byte, but for zeros at its end. */
  function contents(directory: string): string {
    return readdirSync(directory, { recursive: true, encoding: "utf8" })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => withoutEndingZeros(readFileSync(path)).toString("latin1"))
      .join("\n");
  }

  /** A secret, and the ways in which it may stand somewhere. */
  function formsOf(secret: string): string[] {
    const raw = Buffer.from(secret);
    // Base64 of it at each of three places in what was encoded, but for the characters at the ends.
    const shifted = [0, 1, 2].map((shift) =>
      Buffer.concat([Buffer.alloc(shift), raw])
        .toString("base64")
        .slice(shift === 0 ? 0 : 4, -4),
    );
    return [secret, encodeURIComponent(secret), raw.toString("hex"), ...shifted];
  }

  function bodyOf({ key }: Leaf): string {
    return key.split("\n").slice(1, -2).join("");
  }

  test("are in no log and in no file of the member", async () => {
    await tokenOf("user");
    await member.stop();
    const written = contents(dataDirectory);
    expect(written.length).toBeGreaterThan(1_000);
    // What is searched in would show one.
    expect(member.log).toContain("no client certificate");
    expect(written).toContain("mine/watched");
    const names = [
      "root",
      "user",
      "stranger",
      "gone",
      "changed",
      "changed again",
      "fallen",
      "seer",
    ];
    const secrets = [
      ...names.map(passwordOf),
      ...tokens.map((token) => token.split(".")[0] ?? ""),
      ...Object.values(pairs).flatMap((pair) => [bodyOf(pair), bodyOf(pair).slice(40, 80)]),
    ];
    expect(secrets.length).toBeGreaterThan(20);
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(10);
      for (const form of formsOf(secret)) {
        expect(written.includes(form), `written: ${form}`).toBe(false);
        expect(member.log.includes(form), `logged: ${form}`).toBe(false);
      }
    }
  });
});
