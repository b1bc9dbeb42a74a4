// watch: prints events until it is interrupted.

import { emptyBytes, utf8 } from "../../base/index.ts";
import { ClientError, CompactedError, prefixRange } from "../../client/index.ts";
import { WatchResponse } from "../../wire/index.ts";
import { type Arguments, type Context, positionals, wholeFlag } from "./context.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

async function watch(context: Context, argv: Arguments): Promise<void> {
  const [key, end, ...rest] = positionals(argv);
  if (key === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "bad number of arguments");
  }
  const prefix = argv["prefix"] === true;
  if (prefix && end !== undefined) {
    throw new CommandError(
      exitCodes.badArguments,
      "`range_end` and `--prefix` are mutually exclusive",
    );
  }
  const range = prefix
    ? prefixRange(key)
    : { key: utf8(key), rangeEnd: end === undefined ? emptyBytes : utf8(end) };
  const printer = context.printer();
  const watcher = context.client.watch({
    ...range,
    startRevision: wholeFlag(argv, "rev"),
    prevKv: argv["prev-kv"] === true,
    progressNotify: argv["progress-notify"] === true,
  });
  try {
    for await (const reply of watcher) {
      if (reply.events.length === 0) {
        context.io.line(`progress notify: ${reply.header?.revision ?? 0}`);
      }
      printer.watch(reply);
    }
  } catch (error) {
    if (!(error instanceof ClientError)) {
      throw error;
    }
    context.io.errorLine(`watch was canceled (${error.message})`);
    if (error instanceof CompactedError) {
      const { compactRevision } = error;
      printer.watch(WatchResponse.create({ canceled: true, compactRevision }));
    }
  }
  throw new CommandError(exitCodes.interrupted, "watch is canceled by the server");
}

export const watchVerbs: readonly Verb[] = [
  {
    name: "watch",
    usage: "<key> [range_end]",
    doc: "Print changes as they happen",
    examples: ["watch /app/ --prefix", "watch greeting --rev=1"],
    flags: [
      boolFlag("prefix", "All keys that begin with the key"),
      valueFlag("rev", "From this revision on"),
      boolFlag("prev-kv", "Print what was there before"),
      boolFlag("progress-notify", "Print how far the watch has come when it is idle"),
    ],
    run: watch,
  },
];
