// quoratectl: words and flags to a verb, by yargs; a verb's failure to an exit code.

import yargs, { type Argv } from "yargs";
import { quorateVersion } from "../version.ts";
import { Context, type Environment, globalFlags } from "./context.ts";
import { CommandError, exitCodes } from "./failure.ts";
import type { Io } from "./io.ts";
import type { Verb } from "./verb.ts";
import { families, verbs } from "./verbs.ts";

/** Runs one command; resolves with the exit code. */
export async function runControl(
  args: readonly string[],
  environment: Environment,
  io: Io,
): Promise<number> {
  try {
    await parserOf(args, environment, io).parseAsync([...args]);
    return 0;
  } catch (error) {
    if (!(error instanceof CommandError)) {
      throw error;
    }
    if (error.message !== "") {
      io.errorLine(`Error: ${error.message}`);
    }
    return error.exitCode;
  }
}

function parserOf(args: readonly string[], environment: Environment, io: Io): Argv {
  const parser = yargs()
    .scriptName("quoratectl")
    .usage("Usage: $0 <command>\n\nTalks to a Quorate or etcd cluster.")
    .parserConfiguration({
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "dot-notation": false,
      "camel-case-expansion": false,
      "boolean-negation": false,
      "populate--": true,
    })
    .exitProcess(false)
    .strict()
    .help()
    .alias("help", "h")
    .version(false)
    .demandCommand(1, "a command is needed")
    .epilogue("Every global flag is also a variable: QUORATECTL_ENDPOINTS or ETCDCTL_ENDPOINTS.")
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new CommandError(exitCodes.error, usageText(message ?? "", args, io));
    });
  for (const flag of globalFlags) {
    parser.option(flag.name, {
      type: flag.isBool === true ? "boolean" : "string",
      describe: `${flag.doc} [${flag.default}]`,
      global: true,
      ...(flag.name === "write-out" ? { alias: "w" } : {}),
    });
  }
  addVerbs(parser, verbs, 0, (verb, argv) => runVerb(verb, argv, environment, io));
  parser.command("version", "Print the version", {}, () => {
    io.line(`quoratectl version: ${quorateVersion()}`);
  });
  return parser;
}

/** yargs's complaint in etcdctl's words. */
function usageText(message: string, args: readonly string[], io: Io): string {
  const name = /^Unknown (?:argument|command)s?: ([^,]+)/.exec(message)?.[1];
  if (name === undefined) {
    io.errorLine("Run 'quoratectl --help' for usage.");
    return message;
  }
  const flag = args.find(
    (arg) => arg.startsWith("-") && arg.replace(/^-+/, "").split("=")[0] === name,
  );
  return flag === undefined
    ? `unknown command "${name}" for "quoratectl"`
    : `unknown flag: ${flag.split("=")[0] ?? flag}`;
}

type Run = (verb: Verb, argv: Record<string, unknown>) => Promise<void>;

/** Adds verbs whose words from `depth` on are still to be named. */
function addVerbs(parser: Argv, list: readonly Verb[], depth: number, run: Run): void {
  const byWord = new Map<string, Verb[]>();
  for (const verb of list) {
    const word = verb.name.split(" ")[depth] ?? "";
    byWord.set(word, [...(byWord.get(word) ?? []), verb]);
  }
  for (const [word, group] of byWord) {
    const [verb] = group;
    if (verb !== undefined && verb.name.split(" ").length === depth + 1) {
      parser.command(
        `${word} [args..]`,
        `${verb.doc}${verb.usage === "" ? "" : `: ${verb.usage}`}`,
        (inner) => describeVerb(inner, verb),
        (argv) => run(verb, argv),
      );
    } else {
      parser.command(word, families[word] ?? word, (inner) => {
        addVerbs(inner, group, depth + 1, run);
        return inner.demandCommand(1, `${word} needs a subcommand`);
      });
    }
  }
}

function describeVerb(parser: Argv, verb: Verb): Argv {
  for (const flag of verb.flags) {
    parser.option(flag.name, {
      type: flag.kind === "bool" ? "boolean" : "string",
      describe: flag.doc,
    });
  }
  for (const example of verb.examples) {
    parser.example(`$0 ${example}`, "");
  }
  return parser.positional("args", { type: "string", hidden: true });
}

async function runVerb(
  verb: Verb,
  argv: Record<string, unknown>,
  environment: Environment,
  io: Io,
): Promise<void> {
  const flags = lastOnly(argv);
  const context = new Context(flags, environment, io);
  try {
    await verb.run(context, flags);
  } finally {
    context.close();
  }
}

/** Of a flag that was given several times the last one counts. */
function lastOnly(argv: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(argv).map(([name, value]) =>
    Array.isArray(value) && name !== "args" && name !== "--" && name !== "_"
      ? [name, value.at(-1)]
      : [name, value],
  );
  return Object.fromEntries(entries) as Record<string, unknown>;
}
