// get, put, del, compaction.

import { emptyBytes } from "../../base/index.ts";
import { openEnd, prefixRange } from "../../client/index.ts";
import {
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  RangeRequestSortOrder,
  RangeRequestSortTarget,
} from "../../wire/index.ts";
import {
  type Arguments,
  type Context,
  isSet,
  leaseArgument,
  positionals,
  textFlag,
  wholeFlag,
} from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { flagFault } from "./go-flags.ts";
import { goQuoteText } from "./go-text.ts";
import { printPieces } from "./range-pieces.ts";
import { bytesOf } from "./raw-text.ts";
import { boolFlag, numberFlag, type Verb, type VerbFlag, valueFlag } from "./verb.ts";

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
  const prefix = isSet(argv, "prefix");
  const fromKey = isSet(argv, "from-key");
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
    return prefixRange(bytesOf(key));
  }
  if (fromKey) {
    return { key: key === "" ? openEnd : bytesOf(key), rangeEnd: openEnd };
  }
  return { key: bytesOf(key), rangeEnd: end === undefined ? emptyBytes : bytesOf(end) };
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

/** What `get` asks for, by its words and flags. */
export function rangeRequest(argv: Arguments): Partial<RangeRequest> {
  const range = rangeOf("get", argv);
  const consistency = textFlag(argv, "consistency");
  if (consistency !== "" && consistency !== "l" && consistency !== "s") {
    throw new CommandError(
      exitCodes.badFeature,
      `unknown consistency flag ${goQuoteText(consistency)}`,
      "--consistency is l (linearizable) or s (serializable)",
    );
  }
  const sortOrder = choose(sortOrders, textFlag(argv, "order"), "sort order");
  const sortTarget = choose(sortTargets, textFlag(argv, "sort-by"), "sort target");
  return {
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
    keysOnly: isSet(argv, "keys-only"),
    countOnly: isSet(argv, "count-only"),
    minCreateRevision: wholeFlag(argv, "min-create-rev"),
    maxCreateRevision: wholeFlag(argv, "max-create-rev"),
    minModRevision: wholeFlag(argv, "min-mod-rev"),
    maxModRevision: wholeFlag(argv, "max-mod-rev"),
  };
}

async function get(context: Context, argv: Arguments): Promise<void> {
  const request = rangeRequest(argv);
  const printer = context.printer(isSet(argv, "print-value-only"));
  if (isSet(argv, "stream")) {
    return printPieces(context, request, printer);
  }
  printer.get(await orFail(context.client.range(request)));
}

const putNeeds = "put command needs 1 argument and input from stdin or 2 arguments";

/** What `put` writes, by its words and flags; `readValue` gives a value that no word gives. */
export async function putRequest(
  argv: Arguments,
  readValue: () => Promise<Uint8Array>,
): Promise<Partial<PutRequest>> {
  const [key, value, ...rest] = positionals(argv);
  const ignoreValue = isSet(argv, "ignore-value");
  const bad = (message: string): CommandError => new CommandError(exitCodes.badArguments, message);
  if (key === undefined) {
    throw bad(putNeeds);
  }
  if (ignoreValue && value !== undefined) {
    throw bad("put command needs only 1 argument when 'ignore-value' is set");
  }
  if (rest.length > 0) {
    throw bad(putNeeds);
  }
  const lease = textFlag(argv, "lease");
  let bytes: Uint8Array = emptyBytes;
  if (value !== undefined) {
    bytes = bytesOf(value);
  } else if (!ignoreValue) {
    bytes = await readValue();
    if (bytes.length === 0) {
      throw bad(putNeeds);
    }
  }
  return {
    key: bytesOf(key),
    value: bytes,
    lease: lease === "" ? 0n : leaseArgument(lease, "bad lease ID"),
    prevKv: isSet(argv, "prev-kv"),
    ignoreValue,
    ignoreLease: isSet(argv, "ignore-lease"),
  };
}

async function put(context: Context, argv: Arguments): Promise<void> {
  const request = await putRequest(argv, () => context.io.readStdin());
  const printer = context.printer();
  printer.put(await orFail(context.client.put(request)));
}

/** What `del` deletes, by its words and flags. */
export function deleteRequest(argv: Arguments): Partial<DeleteRangeRequest> {
  return { ...rangeOf("del", argv), prevKv: isSet(argv, "prev-kv") };
}

async function del(context: Context, argv: Arguments): Promise<void> {
  const request = deleteRequest(argv);
  const printer = context.printer();
  printer.del(await orFail(context.client.deleteRange(request)));
}

async function compaction(context: Context, argv: Arguments): Promise<void> {
  const [text, ...rest] = positionals(argv);
  if (text === undefined || rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "compaction command needs 1 argument");
  }
  const fault = flagFault({ name: "", kind: "whole" }, text);
  if (fault !== undefined || !Number.isSafeInteger(Number(text))) {
    throw new CommandError(exitCodes.error, fault ?? `bad revision ${text}`);
  }
  const physical = isSet(argv, "physical");
  await orFail(context.client.compact({ revision: Number(text), physical }));
  context.io.line(`compacted revision ${text}`);
}

export const getFlags: readonly VerbFlag[] = [
  ...rangeFlags,
  valueFlag("consistency", "Linearizable (l) or serializable (s)", { default: "l" }),
  valueFlag("order", "ASCEND or DESCEND"),
  valueFlag("sort-by", "CREATE, KEY, MODIFY, VALUE or VERSION"),
  numberFlag("limit", "Most keys to print", { default: "0" }),
  numberFlag("rev", "As of this revision", { default: "0" }),
  boolFlag("keys-only", "Keys without values"),
  boolFlag("count-only", "Only how many there are (with -w fields or json)"),
  boolFlag("print-value-only", "Values without keys"),
  numberFlag("min-create-rev", "Only keys that were made at this revision or later"),
  numberFlag("max-create-rev", "Only keys that were made at this revision or before"),
  numberFlag("min-mod-rev", "Only keys that were changed at this revision or later"),
  numberFlag("max-mod-rev", "Only keys that were changed at this revision or before"),
  boolFlag("stream", "Read and print piece by piece, all of one revision, however much it is"),
];

export const putFlags: readonly VerbFlag[] = [
  valueFlag("lease", "Lease to attach the key to, in hex", { default: "0" }),
  boolFlag("prev-kv", "Print what was there before"),
  boolFlag("ignore-value", "Keep the value"),
  boolFlag("ignore-lease", "Keep the lease"),
];

export const delFlags: readonly VerbFlag[] = [
  ...rangeFlags,
  boolFlag("range", "Taken for scripts: a range is deleted at once with it and without"),
  boolFlag("prev-kv", "Print what is deleted"),
];

export const keyVerbs: readonly Verb[] = [
  {
    name: "get",
    usage: "<key> [range_end]",
    doc: "Print a key, or a range of keys",
    examples: [
      "get greeting",
      "get /app/ --prefix --keys-only",
      "get greeting --rev=7 -w json",
      "get / --prefix --stream > all",
    ],
    flags: getFlags,
    run: get,
  },
  {
    name: "put",
    usage: "<key> [value]",
    doc: "Write a key; the value comes from standard input when it is not given",
    examples: ["put greeting hello", "put greeting -- -5", "put picture < picture.png"],
    flags: putFlags,
    run: put,
  },
  {
    name: "del",
    usage: "<key> [range_end]",
    doc: "Delete a key, or a range of keys",
    examples: ["del greeting", "del /app/ --prefix --prev-kv"],
    flags: delFlags,
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
