// What every verb gets: a client, a printer, the streams, and the global flags.

import { type Client, connect } from "../../client/index.ts";
import { type Connection, connectionOf } from "./connection.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { fieldsPrinter } from "./fields.ts";
import { boolOf, wholeOf } from "./go-flags.ts";
import { goQuoteText } from "./go-text.ts";
import type { Io } from "./io.ts";
import { jsonPrinter } from "./json.ts";
import type { Printer } from "./printer.ts";
import { Progress } from "./progress.ts";
import { protobufPrinter } from "./protobuf.ts";
import { printReport, type Report } from "./report.ts";
import type { Environment, Settings } from "./settings.ts";
import { simplePrinter } from "./simple.ts";
import { tablePrinter } from "./table.ts";

export type { Environment } from "./settings.ts";

/** Parsed arguments, by name. */
export type Arguments = Readonly<Record<string, unknown>>;

export class Context {
  readonly io: Io;
  readonly settings: Settings;
  readonly environment: Environment;
  readonly timeoutMs: number;
  readonly format: string;
  #connection: Connection | undefined;
  #client: Client | undefined;

  constructor(settings: Settings, environment: Environment, io: Io) {
    this.io = io;
    this.settings = settings;
    this.environment = environment;
    this.format = settings.text("write-out");
    this.timeoutMs = settings.durationMs("command-timeout");
  }

  /** Reads certificates, asks for a password, looks endpoints up: before anything is connected. */
  async prepare(): Promise<void> {
    this.#connection = await connectionOf(this.settings, this.io);
  }

  /** What the client connects with. */
  get connection(): Connection {
    if (this.#connection === undefined) {
      throw new Error("a verb that is offline has no connection");
    }
    return this.#connection;
  }

  get endpoints(): readonly string[] {
    return this.connection.endpoints;
  }

  get client(): Client {
    this.#client ??= connectOrFail(this.connection);
    return this.#client;
  }

  /** A client of other endpoints, with the same limits, certificates and user unless given. */
  connectTo(endpoints: readonly string[], others: Partial<Connection> = {}): Client {
    return connectOrFail({ ...this.connection, ...others, endpoints });
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
        return simplePrinter(this.io, { hex: this.settings.bool("hex"), valueOnly });
      case "json":
        return jsonPrinter(this.io);
      case "fields":
        return fieldsPrinter(this.io);
      case "table":
        return tablePrinter(this.io);
      case "protobuf":
        return protobufPrinter(this.io);
      default:
        throw new CommandError(
          exitCodes.badFeature,
          "unsupported output format",
          "-w takes simple, fields, json, table or protobuf",
        );
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

/** Endpoints and certificates that are none are the command line's fault. */
function connectOrFail(connection: Connection): Client {
  try {
    return connect(connection);
  } catch (error) {
    throw error instanceof RangeError || error instanceof TypeError
      ? new CommandError(exitCodes.badArguments, error.message, undefined, { cause: error })
      : error;
  }
}

/** Positional arguments, those after "--" included. */
export function positionals(argv: Arguments): string[] {
  return Array.isArray(argv["--"]) ? argv["--"].map(String) : [];
}

/** A flag's text; empty when it is not given. */
export function textFlag(argv: Arguments, name: string): string {
  const value = argv[name];
  return typeof value === "string" ? value : "";
}

/** Whether a boolean flag is given, and not as false. */
export function isSet(argv: Arguments, name: string): boolean {
  const value = argv[name];
  return value === true || (typeof value === "string" && boolOf(value) === true);
}

/** A flag's whole number; `absent` when it is not given. */
export function wholeFlag(argv: Arguments, name: string, absent = 0): number {
  const text = textFlag(argv, name);
  const value = text === "" ? absent : Number(wholeOf(text));
  if (!Number.isSafeInteger(value)) {
    throw new CommandError(
      exitCodes.error,
      `invalid argument ${goQuoteText(text)} for "--${name}" flag: expected a whole number`,
    );
  }
  return value;
}

/** A lease's id in hex, as etcdctl prints it. */
export function leaseArgument(text: string, complaint = "bad lease ID arg"): bigint {
  const parsing = `strconv.ParseInt: parsing ${goQuoteText(text)}`;
  const refuse = (fault: string): never => {
    throw new CommandError(
      exitCodes.badArguments,
      `${complaint} (${parsing}: ${fault}), expecting ID in Hex`,
    );
  };
  if (!/^[-+]?[0-9a-fA-F]+$/.test(text)) {
    return refuse("invalid syntax");
  }
  const size = BigInt(`0x${text.replace(/^[-+]/, "")}`);
  const id = text.startsWith("-") ? -size : size;
  return BigInt.asIntN(64, id) === id ? id : refuse("value out of range");
}

/** A member's id in hex, as etcdctl prints it; the one argument. */
export function memberArgument(argv: Arguments): bigint {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "member ID is not provided");
  }
  const fault = hexFault(text);
  if (fault !== undefined) {
    throw new CommandError(
      exitCodes.badArguments,
      `bad member ID arg (${fault}), expecting ID in Hex`,
    );
  }
  return BigInt(`0x${text}`);
}

/** What Go says of a text that is no hex number of 64 bits. */
export function hexFault(text: string): string | undefined {
  if (!/^[0-9a-fA-F]+$/.test(text)) {
    return `strconv.ParseUint: parsing ${goQuoteText(text)}: invalid syntax`;
  }
  return BigInt(`0x${text}`) >= 2n ** 64n
    ? `strconv.ParseUint: parsing ${goQuoteText(text)}: value out of range`
    : undefined;
}
