// Named contexts: the global flags of a cluster under a name, in a file of the user's own. One of
// them is in use; its values stand behind the command line and the variables.
//
//   $XDG_CONFIG_HOME/quorate/contexts.json, or ~/.config/quorate/contexts.json; mode 0600
//   {"format":1,"current":"prod","contexts":{"prod":{"endpoints":"10.0.0.1:2379","user":"ann"}}}

import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { suggest } from "../suggest.ts";
import { CommandError, exitCodes, textOf } from "./failure.ts";
import type { Environment, Layer, Settings } from "./settings.ts";

const format = 1;

/** Flags of a context by name, as texts. */
export type ContextFlags = Readonly<Record<string, string>>;

export interface Contexts {
  readonly current: string | undefined;
  readonly contexts: Readonly<Record<string, ContextFlags>>;
}

const none: Contexts = { current: undefined, contexts: {} };

export function contextsPath(environment: Environment): string {
  const home = environment["XDG_CONFIG_HOME"] || join(environment["HOME"] || homedir(), ".config");
  return join(home, "quorate", "contexts.json");
}

/** None when there is no file. Throws CommandError when it cannot be read. */
export async function readContexts(path: string): Promise<Contexts> {
  try {
    return parseContexts(path, await readFile(path, "utf8"));
  } catch (error) {
    if (isAbsent(error)) {
      return none;
    }
    throw error instanceof CommandError ? error : new CommandError(exitCodes.io, textOf(error));
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function parseContexts(path: string, text: string): Contexts {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch (error) {
    throw damaged(path, textOf(error));
  }
  const { format: written, current, contexts } = isRecord(stored) ? stored : {};
  const isWhole =
    written === format &&
    (current === undefined || typeof current === "string") &&
    isRecord(contexts) &&
    Object.values(contexts).every(
      (flags) =>
        isRecord(flags) && Object.values(flags).every((value) => typeof value === "string"),
    );
  if (!isWhole) {
    throw damaged(path, "it does not have the form of contexts");
  }
  return { current, contexts: contexts as Contexts["contexts"] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function damaged(path: string, what: string): CommandError {
  return new CommandError(
    exitCodes.error,
    `${path} cannot be used: ${what}`,
    "mend the file, or delete it and add the contexts again",
  );
}

/** Replaces the file whole; only its owner may read it. */
export async function writeContexts(path: string, { current, contexts }: Contexts): Promise<void> {
  const partial = `${path}.part`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(partial, "w", 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ format, current, contexts }, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(partial, 0o600);
    await rename(partial, path);
  } catch (error) {
    throw new CommandError(exitCodes.io, textOf(error));
  }
}

/** The flags of the context `name`; an error that suggests when there is none. */
export function contextNamed({ contexts }: Contexts, name: string): ContextFlags {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found === undefined) {
    const near = suggest(name, Object.keys(contexts));
    throw new CommandError(
      exitCodes.error,
      `there is no context ${JSON.stringify(name)}`,
      near === undefined
        ? "context list prints all; context add makes one"
        : `did you mean ${near}?`,
    );
  }
  return found;
}

/**
 * The values of the context in use. Who names a cluster otherwise gets nothing of it: a user and a
 * certificate are for the cluster that they were kept with. --context asks for one all the same.
 */
export function contextLayer(environment: Environment, given: Settings): Layer {
  let flags: ContextFlags | undefined;
  const load = (): ContextFlags => {
    const asked = given.text("context");
    if (asked === "" && (given.isSet("endpoints") || given.isSet("discovery-srv"))) {
      return {};
    }
    const found = readContextsNow(contextsPath(environment));
    const name = asked || found.current;
    return name === undefined ? {} : contextNamed(found, name);
  };
  return {
    valueOf({ name }) {
      flags ??= load();
      const text = flags[name];
      return text === undefined ? undefined : { text, origin: `${name} of the context` };
    },
  };
}

function readContextsNow(path: string): Contexts {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isAbsent(error)) {
      return none;
    }
    throw new CommandError(exitCodes.io, textOf(error));
  }
  return parseContexts(path, text);
}
