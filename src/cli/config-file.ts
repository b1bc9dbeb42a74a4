// The file of --config-file: YAML or JSON with etcd's keys, which are the names of the flags.
// Differences in form, all etcd's: durations may be whole nanoseconds, lists may be lists, and
// TLS has two sections of its own.

import { readFileSync } from "node:fs";
import { parse, YAMLParseError } from "yaml";
import { ConfigError } from "./config-error.ts";
import { flagTable, lookUpFlag } from "./flags/index.ts";
import type { Setting } from "./settings.ts";
import { suggest } from "./suggest.ts";

/** Keys of a TLS section -> flags. */
const sections: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "client-transport-security": {
    "cert-file": "cert-file",
    "key-file": "key-file",
    "client-cert-file": "client-cert-file",
    "client-key-file": "client-key-file",
    "client-cert-auth": "client-cert-auth",
    "trusted-ca-file": "trusted-ca-file",
    "auto-tls": "auto-tls",
    "allowed-hostname": "client-cert-allowed-hostname",
  },
  "peer-transport-security": {
    "cert-file": "peer-cert-file",
    "key-file": "peer-key-file",
    "client-cert-file": "peer-client-cert-file",
    "client-key-file": "peer-client-key-file",
    "client-cert-auth": "peer-client-cert-auth",
    "trusted-ca-file": "peer-trusted-ca-file",
    "auto-tls": "peer-auto-tls",
    "allowed-cn": "peer-cert-allowed-cn",
    "allowed-hostname": "peer-cert-allowed-hostname",
    "skip-client-san-verification": "peer-skip-client-san-verification",
  },
};

/** What the file at `path` sets, by flag name. Throws ConfigError with the path in the message. */
export function readConfigFile(path: string): Map<string, Setting> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`cannot read the configuration file: ${(error as Error).message}`);
  }
  return parseConfigFile(text, path);
}

/** The same from text; `path` is only for messages. */
export function parseConfigFile(text: string, path: string): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const [key, value] of entriesOf(parseYaml(text, path), path)) {
    const section = sections[key];
    if (section !== undefined) {
      for (const [inner, innerValue] of entriesOf(value, `${path}: ${key}`)) {
        const name = section[inner];
        if (name === undefined) {
          throw unknownKey(`${key}.${inner}`, inner, Object.keys(section), path);
        }
        put(settings, name, innerValue, `${path}: ${key}.${inner}`);
      }
    } else if (lookUpFlag(key).kind === "unknown" || key === "config-file" || key === "version") {
      const known = [...flagTable.map((flag) => flag.name), ...Object.keys(sections)];
      throw unknownKey(key, key, known, path);
    } else {
      put(settings, key, value, `${path}: ${key}`);
    }
  }
  return settings;
}

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text, { logLevel: "error" });
  } catch (error) {
    // Unresolved and too many aliases are ReferenceErrors.
    if (error instanceof YAMLParseError || error instanceof ReferenceError) {
      throw new ConfigError(`${path}: ${error.message.split("\n")[0] ?? "not YAML"}`);
    }
    throw error;
  }
}

function entriesOf(value: unknown, where: string): [string, unknown][] {
  if (value === null || value === undefined) {
    return [];
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ConfigError(`${where}: expected keys and values`);
  }
  return Object.entries(value);
}

function unknownKey(
  shown: string,
  key: string,
  known: readonly string[],
  path: string,
): ConfigError {
  const near = suggest(key, known);
  const hint = near === undefined ? "see --help" : `did you mean ${near}?`;
  return new ConfigError(`${path}: unknown key ${shown} (${hint})`);
}

function put(settings: Map<string, Setting>, name: string, value: unknown, origin: string): void {
  const text = textOf(name, value, origin);
  const found = lookUpFlag(name);
  // An empty value is no value: etcd's own sample file lists every key, most of them empty.
  if (text !== "") {
    settings.set(found.kind === "flag" ? found.flag.name : name, { text, origin });
  }
}

function textOf(name: string, value: unknown, origin: string): string {
  if (value === null || value === undefined) {
    return "";
  }
  const found = lookUpFlag(name);
  if (typeof value === "number" && found.kind === "flag" && found.flag.kind === "duration") {
    return `${value}ns`;
  }
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  if (Array.isArray(value) && value.every((part) => typeof part === "string")) {
    return value.join(",");
  }
  throw new ConfigError(`${origin}: expected one value or a list of texts`);
}
