// Help, by yargs: the tree of commands, each with its arguments, flags and examples.

import yargs, { type Argv } from "yargs";
import type { Io } from "./io.ts";
import { globalFlags } from "./settings.ts";
import type { Verb, VerbFlag } from "./verb.ts";
import { families, verbs } from "./verbs.ts";
import { wordsBehind } from "./words.ts";

const columnsMax = 100;

interface ShownFlag {
  readonly name: string;
  readonly short?: string;
  readonly kind: string;
  readonly doc: string;
  readonly default: string;
}

function addFlags(parser: Argv, flags: readonly ShownFlag[], group: string): void {
  for (const { name, short, kind, doc, default: value } of flags) {
    parser.option(name, {
      type: kind === "bool" ? "boolean" : "string",
      describe: value === "" || value === "false" ? doc : `${doc} [${value}]`,
      group,
      ...(short === undefined ? {} : { alias: short }),
    });
  }
}

function parserOf(io: Io): Argv {
  return yargs([])
    .scriptName("quoratectl")
    .locale("en")
    .exitProcess(false)
    .help(false)
    .version(false)
    .wrap(Math.min(columnsMax, io.terminal.output.columns));
}

/** The flags that every command has. */
export async function globalFlagsText(io: Io): Promise<string> {
  const parser = parserOf(io).usage("These flags can stand in every command.");
  addFlags(parser, globalFlags, "Global flags:");
  return `${await parser.getHelp()}\n`;
}

/** The help of what `path` names: everything, a family, or a verb. */
export async function helpText(path: readonly string[], io: Io): Promise<string> {
  const parser = parserOf(io);
  const verb = verbs.find(({ name }) => name === path.join(" "));
  if (verb === undefined) {
    describeFamily(parser, path);
  } else {
    describeVerb(parser, verb);
  }
  if (path.length === 0) {
    addFlags(parser, globalFlags, "Global flags:");
    parser.epilogue(
      "Every global flag is also a variable: --write-out is QUORATECTL_WRITE_OUT or " +
        "ETCDCTL_WRITE_OUT. A flag wins.",
    );
  } else {
    parser.epilogue("'quoratectl --help' lists the flags that every command has.");
  }
  return `${await parser.getHelp()}\n`;
}

const helpFlag: VerbFlag = {
  name: "help",
  short: "h",
  kind: "bool",
  doc: "Print this",
  default: "",
};

function describeVerb(parser: Argv, verb: Verb): void {
  parser.usage(
    `${verb.doc}.\n\nUsage: $0 ${verb.name}${verb.usage === "" ? "" : ` ${verb.usage}`}`,
  );
  addFlags(parser, [...verb.flags, helpFlag], "Flags:");
  for (const example of verb.examples) {
    parser.example(`$0 ${example}`, "");
  }
}

function describeFamily(parser: Argv, path: readonly string[]): void {
  const title =
    path.length === 0 ? "Talks to a Quorate or etcd cluster" : (families[path.join(" ")] ?? "");
  parser.usage(`${title}.\n\nUsage: $0 ${[...path, "<command>"].join(" ")}`);
  for (const word of wordsBehind(path, verbs)) {
    const name = [...path, word].join(" ");
    const verb = verbs.find((one) => one.name === name);
    parser.command(name, verb?.doc ?? families[name] ?? "");
    if (path.length > 0 && verb?.examples[0] !== undefined) {
      parser.example(`$0 ${verb.examples[0]}`, "");
    }
  }
  addFlags(parser, [helpFlag], "Flags:");
  if (path.length === 0) {
    parser.example("$0 put greeting hello", "");
    parser.example("$0 help watch", "Help of one command");
  }
}
