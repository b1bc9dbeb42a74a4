// export and import: keys as JSON lines (transfer-lines.ts), for eyes, scripts and other stores.

import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { createInterface } from "node:readline";
import { idToHex } from "../../base/index.ts";
import { prefixRange } from "../../client/index.ts";
import {
  Compare,
  CompareResult,
  CompareTarget,
  PutRequest,
  type RangeResponse,
  type RequestOp,
} from "../../wire/index.ts";
import {
  type Arguments,
  type Context,
  isSet,
  positionals,
  textFlag,
  wholeFlag,
} from "./context.ts";
import { CommandError, exitCodes, orFail, textOf } from "./failure.ts";
import { Destination } from "./mirror-destination.ts";
import { countKeys, readPages } from "./pages.ts";
import { bytesOf } from "./raw-text.ts";
import type { Progress } from "./progress.ts";
import {
  exportFormat,
  hexOf,
  LineFault,
  pairLine,
  parseLine,
  textOfBytes,
} from "./transfer-lines.ts";
import type { TransferLine } from "./transfer-lines.ts";
import { boolFlag, numberFlag, type Verb, valueFlag } from "./verb.ts";

type Write = (text: string) => Promise<void>;

async function exportKeys(context: Context, argv: Arguments): Promise<void> {
  const [prefix = "", ...rest] = positionals(argv);
  if (rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "export takes at most one argument: a prefix");
  }
  const path = textFlag(argv, "output");
  using progress = context.progress("exporting");
  if (path === "") {
    await writeExport(context, argv, prefix, progress, async (text) => {
      context.io.write(text);
      await context.io.flush();
    });
    return;
  }
  const partial = `${path}.part`;
  try {
    const file = await open(partial, "w", 0o600);
    let keys: number;
    try {
      keys = await writeExport(context, argv, prefix, progress, (text) => append(file, text));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
    progress.end();
    context.io.line(`${keys} keys exported to ${path}`);
  } catch (error) {
    await rm(partial, { force: true });
    throw asCommandError(error);
  }
}

async function append(file: FileHandle, text: string): Promise<void> {
  await file.write(text);
}

async function writeExport(
  context: Context,
  argv: Arguments,
  prefix: string,
  progress: Progress,
  write: Write,
): Promise<number> {
  const span = prefixRange(bytesOf(prefix));
  const revision = wholeFlag(argv, "rev");
  const total = await countKeys(context.client, span, revision);
  const leases = new Set<bigint>();
  let keys = 0;
  let isFirst = true;
  for await (const page of readPages(context.client, { ...span, revision })) {
    const lines: string[] = [];
    if (isFirst) {
      lines.push(headLine(page, revision, bytesOf(prefix)));
      isFirst = false;
    }
    for (const pair of page.kvs) {
      if (pair.lease !== 0n && !leases.has(pair.lease)) {
        leases.add(pair.lease);
        lines.push(...(await leaseLines(context, pair.lease)));
      }
      lines.push(pairLine(pair));
    }
    keys += page.kvs.length;
    progress.count(keys, "keys", total);
    await write(lines.map((line) => `${line}\n`).join(""));
  }
  await write(`${JSON.stringify({ end: true, keys })}\n`);
  return keys;
}

function headLine({ header }: RangeResponse, asked: number, prefix: Uint8Array): string {
  return JSON.stringify({
    export: exportFormat,
    cluster: idToHex(header?.clusterId ?? 0n),
    revision: asked || header?.revision,
    prefix: textOfBytes(prefix),
  });
}

/** None for a lease that has expired meanwhile. */
async function leaseLines(context: Context, id: bigint): Promise<string[]> {
  const { grantedTtl, ttl } = await orFail(context.client.leaseTimeToLive({ id }));
  return ttl < 0 ? [] : [JSON.stringify({ lease: hexOf(id), granted_ttl: grantedTtl, ttl })];
}

