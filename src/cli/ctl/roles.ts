// role add, delete, get, list, grant-permission and revoke-permission.

import { emptyBytes } from "../../base/index.ts";
import { openEnd, prefixEnd } from "../../client/index.ts";
import { PermissionType } from "../../wire/index.ts";
import { type Arguments, type Context, isSet, positionals } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { bytesOf } from "./raw-text.ts";
import { boolFlag, type Verb } from "./verb.ts";

function bad(message: string, hint?: string): CommandError {
  return new CommandError(exitCodes.badArguments, message, hint);
}

function roleArgument(argv: Arguments, verb: string): string {
  const [name, ...rest] = positionals(argv);
  if (name === undefined || rest.length > 0) {
    throw bad(`role ${verb} command requires role name as its argument`);
  }
  return name;
}

async function add(context: Context, argv: Arguments): Promise<void> {
  const name = roleArgument(argv, "add");
  const printer = context.printer();
  printer.roleAdd(name, await orFail(context.client.roleAdd({ name })));
}

async function remove(context: Context, argv: Arguments): Promise<void> {
  const role = roleArgument(argv, "delete");
  const printer = context.printer();
  printer.roleDelete(role, await orFail(context.client.roleDelete({ role })));
}

async function get(context: Context, argv: Arguments): Promise<void> {
  const role = roleArgument(argv, "get");
  const printer = context.printer();
  printer.roleGet(role, await orFail(context.client.roleGet({ role })));
}

async function list(context: Context, argv: Arguments): Promise<void> {
  if (positionals(argv).length > 0) {
    throw bad("role list command requires no arguments");
  }
  const printer = context.printer();
  printer.roleList(await orFail(context.client.roleList()));
}

/** A key, or the range that an end or a flag makes of it. */
function keyRange(argv: Arguments, words: readonly string[]) {
  const [text = "", end] = words;
  const prefix = isSet(argv, "prefix");
  const fromKey = isSet(argv, "from-key");
  if (end !== undefined) {
    if (prefix || fromKey) {
      throw bad(`unexpected endkey argument with --${prefix ? "prefix" : "from-key"} flag`);
    }
    return { key: bytesOf(text), rangeEnd: bytesOf(end) };
  }
  if (prefix && fromKey) {
    throw bad("--from-key and --prefix flags are mutually exclusive");
  }
  const key = text === "" && (prefix || fromKey) ? openEnd : bytesOf(text);
  const prefixRangeEnd = text === "" ? openEnd : prefixEnd(key);
  return { key, rangeEnd: prefix ? prefixRangeEnd : fromKey ? openEnd : emptyBytes };
}

const permissionTypes: Readonly<Record<string, PermissionType>> = {
  READ: PermissionType.READ,
  WRITE: PermissionType.WRITE,
  READWRITE: PermissionType.READWRITE,
};

async function grant(context: Context, argv: Arguments): Promise<void> {
  const [name, type, ...words] = positionals(argv);
  if (name === undefined || type === undefined || words.length === 0) {
    throw bad(
      "role grant command requires role name, permission type, and key [endkey] as its argument",
    );
  }
  const permType = permissionTypes[type.toUpperCase()];
  if (permType === undefined) {
    throw bad(`invalid permission type: ${type}`, "a permission is read, write or readwrite");
  }
  const perm = { permType, ...keyRange(argv, words) };
  const printer = context.printer();
  printer.roleGrant(name, await orFail(context.client.roleGrantPermission({ name, perm })));
}

async function revoke(context: Context, argv: Arguments): Promise<void> {
  const [role, ...words] = positionals(argv);
  if (role === undefined || words.length === 0) {
    throw bad("role revoke-permission command requires role name and key [endkey] as its argument");
  }
  const range = keyRange(argv, words);
  const printer = context.printer();
  const reply = await orFail(context.client.roleRevokePermission({ role, ...range }));
  printer.roleRevoke({ role, ...range, key: bytesOf(words[0] ?? "") }, reply);
}

const rangeFlags = [
  boolFlag("prefix", "All keys that begin with the key"),
  boolFlag("from-key", "All keys from the key on, in byte order"),
];

export const roleVerbs: readonly Verb[] = [
  {
    name: "role add",
    usage: "<role>",
    doc: "Add a role",
    examples: ["role add reader"],
    flags: [],
    run: add,
  },
  {
    name: "role delete",
    usage: "<role>",
    doc: "Delete a role",
    examples: ["role delete reader"],
    flags: [],
    run: remove,
  },
  {
    name: "role get",
    usage: "<role>",
    doc: "Print what a role may do",
    examples: ["role get reader"],
    flags: [],
    run: get,
  },
  {
    name: "role list",
    usage: "",
    doc: "Print the roles",
    examples: ["role list"],
    flags: [],
    run: list,
  },
  {
    name: "role grant-permission",
    usage: "<role> <read|write|readwrite> <key> [end]",
    doc: "Let a role read or write a key, or a range of keys",
    examples: [
      "role grant-permission reader read /app/ --prefix",
      "role grant-permission writer readwrite from to",
    ],
    flags: rangeFlags,
    run: grant,
  },
  {
    name: "role revoke-permission",
    usage: "<role> <key> [end]",
    doc: "Take from a role what it was granted for a key or a range",
    examples: ["role revoke-permission reader /app/ --prefix"],
    flags: rangeFlags,
    run: revoke,
  },
];
