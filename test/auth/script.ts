// Runs a golden script of authentication on an applier. Under each command stands, indented, what
// came of it; the whole file, rendered anew, must equal the file.
//
//   as USER [at N]      commands from here on are this user's, known at the current auth revision
//                       or at N; "nobody" brought nothing, "system" is the cluster itself
//   user add|no-password|delete|passwd NAME | user grant|revoke NAME ROLE
//   role add|delete NAME | role grant NAME r|w|rw KEY [END] | role revoke NAME KEY [END]
//   enable | disable | token NAME [at N]
//   put K V [lease=N] [prev] | del K [END] [prev] | compact N | grant ID | revoke ID | alarm
//   txn                 the lines that follow, up to "end":
//     if K [END] / then OPERATION / else OPERATION      OPERATION: put, del, get K [END], or "txn"
//     end                                               (its own lines follow, up to its "end")
//   read txn            the same, without the log
//   state               users, roles, revision
// "*" as END is every key from K on; K* is the end of that prefix.

import {
  fromUtf8,
  nobody,
  system,
  toClusterId,
  toLogIndex,
  toTerm,
  utf8,
} from "../../src/base/index.ts";
import type { Caller } from "../../src/base/index.ts";
import { Alarms, Applier, KeyChecks, readTxn } from "../../src/apply/index.ts";
import type { CommandKind, CommandResult } from "../../src/apply/index.ts";
import { AuthStore } from "../../src/auth/index.ts";
import { Lessor } from "../../src/lease/index.ts";
import { Membership } from "../../src/membership/index.ts";
import {
  AlarmRequest,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserDeleteRequest,
  AuthUserGrantRoleRequest,
  AuthUserRevokeRoleRequest,
  Compare,
  CompactionRequest,
  CompareTarget,
  DeleteRangeRequest,
  encodeCommand,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PasswordChange,
  type Permission,
  PermissionType,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TokenIssue,
  TxnRequest,
  UserCreation,
} from "../../src/wire/index.ts";
import { ModelStore } from "../apply/model-store.ts";

const permissionTypes: Readonly<Record<string, number>> = {
  r: PermissionType.READ,
  w: PermissionType.WRITE,
  rw: PermissionType.READWRITE,
};

function endOf(word: string | undefined): Uint8Array {
  if (word === undefined) {
    return new Uint8Array(0);
  }
  if (word === "*") {
    return Uint8Array.of(0);
  }
  const bytes = utf8(word.replace(/\*$/, ""));
  if (word.endsWith("*")) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
  }
  return bytes;
}

function rangeOf(words: readonly string[]): { key: Uint8Array; rangeEnd: Uint8Array } {
  const [key = "", end] = words.filter((word) => word !== "prev");
  return { key: utf8(key), rangeEnd: endOf(end) };
}

function putOf(words: readonly string[]): PutRequest {
  const [key = "", value = ""] = words;
  const lease = words.find((word) => word.startsWith("lease="))?.slice(6) ?? "0";
  return PutRequest.create({
    key: utf8(key),
    value: utf8(value),
    lease: BigInt(lease),
    prevKv: words.includes("prev"),
  });
}

function deleteOf(words: readonly string[]): DeleteRangeRequest {
  return { ...rangeOf(words), prevKv: words.includes("prev") };
}

/** Takes its lines, and the "end" behind them, off the block. */
function txnOf(block: string[]): TxnRequest {
  const compare: Compare[] = [];
  const success: RequestOp[] = [];
  const failure: RequestOp[] = [];
  for (;;) {
    const [verb = "end", ...words] = (block.shift() ?? "end").split(/\s+/);
    if (verb === "end") {
      return { compare, success, failure };
    }
    if (verb === "if") {
      // Holds for any key, there or not.
      const targetUnion = { kind: "version", value: -1 } as const;
      const test = { result: 1, target: CompareTarget.VERSION, targetUnion };
      compare.push(Compare.create({ ...rangeOf(words), ...test }));
    } else {
      (verb === "then" ? success : failure).push(operationOf(words, block));
    }
  }
}