async function importKeys(context: Context, argv: Arguments): Promise<void> {
  const [path = "-", ...rest] = positionals(argv);
  if (rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "import takes at most one argument: a file");
  }
  try {
    // A file is read twice: a mistake in its last line shows before the first key is written.
    const total = path === "-" ? undefined : await checkFile(path);
    await new Import(context, argv).run(path, total);
  } catch (error) {
    throw asCommandError(error);
  }
}

/** Resolves with the number of keys. */
async function checkFile(path: string): Promise<number> {
  let keys = 0;
  for await (const line of linesOf(path)) {
    keys += line.kind === "pair" ? 1 : 0;
  }
  return keys;
}

/** Lines that hold, numbered in errors. An export that does not end is refused at its end. */
async function* linesOf(path: string): AsyncGenerator<TransferLine, void> {
  const input = path === "-" ? process.stdin : createReadStream(path);
  const failed = new Promise<never>((_, reject) => input.once("error", reject));
  failed.catch(() => undefined);
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  let keys = 0;
  let hasHead = false;
  let hasEnd = false;
  for await (const text of lines) {
    number++;
    if (text.trim() === "") {
      continue;
    }
    const line = parseNumbered(path, number, text);
    if (hasEnd) {
      throw fault(path, number, "something follows the end of the export");
    }
    if (line.kind === "end" && line.keys !== keys) {
      throw fault(path, number, `the export had ${line.keys} keys, and ${keys} are here`);
    }
    hasHead ||= line.kind === "head";
    hasEnd = line.kind === "end";
    keys += line.kind === "pair" ? 1 : 0;
    yield line;
  }
  await Promise.race([failed, Promise.resolve()]);
  if (hasHead && !hasEnd) {
    throw fault(path, number + 1, "the end is missing: the file is cut off");
  }
}

function parseNumbered(path: string, number: number, text: string): TransferLine {
  try {
    const line = parseLine(text);
    if (line.kind === "head" && line.format !== exportFormat) {
      throw new LineFault(`it is an export of format ${line.format}, this reads ${exportFormat}`);
    }
    return line;
  } catch (error) {
    throw error instanceof LineFault ? fault(path, number, error.message) : error;
  }
}

function fault(path: string, number: number, what: string): CommandError {
  return new CommandError(
    exitCodes.invalidInput,
    `${path === "-" ? "standard input" : path}, line ${number}: ${what}`,
    "quoratectl export shows what lines look like",
  );
}

const txnOpsDefault = 128;
const batchKeys = 1_000;

class Import {
  readonly #context: Context;
  readonly #prefix: string;
  readonly #destinationPrefix: string;
  readonly #skipsExisting: boolean;
  readonly #isTrial: boolean;
  readonly #keepsLeases: boolean;
  readonly #destination: Destination;
  readonly #leases = new Map<bigint, number>();
  readonly #granted = new Set<bigint>();
  #skipped = 0;
  #chosen = 0;

