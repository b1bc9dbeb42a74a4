// What every verb gets: a client, a printer, and the global flags.

import { type Client, connect } from "../../client/index.ts";
import { ConfigError } from "../config-error.ts";
import { parseBool, parseDurationMs, parseList } from "../values.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { fieldsPrinter } from "./fields.ts";
import { jsonPrinter } from "./json.ts";
import type { Io } from "./io.ts";
import type { Printer } from "./printer.ts";
import { Progress } from "./progress.ts";
import { printReport, type Report } from "./report.ts";
import { simplePrinter } from "./simple.ts";
import { tablePrinter } from "./table.ts";

/** A global flag; also a variable, QUORATECTL_ or ETCDCTL_ and the name in capitals. */
export interface GlobalFlag {
  readonly name: string;
  readonly default: string;
  readonly doc: string;
  readonly isBool?: boolean;
}

export const globalFlags: readonly GlobalFlag[] = [
  { name: "endpoints", default: "127.0.0.1:2379", doc: "Members to talk to, separated by commas." },
  { name: "write-out", default: "simple", doc: "Form of output: simple, json, fields, table." },
  { name: "hex", default: "false", doc: "Print keys and values as hex.", isBool: true },
  { name: "command-timeout", default: "5s", doc: "How long a command may take." },
  { name: "dial-timeout", default: "2s", doc: "How long to try when no member can be reached." },
];

export type Environment = Readonly<Record<string, string | undefined>>;

/** Parsed arguments, by name. */
export type Arguments = Readonly<Record<string, unknown>>;

export class Context {
  readonly io: Io;
  readonly timeoutMs: number;
  readonly format: string;
  readonly endpoints: readonly string[];
  readonly #hex: boolean;
  readonly #dialTimeoutMs: number;
  #client: Client | undefined;

  /** A flag wins over a variable; of those, QUORATECTL_ wins. */
  constructor(argv: Arguments, environment: Environment, io: Io) {
    const text = (name: string): string => {
      const variable = name.toUpperCase().replaceAll("-", "_");
      const given = argv[name] ?? environment[`QUORATECTL_${variable}`];
      const found = given ?? environment[`ETCDCTL_${variable}`];
      return typeof found === "string" || typeof found === "boolean"
        ? String(found)
        : (globalFlags.find((flag) => flag.name === name)?.default ?? "");
    };
    this.io = io;
    this.format = text("write-out");
    this.endpoints = parseList(text("endpoints"));
    this.#hex = readGlobal("hex", text("hex"), parseBool);
    this.timeoutMs = readGlobal("command-timeout", text("command-timeout"), parseDurationMs);
    this.#dialTimeoutMs = readGlobal("dial-timeout", text("dial-timeout"), parseDurationMs);
    if (this.endpoints.length === 0) {
      throw new CommandError(exitCodes.badArguments, "--endpoints names no member");
    }
    for (const endpoint of this.endpoints) {
      if (/^(?:https|unixs?):/.test(endpoint)) {
        throw new CommandError(
          exitCodes.badArguments,
          `cannot connect to ${endpoint}: only http for now`,
        );
      }
    }
  }

  get client(): Client {
    this.#client ??= this.connectTo(this.endpoints);
    return this.#client;
  }

  connectTo(endpoints: readonly string[]): Client {
    return connect({
      endpoints,
      callTimeoutMs: this.timeoutMs,
      dialTimeoutMs: this.#dialTimeoutMs,
    });
  }

  printer(valueOnly = false): Printer {
    if (valueOnly && this.format !== "simple") {
      throw new CommandError(
        exitCodes.badArguments,
        "print-value-only is only for `--write-out=simple`",
      );
    }
    switch (this.format) {
      case "simple":
        return simplePrinter(this.io, { hex: this.#hex, valueOnly });
      case "json":
        return jsonPrinter(this.io);
      case "fields":
        return fieldsPrinter(this.io);
      case "table":
        return tablePrinter(this.io);
      default:
        throw new CommandError(exitCodes.badFeature, "unsupported output format");
    }
  }

  /** Prints rows in the form that -w asks for. */
  report(report: Report): void {
    printReport(this.io, this.format, report);
  }

  /** A line on the terminal about something long; take it with `using`. */
  progress(what: string): Progress {
    return new Progress(this.io, what);
  }

  close(): void {
    this.#client?.close();
  }
}

function readGlobal<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new CommandError(
        exitCodes.badArguments,
        `invalid argument ${JSON.stringify(text)} for --${name}: ${error.message}`,
      );
    }
    throw error;
  }
}

/** Positional arguments, those after "--" included. */
export function positionals(argv: Arguments): string[] {
  const before = Array.isArray(argv["args"]) ? argv["args"] : [];
  const after = Array.isArray(argv["--"]) ? argv["--"] : [];
  return [...before, ...after].map(String);
}

/** A flag's text; empty when it is not given. */
export function textFlag(argv: Arguments, name: string): string {
  const value = argv[name];
  return typeof value === "string" ? value : "";
}

/** A flag's whole number; 0 when it is not given. */
export function wholeFlag(argv: Arguments, name: string): number {
  const text = textFlag(argv, name);
  const value = Number(text);
  if (!/^-?\d*$/.test(text) || !Number.isSafeInteger(value)) {
    throw new CommandError(
      exitCodes.error,
      `invalid argument ${JSON.stringify(text)} for "--${name}" flag: expected a whole number`,
    );
  }
  return value;
}

/** A lease's id in hex, as etcdctl prints it. */
export function leaseArgument(text: string): bigint {
  if (!/^[0-9a-fA-F]{1,16}$/.test(text)) {
    throw new CommandError(
      exitCodes.badArguments,
      `bad lease ID arg (${JSON.stringify(text)}), expecting ID in Hex`,
    );
  }
  return BigInt.asIntN(64, BigInt(`0x${text}`));
}

/** A member's id in hex, as etcdctl prints it. */
export function memberArgument(argv: Arguments): bigint {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "member ID is not provided");
  }
  if (!/^[0-9a-fA-F]{1,16}$/.test(text)) {
    throw new CommandError(
      exitCodes.badArguments,
      `bad member ID arg (${JSON.stringify(text)}), expecting ID in Hex`,
    );
  }
  return BigInt(`0x${text}`);
}