function operationOf([verb, ...words]: readonly string[], block: string[]): RequestOp {
  switch (verb) {
    case "put":
      return { request: { kind: "requestPut", value: putOf(words) } };
    case "del":
      return { request: { kind: "requestDeleteRange", value: deleteOf(words) } };
    case "get":
      return { request: { kind: "requestRange", value: RangeRequest.create(rangeOf(words)) } };
    default:
      return { request: { kind: "requestTxn", value: txnOf(block) } };
  }
}

export function runScript(text: string): string {
  const run = new ScriptRun();
  const source = text.split("\n").filter((line) => !line.startsWith("  > "));
  const lines = source.join("\n").trimEnd().split("\n");
  const rendered: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    rendered.push(line);
    if (line === "" || line.startsWith("#")) {
      continue;
    }
    const block: string[] = [];
    for (let depth = line.endsWith("txn") ? 1 : 0; depth > 0; ) {
      const inner = lines[++i] ?? "end";
      rendered.push(inner);
      block.push(inner.trim());
      depth += inner.endsWith(" txn") ? 1 : inner.trim() === "end" ? -1 : 0;
    }
    rendered.push(...run.command(line, block).map((output) => `  > ${output}`));
  }
  return `${rendered.join("\n")}\n`;
}

class ScriptRun {
  readonly #store = new ModelStore();
  readonly #auth = new AuthStore();
  readonly #applier = new Applier({
    store: this.#store,
    lessor: new Lessor(),
    membership: Membership.bootstrap(toClusterId(1n), []),
    alarms: new Alarms(),
    auth: this.#auth,
  });
  #index = 0;
  #user = "nobody";
  #knownAt: number | undefined;

  command(line: string, block: string[]): string[] {
    const [verb = "", ...words] = line.split(/\s+/);
    switch (verb) {
      case "as":
        this.#user = words[0] ?? "";
        this.#knownAt = words[1] === "at" ? Number(words[2]) : undefined;
        return [];
      case "user":
        return this.#userCommand(words);
      case "role":
        return this.#roleCommand(words);
      case "read":
        return this.#readTxn(txnOf(block));
      case "state":
        return this.#state();
      default:
        return this.#apply(...this.#plainCommand(verb, words, block));
    }
  }

  #plainCommand(verb: string, words: string[], block: string[]): [CommandKind, Uint8Array] {
    const [first = "0", , third] = words;
    switch (verb) {
      case "enable":
        return ["authEnable", new Uint8Array(0)];
      case "disable":
        return ["authDisable", new Uint8Array(0)];
      case "token": {
        const authRevision = third === undefined ? this.#auth.revision : Number(third);
        return ["tokenIssue", TokenIssue.encode({ name: first, prefix: "T", authRevision })];
      }
      case "put":
        return ["put", PutRequest.encode(putOf(words))];
      case "del":
        return ["deleteRange", DeleteRangeRequest.encode(deleteOf(words))];
      case "txn":
        return ["txn", TxnRequest.encode(txnOf(block))];
      case "compact":
        return [
          "compaction",
          CompactionRequest.encode({ revision: Number(first), physical: false }),
        ];
      case "grant":
        return ["leaseGrant", LeaseGrantRequest.encode({ id: BigInt(first), ttl: 60 })];
      case "revoke":
        return ["leaseRevoke", LeaseRevokeRequest.encode({ id: BigInt(first) })];
      case "alarm":
        return ["alarm", AlarmRequest.encode(AlarmRequest.create({ action: 1, alarm: 1 }))];
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #userCommand([verb, name = "", role = ""]: string[]): string[] {
    const passwordHash = utf8(verb === "no-password" ? "" : "hash");
    switch (verb) {
      case "add":
      case "no-password": {
        const noPassword = verb === "no-password";
        return this.#apply("userAdd", UserCreation.encode({ name, passwordHash, noPassword }));
      }
      case "delete":
        return this.#apply("userDelete", AuthUserDeleteRequest.encode({ name }));
      case "passwd":
        return this.#apply("userChangePassword", PasswordChange.encode({ name, passwordHash }));
      case "grant":
        return this.#apply("userGrantRole", AuthUserGrantRoleRequest.encode({ user: name, role }));
      case "revoke":
        return this.#apply("userRevokeRole", AuthUserRevokeRoleRequest.encode({ name, role }));
      default:
        throw new Error(`unknown user command ${verb}`);
    }
  }

  #roleCommand([verb, name = "", ...words]: string[]): string[] {
    switch (verb) {
      case "add":
        return this.#apply("roleAdd", AuthRoleAddRequest.encode({ name }));
      case "delete":
        return this.#apply("roleDelete", AuthRoleDeleteRequest.encode({ role: name }));
      case "grant": {
        const [type = "", ...range] = words;
        const permType = permissionTypes[type] ?? PermissionType.READ;
        const perm = type === "" ? undefined : { permType, ...rangeOf(range) };
        return this.#apply(
          "roleGrantPermission",
          AuthRoleGrantPermissionRequest.encode({ name, perm }),
        );
      }
      case "revoke":
        return this.#apply(
          "roleRevokePermission",
          AuthRoleRevokePermissionRequest.encode({ role: name, ...rangeOf(words) }),
        );
      default:
        throw new Error(`unknown role command ${verb}`);
    }
  }

  get #caller(): Caller {
    if (this.#user === "nobody" || this.#user === "system") {
      return this.#user === "system" ? system : nobody;
    }
    return { user: this.#user, authRevision: this.#knownAt ?? this.#auth.revision };
  }

  #apply(kind: CommandKind, body: Uint8Array): string[] {
    const data = encodeCommand(kind, body, { origin: 1n, sequence: 1, ...this.#caller });
    this.#index++;
    const before = this.#auth.revision;
    const outcome = this.#applier.apply(toLogIndex(this.#index), toTerm(1), data);
    if (outcome.result.kind === "error" && outcome.commits.length > 0) {
      throw new Error("a refused command has written");
    }
    const change = this.#auth.revision === before ? "" : `, auth revision ${this.#auth.revision}`;
    return [`${resultText(outcome.result)}${change}`];
  }

  #readTxn(request: TxnRequest): string[] {
    const checks = this.#auth.enabled
      ? new KeyChecks(this.#auth, this.#store, this.#caller)
      : undefined;
    return [resultText(readTxn(this.#store, TxnRequest.encode(request), checks))];
  }

  #state(): string[] {
    const lines = [`${this.#auth.enabled ? "on" : "off"}, auth revision ${this.#auth.revision}`];
    for (const name of this.#auth.roleNames()) {
      const permissions = this.#auth.role(name)?.permissions ?? [];
      lines.push(`role ${[name, ...permissions.map(permissionText)].join(" ")}`);
    }
    for (const name of this.#auth.userNames()) {
      const user = this.#auth.user(name);
      const password = user?.noPassword === true ? " (no password)" : "";
      lines.push(`user ${[name, ...(user?.roles ?? [])].join(" ")}${password}`);
    }
    return lines;
  }
}

function permissionText({ permType, key, rangeEnd }: Permission): string {
  const type = Object.keys(permissionTypes).find((name) => permissionTypes[name] === permType);
  const end = rangeEnd.length === 0 ? "" : rangeEnd[0] === 0 ? "..*" : `..${fromUtf8(rangeEnd)}`;
  return `${type}:${fromUtf8(key)}${end}`;
}

function resultText(result: CommandResult): string {
  switch (result.kind) {
    case "error":
      return `error ${result.code}`;
    case "token":
      return `token ${result.token}`;
    case "done":
      return "done";
    default:
      return `${result.kind} at ${result.revision}`;
  }
}