  constructor(context: Context, argv: Arguments) {
    this.#context = context;
    this.#prefix = textFlag(argv, "prefix");
    const given = textFlag(argv, "dest-prefix");
    this.#destinationPrefix = isSet(argv, "no-dest-prefix") ? "" : given || this.#prefix;
    this.#skipsExisting = isSet(argv, "skip-existing");
    this.#isTrial = isSet(argv, "dry-run");
    this.#keepsLeases = isSet(argv, "leases");
    this.#destination = new Destination(context.client, {
      maxTxnOps: wholeFlag(argv, "max-txn-ops", txnOpsDefault),
      signal: context.io.interruption(),
      tell: (text) => context.io.errorLine(text),
    });
  }

  async run(path: string, total: number | undefined): Promise<void> {
    using progress = this.#context.progress("importing");
    let batch: RequestOp[] = [];
    let seen = 0;
    for await (const line of linesOf(path)) {
      if (line.kind === "lease") {
        this.#leases.set(line.id, line.ttl);
      }
      const operation = line.kind === "pair" ? await this.#operation(line) : undefined;
      seen += line.kind === "pair" ? 1 : 0;
      if (operation !== undefined) {
        batch.push(operation);
      }
      if (batch.length >= batchKeys) {
        await this.#write(batch);
        batch = [];
        progress.count(seen, "keys", total);
      }
    }
    await this.#write(batch);
    progress.end();
    const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped: they exist already` : "";
    const verb = this.#isTrial ? "would be imported" : "imported";
    this.#context.io.line(`${this.#chosen - this.#skipped} keys ${verb}${skipped}`);
  }

  async #operation(line: TransferLine & { kind: "pair" }): Promise<RequestOp | undefined> {
    const prefix = Buffer.from(this.#prefix);
    if (Buffer.compare(line.key.subarray(0, prefix.length), prefix) !== 0) {
      return undefined;
    }
    this.#chosen++;
    const tail = line.key.subarray(prefix.length);
    const key = Buffer.concat([Buffer.from(this.#destinationPrefix), tail]);
    const lease = this.#keepsLeases && !this.#isTrial ? await this.#lease(line.lease) : 0n;
    const value = PutRequest.create({ key, value: line.value, lease });
    return { request: { kind: "requestPut", value } };
  }

  /** A lease with the same id, granted when the first of its keys comes. */
  async #lease(id: bigint): Promise<bigint> {
    const ttl = this.#leases.get(id);
    if (id === 0n || ttl === undefined) {
      return 0n;
    }
    if (!this.#granted.has(id)) {
      const granting = this.#context.client.leaseGrant({ id, ttl });
      await granting.catch((error: unknown) => {
        if (!textOf(error).includes("lease already exists")) {
          return orFail(Promise.reject(error));
        }
        return undefined;
      });
      this.#granted.add(id);
    }
    return id;
  }

  async #write(batch: readonly RequestOp[]): Promise<void> {
    if (this.#isTrial) {
      return;
    }
    if (!this.#skipsExisting) {
      await this.#destination.putAll(batch);
      return;
    }
    for (let at = 0; at < batch.length; at += txnOpsDefault) {
      await Promise.all(batch.slice(at, at + txnOpsDefault).map((one) => this.#putNew(one)));
    }
  }

  async #putNew(operation: RequestOp): Promise<void> {
    const key = operation.request?.kind === "requestPut" ? operation.request.value.key : undefined;
    const isAbsent = Compare.create({
      key: key ?? new Uint8Array(0),
      target: CompareTarget.CREATE,
      result: CompareResult.EQUAL,
      targetUnion: { kind: "createRevision", value: 0 },
    });
    const txn = this.#context.client.txn({ compare: [isAbsent], success: [operation] });
    if (!(await orFail(txn)).succeeded) {
      this.#skipped++;
    }
  }
}

function asCommandError(error: unknown): unknown {
  return error instanceof Error && "syscall" in error
    ? new CommandError(exitCodes.io, textOf(error), undefined, { cause: error })
    : error;
}

export const transferVerbs: readonly Verb[] = [
  {
    name: "export",
    usage: "[prefix]",
    doc: "Print keys as JSON lines, all as of one revision",
    examples: ["export /app/ > app.jsonl", "export --output=all.jsonl", "export --rev=42 /app/"],
    flags: [
      valueFlag("output", "File to write, in place of standard output; there once it is whole"),
      numberFlag("rev", "As of this revision"),
    ],
    run: exportKeys,
  },
  {
    name: "import",
    usage: "[file]",
    doc: "Write the keys of JSON lines, from a file or standard input",
    examples: ["import app.jsonl", "export /app/ | quoratectl --endpoints=other:2379 import"],
    flags: [
      valueFlag("prefix", "Only keys that begin with this"),
      valueFlag("dest-prefix", "What stands in place of --prefix"),
      boolFlag("no-dest-prefix", "Leave --prefix away"),
      boolFlag("skip-existing", "Leave keys that exist as they are"),
      boolFlag("leases", "Grant leases with the ids and times of the export, and attach the keys"),
      boolFlag("dry-run", "Check the input and write nothing"),
      numberFlag("max-txn-ops", "Most keys in one transaction", { default: String(txnOpsDefault) }),
    ],
    run: importKeys,
  },
];
