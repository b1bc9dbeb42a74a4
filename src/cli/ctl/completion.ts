// completion: prints a script for a shell, and answers it.

import { complete, filesWanted } from "./complete.ts";
import { completionScripts } from "./completion-scripts.ts";
import { type Arguments, Context, positionals } from "./context.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { settingsOf } from "./settings-of.ts";
import type { Verb } from "./verb.ts";

const timeout = "1500ms";

async function completion(context: Context, argv: Arguments): Promise<void> {
  const [shell, ...words] = positionals(argv);
  if (shell === "candidates") {
    return printCandidates(context, words);
  }
  const script = shell === undefined ? undefined : completionScripts[shell];
  if (script === undefined || words.length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      "completion needs one argument: bash, zsh or fish",
      "source <(quoratectl completion bash)",
    );
  }
  context.io.write(script);
}

/** Anything that fails here would only get in the way of who is typing. */
async function printCandidates(context: Context, words: readonly string[]): Promise<void> {
  const { verbs } = await import("./verbs.ts");
  const { environment, io } = context;
  const connect = async (flags: ReadonlyMap<string, string>): Promise<Context | undefined> => {
    const limits = new Map([["command-timeout", timeout], ["dial-timeout", timeout], ...flags]);
    const settings = settingsOf(limits, environment, true);
    const user = settings.text("user");
    if (user !== "" && !user.includes(":") && settings.text("password") === "") {
      return undefined;
    }
    const quiet = new Context(settings, environment, io);
    await quiet.prepare();
    return quiet;
  };
  const found = await complete({ verbs, environment, connect }, words).catch(() => []);
  if (found === filesWanted) {
    io.line(":files");
    return;
  }
  for (const { word, doc } of found) {
    io.line(doc === "" ? word : `${word}\t${doc}`);
  }
}

export const completionVerbs: readonly Verb[] = [
  {
    name: "completion",
    usage: "<bash|zsh|fish>",
    doc: "Print a script that completes commands, flags and keys",
    examples: ["completion bash > /etc/bash_completion.d/quoratectl", "completion fish | source"],
    flags: [],
    isOffline: true,
    run: completion,
  },
];
