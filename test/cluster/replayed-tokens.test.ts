// A member that was killed finds in its log the tokens that it had given. None of them is good any
// more: nothing tells how long it was away, and it may have run out everywhere else.

import { test } from "vitest";
import { auth, logIn, setUpUsers } from "../conformance/auth-support.ts";
import { bytes, expectRefused, RawClient } from "../conformance/raw-client.ts";
import { ClusterProcesses, type MemberProcess } from "../support/processes.ts";

const unauthenticated = 16;

test("tokens in a replayed log are refused, and new ones are given", async () => {
  await using cluster = await ClusterProcesses.start(1);
  const [member] = cluster.members as [MemberProcess];
  using client = new RawClient(member.endpoint);
  await setUpUsers(client);
  const token = await logIn(client, "root");
  const read = (as: string): Promise<unknown> =>
    client.call("range", { key: bytes("a") }, { metadata: { token: as } });
  await read(token);
  await member.stop("SIGKILL");
  await member.start();
  await expectRefused(read(token), unauthenticated, "etcdserver: invalid auth token");
  await read(await logIn(client, "root"));
  await expectRefused(
    auth(client, "userList", {}, token),
    unauthenticated,
    "etcdserver: invalid auth token",
  );
}, 60_000);
