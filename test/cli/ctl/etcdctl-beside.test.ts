// quoratectl prints what etcdctl prints: every command line of rows.ts is run by both on the same
// server, in every form of output, and what they write and how they exit is compared.
//
// Where etcdctl is not installed this is skipped; with CI=true it must be there.

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Client, connect, keyBytes, oneKey, prefixRange } from "../../../src/client/index.ts";
import { PermissionType, PutRequest, type RequestOp } from "../../../src/wire/index.ts";
import { ClusterProcesses } from "../../support/processes.ts";
import {
  etcdctl,
  etcdctlBeside,
  hasEtcdctl,
  type Outcome,
  quoratectl,
  withoutRevisions,
} from "./both.ts";
import { decodedReply } from "./decode.ts";
import { allRows, everyForm, leaseThere, type Row } from "./rows.ts";

let cluster: ClusterProcesses;
let client: Client;
let endpoint = "";

const lease = BigInt(`0x${leaseThere}`);

function put(key: string | Uint8Array, value: string | Uint8Array, leaseId = 0n): RequestOp {
  const request = { key: keyBytes(key), value: keyBytes(value), lease: leaseId };
  return { request: { kind: "requestPut", value: PutRequest.create(request) } };
}

/** The state that every row which writes starts from. */
async function restore(): Promise<void> {
  await client.deleteRange(prefixRange(""));
  await client.leaseRevoke(lease).catch(() => {});
  await client.leaseGrant({ id: lease, ttl: 6_000 });
  await client.txn({
    success: [
      put("a", "1"),
      put("b", "x"),
      put("k", 'v"\t\u0001é\n'),
      put(Uint8Array.of(0x6b, 0xff), Uint8Array.of(0, 0xfe, 0x41)),
      put("html", "<&>\u2028"),
      put("empty", ""),
      put("leased", "1", lease),
    ],
  });
  await client.txn({ success: [put("a", "2")] });
  await client.deleteRange(oneKey("b"));
}

async function restoreUsers(): Promise<void> {
  const { users } = await client.userList();
  const { roles } = await client.roleList();
  await Promise.all(users.map((name) => client.userDelete({ name })));
  await Promise.all(roles.map((role) => client.roleDelete({ role })));
  await client.roleAdd({ name: "reader" });
  await client.roleAdd({ name: "writer" });
  const grant = (name: string, permType: PermissionType, key: string, rangeEnd: string) =>
    client.roleGrantPermission({
      name,
      perm: { permType, key: keyBytes(key), rangeEnd: keyBytes(rangeEnd) },
    });
  await grant("reader", PermissionType.READ, "/app/", "/app0");
  await grant("writer", PermissionType.READWRITE, "a", "b");
  await grant("writer", PermissionType.WRITE, "one", "");
  await grant("writer", PermissionType.WRITE, "k", "\0");
  const options = { noPassword: true };
  await client.userAdd({ name: "alice", options });
  await client.userAdd({ name: "bob", options });
  await client.userGrantRole({ user: "alice", role: "reader" });
  await client.userGrantRole({ user: "alice", role: "writer" });
}

beforeAll(async () => {
  if (!hasEtcdctl) {
    return;
  }
  cluster = await ClusterProcesses.start(1);
  endpoint = cluster.endpoints[0] ?? "";
  client = connect({ endpoints: [endpoint] });
  await restore();
  await restoreUsers();
});
afterAll(async () => {
  client?.close();
  await cluster?.[Symbol.asyncDispose]();
});

/** What of an outcome is compared. */
function settled(row: Row, form: string, outcome: Outcome): unknown {
  if (row.usage === true) {
    return {
      exit: outcome.exit,
      err: outcome.err.split("\n")[0]?.replace("etcdctl", "quoratectl"),
    };
  }
  const { exit, out, err } = row.writes === true ? withoutRevisions(outcome) : outcome;
  const plain = err.replaceAll("etcdctl", "quoratectl");
  // etcdctl's cobra prints its usage before the error of an operation.
  const said = plain.includes("Usage:") ? plain.slice(plain.indexOf("Error:")) : plain;
  const settle = row.settle ?? ((text: string) => text);
  const printed =
    form === "protobuf" && exit === 0 && row.writes === true
      ? decodedReply(row.command, out)
      : settle(out);
  return { exit, out: printed, err: settle(said) };
}

async function compare(row: Row, form: string): Promise<void> {
  const args = row.forms?.length === 1 ? row.args : [...row.args, "-w", form];
  const isAuth = /^(?:user|role|auth) /.test(row.command);
  const options = {
    ...(row.input === undefined ? {} : { input: row.input }),
    env: { ETCDCTL_ENDPOINTS: endpoint, ...row.env },
  };
  const again = async (): Promise<void> => {
    if (row.writes === true) {
      await (isAuth ? restoreUsers() : restore());
    }
  };
  await again();
  const asked = etcdctlBeside(args, options);
  if (row.writes === true) {
    await asked;
    await again();
  }
  const ours = settled(row, form, await quoratectl(args, options));
  expect(ours).toEqual(settled(row, form, await asked));
}

describe.skipIf(!hasEtcdctl)("quoratectl prints what etcdctl prints", () => {
  const cases = allRows.flatMap((row) =>
    (row.forms ?? everyForm).map((form) => ({
      row,
      form,
      name: JSON.stringify(row.input === undefined ? row.args : [...row.args, row.input]),
    })),
  );

  it.each(cases)("$name $form", async ({ row, form }) => {
    // What a member says of itself may change between the two; then they are asked again.
    await vi.waitFor(() => compare(row, form), { timeout: 10_000, interval: 200 });
  });

  it("for what is compacted", async () => {
    const options = { env: { ETCDCTL_ENDPOINTS: endpoint } };
    const { header } = await client.put(oneKey("a"));
    const revision = String(header?.revision ?? 0);
    const first = await quoratectl(["compaction", revision], options);
    expect(first).toEqual({ exit: 0, out: `compacted revision ${revision}\n`, err: "" });
    for (const form of ["simple", "json", "fields"]) {
      for (const args of [
        ["compaction", revision],
        ["get", "a", "--rev=1"],
        ["watch", "a", "--rev=1"],
        ["watch", "a", "--rev=1", "--", "echo", "event"],
      ]) {
        const all = [...args.slice(0, 2), "-w", form, ...args.slice(2)];
        expect(await quoratectl(all, options)).toEqual(etcdctl(all, options));
      }
    }
  });
});
