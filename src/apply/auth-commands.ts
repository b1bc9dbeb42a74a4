// The commands that change users, roles and authentication itself.

import type { Revision } from "../base/index.ts";
import type { AuthStore, Refusal } from "../auth/index.ts";
import {
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserDeleteRequest,
  AuthUserGrantRoleRequest,
  AuthUserRevokeRoleRequest,
  PasswordChange,
  TokenIssue,
  UserCreation,
} from "../wire/index.ts";
import type { DecodedCommand } from "../wire/index.ts";
import type { CommandResult } from "./command.ts";
import type { Position } from "./executor.ts";

export type AuthCommandKind = Extract<
  DecodedCommand["kind"],
  "authEnable" | "authDisable" | "tokenIssue" | `user${string}` | `role${string}`
>;

/** `revision` is the store's, for the reply: none of these changes a key. */
export function executeAuth(
  auth: AuthStore,
  kind: AuthCommandKind,
  body: Uint8Array,
  { index }: Position,
  revision: Revision,
): CommandResult {
  if (kind === "tokenIssue") {
    const { name, prefix, authRevision } = TokenIssue.decode(body);
    const token = `${prefix}.${index}`;
    const code = auth.issueToken(name, token, authRevision);
    return code === undefined ? { kind: "token", revision, token } : { kind: "error", code };
  }
  const code = change(auth, kind, body);
  return code === undefined ? { kind: "done", revision } : { kind: "error", code };
}

function change(
  auth: AuthStore,
  kind: Exclude<AuthCommandKind, "tokenIssue">,
  body: Uint8Array,
): Refusal {
  switch (kind) {
    case "authEnable":
      return auth.enable();
    case "authDisable":
      auth.disable();
      return undefined;
    case "userAdd": {
      const { name, passwordHash, noPassword } = UserCreation.decode(body);
      return auth.addUser(name, passwordHash, noPassword);
    }
    case "userDelete":
      return auth.deleteUser(AuthUserDeleteRequest.decode(body).name);
    case "userChangePassword": {
      const { name, passwordHash } = PasswordChange.decode(body);
      return auth.changePassword(name, passwordHash);
    }
    case "userGrantRole": {
      const { user, role } = AuthUserGrantRoleRequest.decode(body);
      return auth.grantRole(user, role);
    }
    case "userRevokeRole": {
      const { name, role } = AuthUserRevokeRoleRequest.decode(body);
      return auth.revokeRole(name, role);
    }
    case "roleAdd":
      return auth.addRole(AuthRoleAddRequest.decode(body).name);
    case "roleDelete":
      return auth.deleteRole(AuthRoleDeleteRequest.decode(body).role);
    case "roleGrantPermission": {
      const { name, perm } = AuthRoleGrantPermissionRequest.decode(body);
      return auth.grantPermission(name, perm);
    }
    case "roleRevokePermission": {
      const { role, key, rangeEnd } = AuthRoleRevokePermissionRequest.decode(body);
      return auth.revokePermission(role, key, rangeEnd);
    }
  }
}
