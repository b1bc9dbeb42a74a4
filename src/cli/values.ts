// Reading the text of one value, by the rules of Go's flag package and of etcd. Each function
// throws ConfigError with what was expected; the caller adds where the text came from.

import { parseUrls } from "../server/index.ts";
import { ConfigError, quoted } from "./config-error.ts";
import type { Flag } from "./flags/index.ts";

const trueTexts = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const falseTexts = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** A boolean as Go's strconv.ParseBool reads it. */
export function parseBool(text: string): boolean {
  if (trueTexts.has(text)) {
    return true;
  }
  if (falseTexts.has(text)) {
    return false;
  }
  throw new ConfigError("expected true or false");
}

/** A whole number; negative ones only if `signed`. */
export function parseWhole(text: string, signed: boolean): number {
  const value = Number(text);
  if (!(signed ? /^[-+]?\d+$/ : /^\+?\d+$/).test(text) || !Number.isSafeInteger(value)) {
    throw new ConfigError(`expected a whole number${signed ? "" : " that is not negative"}`);
  }
  return value;
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration in Go's notation, such as "1h30m" or "1.5s", in milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^([-+]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text);
  if (match === null) {
    if (/^[-+]?0$/.test(text)) {
      return 0;
    }
    throw new ConfigError("expected a duration with a unit, such as 100ms, 5s or 1h30m");
  }
  let totalMs = 0;
  for (const [, amount, unit = ""] of text.matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    totalMs += Number(amount) * (unitMs[unit] ?? 0);
  }
  return match[1] === "-" ? -totalMs : totalMs;
}

const sizeUnits: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** A size in bytes: a number, or one with K, M or G (binary; "KiB" and "KB" mean the same). */
export function parseSizeBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmg]?)(?:i?b)?)$/i.exec(text);
  const value = Number(match?.[1]) * (sizeUnits[(match?.[2] ?? "").toLowerCase()] ?? 0);
  if (match === null || !Number.isSafeInteger(Math.round(value))) {
    throw new ConfigError("expected a size, such as 268435456 or 256MiB");
  }
  return Math.round(value);
}

/** The parts of a comma-separated list, without repetitions and empty parts. */
export function parseList(text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  return [...new Set(parts.filter((part) => part !== ""))];
}

/** Throws ConfigError unless `text` is a value that `flag` can take. */
export function checkValue(flag: Flag, text: string): void {
  switch (flag.kind) {
    case "bool":
      parseBool(text);
      return;
    case "int":
    case "uint":
      parseWhole(text, flag.kind === "int");
      return;
    case "duration":
      parseDurationMs(text);
      return;
    case "size":
      parseSizeBytes(text);
      return;
    case "urls":
      if (text !== "") {
        parseUrls(text);
      }
      return;
    case "choice":
      if (!(flag.choices ?? []).includes(text) && text !== flag.default) {
        throw new ConfigError(`expected one of ${(flag.choices ?? []).map(quoted).join(", ")}`);
      }
      return;
    case "string":
    case "list":
      return;
  }
}

/** Runs `read`, and says where the text came from when it fails. */
export function withOrigin<T>(text: string, origin: string, exitCode: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new ConfigError(
        `invalid value ${quoted(text)} for ${origin}: ${error.message}`,
        exitCode,
      );
    }
    throw error;
  }
}
