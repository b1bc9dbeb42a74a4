// lease grant, revoke, timetolive, list, keep-alive.

import { type Arguments, type Context, isSet, leaseArgument, positionals } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { flagFault } from "./go-flags.ts";
import { leaseText } from "./go-text.ts";
import { boolFlag, type Verb } from "./verb.ts";

/** The one argument; anything else ends the command with `message`. */
function only(argv: Arguments, message: string): string {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, message);
  }
  return text;
}

async function grant(context: Context, argv: Arguments): Promise<void> {
  const text = only(argv, "lease grant command needs TTL argument");
  const fault = flagFault({ name: "ttl", kind: "whole" }, text);
  if (fault !== undefined) {
    throw new CommandError(exitCodes.badArguments, `bad TTL (${fault})`, "a TTL is whole seconds");
  }
  const call = context.client.leaseGrant({ ttl: Number(text) });
  const printer = context.printer();
  printer.leaseGrant(
    await orFail(call, exitCodes.error, (error) => `failed to grant lease (${error})`),
  );
}

async function revoke(context: Context, argv: Arguments): Promise<void> {
  const id = leaseArgument(only(argv, "lease revoke command needs 1 argument"));
  const call = context.client.leaseRevoke(id);
  const reply = await orFail(call, exitCodes.error, (error) => `failed to revoke lease (${error})`);
  context.printer().leaseRevoke(id, reply);
}

async function timeToLive(context: Context, argv: Arguments): Promise<void> {
  const id = leaseArgument(only(argv, "lease timetolive command needs lease ID as argument"));
  const keys = isSet(argv, "keys");
  const call = context.client.leaseTimeToLive({ id, keys });
  context.printer().leaseTimeToLive(await orFail(call, exitCodes.badConnection), keys);
}

async function list(context: Context): Promise<void> {
  context.printer().leases(await orFail(context.client.leases(), exitCodes.badConnection));
}

async function keepAlive(context: Context, argv: Arguments): Promise<void> {
  const id = leaseArgument(only(argv, "lease keep-alive command needs lease ID as argument"));
  const printer = context.printer();
  if (isSet(argv, "once")) {
    const reply = await orFail(context.client.leaseKeepAliveOnce(id), exitCodes.badConnection);
    if (reply.ttl <= 0) {
      throw new CommandError(exitCodes.badConnection, "etcdserver: requested lease not found");
    }
    printer.leaseKeepAlive(reply);
    return;
  }
  const replies = context.client.leaseKeepAlive(id);
  for (;;) {
    const next = await orFail(replies.next(), exitCodes.badConnection);
    if (next.done === true) {
      break;
    }
    printer.leaseKeepAlive(next.value);
  }
  if (context.format === "simple") {
    context.io.line(`lease ${leaseText(id)} expired or revoked.`);
  }
}

export const leaseVerbs: readonly Verb[] = [
  {
    name: "lease grant",
    usage: "<ttl>",
    doc: "Make a lease that lives for some seconds",
    examples: ["lease grant 60"],
    flags: [],
    run: grant,
  },
  {
    name: "lease revoke",
    usage: "<leaseID>",
    doc: "End a lease and delete its keys",
    examples: ["lease revoke 694d5765fc71500b"],
    flags: [],
    run: revoke,
  },
  {
    name: "lease timetolive",
    usage: "<leaseID>",
    doc: "Print how long a lease still lives",
    examples: ["lease timetolive 694d5765fc71500b --keys"],
    flags: [boolFlag("keys", "Print its keys, too")],
    run: timeToLive,
  },
  {
    name: "lease list",
    usage: "",
    doc: "Print all leases",
    examples: ["lease list"],
    flags: [],
    run: list,
  },
  {
    name: "lease keep-alive",
    usage: "<leaseID>",
    doc: "Renew a lease until interrupted",
    examples: ["lease keep-alive 694d5765fc71500b"],
    flags: [boolFlag("once", "Renew once")],
    run: keepAlive,
  },
];
