// etcdserverpb.Auth, one case an RPC. Each leaves authentication off and no users or roles behind.

import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import { PermissionType } from "../../../src/wire/index.ts";
import { auth, type authMethods, logIn, passwordOf } from "../auth-support.ts";
import { bytes, expectRefused, type RawClient, text } from "../raw-client.ts";
import type { RpcCases, Scene } from "./scene.ts";

const { INVALID_ARGUMENT: invalid, FAILED_PRECONDITION: precondition } = status;
const userMissing = "etcdserver: user name not found";
const roleMissing = "etcdserver: role name not found";
const emptyUser = "etcdserver: user name is empty";
const noManagement = "etcdserver: invalid auth management";

type Method = keyof typeof authMethods;
type Refusal = readonly [request: Record<string, unknown>, code: number, text: string];

/** Each request fails as told, and none of them makes a new auth revision. */
async function refuses(
  client: RawClient,
  method: Method,
  refusals: readonly Refusal[],
  token?: string,
): Promise<void> {
  const before = await auth(client, "status");
  for (const [request, code, words] of refusals) {
    await expectRefused(auth(client, method, request as never, token), code, words);
  }
  const after = await auth(client, "status");
  expect([after.enabled, after.authRevision]).toEqual([before.enabled, before.authRevision]);
}

/** Runs a case with a user "u", a role "r" and a root, and clears up. */
function withUsers(use: (client: RawClient, scene: Scene) => Promise<void>) {
  return async (scene: Scene): Promise<void> => {
    const { client } = scene;
    try {
      for (const name of ["root", "u"]) {
        await auth(client, "userAdd", { name, password: passwordOf(name) });
      }
      await auth(client, "grantRole", { user: "root", role: "root" });
      await auth(client, "roleAdd", { name: "r" });
      await use(client, scene);
    } finally {
      await clear(client);
    }
  };
}

async function clear(client: RawClient): Promise<void> {
  if ((await auth(client, "status")).enabled) {
    await auth(client, "disable", {}, await logIn(client, "root"));
  }
  for (const name of (await auth(client, "userList")).users) {
    await auth(client, "userDelete", { name });
  }
  for (const role of (await auth(client, "roleList")).roles) {
    await auth(client, "roleDelete", { role });
  }
}

/** Runs `use` with root's token while authentication is on. */
async function enabled(client: RawClient, use: (root: string) => Promise<void>): Promise<void> {
  await auth(client, "enable");
  const root = await logIn(client, "root");
  await use(root);
  await auth(client, "disable", {}, root);
}

async function authEnable({ client }: Scene): Promise<void> {
  try {
    const noRoot = "etcdserver: root user does not exist";
    await refuses(client, "enable", [[{}, precondition, noRoot]]);
    await auth(client, "userAdd", { name: "root", password: passwordOf("root") });
    const noRole = "etcdserver: root user does not have root role";
    await refuses(client, "enable", [[{}, precondition, noRole]]);
    await auth(client, "grantRole", { user: "root", role: "root" });
    await enabled(client, async (root) => {
      // Once more changes nothing.
      await auth(client, "enable", {}, root);
      expect((await auth(client, "status")).enabled).toBe(true);
    });
  } finally {
    await clear(client);
  }
}

const authDisable = withUsers(async (client, { prefix }) => {
  // Off already: no error.
  await auth(client, "disable");
  const key = bytes(prefix);
  await enabled(client, async () => {
    await expectRefused(client.call("put", { key }), invalid, emptyUser);
    await refuses(client, "disable", [[{}, invalid, emptyUser]]);
    const user = await logIn(client, "u");
    const denied = "etcdserver: permission denied";
    await refuses(client, "disable", [[{}, status.PERMISSION_DENIED, denied]], user);
  });
  await client.call("put", { key });
});

const authStatus = withUsers(async (client) => {
  const off = await auth(client, "status");
  expect(off.enabled).toBe(false);
  await auth(client, "roleAdd", { name: "more" });
  expect((await auth(client, "status")).authRevision).toBe(off.authRevision + 1);
  await enabled(client, async () => {
    // Open to everybody.
    expect((await auth(client, "status")).enabled).toBe(true);
  });
});

const authenticate = withUsers(async (client) => {
  const password = passwordOf("u");
  const off = "etcdserver: authentication is not enabled";
  await refuses(client, "authenticate", [[{ name: "u", password }, precondition, off]]);
  await auth(client, "userAdd", { name: "certified", options: { noPassword: true } });
  await enabled(client, async () => {
    const failed = "etcdserver: authentication failed, invalid user ID or password";
    await refuses(client, "authenticate", [
      [{ name: "u", password: "x" }, invalid, failed],
      [{ name: "nobody", password }, invalid, failed],
      [{}, invalid, failed],
      [
        { name: "certified", password },
        status.UNKNOWN,
        "auth: authentication failed, password was given for no password user",
      ],
    ]);
    const { token, header } = await auth(client, "authenticate", { name: "u", password });
    expect(token).toMatch(/^[A-Za-z]{16}\.\d+$/);
    expect(header?.revision).toBeGreaterThan(0);
    expect(await logIn(client, "u")).not.toBe(token);
  });
});

