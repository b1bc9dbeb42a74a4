// AuthStore: users, roles and whether authentication is on; replicated. Changes and their errors
// are etcd's (server/auth/store.go). A change that is refused has changed nothing.

import { compareBytes, copyBytes, emptyBytes, equalBytes, isSystem, utf8 } from "../base/index.ts";
import type { Caller, ErrorCode } from "../base/index.ts";
import type { BatchOperation, Row } from "../storage/engine.ts";
import type { Permission } from "../wire/index.ts";
import {
  authKey,
  decodeAuth,
  decodeRole,
  decodeUser,
  encodeAuth,
  encodeRole,
  encodeUser,
  roleKey,
  userKey,
} from "./auth-records.ts";
import type { Role, User } from "./auth-records.ts";
import { covers, gapsOf, intervalOf, isOpenEnd } from "./intervals.ts";
import { type Permissions, permissionsOf, rootRole, rootUser } from "./permissions.ts";
import { SimpleTokens } from "./simple-tokens.ts";

/** What front doors see of it. All checks answer undefined for "yes", else why not. */
export interface AuthReader {
  readonly enabled: boolean;
  /** Rises with each change of users, roles or permissions; 1 at first. */
  readonly revision: number;
  user(name: string): User | undefined;
  role(name: string): Role | undefined;
  userNames(): string[];
  roleNames(): string[];
  /** Whether the caller may read the keys that `key` and `rangeEnd` name. */
  checkRead(caller: Caller | undefined, key: Uint8Array, rangeEnd: Uint8Array): Refusal;
  checkWrite(caller: Caller | undefined, key: Uint8Array, rangeEnd: Uint8Array): Refusal;
  /**
   * Whether the caller may write every key of a set of any size: `hasKeyIn` tells whether the set
   * has one in an interval. It is asked for the gaps between what the caller may write, not for
   * each key.
   */
  checkWriteAll(caller: Caller | undefined, hasKeyIn: HasKeyIn): Refusal;
  /** Whether the caller is somebody. */
  checkLogin(caller: Caller | undefined): Refusal;
  /** Whether the caller holds the root role. */
  checkRoot(caller: Caller | undefined): Refusal;
}

export type Refusal = ErrorCode | undefined;

/** Whether a set of keys has one in [begin, end); no `end` means all from `begin` on. */
export type HasKeyIn = (begin: Uint8Array, end: Uint8Array | undefined) => boolean;

const authRevisionFirst = 1;

/** Names in the order of their bytes, which is not that of JavaScript's strings. */
function sortedNames(names: Iterable<string>): string[] {
  return [...names]
    .map((name) => ({ name, bytes: utf8(name) }))
    .sort((a, b) => compareBytes(a.bytes, b.bytes))
    .map(({ name }) => name);
}

export class AuthStore implements AuthReader {
  /** Not replicated as records: a member that starts anew knows none. */
  readonly tokens = new SimpleTokens();
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  readonly #permissions = new Map<string, Permissions>();
  readonly #dirtyUsers = new Set<string>();
  readonly #dirtyRoles = new Set<string>();
  #dirty = false;
  #enabled = false;
  #revision = authRevisionFirst;

  get enabled(): boolean {
    return this.#enabled;
  }

  get revision(): number {
    return this.#revision;
  }

  user(name: string): User | undefined {
    return this.#users.get(name);
  }

  role(name: string): Role | undefined {
    return this.#roles.get(name);
  }

