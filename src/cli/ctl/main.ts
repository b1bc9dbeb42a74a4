// quoratectl: a command line to a verb, a verb's failure to an exit code.

import { inspect } from "node:util";
import { ConfigError, DecodeError, StorageError } from "../../base/index.ts";
import { ClientError } from "../../client/index.ts";
import { type Arguments, Context } from "./context.ts";
import { diagnose } from "./diagnosis.ts";
import { callFailure, CommandError, exitCodes, isUnanswered, systemText } from "./failure.ts";
import { argumentsOf, boolOf, type ReadFlag, readLine } from "./go-flags.ts";
import { globalFlagsText, helpText } from "./help.ts";
import type { Io } from "./io.ts";
import { type Environment, globalFlags, variableOf } from "./settings.ts";
import { settingsOf } from "./settings-of.ts";
import type { Verb } from "./verb.ts";
import { verbs } from "./verbs.ts";
import { firstWord, nameVerb } from "./words.ts";

const helpFlag: ReadFlag = { name: "help", short: "h", kind: "bool" };

/** Runs one command; resolves with the exit code. */
export async function runControl(
  args: readonly string[],
  environment: Environment,
  io: Io,
): Promise<number> {
  try {
    await run(args, environment, io);
    return 0;
  } catch (error) {
    return tell(error, io, isDebug(args, environment));
  } finally {
    await io.flush();
  }
}

async function run(args: readonly string[], environment: Environment, io: Io): Promise<void> {
  const first = firstWord(args, globalFlags);
  if (first === "help") {
    return printHelp(args.slice(args.indexOf("help") + 1), io);
  }
  if (first === "options") {
    return io.write(await globalFlagsText(io));
  }
  const { path, verb, rest } = nameVerb(args, verbs, [...globalFlags, helpFlag]);
  const flags = [...(verb?.flags ?? []), ...globalFlags, helpFlag];
  const line = readLine(rest, flags);
  if (verb === undefined || boolOf(line.flags.get("help") ?? "") === true) {
    return io.write(await helpText(path, io));
  }
  const settings = settingsOf(line.flags, environment, path[0] !== "context");
  await runVerb(verb, argumentsOf(line, verb.flags), new Context(settings, environment, io));
}

async function printHelp(topic: readonly string[], io: Io): Promise<void> {
  const words = topic.filter((word) => !word.startsWith("-"));
  try {
    io.write(await helpText(nameVerb(words, verbs, []).path, io));
  } catch (error) {
    if (!(error instanceof CommandError)) {
      throw error;
    }
    io.errorLine(`Unknown help topic [${words.map((word) => `\`${word}\``).join(" ")}]`);
    io.write(await helpText([], io));
  }
}

async function runVerb(verb: Verb, argv: Arguments, context: Context): Promise<void> {
  try {
    if (context.settings.bool("debug")) {
      printSettings(context);
    }
    if (verb.isOffline !== true) {
      await context.prepare();
    }
    await verb.run(context, argv);
  } catch (error) {
    throw await explained(error, context, verb);
  } finally {
    context.close();
  }
}

/** A call that got no answer is told with what each endpoint does. */
async function explained(error: unknown, context: Context, verb: Verb): Promise<unknown> {
  const failure = error instanceof ClientError ? callFailure(error) : error;
  const isMute =
    verb.isOffline !== true &&
    failure instanceof CommandError &&
    failure.hint === undefined &&
    failure.cause instanceof ClientError &&
    isUnanswered(failure.cause);
  if (!isMute) {
    return failure;
  }
  const hint = (await diagnose(context.connection)).join("\nHint: ");
  return new CommandError(failure.exitCode, failure.message, hint, { cause: failure.cause });
}

/** As etcdctl does, but for passwords. */
function printSettings({ io, settings }: Context): void {
  for (const { name } of globalFlags) {
    const text = settings.text(name);
    const shown =
      (name === "password" || name === "auth-jwt-token") && text !== ""
        ? "***"
        : name === "user"
          ? text.replace(/:.*/, ":***")
          : text;
    io.errorLine(`${variableOf("ETCDCTL_", name)}=${shown}`);
  }
}

function isDebug(args: readonly string[], environment: Environment): boolean {
  const variable = environment["QUORATECTL_DEBUG"] ?? environment["ETCDCTL_DEBUG"] ?? "";
  return args.includes("--debug") || args.includes("--debug=true") || boolOf(variable) === true;
}

/** Prints what a command failed with; its exit code. */
function tell(error: unknown, io: Io, debug: boolean): number {
  const failure = toCommandError(error);
  const { paint } = io.terminal.errors;
  if (failure.message !== "") {
    io.errorLine(`${paint("red", "Error:")} ${failure.message}`);
  }
  if (failure.hint !== undefined) {
    io.errorLine(paint("dim", `Hint: ${failure.hint}`));
  }
  if (debug) {
    io.errorLine(inspect(failure.cause ?? error, { depth: 6 }));
  }
  return failure.exitCode;
}

function toCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) {
    return error;
  }
  if (error instanceof ClientError) {
    return callFailure(error);
  }
  if (isExpected(error)) {
    return new CommandError(exitCodes.error, systemText(error), undefined, { cause: error });
  }
  return new CommandError(exitCodes.error, inspect(error), "this is a defect of quoratectl");
}

/** What a file, or the system, may answer. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof ConfigError ||
    error instanceof DecodeError ||
    error instanceof StorageError ||
    (error instanceof Error && "syscall" in error)
  );
}