const userAdd = withUsers(async (client) => {
  await auth(client, "userAdd", { name: "blank", password: "" });
  await auth(client, "userAdd", { name: "certified", options: { noPassword: true } });
  await auth(client, "userAdd", { name: "long", password: "x".repeat(72) });
  await refuses(client, "userAdd", [
    [{ password: "x" }, invalid, emptyUser],
    [{ name: "u", password: "x" }, precondition, "etcdserver: user name already exists"],
    [
      { name: "longer", password: "x".repeat(73) },
      status.UNKNOWN,
      "bcrypt: password length exceeds 72 bytes",
    ],
  ]);
  expect((await auth(client, "userGet", { name: "blank" })).roles).toEqual([]);
});

const userGet = withUsers(async (client) => {
  await auth(client, "roleAdd", { name: "q" });
  for (const role of ["r", "q"]) {
    await auth(client, "grantRole", { user: "u", role });
  }
  expect((await auth(client, "userGet", { name: "u" })).roles).toEqual(["q", "r"]);
  await refuses(client, "userGet", [
    [{ name: "nobody" }, precondition, userMissing],
    [{}, precondition, userMissing],
  ]);
  await enabled(client, async () => {
    const own = await logIn(client, "u");
    expect((await auth(client, "userGet", { name: "u" }, own)).roles).toEqual(["q", "r"]);
    const denied = "etcdserver: permission denied";
    const refused = [[{ name: "root" }, status.PERMISSION_DENIED, denied]] as const;
    await refuses(client, "userGet", refused, own);
  });
});

const userList = withUsers(async (client) => {
  await auth(client, "userAdd", { name: "a", password: "x" });
  expect((await auth(client, "userList")).users).toEqual(["a", "root", "u"]);
});

const userDelete = withUsers(async (client) => {
  await refuses(client, "userDelete", [
    [{ name: "nobody" }, precondition, userMissing],
    [{}, precondition, userMissing],
  ]);
  await enabled(client, async (root) => {
    const token = await logIn(client, "u");
    await refuses(client, "userDelete", [[{ name: "root" }, invalid, noManagement]], root);
    await auth(client, "userDelete", { name: "u" }, root);
    const gone = client.call("range", { key: bytes("k") }, { metadata: { token } });
    await expectRefused(gone, status.UNAUTHENTICATED, "etcdserver: invalid auth token");
  });
});

const changePassword = withUsers(async (client) => {
  const missing = [[{ name: "nobody", password: "x" }, precondition, userMissing]] as const;
  await refuses(client, "changePassword", missing);
  await enabled(client, async (root) => {
    const before = await logIn(client, "u");
    await auth(client, "changePassword", { name: "u", password: "other" }, root);
    const metadata = { metadata: { token: before } };
    const refused = client.call("range", { key: bytes("k") }, metadata);
    await expectRefused(refused, status.UNAUTHENTICATED, "etcdserver: invalid auth token");
    const { token } = await auth(client, "authenticate", { name: "u", password: "other" });
    expect(token).not.toBe("");
  });
});

const grantRole = withUsers(async (client) => {
  await auth(client, "grantRole", { user: "u", role: "r" });
  const { authRevision } = await auth(client, "status");
  // Twice is no error. The root role needs not be made.
  await auth(client, "grantRole", { user: "u", role: "r" });
  expect((await auth(client, "status")).authRevision).toBe(authRevision);
  await auth(client, "grantRole", { user: "u", role: "root" });
  expect((await auth(client, "userGet", { name: "u" })).roles).toEqual(["r", "root"]);
  await refuses(client, "grantRole", [
    [{ user: "u", role: "none" }, precondition, roleMissing],
    [{ user: "nobody", role: "r" }, precondition, userMissing],
  ]);
});

const revokeRole = withUsers(async (client) => {
  const notGranted = "etcdserver: role is not granted to the user";
  await refuses(client, "revokeRole", [
    [{ name: "u", role: "r" }, precondition, notGranted],
    [{ name: "u", role: "none" }, precondition, notGranted],
    [{ name: "nobody", role: "r" }, precondition, userMissing],
  ]);
  const perm = { permType: PermissionType.READ, key: bytes("k"), rangeEnd: bytes("") };
  await auth(client, "grantPermission", { name: "r", perm });
  await auth(client, "grantRole", { user: "u", role: "r" });
  await enabled(client, async (root) => {
    const user = { metadata: { token: await logIn(client, "u") } };
    await client.call("range", { key: bytes("k") }, user);
    await auth(client, "revokeRole", { name: "u", role: "r" }, root);
    const refused = client.call("range", { key: bytes("k") }, user);
    await expectRefused(refused, status.PERMISSION_DENIED, "etcdserver: permission denied");
    const own = [[{ name: "root", role: "root" }, invalid, noManagement]] as const;
    await refuses(client, "revokeRole", own, root);
  });
});

