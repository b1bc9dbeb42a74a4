// What the cases of authentication share: Auth calls on a raw client, and a cluster with a root, a
// user with some rights and one with none.

import { expect } from "vitest";
import * as wire from "../../src/wire/index.ts";
import { bytes, prefixEnd, type RawClient } from "./raw-client.ts";

interface Codec<T> {
  create(partial?: Partial<T>): T;
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

function method<Q, A>(name: string, request: Codec<Q>, reply: Codec<A>) {
  return { path: `/etcdserverpb.Auth/${name}`, request, reply };
}

export const authMethods = {
  enable: method("AuthEnable", wire.AuthEnableRequest, wire.AuthEnableResponse),
  disable: method("AuthDisable", wire.AuthDisableRequest, wire.AuthDisableResponse),
  status: method("AuthStatus", wire.AuthStatusRequest, wire.AuthStatusResponse),
  authenticate: method("Authenticate", wire.AuthenticateRequest, wire.AuthenticateResponse),
  userAdd: method("UserAdd", wire.AuthUserAddRequest, wire.AuthUserAddResponse),
  userGet: method("UserGet", wire.AuthUserGetRequest, wire.AuthUserGetResponse),
  userList: method("UserList", wire.AuthUserListRequest, wire.AuthUserListResponse),
  userDelete: method("UserDelete", wire.AuthUserDeleteRequest, wire.AuthUserDeleteResponse),
  changePassword: method(
    "UserChangePassword",
    wire.AuthUserChangePasswordRequest,
    wire.AuthUserChangePasswordResponse,
  ),
  grantRole: method("UserGrantRole", wire.AuthUserGrantRoleRequest, wire.AuthUserGrantRoleResponse),
  revokeRole: method(
    "UserRevokeRole",
    wire.AuthUserRevokeRoleRequest,
    wire.AuthUserRevokeRoleResponse,
  ),
  roleAdd: method("RoleAdd", wire.AuthRoleAddRequest, wire.AuthRoleAddResponse),
  roleGet: method("RoleGet", wire.AuthRoleGetRequest, wire.AuthRoleGetResponse),
  roleList: method("RoleList", wire.AuthRoleListRequest, wire.AuthRoleListResponse),
  roleDelete: method("RoleDelete", wire.AuthRoleDeleteRequest, wire.AuthRoleDeleteResponse),
  grantPermission: method(
    "RoleGrantPermission",
    wire.AuthRoleGrantPermissionRequest,
    wire.AuthRoleGrantPermissionResponse,
  ),
  revokePermission: method(
    "RoleRevokePermission",
    wire.AuthRoleRevokePermissionRequest,
    wire.AuthRoleRevokePermissionResponse,
  ),
};

type Methods = typeof authMethods;
type RequestOf<M extends keyof Methods> = ReturnType<Methods[M]["request"]["decode"]>;
type ReplyOf<M extends keyof Methods> = ReturnType<Methods[M]["reply"]["decode"]>;

/** A call of the Auth service; `token` is that of the caller. */
export async function auth<M extends keyof Methods>(
  client: RawClient,
  name: M,
  request: Partial<RequestOf<M>> = {},
  token?: string,
): Promise<ReplyOf<M>> {
  const { path, request: codec, reply } = authMethods[name];
  const pair = codec as unknown as Codec<RequestOf<M>>;
  const options = token === undefined ? {} : { metadata: { token } };
  const answer = await client.bytes(path, pair.encode(pair.create(request)), options);
  return reply.decode(answer) as ReplyOf<M>;
}

export async function logIn(client: RawClient, name: string): Promise<string> {
  const { token } = await auth(client, "authenticate", { name, password: passwordOf(name) });
  expect(token).not.toBe("");
  return token;
}

export function passwordOf(name: string): string {
  return `${name}'s-Pa55word`;
}

/** What "user" may do: everything under mine/, read under read/, write under write/. */
export async function setUpUsers(client: RawClient): Promise<void> {
  for (const name of ["root", "user", "stranger"]) {
    await auth(client, "userAdd", { name, password: passwordOf(name) });
  }
  await auth(client, "userAdd", { name: "certified", options: { noPassword: true } });
  await auth(client, "grantRole", { user: "root", role: "root" });
  await auth(client, "roleAdd", { name: "some" });
  for (const [prefix, permType] of [
    ["mine/", wire.PermissionType.READWRITE],
    ["read/", wire.PermissionType.READ],
    ["write/", wire.PermissionType.WRITE],
  ] as const) {
    const perm = { permType, key: bytes(prefix), rangeEnd: prefixEnd(prefix) };
    await auth(client, "grantPermission", { name: "some", perm });
  }
  await auth(client, "grantRole", { user: "user", role: "some" });
  await auth(client, "enable");
}
