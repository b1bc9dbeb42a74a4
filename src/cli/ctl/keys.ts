// get, put, del, compaction.

import { emptyBytes, utf8 } from "../../base/index.ts";
import { openEnd, prefixRange } from "../../client/index.ts";
import { RangeRequestSortOrder, RangeRequestSortTarget } from "../../wire/index.ts";
import {
  type Arguments,
  type Context,
  leaseArgument,
  positionals,
  textFlag,
  wholeFlag,
} from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { boolFlag, type Verb, valueFlag } from "./verb.ts";

const rangeFlags = [
  boolFlag("prefix", "All keys that begin with the key"),
  boolFlag("from-key", "All keys from the key on, in byte order"),
];

interface Range {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** The range that a key, an end and the two flags mean; an empty key is the first of all. */
function rangeOf(verb: string, argv: Arguments): Range {
  const [key, end, ...rest] = positionals(argv);
  const prefix = argv["prefix"] === true;
  const fromKey = argv["from-key"] === true;
  const bad = (message: string): CommandError => new CommandError(exitCodes.badArguments, message);
  if (key === undefined || rest.length > 0) {
    throw bad(`${verb} command needs one argument as key and an optional argument as range_end`);
  }
  if (prefix && fromKey) {
    throw bad("`--prefix` and `--from-key` cannot be set at the same time, choose one");
  }
  if (end !== undefined && (prefix || fromKey)) {
    throw bad(
      "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
    );
  }
  if (prefix) {
    return prefixRange(key);
  }
  if (fromKey) {
    return { key: key === "" ? openEnd : utf8(key), rangeEnd: openEnd };
  }
  return { key: utf8(key), rangeEnd: end === undefined ? emptyBytes : utf8(end) };
}

const sortOrders: Readonly<Record<string, number>> = {
  "": RangeRequestSortOrder.NONE,
  ASCEND: RangeRequestSortOrder.ASCEND,
  DESCEND: RangeRequestSortOrder.DESCEND,
};

const sortTargets: Readonly<Record<string, number>> = {
  "": RangeRequestSortTarget.KEY,
  KEY: RangeRequestSortTarget.KEY,
  VERSION: RangeRequestSortTarget.VERSION,
  CREATE: RangeRequestSortTarget.CREATE,
  MODIFY: RangeRequestSortTarget.MOD,
  VALUE: RangeRequestSortTarget.VALUE,
};

function choose(table: Readonly<Record<string, number>>, text: string, what: string): number {
  const found = table[text.toUpperCase()];
  if (found === undefined) {
    throw new CommandError(exitCodes.badFeature, `bad ${what} ${text}`);
  }
  return found;
}

async function get(context: Context, argv: Arguments): Promise<void> {
  const range = rangeOf("get", argv);
  const consistency = textFlag(argv, "consistency");
  if (consistency !== "" && consistency !== "l" && consistency !== "s") {
    throw new CommandError(
      exitCodes.badFeature,
      `unknown consistency flag ${JSON.stringify(consistency)}`,
    );
  }
  const sortOrder = choose(sortOrders, textFlag(argv, "order"), "sort order");
  const sortTarget = choose(sortTargets, textFlag(argv, "sort-by"), "sort target");
  const printer = context.printer(argv["print-value-only"] === true);
  const call = context.client.range({
    ...range,
    limit: wholeFlag(argv, "limit"),
    revision: Math.max(0, wholeFlag(argv, "rev")),
    // As Go's client: keys come in this order anyway, and sorting costs the server.
    sortOrder:
      sortTarget === RangeRequestSortTarget.KEY && sortOrder === RangeRequestSortOrder.ASCEND
        ? RangeRequestSortOrder.NONE
        : sortOrder,
    sortTarget,
    serializable: consistency === "s",
    keysOnly: argv["keys-only"] === true,
    countOnly: argv["count-only"] === true,
  });
  printer.get(await orFail(call));
}

async function put(context: Context, argv: Arguments): Promise<void> {
  const [key, value, ...rest] = positionals(argv);
  const ignoreValue = argv["ignore-value"] === true;
  const needs = "put command needs 1 argument and input from stdin or 2 arguments";
  const bad = (message: string): CommandError => new CommandError(exitCodes.badArguments, message);
  if (key === undefined || rest.length > 0) {
    throw bad(needs);
  }
  if (ignoreValue && value !== undefined) {
    throw bad("put command needs only 1 argument when 'ignore-value' is set");
  }
  const lease = textFlag(argv, "lease");
  let bytes: Uint8Array = emptyBytes;
  if (value !== undefined) {
    bytes = utf8(value);
  } else if (!ignoreValue) {
    bytes = await context.io.readStdin();
    if (bytes.length === 0) {
      throw bad(needs);
    }
  }
  const printer = context.printer();
  const call = context.client.put({
    key: utf8(key),
    value: bytes,
    lease: lease === "" ? 0n : leaseArgument(lease),
    prevKv: argv["prev-kv"] === true,
    ignoreValue,
    ignoreLease: argv["ignore-lease"] === true,
  });
  printer.put(await orFail(call));
}

async function del(context: Context, argv: Arguments): Promise<void> {
  const range = rangeOf("del", argv);
  const printer = context.printer();
  const call = context.client.deleteRange({ ...range, prevKv: argv["prev-kv"] === true });
  printer.del(await orFail(call));
}

async function compaction(context: Context, argv: Arguments): Promise<void> {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "compaction command needs 1 argument");
  }
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new CommandError(exitCodes.error, `bad revision ${JSON.stringify(text)}`);
  }
  const physical = argv["physical"] === true;
  await orFail(context.client.compact({ revision: Number(text), physical }));
  context.io.line(`compacted revision ${text}`);
}

export const keyVerbs: readonly Verb[] = [
  {
    name: "get",
    usage: "<key> [range_end]",
    doc: "Print a key, or a range of keys",
    examples: ["get greeting", "get /app/ --prefix --keys-only", "get greeting --rev=7 -w json"],
    flags: [
      ...rangeFlags,
      valueFlag("consistency", "Linearizable (l) or serializable (s)"),
      valueFlag("order", "ASCEND or DESCEND"),
      valueFlag("sort-by", "CREATE, KEY, MODIFY, VALUE or VERSION"),
      valueFlag("limit", "Most keys to print"),
      valueFlag("rev", "As of this revision"),
      boolFlag("keys-only", "Keys without values"),
      boolFlag("count-only", "Only how many there are (with -w fields or json)"),
      boolFlag("print-value-only", "Values without keys"),
    ],
    run: get,
  },
  {
    name: "put",
    usage: "<key> [value]",
    doc: "Write a key; the value comes from standard input when it is not given",
    examples: ["put greeting hello", "put greeting -- -5", "put picture < picture.png"],
    flags: [
      valueFlag("lease", "Lease to attach the key to, in hex"),
      boolFlag("prev-kv", "Print what was there before"),
      boolFlag("ignore-value", "Keep the value"),
      boolFlag("ignore-lease", "Keep the lease"),
    ],
    run: put,
  },
  {
    name: "del",
    usage: "<key> [range_end]",
    doc: "Delete a key, or a range of keys",
    examples: ["del greeting", "del /app/ --prefix --prev-kv"],
    flags: [...rangeFlags, boolFlag("prev-kv", "Print what is deleted")],
    run: del,
  },
  {
    name: "compaction",
    usage: "<revision>",
    doc: "Forget history before a revision",
    examples: ["compaction 1000 --physical"],
    flags: [boolFlag("physical", "Wait until the space is free")],
    run: compaction,
  },
];
