// The words of a command line that name a verb: "lease grant", or the beginning of each word where
// that is enough, wherever flags stand between them (as cobra finds a command).

import { suggest } from "../suggest.ts";
import { CommandError, exitCodes } from "./failure.ts";
import type { ReadFlag } from "./go-flags.ts";
import { goQuoteText } from "./go-text.ts";
import type { Verb } from "./verb.ts";

/** What the first words of a line name: a verb, or a family of verbs when words are missing. */
export interface Named {
  readonly path: readonly string[];
  readonly verb: Verb | undefined;
  /** The line without those words. */
  readonly rest: readonly string[];
}

/** Verbs that etcdctl has: the beginning of one of them always means it, whatever else there is. */
const etcdctlWords: ReadonlySet<string> = new Set(
  (
    "alarm auth check compaction completion defrag del downgrade elect endpoint get help lease lock " +
    "make-mirror member move-leader put role snapshot txn user version watch"
  ).split(" "),
);

function matchOf(given: string, known: readonly string[], isFirst: boolean): string | undefined {
  if (known.includes(given)) {
    return given;
  }
  const longer = known.filter((word) => word.startsWith(given));
  const familiar = longer.filter((word) => isFirst && etcdctlWords.has(word));
  const found = familiar.length > 0 ? familiar : longer;
  return found.length === 1 ? found[0] : undefined;
}

/** Whether `arg` is a flag that takes the next word. */
function takesNext(arg: string, flags: readonly ReadFlag[]): boolean {
  const flag = arg.startsWith("--")
    ? flags.find(({ name }) => arg === `--${name}`)
    : flags.find(({ short }) => short !== undefined && arg === `-${short}`);
  return flag !== undefined && flag.kind !== "bool";
}

/** The first word that is no flag and belongs to none; undefined when there is none. */
export function firstWord(args: readonly string[], flags: readonly ReadFlag[]): string | undefined {
  for (let at = 0; at < args.length && args[at] !== "--"; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-") || arg.length === 1) {
      return arg;
    }
    at += takesNext(arg, flags) ? 1 : 0;
  }
  return undefined;
}

/** Fails with CommandError for a word that names nothing. */
export function nameVerb(
  args: readonly string[],
  verbs: readonly Verb[],
  flags: readonly ReadFlag[],
): Named {
  const path: string[] = [];
  const taken = new Set<number>();
  for (let at = 0; at < args.length && args[at] !== "--"; at++) {
    const arg = args[at] ?? "";
    if (arg.startsWith("-") && arg.length > 1) {
      at += takesNext(arg, flags) ? 1 : 0;
      continue;
    }
    const known = wordsBehind(path, verbs);
    const word = matchOf(arg, known, path.length === 0);
    if (word === undefined) {
      throw unknownWord(arg, path, known);
    }
    path.push(word);
    taken.add(at);
    const verb = verbs.find(({ name }) => name === path.join(" "));
    if (verb !== undefined) {
      return { path, verb, rest: args.filter((_, index) => !taken.has(index)) };
    }
  }
  return { path, verb: undefined, rest: args.filter((_, index) => !taken.has(index)) };
}

/** The words that may come behind those of `path`. */
export function wordsBehind(path: readonly string[], verbs: readonly Verb[]): string[] {
  const words = verbs
    .map(({ name }) => name.split(" "))
    .filter((parts) => path.every((word, at) => parts[at] === word))
    .map((parts) => parts[path.length] ?? "");
  return [...new Set(words)].filter((word) => word !== "");
}

function unknownWord(
  given: string,
  path: readonly string[],
  known: readonly string[],
): CommandError {
  const near = suggest(given, known);
  const program = ["quoratectl", ...path].join(" ");
  const didYouMean = near === undefined ? "" : `\n\nDid you mean this?\n\t${near}\n`;
  return new CommandError(
    exitCodes.error,
    `unknown command ${goQuoteText(given)} for "${program}"${didYouMean}`,
    `'${program} --help' lists the commands`,
  );
}
