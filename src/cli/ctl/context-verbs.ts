// context add, list, use, show and delete.

import { resolve } from "node:path";
import { type Arguments, type Context, isSet, positionals } from "./context.ts";
import { contextNamed, type Contexts, contextsPath } from "./contexts.ts";
import { readContexts, writeContexts } from "./contexts.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { boolFlag, type Verb } from "./verb.ts";

/** Global flags that say which cluster and who; the others are of a command. */
const kept = [
  "endpoints",
  "user",
  "password",
  "cacert",
  "cert",
  "key",
  "insecure-transport",
  "insecure-skip-tls-verify",
  "discovery-srv",
  "discovery-srv-name",
  "insecure-discovery",
  "command-timeout",
  "dial-timeout",
] as const;

/** Kept as absolute paths: a context is used from anywhere. */
const files: ReadonlySet<string> = new Set(["cacert", "cert", "key"]);

function nameArgument(argv: Arguments, verb: string): string {
  const [name, ...rest] = positionals(argv);
  if (name === undefined || rest.length > 0 || name === "") {
    throw new CommandError(exitCodes.badArguments, `context ${verb} needs one argument: the name`);
  }
  return name;
}

async function load(context: Context): Promise<{ path: string; found: Contexts }> {
  const path = contextsPath(context.environment);
  return { path, found: await readContexts(path) };
}

async function add(context: Context, argv: Arguments): Promise<void> {
  const name = nameArgument(argv, "add");
  const { path, found } = await load(context);
  if (Object.hasOwn(found.contexts, name) && !isSet(argv, "replace")) {
    throw new CommandError(
      exitCodes.error,
      `there is a context ${JSON.stringify(name)} already`,
      "--replace puts this one in its place",
    );
  }
  const flags = flagsOf(context, isSet(argv, "store-password"));
  const contexts = { ...found.contexts, [name]: flags };
  const isFirst = Object.keys(found.contexts).length === 0;
  const current = isFirst || isSet(argv, "use") ? name : found.current;
  await writeContexts(path, { current, contexts });
  context.io.line(`Context ${name} added${current === name ? ", and in use" : ""}`);
}

/** Those of the command line; a password is left out unless it was asked for. */
function flagsOf(context: Context, storesPassword: boolean): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const name of kept) {
    const text = context.settings.given(name);
    if (text !== undefined) {
      flags[name] = files.has(name) && text !== "" ? resolve(text) : text;
    }
  }
  const user = flags["user"] ?? "";
  const hasPassword = "password" in flags || user.includes(":");
  if (hasPassword && !storesPassword) {
    delete flags["password"];
    flags["user"] = user.replace(/:.*/s, "");
    context.io.errorLine(
      "the password is not stored, and is asked for when it is needed (--store-password keeps it " +
        "as it is in the file)",
    );
  }
  if (flags["endpoints"] === undefined && flags["discovery-srv"] === undefined) {
    throw new CommandError(
      exitCodes.badArguments,
      "context add needs --endpoints or --discovery-srv",
      "quoratectl context add prod --endpoints=10.0.0.1:2379,10.0.0.2:2379",
    );
  }
  return flags;
}

async function list(context: Context): Promise<void> {
  const { found } = await load(context);
  const names = Object.keys(found.contexts).sort((a, b) => (a < b ? -1 : 1));
  if (context.format === "simple") {
    const { paint } = context.io.terminal.output;
    for (const name of names) {
      const flags = contextNamed(found, name);
      const where = flags["endpoints"] ?? `SRV records of ${flags["discovery-srv"] ?? ""}`;
      const line = `${name === found.current ? "*" : " "} ${name}  ${paint("dim", where)}`;
      context.io.line(name === found.current ? paint("bold", line) : line);
    }
    return;
  }
  context.report({
    header: ["current", "name", "endpoints", "user"],
    rows: names.map((name) => {
      const { endpoints = "", user = "" } = contextNamed(found, name);
      return [name === found.current ? "*" : "", name, endpoints, user.replace(/:.*/s, "")];
    }),
    json: { current: found.current ?? null, names },
  });
}

async function use(context: Context, argv: Arguments): Promise<void> {
  const name = nameArgument(argv, "use");
  const { path, found } = await load(context);
  contextNamed(found, name);
  await writeContexts(path, { ...found, current: name });
  context.io.line(`Context ${name} is in use`);
}

async function show(context: Context, argv: Arguments): Promise<void> {
  const { found } = await load(context);
  const name = positionals(argv)[0] ?? found.current;
  if (name === undefined) {
    throw new CommandError(exitCodes.error, "no context is in use", "context add makes one");
  }
  const flags = Object.entries(contextNamed(found, name)).map(([flag, text]): [string, string] => [
    flag,
    flag === "password" ? "***" : flag === "user" ? text.replace(/:.*/s, ":***") : text,
  ]);
  if (context.format === "simple") {
    context.io.line(`${name}:`);
    flags.forEach(([flag, text]) => context.io.line(`  --${flag}=${text}`));
    return;
  }
  context.report({ header: ["flag", "value"], rows: flags, json: Object.fromEntries(flags) });
}

async function remove(context: Context, argv: Arguments): Promise<void> {
  const name = nameArgument(argv, "delete");
  const { path, found } = await load(context);
  contextNamed(found, name);
  const contexts = Object.fromEntries(
    Object.entries(found.contexts).filter(([other]) => other !== name),
  );
  const current = found.current === name ? undefined : found.current;
  await writeContexts(path, { current, contexts });
  context.io.line(`Context ${name} deleted${found.current === name ? "; none is in use" : ""}`);
}

export const contextVerbs: readonly Verb[] = [
  {
    name: "context add",
    usage: "<name>",
    doc: "Keep endpoints, certificates and user under a name",
    examples: ["context add prod --endpoints=10.0.0.1:2379 --cacert=/etc/ca.pem --user=ann"],
    flags: [
      boolFlag("use", "Use it from now on; the first one is used anyway"),
      boolFlag("replace", "Put it in place of one with the same name"),
      boolFlag("store-password", "Keep the password in the file, readable by its owner"),
    ],
    isOffline: true,
    run: add,
  },
  {
    name: "context list",
    usage: "",
    doc: "Print the contexts; * is in use",
    examples: ["context list"],
    flags: [],
    isOffline: true,
    run: list,
  },
  {
    name: "context use",
    usage: "<name>",
    doc: "Use a context from now on",
    examples: ["context use prod"],
    flags: [],
    isOffline: true,
    run: use,
  },
  {
    name: "context show",
    usage: "[name]",
    doc: "Print what a context is made of; the one in use, if none is named",
    examples: ["context show", "context show prod"],
    flags: [],
    isOffline: true,
    run: show,
  },
  {
    name: "context delete",
    usage: "<name>",
    doc: "Forget a context",
    examples: ["context delete staging"],
    flags: [],
    isOffline: true,
    run: remove,
  },
];
