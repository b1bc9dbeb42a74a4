// watch: prints events until it is interrupted, and runs a command for each if one is given.

import { emptyBytes } from "../../base/index.ts";
import { ClientError, CompactedError, prefixRange, type Watcher } from "../../client/index.ts";
import { type Event, type WatchCreateRequest, WatchResponse } from "../../wire/index.ts";
import { runChild } from "./child-process.ts";
import { type Arguments, type Context, isSet, positionals, wholeFlag } from "./context.ts";
import { CommandError, exitCodes, textOf } from "./failure.ts";
import { argumentsOf, readLine } from "./go-flags.ts";
import { goQuote, goQuoteText } from "./go-text.ts";
import { quotedWords } from "./quoted-words.ts";
import { bytesOf } from "./raw-text.ts";
import { boolFlag, numberFlag, type Verb, type VerbFlag } from "./verb.ts";

function bad(message: string): CommandError {
  return new CommandError(exitCodes.badArguments, message);
}

/** Key and end of the variables; both empty when there are none. */
function variableRange(context: Context): readonly string[] {
  const variable = (name: string): string =>
    context.environment[`QUORATECTL_${name}`] ?? context.environment[`ETCDCTL_${name}`] ?? "";
  const key = variable("WATCH_KEY");
  const end = variable("WATCH_RANGE_END");
  if (key === "" && end !== "") {
    throw bad(`ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${goQuoteText(end)}`);
  }
  return key === "" ? [] : end === "" ? [key] : [key, end];
}

/** The words of a line that name keys, and those of its command. */
function partsOf(context: Context, argv: Arguments): readonly (readonly string[])[] {
  const words = positionals(argv);
  const dash = typeof argv["dash"] === "number" ? argv["dash"] : undefined;
  const command = dash === undefined ? [] : words.slice(dash);
  if (dash !== undefined && command.length === 0) {
    throw bad("bad number of arguments (found separator --, but no commands)");
  }
  const given = words.slice(0, dash);
  const ofVariables = variableRange(context);
  if (given.length > 0 && ofVariables.length > 0) {
    throw bad("bad number of arguments (found conflicting environment key)");
  }
  return [[...given, ...ofVariables], command];
}

function requestOf(words: readonly string[], argv: Arguments): Partial<WatchCreateRequest> {
  const [key, end, ...rest] = words;
  if (key === undefined || rest.length > 0) {
    throw bad("bad number of arguments");
  }
  const isPrefix = isSet(argv, "prefix");
  if (isPrefix && end !== undefined) {
    throw bad("`range_end` and `--prefix` are mutually exclusive");
  }
  const range = isPrefix
    ? prefixRange(bytesOf(key))
    : { key: bytesOf(key), rangeEnd: end === undefined ? emptyBytes : bytesOf(end) };
  return {
    ...range,
    startRevision: wholeFlag(argv, "rev"),
    prevKv: isSet(argv, "prev-kv"),
    progressNotify: isSet(argv, "progress-notify"),
  };
}

/** Prints what comes, until the watch fails. */
async function follow(context: Context, watcher: Watcher, command: readonly string[]) {
  const printer = context.printer();
  try {
    for await (const reply of watcher) {
      if (reply.events.length === 0) {
        context.io.line(`progress notify: ${reply.header?.revision ?? 0}`);
      }
      printer.watch(reply);
      if (command.length > 0) {
        await runForEach(context, reply, command);
      }
    }
  } catch (error) {
    if (!(error instanceof ClientError)) {
      throw error;
    }
    context.io.errorLine(`watch was canceled (${error.message})`);
    if (error instanceof CompactedError) {
      const { compactRevision, header } = error;
      printer.watch(WatchResponse.create({ header, canceled: true, compactRevision }));
    }
  }
}

async function runForEach(context: Context, reply: WatchResponse, command: readonly string[]) {
  for (const event of reply.events) {
    const { text } = await runChild(command, {
      ...context.environment,
      ...eventVariables(reply, event),
    });
    if (text !== "") {
      context.io.errorLine(`command [${command.map(goQuoteText).join(" ")}] error (${text})`);
      throw new CommandError(exitCodes.error, "");
    }
  }
}

