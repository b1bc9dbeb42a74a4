// A command line as etcdctl takes it apart (Go's pflag): flags anywhere, "--name value" or
// "--name=value", "-n value", "-nvalue" or "-n=value"; a boolean takes no word; "--" ends flags.
// The texts of what is refused are pflag's.

import { CommandError, exitCodes } from "./failure.ts";
import { goQuoteText } from "./go-text.ts";
import { suggest } from "../suggest.ts";

/** As much of a flag as its reading needs. */
export interface ReadFlag {
  readonly name: string;
  readonly short?: string;
  /** The parts of a "list" that is given several times are joined. */
  readonly kind: "bool" | "text" | "list" | "whole" | "duration";
}

export interface ReadLine {
  /** Flags that were given, the last of several, by their long name. */
  readonly flags: ReadonlyMap<string, string>;
  readonly words: readonly string[];
  /** Where in `words` those behind "--" begin; undefined without it. */
  readonly dash: number | undefined;
}

function refuse(message: string, hint?: string): never {
  throw new CommandError(exitCodes.error, message, hint);
}

/** The parts of `args`. Fails with CommandError. */
export function readLine(args: readonly string[], table: readonly ReadFlag[]): ReadLine {
  const flags = new Map<string, string>();
  const words: string[] = [];
  const rest = [...args];
  const set = (flag: ReadFlag, text: string): void => {
    checkFlag(flag, text);
    const before = flag.kind === "list" ? flags.get(flag.name) : undefined;
    flags.set(flag.name, before === undefined ? text : `${before},${text}`);
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") {
      return { flags, words: [...words, ...rest], dash: words.length };
    }
    if (arg.startsWith("--")) {
      readLong(arg.slice(2), rest, table, set);
    } else if (arg.startsWith("-") && arg.length > 1) {
      readShort(arg, rest, table, set);
    } else {
      words.push(arg);
    }
  }
  return { flags, words, dash: undefined };
}

/** The parts of a line as verbs read them: flags by name, words under "--", where "--" stood. */
export function argumentsOf(
  line: ReadLine,
  flags: readonly ReadFlag[],
): Readonly<Record<string, unknown>> {
  const given = flags.flatMap(({ name, kind }): [string, unknown][] => {
    const text = line.flags.get(name);
    return text === undefined ? [] : [[name, kind === "bool" ? boolOf(text) : text]];
  });
  return { ...Object.fromEntries(given), "--": line.words, dash: line.dash };
}

type Set = (flag: ReadFlag, text: string) => void;

function readLong(text: string, rest: string[], table: readonly ReadFlag[], set: Set): void {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  if (name === "" || name.startsWith("-")) {
    refuse(`bad flag syntax: --${text}`);
  }
  const flag = table.find((one) => one.name === name);
  if (flag === undefined) {
    const near = suggest(
      name,
      table.map((one) => one.name),
    );
    return refuse(
      `unknown flag: --${name}`,
      near === undefined ? undefined : `did you mean --${near}?`,
    );
  }
  if (equals >= 0) {
    set(flag, text.slice(equals + 1));
  } else if (flag.kind === "bool") {
    set(flag, "true");
  } else {
    set(flag, rest.shift() ?? refuse(`flag needs an argument: --${name}`));
  }
}

function readShort(arg: string, rest: string[], table: readonly ReadFlag[], set: Set): void {
  for (let letters = arg.slice(1); letters !== ""; ) {
    const letter = letters.slice(0, 1);
    letters = letters.slice(1);
    const flag = table.find((one) => one.short === letter);
    if (flag === undefined) {
      return refuse(
        `unknown shorthand flag: ${quoteLetter(letter)} in ${arg}`,
        "a word that begins with - is not a flag behind --",
      );
    }
    if (letters.startsWith("=")) {
      return set(flag, letters.slice(1));
    }
    if (flag.kind === "bool") {
      set(flag, "true");
    } else {
      const text = letters === "" ? rest.shift() : letters;
      return set(flag, text ?? refuse(`flag needs an argument: ${quoteLetter(letter)} in ${arg}`));
    }
  }
}

function quoteLetter(letter: string): string {
  return `'${goQuoteText(letter).slice(1, -1)}'`;
}

const truths = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const falsehoods = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** Whether the text of a boolean means true; undefined when it is none. */
export function boolOf(text: string): boolean | undefined {
  return truths.has(text) ? true : falsehoods.has(text) ? false : undefined;
}

const wholePattern = /^[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[1-9][0-9_]*|0)$/;

/** A whole number as Go's ParseInt with base 0 reads it; undefined when it is none. */
export function wholeOf(text: string): bigint | undefined {
  if (!wholePattern.test(text)) {
    return undefined;
  }
  const digits = text
    .replace(/^[-+]/, "")
    .replaceAll("_", "")
    .replace(/^0(?=[0-7])/, "0o");
  return text.startsWith("-") ? -BigInt(digits) : BigInt(digits);
}

const durationPart = /^(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)/;

/** What Go says of a text that is no duration; undefined when it is one. */
export function durationFault(text: string): string | undefined {
  let rest = text.replace(/^[-+]/, "");
  if (rest === "0") {
    return undefined;
  }
  if (rest === "") {
    return `time: invalid duration ${goQuoteText(text)}`;
  }
  while (rest !== "") {
    const part = durationPart.exec(rest);
    if (part === null) {
      const [, number = "", unit = ""] = /^([\d.]*)([^\d.]*)/.exec(rest) ?? [];
      return !/\d/.test(number)
        ? `time: invalid duration ${goQuoteText(text)}`
        : unit === ""
          ? `time: missing unit in duration ${goQuoteText(text)}`
          : `time: unknown unit ${goQuoteText(unit)} in duration ${goQuoteText(text)}`;
    }
    rest = rest.slice(part[0].length);
  }
  return undefined;
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** The milliseconds of a text that is a duration. */
export function durationMs(text: string): number {
  let total = 0;
  for (const [, amount, unit = ""] of text.matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    total += Number(amount) * (unitMs[unit] ?? 0);
  }
  return text.startsWith("-") ? -total : total;
}

const int64Max = 2n ** 63n - 1n;

function checkFlag(flag: ReadFlag, text: string): void {
  const fault = flagFault(flag, text);
  if (fault !== undefined) {
    const shown = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
    refuse(`invalid argument ${goQuoteText(text)} for "${shown}" flag: ${fault}`);
  }
}

/** What Go says of a text that `flag` cannot take; undefined when it can. */
export function flagFault(flag: ReadFlag, text: string): string | undefined {
  switch (flag.kind) {
    case "bool":
      return boolOf(text) === undefined
        ? `strconv.ParseBool: parsing ${goQuoteText(text)}: invalid syntax`
        : undefined;
    case "whole": {
      const value = wholeOf(text);
      const parsing = `strconv.ParseInt: parsing ${goQuoteText(text)}`;
      if (value === undefined) {
        return `${parsing}: invalid syntax`;
      }
      return value > int64Max || value < -int64Max - 1n
        ? `${parsing}: value out of range`
        : undefined;
    }
    case "duration":
      return durationFault(text);
    case "text":
    case "list":
      return undefined;
  }
}