  userNames(): string[] {
    return sortedNames(this.#users.keys());
  }

  roleNames(): string[] {
    return sortedNames(this.#roles.keys());
  }

  // Checks.

  checkRead(caller: Caller | undefined, key: Uint8Array, rangeEnd: Uint8Array): Refusal {
    return this.#enabled ? this.#checkKeys(caller, "read", key, rangeEnd) : undefined;
  }

  checkWrite(caller: Caller | undefined, key: Uint8Array, rangeEnd: Uint8Array): Refusal {
    return this.#enabled ? this.#checkKeys(caller, "write", key, rangeEnd) : undefined;
  }

  checkWriteAll(caller: Caller | undefined, hasKeyIn: HasKeyIn): Refusal {
    if (!this.#enabled || isSystem(caller) || !hasKeyIn(emptyBytes, undefined)) {
      return undefined;
    }
    const permissions = this.#permissionsNow(caller);
    if (typeof permissions === "string" || permissions.isRoot) {
      return typeof permissions === "string" ? permissions : undefined;
    }
    return gapsOf(permissions.write).some(({ begin, end }) => hasKeyIn(begin, end))
      ? "permissionDenied"
      : undefined;
  }

  checkLogin(caller: Caller | undefined): Refusal {
    return this.#enabled && (caller === undefined || caller.authRevision === 0)
      ? "userEmpty"
      : undefined;
  }

  checkRoot(caller: Caller | undefined): Refusal {
    if (!this.#enabled || isSystem(caller)) {
      return undefined;
    }
    if (caller === undefined || caller.user === "") {
      return "userEmpty";
    }
    const permissions = this.#permissionsOf(caller.user);
    if (permissions === undefined) {
      return "userNotFound";
    }
    return permissions.isRoot ? undefined : "permissionDenied";
  }

  #checkKeys(
    caller: Caller | undefined,
    access: "read" | "write",
    key: Uint8Array,
    rangeEnd: Uint8Array,
  ): Refusal {
    if (isSystem(caller)) {
      return undefined;
    }
    const permissions = this.#permissionsNow(caller);
    if (typeof permissions === "string") {
      return permissions;
    }
    const isPermitted =
      permissions.isRoot || covers(permissions[access], intervalOf(key, rangeEnd));
    return isPermitted ? undefined : "permissionDenied";
  }

  /** What a caller who is not the cluster may do, or why nothing. */
  #permissionsNow(caller: Caller | undefined): Permissions | ErrorCode {
    if (caller === undefined || caller.authRevision === 0) {
      return "userEmpty";
    }
    if (caller.authRevision < this.#revision) {
      return "authOldRevision";
    }
    return this.#permissionsOf(caller.user) ?? "permissionDenied";
  }

  #permissionsOf(name: string): Permissions | undefined {
    const kept = this.#permissions.get(name);
    if (kept !== undefined) {
      return kept;
    }
    const user = this.#users.get(name);
    if (user === undefined) {
      return undefined;
    }
    const made = permissionsOf(user, (role) => this.#roles.get(role));
    this.#permissions.set(name, made);
    return made;
  }

  // Changes: the same calls in the same order on every member.

  enable(): Refusal {
    if (this.#enabled) {
      return undefined;
    }
    const root = this.#users.get(rootUser);
    if (root === undefined) {
      return "rootUserNotExist";
    }
    if (!root.roles.includes(rootRole)) {
      return "rootRoleNotExist";
    }
    // As in etcd, this alone does not raise the revision.
    this.#enabled = true;
    this.#dirty = true;
    return undefined;
  }

  disable(): void {
    if (this.#enabled) {
      this.#enabled = false;
      this.tokens.clear();
      this.#changed();
    }
  }

  /** Gives `user` a token if nothing has changed since its password was found right. */
  issueToken(user: string, token: string, authRevision: number): Refusal {
    if (!this.#enabled) {
      return "authNotEnabled";
    }
    if (authRevision !== this.#revision) {
      return "authOldRevision";
    }
    const known = this.#users.get(user);
    if (known === undefined || known.noPassword) {
      return "authFailed";
    }
    this.tokens.issue(token, user);
    return undefined;
  }

  addUser(name: string, passwordHash: Uint8Array, noPassword: boolean): Refusal {
    if (name === "") {
      return "userEmpty";
    }
    if (this.#users.has(name)) {
      return "userAlreadyExists";
    }
    this.#putUser({ name, passwordHash: copyBytes(passwordHash), noPassword, roles: [] });
    return undefined;
  }

  deleteUser(name: string): Refusal {
    if (this.#enabled && name === rootUser) {
      return "invalidAuthManagement";
    }
    if (!this.#users.delete(name)) {
      return "userNotFound";
    }
    this.#dirtyUsers.add(name);
    this.tokens.dropUser(name);
    this.#changed();
    return undefined;
  }

  /** A user without a password stays so. */
  changePassword(name: string, passwordHash: Uint8Array): Refusal {
    const user = this.#users.get(name);
    if (user === undefined) {
      return "userNotFound";
    }
    this.tokens.dropUser(name);
    const kept = user.noPassword ? user.passwordHash : copyBytes(passwordHash);
    this.#putUser({ ...user, passwordHash: kept });
    return undefined;
  }

  grantRole(userName: string, roleName: string): Refusal {
    const user = this.#users.get(userName);
    if (user === undefined) {
      return "userNotFound";
    }
    if (roleName !== rootRole && !this.#roles.has(roleName)) {
      return "roleNotFound";
    }
    if (!user.roles.includes(roleName)) {
      this.#putUser({ ...user, roles: sortedNames([...user.roles, roleName]) });
    }
    return undefined;
  }

  revokeRole(userName: string, roleName: string): Refusal {
    if (this.#enabled && userName === rootUser && roleName === rootRole) {
      return "invalidAuthManagement";
    }
    const user = this.#users.get(userName);
    if (user === undefined) {
      return "userNotFound";
    }
    if (!user.roles.includes(roleName)) {
      return "roleNotGranted";
    }
    this.#putUser({ ...user, roles: user.roles.filter((role) => role !== roleName) });
    return undefined;
  }