const roleAdd = withUsers(async (client) => {
  await refuses(client, "roleAdd", [
    [{}, invalid, "etcdserver: role name is empty"],
    [{ name: "r" }, precondition, "etcdserver: role name already exists"],
  ]);
  expect((await auth(client, "roleGet", { role: "r" })).perm).toEqual([]);
});

const roleGet = withUsers(async (client) => {
  const end = bytes("\0");
  const perm = { permType: PermissionType.WRITE, key: bytes("k"), rangeEnd: end };
  await auth(client, "grantPermission", { name: "r", perm });
  const own = await auth(client, "roleGet", { role: "r" });
  expect(own.perm.map((each) => [each.permType, text(each.key), text(each.rangeEnd)])).toEqual([
    [PermissionType.WRITE, "k", "\0"],
  ]);
  await refuses(client, "roleGet", [[{ role: "none" }, precondition, roleMissing]]);
  await auth(client, "roleAdd", { name: "root" });
  const root = await auth(client, "roleGet", { role: "root" });
  expect(root.perm.map((each) => [each.permType, text(each.key), text(each.rangeEnd)])).toEqual([
    [PermissionType.READWRITE, "", "\0"],
  ]);
});

const roleList = withUsers(async (client) => {
  for (const name of ["z", "a"]) {
    await auth(client, "roleAdd", { name });
  }
  expect((await auth(client, "roleList")).roles).toEqual(["a", "r", "z"]);
});

const roleDelete = withUsers(async (client) => {
  await auth(client, "grantRole", { user: "u", role: "r" });
  await refuses(client, "roleDelete", [[{ role: "none" }, precondition, roleMissing]]);
  await enabled(client, async (root) => {
    await refuses(client, "roleDelete", [[{ role: "root" }, invalid, noManagement]], root);
    await auth(client, "roleDelete", { role: "r" }, root);
    expect((await auth(client, "userGet", { name: "u" }, root)).roles).toEqual([]);
  });
});

const grantPermission = withUsers(async (client) => {
  const perm = (key: string, rangeEnd: string, permType: number = PermissionType.READ) => ({
    permType,
    key: bytes(key),
    rangeEnd: bytes(rangeEnd),
  });
  await refuses(client, "grantPermission", [
    [{ name: "r" }, invalid, "etcdserver: permission not given"],
    [{ name: "none", perm: perm("k", "") }, precondition, roleMissing],
    [{ name: "r", perm: perm("b", "a") }, invalid, noManagement],
    [{ name: "r", perm: perm("b", "b") }, invalid, noManagement],
  ]);
  await auth(client, "grantPermission", { name: "r", perm: perm("k", "") });
  // The same range again has the new kind alone.
  const writing = perm("k", "", PermissionType.WRITE);
  await auth(client, "grantPermission", { name: "r", perm: writing });
  await auth(client, "grantPermission", { name: "r", perm: perm("a", "\0") });
  const { perm: granted } = await auth(client, "roleGet", { role: "r" });
  expect(granted.map((each) => [each.permType, text(each.key)])).toEqual([
    [PermissionType.READ, "a"],
    [PermissionType.WRITE, "k"],
  ]);
});

const revokePermission = withUsers(async (client) => {
  const range = { key: bytes("a"), rangeEnd: bytes("c") };
  await auth(client, "grantPermission", { name: "r", perm: { permType: 2, ...range } });
  const notGranted = "etcdserver: permission is not granted to the role";
  await refuses(client, "revokePermission", [
    [{ role: "none", ...range }, precondition, roleMissing],
    // A part of what was granted is another range.
    [{ role: "r", key: bytes("a"), rangeEnd: bytes("b") }, precondition, notGranted],
    [{ role: "r", key: bytes("a"), rangeEnd: bytes("") }, precondition, notGranted],
  ]);
  await auth(client, "revokePermission", { role: "r", ...range });
  expect((await auth(client, "roleGet", { role: "r" })).perm).toEqual([]);
});

export const authCases: RpcCases = {
  "/etcdserverpb.Auth/AuthEnable": authEnable,
  "/etcdserverpb.Auth/AuthDisable": authDisable,
  "/etcdserverpb.Auth/AuthStatus": authStatus,
  "/etcdserverpb.Auth/Authenticate": authenticate,
  "/etcdserverpb.Auth/UserAdd": userAdd,
  "/etcdserverpb.Auth/UserGet": userGet,
  "/etcdserverpb.Auth/UserList": userList,
  "/etcdserverpb.Auth/UserDelete": userDelete,
  "/etcdserverpb.Auth/UserChangePassword": changePassword,
  "/etcdserverpb.Auth/UserGrantRole": grantRole,
  "/etcdserverpb.Auth/UserRevokeRole": revokeRole,
  "/etcdserverpb.Auth/RoleAdd": roleAdd,
  "/etcdserverpb.Auth/RoleGet": roleGet,
  "/etcdserverpb.Auth/RoleList": roleList,
  "/etcdserverpb.Auth/RoleDelete": roleDelete,
  "/etcdserverpb.Auth/RoleGrantPermission": grantPermission,
  "/etcdserverpb.Auth/RoleRevokePermission": revokePermission,
};
