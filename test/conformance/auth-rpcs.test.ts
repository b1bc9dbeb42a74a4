// With authentication on, every call of the API is refused to nobody, to a bad token and, where it
// is root's, to a user; by the table that the server itself goes by, read against proto/ in
// test/api. None of the refused calls has changed anything.

import { beforeAll, describe, expect, test } from "vitest";
import { type Rpc, rpcPath, rpcTable } from "../../src/api/index.ts";
import {
  AuthStatusResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  WatchCreateRequest,
} from "../../src/wire/index.ts";
import { auth, logIn, setUpUsers } from "./auth-support.ts";
import { bytes, expectRefused, type RawClient } from "./raw-client.ts";
import { type Role, roles, type Target, useTargets } from "./targets.ts";

const invalidArgument = 3;
const permissionDenied = 7;
const unauthenticated = 16;

const target = useTargets();
const tokens = new Map<Role, { readonly root: string; readonly user: string }>();

beforeAll(async () => {
  await setUpUsers(target("one node").client);
  await setUpUsers(target("leader of three").client);
  for (const role of roles) {
    const { client } = target(role);
    tokens.set(role, { root: await logIn(client, "root"), user: await logIn(client, "user") });
  }
});

function tokensOf(role: Role): { readonly root: string; readonly user: string } {
  const found = tokens.get(role);
  if (found === undefined) {
    throw new Error(`nobody logged in on ${role}`);
  }
  return found;
}

/** Makes a call with an empty request; the service never gets to see that. */
function attempt(client: RawClient, rpc: Rpc, token: string | undefined): Promise<unknown> {
  const options = token === undefined ? {} : { metadata: { token } };
  const path = rpcPath(rpc);
  if (rpc.kind === "unary") {
    return client.bytes(path, new Uint8Array(0), options);
  }
  const stream = client.stream(path, LeaseKeepAliveRequest, LeaseKeepAliveResponse, options);
  stream.send(new Uint8Array(0));
  return stream.end().then(({ code, details }) => Promise.reject({ code, details }));
}

interface Fingerprint {
  readonly hash: number;
  readonly authRevision: number;
  readonly leases: number;
  readonly members: number;
}

/** Everything that a call could have changed. */
async function fingerprint({ client }: Target, token: string): Promise<Fingerprint> {
  const options = { metadata: { token } };
  const { hash } = await client.call("hashKv", {}, options);
  const { leases } = await client.call("leases", {}, options);
  const { members } = await client.call("memberList", { linearizable: true }, options);
  const { authRevision } = await auth(client, "status");
  return { hash, authRevision, leases: leases.length, members: members.length };
}

describe.each(roles)("%s", (role) => {
  test("refuses every call to nobody, and every call with a bad token", async () => {
    const { client } = target(role);
    const before = await fingerprint(target(role), tokensOf(role).root);
    let refused = 0;
    for (const rpc of rpcTable) {
      if (rpc.access === "open" || rpc.access === "watch") {
        continue;
      }
      const text = "etcdserver: user name is empty";
      await expectRefused(attempt(client, rpc, undefined), invalidArgument, text);
      for (const token of ["", "abcdefghijklmnop.1", "abcdefghijklmnop.999999999", "a.b.c"]) {
        const call = attempt(client, rpc, token);
        await expectRefused(call, unauthenticated, "etcdserver: invalid auth token");
      }
      refused++;
    }
    expect(refused).toBeGreaterThan(40);
    expect(await fingerprint(target(role), tokensOf(role).root)).toEqual(before);
  }, 60_000);

  test("leaves open what clients need before they log in", async () => {
    const open = rpcTable.filter(({ access }) => access === "open").map(({ method }) => method);
    const info = "ServerReflectionInfo";
    expect(open.sort()).toEqual(["AuthStatus", "Authenticate", "Check", info, info, "Watch"]);
    const { client } = target(role);
    const status = await client.bytes("/etcdserverpb.Auth/AuthStatus", new Uint8Array(0));
    expect(AuthStatusResponse.decode(status).enabled).toBe(true);
    await client.call("healthCheck");
  });

  test("refuses to a user what is root's", async () => {
    const { client } = target(role);
    const { root, user } = tokensOf(role);
    const before = await fingerprint(target(role), root);
    let refused = 0;
    for (const rpc of rpcTable.filter(({ access }) => access === "root")) {
      const call = attempt(client, rpc, user);
      await expectRefused(call, permissionDenied, "etcdserver: permission denied");
      refused++;
    }
    expect(refused).toBeGreaterThan(20);
    expect(await fingerprint(target(role), root)).toEqual(before);
  });

  test("refuses a watch by its answer, not by ending the stream", async () => {
    const { client } = target(role);
    const create = WatchCreateRequest.create({ key: bytes("k") });
    const message = { requestUnion: { kind: "createRequest", value: create } } as const;
    for (const [token, reason] of [
      [undefined, "code = InvalidArgument desc = etcdserver: user name is empty"],
      ["abcdefghijklmnop.1", "code = Unauthenticated desc = etcdserver: invalid auth token"],
      [
        "zzzzzzzzzzzzzzzz.999999999",
        "code = Unauthenticated desc = etcdserver: invalid auth token",
      ],
      [tokensOf(role).user, "code = PermissionDenied desc = etcdserver: permission denied"],
    ] as const) {
      using stream = client.watch(token === undefined ? {} : { metadata: { token } });
      stream.send(message);
      stream.send(message);
      for (const answer of await stream.take(2)) {
        expect(answer).toMatchObject({
          created: true,
          canceled: true,
          watchId: -1n,
          cancelReason: `rpc error: ${reason}`,
        });
      }
    }
  });
});
