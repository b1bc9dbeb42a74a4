// What one user may do, made from its roles once and kept until users or roles change.

import { PermissionType } from "../wire/index.ts";
import type { Role, User } from "./auth-records.ts";
import { type Interval, intervalOf, unionOf } from "./intervals.ts";

/** The role that may do everything. It can be granted without having been added. */
export const rootRole = "root";
/** The user that must exist, with the root role, for authentication to be turned on. */
export const rootUser = "root";

export interface Permissions {
  readonly isRoot: boolean;
  readonly read: readonly Interval[];
  readonly write: readonly Interval[];
}

/** Roles that are not there any more grant nothing; neither do kinds of permission not known. */
export function permissionsOf(user: User, role: (name: string) => Role | undefined): Permissions {
  const read: Interval[] = [];
  const write: Interval[] = [];
  for (const name of user.roles) {
    for (const { permType, key, rangeEnd } of role(name)?.permissions ?? []) {
      const interval = intervalOf(key, rangeEnd);
      if (permType === PermissionType.READ || permType === PermissionType.READWRITE) {
        read.push(interval);
      }
      if (permType === PermissionType.WRITE || permType === PermissionType.READWRITE) {
        write.push(interval);
      }
    }
  }
  return { isRoot: user.roles.includes(rootRole), read: unionOf(read), write: unionOf(write) };
}
