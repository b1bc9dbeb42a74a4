// txn: compares and two lists of operations from standard input, each ended by an empty line.

import { Compare, CompareResult, CompareTarget, RequestOp } from "../../wire/index.ts";
import * as wire from "../../wire/index.ts";
import { type Arguments, type Context, isSet, positionals } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { argumentsOf, readLine } from "./go-flags.ts";
import { goQuoteText, goUnquote } from "./go-text.ts";
import { delFlags, deleteRequest, getFlags, putFlags, putRequest, rangeRequest } from "./keys.ts";
import { quotedWords } from "./quoted-words.ts";
import { bytesOf } from "./raw-text.ts";
import { boolFlag, type Verb } from "./verb.ts";

function invalid(message: string, hint?: string): CommandError {
  return new CommandError(exitCodes.invalidInput, message, hint);
}

const results: Readonly<Record<string, CompareResult>> = {
  "=": CompareResult.EQUAL,
  "!=": CompareResult.NOT_EQUAL,
  ">": CompareResult.GREATER,
  "<": CompareResult.LESS,
};

type Union = Compare["targetUnion"];

/** The compare of a number; `base` is that of its text. */
function numberOf(line: string, text: string, base: 10 | 16): bigint {
  const pattern = base === 10 ? /^[-+]?\d+$/ : /^[-+]?[0-9a-fA-F]+$/;
  const digits = text.replace(/^[-+]/, "");
  const value = pattern.test(text) ? BigInt(base === 10 ? digits : `0x${digits}`) : undefined;
  const signed = value === undefined ? undefined : text.startsWith("-") ? -value : value;
  if (signed === undefined || BigInt.asIntN(64, signed) !== signed) {
    throw invalid(
      `invalid txn compare request: ${line}`,
      `${goQuoteText(text)} is no ${base === 10 ? "whole" : "hex"} number of 64 bits`,
    );
  }
  return signed;
}

function unionOf(line: string, target: string, text: string): readonly [CompareTarget, Union] {
  const counter = (): number => Number(numberOf(line, text, 10));
  switch (target) {
    case "ver":
    case "version":
      return [CompareTarget.VERSION, { kind: "version", value: counter() }];
    case "c":
    case "create":
      return [CompareTarget.CREATE, { kind: "createRevision", value: counter() }];
    case "m":
    case "mod":
      return [CompareTarget.MOD, { kind: "modRevision", value: counter() }];
    case "val":
    case "value":
      return [CompareTarget.VALUE, { kind: "value", value: bytesOf(text) }];
    case "lease":
      return [CompareTarget.LEASE, { kind: "lease", value: numberOf(line, text, 16) }];
    default:
      throw invalid(
        `malformed comparison: ${line} (unknown target ${target})`,
        "a target is ver, c, m, val or lease, or version, create, mod, value",
      );
  }
}

const quotedPattern = /^\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/;

/** One condition: `mod("key") > "0"`. Fails with CommandError. */
export function parseCompare(line: string): Compare {
  const open = line.indexOf("(");
  if (open < 0) {
    throw invalid(`malformed comparison: ${line}`, 'write mod("key") > "0"');
  }
  const target = line.slice(0, open);
  let rest = line.slice(open + 1);
  const take = (pattern: RegExp): string | undefined => {
    const match = pattern.exec(rest);
    rest = match === null ? "" : rest.slice(match[0].length);
    return match?.[1];
  };
  const key = goUnquote(take(quotedPattern) ?? "");
  const isClosed = take(/^(\))/) !== undefined;
  const operator = (isClosed ? take(/^\s*(\S+)/) : undefined) ?? "";
  const text = goUnquote(take(quotedPattern) ?? "");
  if (key === undefined || text === undefined) {
    const got = `${target}(${goQuoteText(key ?? "")}) ${operator} ${goQuoteText(text ?? "")}`;
    throw invalid(`malformed comparison: ${line}; got ${got}`, 'write mod("key") > "0"');
  }
  const [compareTarget, targetUnion] = unionOf(line, target, text);
  const result = results[operator];
  if (result === undefined) {
    throw invalid(
      `malformed comparison: ${line} (unknown operator ${operator})`,
      "an operator is =, !=, > or <",
    );
  }
  return Compare.create({ key: bytesOf(key), target: compareTarget, targetUnion, result });
}

const operations = { get: getFlags, put: putFlags, del: delFlags } as const;

/** One operation: `put key "value" --lease=1f`. Fails with CommandError. */
export async function parseOperation(line: string): Promise<RequestOp> {
  const [word = "", ...rest] = quotedWords(line);
  if (rest.length === 0) {
    throw invalid(`invalid txn compare request: ${line}`, "an operation is get, put or del");
  }
  const name = (["get", "put", "del"] as const).find((one) => one.startsWith(word));
  if (name === undefined || word === "") {
    throw invalid(`invalid txn request: ${line}`, "an operation is get, put or del");
  }
  const argv = operationArguments(line, name, rest);
  if (name === "get") {
    const value = wire.RangeRequest.create(rangeRequest(argv));
    return RequestOp.create({ request: { kind: "requestRange", value } });
  }
  if (name === "put") {
    const noValue = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(0));
    const value = wire.PutRequest.create(await putRequest(argv, noValue));
    return RequestOp.create({ request: { kind: "requestPut", value } });
  }
  const value = wire.DeleteRangeRequest.create(deleteRequest(argv));
  return RequestOp.create({ request: { kind: "requestDeleteRange", value } });
}

function operationArguments(
  line: string,
  name: keyof typeof operations,
  words: readonly string[],
): Arguments {
  try {
    return argumentsOf(readLine(words, operations[name]), operations[name]);
  } catch (error) {
    throw error instanceof CommandError
      ? invalid(`invalid txn request: ${line}`, error.message)
      : error;
  }
}

/** Reads lines up to an empty one. */
async function readSection<T>(
  context: Context,
  title: string,
  parse: (line: string) => T | Promise<T>,
): Promise<T[]> {
  if (title !== "") {
    context.io.line(context.io.terminal.output.paint("bold", title));
  }
  const parsed: T[] = [];
  for (;;) {
    const line = (await context.io.readLine())?.trim();
    if (line === undefined) {
      throw invalid(
        "EOF",
        "each of the three sections, also an empty one, ends with an empty line",
      );
    }
    if (line === "") {
      return parsed;
    }
    parsed.push(await parse(line));
  }
}

async function txn(context: Context, argv: Arguments): Promise<void> {
  if (positionals(argv).length > 0) {
    throw new CommandError(exitCodes.badArguments, "txn command does not accept argument");
  }
  const printer = context.printer();
  const title = (text: string): string => (isSet(argv, "interactive") ? text : "");
  const operationsOf = (what: string): Promise<RequestOp[]> =>
    readSection(context, title(`${what} requests (get, put, del):`), parseOperation);
  const compare = await readSection(context, title("compares:"), parseCompare);
  const success = await operationsOf("success");
  const failure = await operationsOf("failure");
  printer.txn(await orFail(context.client.txn({ compare, success, failure })));
}

export const txnVerbs: readonly Verb[] = [
  {
    name: "txn",
    usage: "",
    doc: "Compare and change several keys as one step, by lines of standard input",
    examples: [
      "txn -i",
      `txn <<'END'\nmod("key1") > "0"\n\nput key1 "changed"\n\nput key1 "made"\n\nEND`,
    ],
    flags: [boolFlag("interactive", "Say what to type", { short: "i" })],
    run: txn,
  },
];