  addRole(name: string): Refusal {
    if (name === "") {
      return "roleEmpty";
    }
    if (this.#roles.has(name)) {
      return "roleAlreadyExists";
    }
    this.#putRole({ name, permissions: [] });
    return undefined;
  }

  /** Takes the role from its users too. */
  deleteRole(name: string): Refusal {
    if (this.#enabled && name === rootRole) {
      return "invalidAuthManagement";
    }
    if (!this.#roles.delete(name)) {
      return "roleNotFound";
    }
    this.#dirtyRoles.add(name);
    for (const user of this.#users.values()) {
      if (user.roles.includes(name)) {
        this.#dirtyUsers.add(user.name);
        const roles = user.roles.filter((role) => role !== name);
        this.#users.set(user.name, { ...user, roles });
      }
    }
    this.#changed();
    return undefined;
  }

  /** A permission on the same range is replaced. */
  grantPermission(roleName: string, permission: Permission | undefined): Refusal {
    if (permission === undefined) {
      return "permissionNotGiven";
    }
    const { permType, key, rangeEnd } = permission;
    if (!isValidRange(key, rangeEnd)) {
      return "invalidAuthManagement";
    }
    const role = this.#roles.get(roleName);
    if (role === undefined) {
      return "roleNotFound";
    }
    const others = role.permissions.filter((each) => !isOn(each, key, rangeEnd));
    const granted = { permType, key: copyBytes(key), rangeEnd: copyBytes(rangeEnd) };
    const permissions = [...others, granted].sort(
      (a, b) => compareBytes(a.key, b.key) || compareBytes(a.rangeEnd, b.rangeEnd),
    );
    this.#putRole({ name: roleName, permissions });
    return undefined;
  }

  revokePermission(roleName: string, key: Uint8Array, rangeEnd: Uint8Array): Refusal {
    const role = this.#roles.get(roleName);
    if (role === undefined) {
      return "roleNotFound";
    }
    const permissions = role.permissions.filter((each) => !isOn(each, key, rangeEnd));
    if (permissions.length === role.permissions.length) {
      return "permissionNotGranted";
    }
    this.#putRole({ name: roleName, permissions });
    return undefined;
  }

  #putUser(user: User): void {
    this.#users.set(user.name, user);
    this.#dirtyUsers.add(user.name);
    this.#changed();
  }

  #putRole(role: Role): void {
    this.#roles.set(role.name, role);
    this.#dirtyRoles.add(role.name);
    this.#changed();
  }

  #changed(): void {
    this.#revision++;
    this.#dirty = true;
    this.#permissions.clear();
  }

  // Records.

  /** Installs the value of `authKey`, if there is one. Throws CorruptionError, as the next two. */
  load(value: Uint8Array | undefined): void {
    if (value !== undefined) {
      const { enabled, revision } = decodeAuth(value);
      this.#enabled = enabled;
      this.#revision = revision;
    }
  }

  loadUsers(rows: readonly Row[]): void {
    for (const [key, value] of rows) {
      const user = decodeUser(key, value);
      this.#users.set(user.name, user);
    }
  }

  loadRoles(rows: readonly Row[]): void {
    for (const [key, value] of rows) {
      const role = decodeRole(key, value);
      this.#roles.set(role.name, role);
    }
  }

  /** What changed since the last call, for the next batch to the engine. */
  collectDirty(): BatchOperation[] {
    if (!this.#dirty) {
      return [];
    }
    this.#dirty = false;
    const operations: BatchOperation[] = [
      { kind: "put", key: authKey, value: encodeAuth(this.#enabled, this.#revision) },
    ];
    for (const name of sortedNames(this.#dirtyRoles)) {
      const role = this.#roles.get(name);
      operations.push(written(roleKey(name), role && encodeRole(role)));
    }
    for (const name of sortedNames(this.#dirtyUsers)) {
      const user = this.#users.get(name);
      operations.push(written(userKey(name), user && encodeUser(user)));
    }
    this.#dirtyRoles.clear();
    this.#dirtyUsers.clear();
    return operations;
  }
}

function written(key: Uint8Array, value: Uint8Array | undefined): BatchOperation {
  return value === undefined ? { kind: "delete", key } : { kind: "put", key, value };
}

function isOn(permission: Permission, key: Uint8Array, rangeEnd: Uint8Array): boolean {
  return equalBytes(permission.key, key) && equalBytes(permission.rangeEnd, rangeEnd);
}

/** A key, a range that ends after it begins, or everything from a key on. */
function isValidRange(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  if (key.length === 0) {
    return false;
  }
  return rangeEnd.length === 0 || isOpenEnd(rangeEnd) || compareBytes(key, rangeEnd) < 0;
}
