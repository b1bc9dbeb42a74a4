// user add, delete, get, list, passwd, grant-role and revoke-role.

import { type Arguments, type Context, isSet, positionals, textFlag } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

function bad(message: string): CommandError {
  return new CommandError(exitCodes.badArguments, message);
}

function userArgument(argv: Arguments, verb: string): string {
  const [name, ...rest] = positionals(argv);
  if (name === undefined || rest.length > 0) {
    throw bad(`user ${verb} command requires user name as its argument`);
  }
  return name;
}

/** A new password: asked for twice, or a word of standard input with --interactive=false. */
async function newPassword(context: Context, argv: Arguments, user: string): Promise<string> {
  if (argv["interactive"] === false) {
    const line = await context.io.readLine();
    return /\S+/.exec(line ?? "")?.[0] ?? "";
  }
  const password = await context.io.askSecret(`Password of ${user}: `);
  if (password === "") {
    throw bad("empty password");
  }
  const again = await context.io.askSecret(`Type password of ${user} again for confirmation: `);
  if (again !== password) {
    throw bad("given passwords are different");
  }
  return password;
}

async function add(context: Context, argv: Arguments): Promise<void> {
  const argument = userArgument(argv, "add");
  const printer = context.printer();
  const colon = argument.indexOf(":");
  const flag = textFlag(argv, "new-user-password");
  let name = argument;
  let password = "";
  if (!isSet(argv, "no-password")) {
    if (flag !== "") {
      password = flag;
    } else if (colon < 0) {
      password = await newPassword(context, argv, name);
    } else {
      name = argument.slice(0, colon);
      password = argument.slice(colon + 1);
      if (name === "") {
        throw bad("empty user name is not allowed");
      }
    }
  }
  const options = { noPassword: isSet(argv, "no-password") };
  printer.userAdd(name, await orFail(context.client.userAdd({ name, password, options })));
}

async function remove(context: Context, argv: Arguments): Promise<void> {
  const name = userArgument(argv, "delete");
  const printer = context.printer();
  printer.userDelete(name, await orFail(context.client.userDelete({ name })));
}

async function get(context: Context, argv: Arguments): Promise<void> {
  const name = userArgument(argv, "get");
  const printer = context.printer();
  const reply = await orFail(context.client.userGet({ name }));
  if (!isSet(argv, "detail")) {
    return printer.userGet(name, reply);
  }
  context.io.line(`User: ${name}`);
  for (const role of reply.roles) {
    context.io.line("");
    printer.roleGet(role, await orFail(context.client.roleGet({ role })));
  }
}

async function list(context: Context, argv: Arguments): Promise<void> {
  if (positionals(argv).length > 0) {
    throw bad("user list command requires no arguments");
  }
  const printer = context.printer();
  printer.userList(await orFail(context.client.userList()));
}

async function changePassword(context: Context, argv: Arguments): Promise<void> {
  const name = userArgument(argv, "passwd");
  const printer = context.printer();
  const password = await newPassword(context, argv, name);
  printer.userPassword(await orFail(context.client.userChangePassword({ name, password })));
}

function grantArguments(argv: Arguments, complaint: string): { user: string; role: string } {
  const [user, role, ...rest] = positionals(argv);
  if (user === undefined || role === undefined || rest.length > 0) {
    throw bad(`${complaint} requires user name and role name as its argument`);
  }
  return { user, role };
}

async function grantRole(context: Context, argv: Arguments): Promise<void> {
  const grant = grantArguments(argv, "user grant command");
  const printer = context.printer();
  printer.userGrantRole(grant, await orFail(context.client.userGrantRole(grant)));
}

async function revokeRole(context: Context, argv: Arguments): Promise<void> {
  const { user, role } = grantArguments(argv, "user revoke-role");
  const printer = context.printer();
  const reply = await orFail(context.client.userRevokeRole({ name: user, role }));
  printer.userRevokeRole({ user, role }, reply);
}

const interactiveFlag = boolFlag(
  "interactive",
  "Ask for the password; =false reads it from standard input without asking",
  { default: "true" },
);

export const userVerbs: readonly Verb[] = [
  {
    name: "user add",
    usage: "<name[:password]>",
    doc: "Add a user; a password that is not given is asked for",
    examples: ["user add alice", "user add alice --interactive=false < password.txt"],
    flags: [
      interactiveFlag,
      valueFlag("new-user-password", "The password; others can see it while the command runs"),
      boolFlag("no-password", "A user who comes with a certificate only"),
    ],
    run: add,
  },
  {
    name: "user delete",
    usage: "<name>",
    doc: "Delete a user",
    examples: ["user delete alice"],
    flags: [],
    run: remove,
  },
  {
    name: "user get",
    usage: "<name>",
    doc: "Print a user's roles",
    examples: ["user get alice --detail"],
    flags: [boolFlag("detail", "Print what the roles may do, too")],
    run: get,
  },
  {
    name: "user list",
    usage: "",
    doc: "Print the users",
    examples: ["user list"],
    flags: [],
    run: list,
  },
  {
    name: "user passwd",
    usage: "<name>",
    doc: "Change a user's password",
    examples: ["user passwd alice"],
    flags: [interactiveFlag],
    run: changePassword,
  },
  {
    name: "user grant-role",
    usage: "<name> <role>",
    doc: "Give a user a role",
    examples: ["user grant-role alice reader"],
    flags: [],
    run: grantRole,
  },
  {
    name: "user revoke-role",
    usage: "<name> <role>",
    doc: "Take a role from a user",
    examples: ["user revoke-role alice reader"],
    flags: [],
    run: revokeRole,
  },
];