function eventVariables(reply: WatchResponse, { type, kv }: Event): Record<string, string> {
  return {
    ETCD_WATCH_REVISION: String(reply.header?.revision ?? 0),
    ETCD_WATCH_EVENT_TYPE: goQuoteText(type === 0 ? "PUT" : "DELETE"),
    ETCD_WATCH_KEY: goQuote(kv?.key ?? emptyBytes),
    ETCD_WATCH_VALUE: goQuote(kv?.value ?? emptyBytes),
  };
}

async function watch(context: Context, argv: Arguments): Promise<void> {
  if (isSet(argv, "interactive")) {
    return watchInteractively(context);
  }
  const [words = [], command = []] = partsOf(context, argv);
  const request = requestOf(words, argv);
  context.printer();
  await using watcher = context.client.watch(request);
  await follow(context, watcher, command);
  throw new CommandError(exitCodes.interrupted, "watch is canceled by the server");
}

/** Lines of standard input: "watch KEY ..." adds a watch, "progress" asks how far all have come. */
async function watchInteractively(context: Context): Promise<void> {
  variableRange(context);
  const watchers: Watcher[] = [];
  let fail: (error: unknown) => void = () => {};
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const start = (watcher: Watcher, command: readonly string[]): void => {
    watchers.push(watcher);
    follow(context, watcher, command).catch(fail);
  };
  try {
    await Promise.race([failure, readWatches(context, watchers, start)]);
  } finally {
    watchers.forEach((watcher) => watcher.close());
  }
}

type Start = (watcher: Watcher, command: readonly string[]) => void;

async function readWatches(
  context: Context,
  watchers: readonly Watcher[],
  start: Start,
): Promise<never> {
  for (;;) {
    const line = await context.io.readLine();
    if (line === undefined) {
      throw new CommandError(
        exitCodes.invalidInput,
        "Error reading watch request line: EOF",
        "the end of the input ends the watches",
      );
    }
    const [word, ...rest] = quotedWords(line);
    if (word === "progress") {
      watchers.forEach((watcher) => watcher.requestProgress());
    } else if (word === "watch") {
      startLine(context, line, rest, start);
    } else if (word === undefined) {
      context.io.errorLine(`Invalid command: ${line} (watch and progress supported)`);
    } else {
      context.io.errorLine(`Invalid command ${line} (only support watch)`);
    }
  }
}

/** Starts the watch of one line, or says why its range cannot be watched. */
function startLine(context: Context, line: string, words: readonly string[], start: Start): void {
  const invalid = (reason: string): void =>
    context.io.errorLine(`Invalid command ${line} (${reason})`);
  if (words.length === 0 && variableRange(context).length === 0) {
    return invalid("command type or key is not provided");
  }
  const argv = lineArguments(words);
  const [keys = [], command = []] = partsOf(context, argv);
  try {
    start(context.client.watch(requestOf(keys, argv)), command);
  } catch (error) {
    invalid(textOf(error));
  }
}

function lineArguments(words: readonly string[]): Arguments {
  try {
    return argumentsOf(readLine(words, watchFlags), watchFlags);
  } catch (error) {
    throw error instanceof CommandError ? bad(error.message) : error;
  }
}

const watchFlags: readonly VerbFlag[] = [
  boolFlag("prefix", "All keys that begin with the key"),
  numberFlag("rev", "From this revision on", { default: "0" }),
  boolFlag("prev-kv", "Print what was there before"),
  boolFlag("progress-notify", "Print how far the watch has come when it is idle"),
];

export const watchVerbs: readonly Verb[] = [
  {
    name: "watch",
    usage: "[key [range_end]] [-- command [arguments]]",
    doc:
      "Print changes as they happen; a command is run for each, with ETCD_WATCH_EVENT_TYPE, _KEY, " +
      "_VALUE and _REVISION",
    examples: [
      "watch /app/ --prefix",
      "watch greeting --rev=1 --prev-kv",
      `watch config -- sh -c 'echo "$ETCD_WATCH_KEY changed"'`,
      "watch -i",
    ],
    flags: [...watchFlags, boolFlag("interactive", "Read watches from lines", { short: "i" })],
    run: watch,
  },
];
