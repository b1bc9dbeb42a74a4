// How users and roles lie in the engine: one record each, so that a change costs one small record,
// and one for what is neither.
//
//   "e"         enabled and revision (quoratepb.AuthRecord)
//   "r" name    a role (authpb.Role)
//   "u" name    a user (authpb.User)

import { CorruptionError, equalBytes, fromUtf8, utf8 } from "../base/index.ts";
import { AuthRecord, Role as WireRole, User as WireUser } from "../wire/index.ts";
import type { Permission } from "../wire/index.ts";

export interface User {
  readonly name: string;
  /** bcrypt, as text; empty for a user who cannot log in by password. */
  readonly passwordHash: Uint8Array;
  readonly noPassword: boolean;
  /** Ascending by their bytes. */
  readonly roles: readonly string[];
}

export interface Role {
  readonly name: string;
  /** Ascending by key and range end; no range stands twice. */
  readonly permissions: readonly Permission[];
}

export const authKey: Uint8Array = Uint8Array.of(0x65);
const rolePrefix = 0x72;
const userPrefix = 0x75;

export const roleRange = {
  from: Uint8Array.of(rolePrefix),
  to: Uint8Array.of(rolePrefix + 1),
} as const;

export const userRange = {
  from: Uint8Array.of(userPrefix),
  to: Uint8Array.of(userPrefix + 1),
} as const;

function recordKey(prefix: number, name: string): Uint8Array {
  const bytes = utf8(name);
  const key = new Uint8Array(1 + bytes.length);
  key[0] = prefix;
  key.set(bytes, 1);
  return key;
}

export function roleKey(name: string): Uint8Array {
  return recordKey(rolePrefix, name);
}

export function userKey(name: string): Uint8Array {
  return recordKey(userPrefix, name);
}

export function encodeRole({ name, permissions }: Role): Uint8Array {
  return WireRole.encode({ name: utf8(name), keyPermission: permissions });
}

export function encodeUser({ name, passwordHash, noPassword, roles }: User): Uint8Array {
  return WireUser.encode({
    name: utf8(name),
    password: passwordHash,
    roles,
    options: { noPassword },
  });
}

export function encodeAuth(enabled: boolean, revision: number): Uint8Array {
  return AuthRecord.encode({ enabled, revision });
}

/** What a record holds, never shown: it may be a password's hash. */
function parsed<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new CorruptionError(`the record of ${what} does not parse`, { cause: error });
  }
}

function checkKey(what: string, expected: Uint8Array, key: Uint8Array): void {
  if (!equalBytes(expected, key)) {
    throw new CorruptionError(`the record of ${what} lies under another name`);
  }
}

export function decodeRole(key: Uint8Array, value: Uint8Array): Role {
  const { name, keyPermission } = parsed("a role", () => WireRole.decode(value));
  const role = { name: fromUtf8(name), permissions: keyPermission };
  checkKey("a role", roleKey(role.name), key);
  return role;
}

export function decodeUser(key: Uint8Array, value: Uint8Array): User {
  const { name, password, roles, options } = parsed("a user", () => WireUser.decode(value));
  const user = {
    name: fromUtf8(name),
    passwordHash: password,
    noPassword: options?.noPassword ?? false,
    roles,
  };
  checkKey("a user", userKey(user.name), key);
  return user;
}

export function decodeAuth(value: Uint8Array): AuthRecord {
  return parsed("authentication", () => AuthRecord.decode(value));
}
