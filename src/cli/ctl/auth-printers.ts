// What users, roles and the state of authentication look like in the forms simple and fields.

import { openEnd, prefixEnd } from "../../client/index.ts";
import { type Permission, PermissionType, type ResponseHeader } from "../../wire/index.ts";
import type { FieldWriter } from "./fields.ts";
import { goQuoteText } from "./go-text.ts";
import type { Output } from "./io.ts";
import type { Printer } from "./printer.ts";
import { bytesOf, textOfBytes } from "./raw-text.ts";

type AuthPrinter = Pick<
  Printer,
  | "authStatus"
  | "roleAdd"
  | "roleGet"
  | "roleList"
  | "roleDelete"
  | "roleGrant"
  | "roleRevoke"
  | "userAdd"
  | "userGet"
  | "userList"
  | "userPassword"
  | "userDelete"
  | "userGrantRole"
  | "userRevokeRole"
>;

function isOpen(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === openEnd[0];
}

/** "[a, b)" as etcdctl writes it: an open end has no bracket. */
function rangeText(key: Uint8Array, rangeEnd: Uint8Array): string {
  const end = isOpen(rangeEnd) ? "<open ended>" : `${textOfBytes(rangeEnd)})`;
  return `[${textOfBytes(key)}, ${end}`;
}

function permissionText({ key, rangeEnd }: Permission): string {
  if (rangeEnd.length === 0) {
    return textOfBytes(key);
  }
  const isPrefix = textOfBytes(prefixEnd(key)) === textOfBytes(rangeEnd);
  return `${rangeText(key, rangeEnd)}${isPrefix ? ` (prefix ${textOfBytes(key)})` : ""}`;
}

export function simpleAuthPrinter(output: Output): AuthPrinter {
  const line = (text: string): void => output.line(text);
  return {
    authStatus({ enabled, authRevision }) {
      line(`Authentication Status: ${enabled}`);
      line(`AuthRevision: ${authRevision}`);
    },
    roleAdd: (role) => line(`Role ${role} created`),
    roleGet(role, { perm }) {
      const print = (denied: PermissionType): void => {
        for (const permission of perm.filter(({ permType }) => permType !== denied)) {
          output.line("\t", bytesOf(permissionText(permission)));
        }
      };
      line(`Role ${role}`);
      line("KV Read:");
      print(PermissionType.WRITE);
      line("KV Write:");
      print(PermissionType.READ);
    },
    roleList: ({ roles }) => roles.forEach(line),
    roleDelete: (role) => line(`Role ${role} deleted`),
    roleGrant: (role) => line(`Role ${role} updated`),
    roleRevoke({ role, key, rangeEnd }) {
      const what =
        rangeEnd.length === 0 ? `key ${textOfBytes(key)}` : `range ${rangeText(key, rangeEnd)}`;
      output.line(bytesOf(`Permission of ${what} is revoked from role ${role}`));
    },
    userAdd: (user) => line(`User ${user} created`),
    userGet(user, { roles }) {
      line(`User: ${user}`);
      line(`Roles:${roles.map((role) => ` ${role}`).join("")}`);
    },
    userList: ({ users }) => users.forEach(line),
    userPassword: () => line("Password updated"),
    userDelete: (user) => line(`User ${user} deleted`),
    userGrantRole: ({ user, role }) => line(`Role ${role} is granted to user ${user}`),
    userRevokeRole: ({ user, role }) => line(`Role ${role} is revoked from user ${user}`),
  };
}

interface HeaderOnly {
  readonly header: ResponseHeader | undefined;
}

function permissionName(type: PermissionType): string {
  const found = Object.entries(PermissionType).find(([, number]) => number === type);
  return found?.[0] ?? String(type);
}

/** etcdctl has no fields for a user's roles and for the list of users. */
export function fieldsAuthPrinter(writer: FieldWriter): Omit<AuthPrinter, "userGet" | "userList"> {
  const header = (reply: HeaderOnly): void => writer.header(reply.header);
  const ofNamed = (_: unknown, reply: HeaderOnly): void => header(reply);
  return {
    authStatus(reply) {
      header(reply);
      writer.field("Enabled", reply.enabled);
      writer.field("AuthRevision", reply.authRevision);
    },
    roleAdd: ofNamed,
    roleGet(_, reply) {
      header(reply);
      for (const { permType, key, rangeEnd } of reply.perm) {
        writer.field("PermType", ` ${permissionName(permType)}`);
        writer.quoted("Key", key);
        writer.quoted("RangeEnd", rangeEnd);
      }
    },
    roleList(reply) {
      header(reply);
      writer.field("Roles", reply.roles.map(goQuoteText).join(" "));
    },
    roleDelete: ofNamed,
    roleGrant: ofNamed,
    roleRevoke: ofNamed,
    userAdd: ofNamed,
    userPassword: header,
    userDelete: ofNamed,
    userGrantRole: ofNamed,
    userRevokeRole: ofNamed,
  };
}
