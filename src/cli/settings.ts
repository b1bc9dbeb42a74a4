// Where settings come from, and which one wins:
//
//   1. a flag:                      --name=a, --name a, -name=a, -name a (the last one counts)
//   2. an environment variable:     QUORATE_NAME or ETCD_NAME
//   3. the file of --config-file:   etcd's YAML keys
//   4. the default of the flag table
//
// As in etcd, a flag and a variable for one setting are a conflict and refused, and ETCD_*
// variables do not count when there is a file. Unlike etcd, a flag or a QUORATE_* variable wins
// over the file, so that three members can share one file.

import { ConfigError, quoted } from "./config-error.ts";
import { readConfigFile } from "./config-file.ts";
import { withGateFlags } from "./feature-gates.ts";
import { type Flag, flagTable, legacyNames, lookUpFlag } from "./flags/index.ts";
import { suggest } from "./suggest.ts";
import { checkValue, parseBool, withOrigin } from "./values.ts";

/** Something to log once there is a logger. */
export interface Notice {
  readonly level: "info" | "warn";
  readonly fields: object;
  readonly message: string;
}

/** One setting and where it was found, for messages. */
export interface Setting {
  readonly text: string;
  readonly origin: string;
}

export interface Settings {
  /** By flag name; only what was set somewhere. */
  readonly values: ReadonlyMap<string, Setting>;
  readonly notices: readonly Notice[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line asks for. */
export type CommandLine =
  | { readonly kind: "help" }
  | { readonly kind: "serve"; readonly flags: ReadonlyMap<string, Setting> };

/** Reads arguments as Go's flag package does: one dash or two, `=` or the next argument. */
export function parseArguments(args: readonly string[]): CommandLine {
  const flags = new Map<string, Setting>();
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] ?? "";
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match === null) {
      throw new ConfigError(`${quoted(argument)} is not a valid flag`, 2);
    }
    const name = match[1] ?? "";
    let text = match[2];
    if (name === "help" || name === "h") {
      return { kind: "help" };
    }
    const found = lookUpFlag(name);
    if (found.kind === "unknown") {
      throw unknownName("flag", `--${name}`, name, (known) => `--${known}`);
    }
    const isBoolean =
      found.kind === "gate" || (found.kind === "flag" && found.flag.kind === "bool");
    if (text === undefined && isBoolean) {
      text = "true";
    } else if (text === undefined) {
      i++;
      text = args[i];
    }
    if (text === undefined) {
      throw new ConfigError(`flag needs an argument: --${name}`, 2);
    }
    flags.set(found.kind === "flag" ? found.flag.name : name, { text, origin: `--${name}` });
  }
  return { kind: "serve", flags };
}

/** The error for a name that no table knows, with the nearest one that it does. */
export function unknownName(
  what: string,
  shown: string,
  name: string,
  show: (known: string) => string,
): ConfigError {
  const near = suggest(name, [...flagTable.map((flag) => flag.name), ...legacyNames]);
  const hint = near === undefined ? "see --help" : `did you mean ${show(near)}?`;
  return new ConfigError(`unknown ${what} ${shown} (${hint})`, 2);
}

const prefixes = ["QUORATE_", "ETCD_"] as const;

function variableName(prefix: string, flag: Flag): string {
  return prefix + flag.name.toUpperCase().replaceAll("-", "_");
}

/** The flag, or former flag, that a variable of etcd 3.6's experimental names stands for. */
function experimentalName(variable: string): string | undefined {
  const match = /^(?:QUORATE|ETCD)_(EXPERIMENTAL_.+)$/.exec(variable);
  const name = (match?.[1] ?? "").toLowerCase().replaceAll("_", "-");
  const looked = lookUpFlag(name);
  return looked.kind === "flag" ? looked.flag.name : looked.kind === "gate" ? name : undefined;
}

function warnOfVariable(name: string, message: string): Notice {
  return { level: "warn", fields: { "environment-variable": name }, message };
}

