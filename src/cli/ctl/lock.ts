// lock: takes a lock and holds it until it is interrupted, or while a command runs.

import { runChild } from "./child-process.ts";
import { type Arguments, type Context, positionals, wholeFlag } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { emptyBytes } from "../../base/index.ts";
import { awaitTurn, checkStop, enter, firstOf, type Place, Session } from "./session.ts";
import { textOfBytes } from "./raw-text.ts";
import { numberFlag, type Verb } from "./verb.ts";

const ttlSecondsDefault = 10;

async function lock(context: Context, argv: Arguments): Promise<void> {
  const [name, ...command] = positionals(argv);
  if (name === undefined) {
    throw new CommandError(
      exitCodes.badArguments,
      "lock takes a lock name argument and an optional command to execute",
    );
  }
  const printer = context.printer();
  const { client, io } = context;
  const ttl = wholeFlag(argv, "ttl", ttlSecondsDefault);
  await using session = await orFail(Session.open(client, ttl));
  const interruption = io.interruption();
  const place = await orFail(enter(client, session, name, emptyBytes));
  try {
    const stop = AbortSignal.any([interruption, session.over]);
    const revision = await waitFor(awaitTurn(client, name, place, stop), interruption);
    if (command.length > 0) {
      return await runLocked(context, command, place, revision);
    }
    const held = await orFail(client.range({ key: place.key }));
    if (held.kvs.length === 0) {
      throw new CommandError(exitCodes.error, "lock lost on init");
    }
    printer.get(held);
    await firstOf(stop);
    if (!interruption.aborted) {
      throw new CommandError(exitCodes.error, "session expired");
    }
  } finally {
    await client.deleteRange({ key: place.key }).catch(() => {});
  }
}

/** An interrupt wins over whatever it makes of a call. */
async function waitFor<T>(wait: Promise<T>, interruption: AbortSignal): Promise<T> {
  try {
    return await orFail(wait);
  } catch (error) {
    checkStop(interruption);
    throw error;
  }
}

/** The command's exit code is this one's. */
async function runLocked(
  context: Context,
  command: readonly string[],
  { key }: Place,
  revision: number,
): Promise<void> {
  const end = await runChild(command, {
    ETCD_LOCK_KEY: textOfBytes(key),
    ETCD_LOCK_REV: String(revision),
    ...context.environment,
  });
  if (end.text !== "") {
    throw new CommandError(end.exitCode, end.text);
  }
}

export const lockVerbs: readonly Verb[] = [
  {
    name: "lock",
    usage: "<name> [-- command [arguments]]",
    doc: "Hold a lock until interrupted, or while a command runs, whose exit code is passed on",
    examples: ["lock deploy", "lock deploy -- ./deploy.sh"],
    flags: [
      numberFlag("ttl", "Seconds after which a holder that is gone loses the lock", {
        default: String(ttlSecondsDefault),
      }),
    ],
    run: lock,
  },
];
