// auth enable, disable and status.

import { ClientError } from "../../client/index.ts";
import { type Arguments, type Context, positionals } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import type { Verb } from "./verb.ts";

function noArguments(argv: Arguments, what: string): void {
  if (positionals(argv).length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      `auth ${what} command does not accept any arguments`,
    );
  }
}

/** The role root is given to the user root when only that is missing. */
async function enable(context: Context, argv: Arguments): Promise<void> {
  noArguments(argv, "enable");
  const { client } = context;
  try {
    await client.authEnable();
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== "rootRoleNotExist") {
      throw error;
    }
    await client.roleAdd({ name: "root" }).catch(unless("roleAlreadyExists"));
    await orFail(client.userGrantRole({ user: "root", role: "root" }));
    await orFail(client.authEnable());
  }
  context.io.line("Authentication Enabled");
}

function unless(code: ClientError["code"]): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof ClientError) || error.code !== code) {
      throw error;
    }
  };
}

async function disable(context: Context, argv: Arguments): Promise<void> {
  noArguments(argv, "disable");
  await orFail(context.client.authDisable());
  context.io.line("Authentication Disabled");
}

async function status(context: Context, argv: Arguments): Promise<void> {
  noArguments(argv, "status");
  const printer = context.printer();
  printer.authStatus(await orFail(context.client.authStatus()));
}

export const authVerbs: readonly Verb[] = [
  {
    name: "auth enable",
    usage: "",
    doc: "Ask every call for a user; there must be a user root",
    examples: ["auth enable"],
    flags: [],
    run: enable,
  },
  {
    name: "auth disable",
    usage: "",
    doc: "Ask no call for a user any longer",
    examples: ["auth disable --user=root:PASSWORD"],
    flags: [],
    run: disable,
  },
  {
    name: "auth status",
    usage: "",
    doc: "Print whether calls are asked for a user",
    examples: ["auth status"],
    flags: [],
    run: status,
  },
];