/** Variables that set flags, and warnings about those that a configuration file outdoes. */
function readVariables(
  environment: Environment,
  flags: ReadonlyMap<string, Setting>,
  notices: Notice[],
): Map<string, Setting> {
  const found = new Map<string, Setting>();
  const hasFile =
    flags.has("config-file") ||
    prefixes.some((prefix) => (environment[`${prefix}CONFIG_FILE`] ?? "") !== "");
  for (const [origin, text = ""] of Object.entries(environment)) {
    const name = experimentalName(origin);
    if (name !== undefined && text !== "" && !(hasFile && origin.startsWith("ETCD_"))) {
      found.set(name, { text, origin });
    }
  }
  for (const flag of flagTable) {
    for (const prefix of prefixes) {
      const origin = variableName(prefix, flag);
      const text = environment[origin] ?? "";
      if (text === "" || flag.name === "version") {
        continue;
      }
      if (hasFile && prefix === "ETCD_" && flag.name !== "config-file") {
        notices.push(warnOfVariable(origin, "variable ignored: there is a configuration file"));
        continue;
      }
      const other = flags.get(flag.name) ?? found.get(flag.name);
      if (other !== undefined) {
        throw new ConfigError(
          `conflicting environment variable ${origin} is shadowed by ${other.origin} ` +
            "(unset one of them)",
        );
      }
      found.set(flag.name, { text, origin });
    }
  }
  return found;
}

/** Warnings about variables that look like settings and are none. */
function unknownVariables(environment: Environment): Notice[] {
  const known = new Set(
    flagTable.flatMap((flag) => prefixes.map((prefix) => variableName(prefix, flag))),
  );
  return Object.keys(environment)
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)) && !known.has(name))
    .filter((name) => experimentalName(name) === undefined)
    .sort()
    .map((name) => warnOfVariable(name, "unrecognized environment variable"));
}

/** Everything that is set, from every source, each value of the right form. */
export function collectSettings(
  flags: ReadonlyMap<string, Setting>,
  environment: Environment,
): Settings {
  const notices = unknownVariables(environment);
  const variables = readVariables(environment, flags, notices);
  const path = flags.get("config-file") ?? variables.get("config-file");
  const values = new Map<string, Setting>([
    ...(path === undefined ? [] : readConfigFile(path.text)),
    ...variables,
    ...flags,
  ]);
  for (const [name, setting] of values) {
    checkSetting(name, setting, notices);
  }
  foldGates(values);
  return { values, notices };
}

/** Experimental flags that became feature gates join --feature-gates. */
function foldGates(values: Map<string, Setting>): void {
  const experimental = new Map<string, Setting>();
  for (const [name, setting] of values) {
    const found = lookUpFlag(name);
    if (found.kind === "gate") {
      experimental.set(found.gate, { ...setting, text: String(parseBool(setting.text)) });
      values.delete(name);
    }
  }
  const given = values.get("feature-gates");
  if (given !== undefined || experimental.size > 0) {
    const text = withGateFlags(given?.text ?? "", experimental);
    const origin = given?.origin ?? "--feature-gates";
    values.set("feature-gates", { text, origin });
  }
}

function checkSetting(name: string, setting: Setting, notices: Notice[]): void {
  const found = lookUpFlag(name);
  if (found.kind === "gate") {
    withOrigin(setting.text, setting.origin, setting.origin.startsWith("--") ? 2 : 1, () => {
      parseBool(setting.text);
    });
    return;
  }
  if (found.kind !== "flag") {
    notices.push({
      level: "warn",
      fields: { flag: name },
      message: "flag accepted and ignored: it has no meaning",
    });
    return;
  }
  const { flag } = found;
  withOrigin(setting.text, setting.origin, setting.origin.startsWith("--") ? 2 : 1, () => {
    checkValue(flag, setting.text);
  });
  if (flag.status === "works" || asksForDefault(flag, setting.text)) {
    return;
  }
  if (flag.status === "refused") {
    throw new ConfigError(`${setting.origin} cannot be used: ${flag.doc}`);
  }
  notices.push({
    level: "warn",
    fields: { flag: flag.name, value: setting.text, reason: flag.doc },
    message: "flag accepted and ignored",
  });
}

function asksForDefault(flag: Flag, text: string): boolean {
  return flag.kind === "bool" ? parseBool(text) === parseBool(flag.default) : text === flag.default;
}
