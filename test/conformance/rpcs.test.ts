// Every RPC of the table that the server goes by has a case here with its edge cases, which runs
// against one node, a leader and a follower of three. A new RPC without a case fails the first
// test; a case that does not make its call fails too.

import { describe, expect, test } from "vitest";
import { rpcPath, rpcTable } from "../../src/api/index.ts";
import { authCases } from "./rpcs/auth.ts";
import { clusterMaintenanceCases } from "./rpcs/cluster-maintenance.ts";
import { kvCases } from "./rpcs/kv.ts";
import { recipeCases } from "./rpcs/recipes.ts";
import type { RpcCases } from "./rpcs/scene.ts";
import { watchLeaseCases } from "./rpcs/watch-lease.ts";
import { freshPrefix, roles, useTargets } from "./targets.ts";

const cases: RpcCases = {
  ...kvCases,
  ...watchLeaseCases,
  ...clusterMaintenanceCases,
  ...authCases,
  ...recipeCases,
};
const target = useTargets(["--bcrypt-cost=4"]);

test("every RPC of the table has a case, and every case an RPC", () => {
  expect(rpcTable.length).toBeGreaterThan(50);
  expect(Object.keys(cases).sort()).toEqual(rpcTable.map(rpcPath).sort());
});

describe.each(roles)("%s", (role) => {
  test.each(Object.entries(cases))("%s", async (path, run) => {
    const at = target(role);
    at.client.called.clear();
    await run({ at, client: at.client, prefix: freshPrefix("rpc").slice(0, -1) });
    expect(at.client.called).toContain(path);
  });
});
