// diff: what a key, or all keys of a prefix, were at one revision and are at another. revert: makes
// them again what they were, unless somebody changes them meanwhile.

import { prefixRange } from "../../client/index.ts";
import {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteRangeRequest,
  type KeyValue,
  PutRequest,
  type RequestOp,
} from "../../wire/index.ts";
import { type Arguments, type Context, isSet, positionals, wholeFlag } from "./context.ts";
import { CommandError, exitCodes, orFail } from "./failure.ts";
import { type KeySpan, keySpan, readPages } from "./pages.ts";
import { bytesOf } from "./raw-text.ts";
import { sameValue, showDiff } from "./show-diff.ts";
import { boolFlag, numberFlag, type Verb } from "./verb.ts";
import { visible } from "./visible.ts";

/** One key that is not the same at both revisions. */
interface Change {
  readonly key: Uint8Array;
  readonly before: KeyValue | undefined;
  readonly after: KeyValue | undefined;
}

const txnOpsMax = 128;

function spanArgument(argv: Arguments, verb: string): { key: string; span: KeySpan } {
  const [key, ...rest] = positionals(argv);
  if (key === undefined || rest.length > 0) {
    throw new CommandError(
      exitCodes.badArguments,
      `${verb} needs one argument: a key, or with --prefix the beginning of keys`,
    );
  }
  const bytes = bytesOf(key);
  return { key, span: isSet(argv, "prefix") ? prefixRange(bytes) : keySpan(bytes) };
}

async function* pairs(
  context: Context,
  span: KeySpan,
  revision: number,
): AsyncGenerator<KeyValue, undefined> {
  for await (const { kvs } of readPages(context.client, { ...span, revision })) {
    yield* kvs;
  }
}

/** Both revisions side by side, in the order of keys. */
async function* changesOf(
  context: Context,
  span: KeySpan,
  revisions: { readonly before: number; readonly after: number },
): AsyncGenerator<Change, void> {
  const olds = pairs(context, span, revisions.before);
  const news = pairs(context, span, revisions.after);
  let [old, young] = await Promise.all([olds.next(), news.next()]);
  while (old.done !== true || young.done !== true) {
    const order =
      old.done === true
        ? 1
        : young.done === true
          ? -1
          : Buffer.compare(old.value.key, young.value.key);
    const before = order <= 0 ? old.value : undefined;
    const after = order >= 0 ? young.value : undefined;
    if (!isSame(before, after)) {
      const key = before?.key ?? after?.key ?? new Uint8Array(0);
      yield { key, before, after };
    }
    if (order <= 0) {
      old = await olds.next();
    }
    if (order >= 0) {
      young = await news.next();
    }
  }
}

/** Written again with the same value and lease is no difference. */
function isSame(before: KeyValue | undefined, after: KeyValue | undefined): boolean {
  return before?.lease === after?.lease && sameValue(before?.value, after?.value);
}

async function diff(context: Context, argv: Arguments): Promise<void> {
  const { key, span } = spanArgument(argv, "diff");
  const now = await newest(context, span);
  const after = wholeFlag(argv, "to", now.revision);
  const before = wholeFlag(argv, "from", now.pair === undefined ? 0 : now.pair.modRevision - 1);
  if (before < 1 || after < 1) {
    throw new CommandError(
      exitCodes.badArguments,
      isSet(argv, "prefix") ? "diff --prefix needs --from" : `there is no key ${key} now`,
      "give --from=REVISION; get -w fields prints revisions",
    );
  }
  for await (const change of changesOf(context, span, { before, after })) {
    const name = visible(change.key);
    if (isSet(argv, "keys-only")) {
      context.io.line(summaryOf(context, change));
    } else {
      showDiff(
        context.io,
        { name: `${name} at revision ${before}`, value: change.before?.value },
        { name: `${name} at revision ${after}`, value: change.after?.value },
      );
    }
    await context.io.flush();
  }
}

async function newest(
  context: Context,
  span: KeySpan,
): Promise<{ readonly revision: number; readonly pair: KeyValue | undefined }> {
  const isOne = span.rangeEnd.length === 0;
  const reply = await orFail(context.client.range({ ...span, countOnly: !isOne }));
  return { revision: reply.header?.revision ?? 0, pair: reply.kvs[0] };
}

function summaryOf(context: Context, { key, before, after }: Change): string {
  const { paint } = context.io.terminal.output;
  if (before === undefined) {
    return paint("green", `+ ${visible(key)}`);
  }
  return after === undefined
    ? paint("red", `- ${visible(key)}`)
    : paint("yellow", `~ ${visible(key)}`);
}

async function revert(context: Context, argv: Arguments): Promise<void> {
  const { key, span } = spanArgument(argv, "revert");
  const target = wholeFlag(argv, "rev");
  if (target < 1) {
    throw new CommandError(
      exitCodes.badArguments,
      "revert needs --rev",
      `quoratectl diff --from=REVISION ${key} shows what it would undo`,
    );
  }
  const { revision: after } = await newest(context, span);
  const changes: Change[] = [];
  {
    using progress = context.progress("comparing");
    for await (const change of changesOf(context, span, { before: target, after })) {
      changes.push(change);
      progress.count(changes.length, "changes");
    }
  }
  changes.forEach((change) => context.io.line(plannedOf(context, change)));
  if (changes.length === 0) {
    context.io.line(`nothing has changed since revision ${target}`);
    return;
  }
  if (isSet(argv, "dry-run") || !(await isConfirmed(context, argv, changes.length, target))) {
    context.io.line("nothing was written");
    return;
  }
  await write(context, changes);
  context.io.line(`${changes.length} keys are again what they were at revision ${target}`);
}

/** What undoing a change does to its key. */
function plannedOf(context: Context, { key, before, after }: Change): string {
  return summaryOf(context, { key, before: after, after: before });
}

async function isConfirmed(
  context: Context,
  argv: Arguments,
  count: number,
  target: number,
): Promise<boolean> {
  if (isSet(argv, "yes")) {
    return true;
  }
  if (!context.io.terminal.isInteractive) {
    throw new CommandError(
      exitCodes.badArguments,
      "revert asks before it writes, and there is no terminal",
      "give --yes, or --dry-run to see what it would do",
    );
  }
  context.io.errorWrite(`Make ${count} keys what they were at revision ${target}? [y/N] `);
  return /^y(?:es)?$/i.test((await context.io.readLine()) ?? "");
}

async function write(context: Context, changes: readonly Change[]): Promise<void> {
  const living = new LivingLeases(context);
  using progress = context.progress("reverting");
  for (let at = 0; at < changes.length; at += txnOpsMax) {
    const part = changes.slice(at, at + txnOpsMax);
    const compare = part.map(({ key, after }) => unchanged(key, after));
    const success: RequestOp[] = [];
    for (const change of part) {
      success.push(await undoing(change, living));
    }
    const { succeeded } = await orFail(context.client.txn({ compare, success }));
    if (!succeeded) {
      throw new CommandError(
        exitCodes.error,
        `somebody has changed some of the keys meanwhile; ${at} of ${changes.length} keys are ` +
          "reverted, and nothing was overwritten",
        "run the command again",
      );
    }
    progress.count(at + part.length, "keys", changes.length);
  }
}

/** That a key is still what it was when it was read. */
export function unchanged(key: Uint8Array, seen: KeyValue | undefined): Compare {
  return Compare.create({
    key,
    target: CompareTarget.MOD,
    result: CompareResult.EQUAL,
    targetUnion: { kind: "modRevision", value: seen?.modRevision ?? 0 },
  });
}

async function undoing({ key, before }: Change, living: LivingLeases): Promise<RequestOp> {
  if (before === undefined) {
    return { request: { kind: "requestDeleteRange", value: DeleteRangeRequest.create({ key }) } };
  }
  const lease = (await living.has(before.lease)) ? before.lease : 0n;
  const value = PutRequest.create({ key, value: before.value, lease });
  return { request: { kind: "requestPut", value } };
}

/** A key comes back with its lease only if that has not expired meanwhile. */
class LivingLeases {
  readonly #context: Context;
  readonly #known = new Map<bigint, boolean>([[0n, false]]);

  constructor(context: Context) {
    this.#context = context;
  }

  async has(id: bigint): Promise<boolean> {
    const known = this.#known.get(id);
    if (known !== undefined) {
      return known;
    }
    const { ttl } = await orFail(this.#context.client.leaseTimeToLive({ id }));
    this.#known.set(id, ttl > 0);
    return ttl > 0;
  }
}

const prefixFlag = boolFlag("prefix", "All keys that begin with the key");

export const revisionVerbs: readonly Verb[] = [
  {
    name: "diff",
    usage: "<key>",
    doc: "Print how a value has changed between two revisions",
    examples: ["diff /app/a", "diff --from=40 --to=42 /app/a", "diff --prefix --from=40 /app/"],
    flags: [
      prefixFlag,
      numberFlag("from", "Older revision", { default: "before the key's last change" }),
      numberFlag("to", "Newer revision", { default: "now" }),
      boolFlag("keys-only", "Only which keys have changed: + new, - deleted, ~ changed"),
    ],
    run: diff,
  },
  {
    name: "revert",
    usage: "<key>",
    doc: "Make a key, or a prefix, again what it was at a revision",
    examples: ["revert --rev=40 /app/a", "revert --prefix --rev=40 --dry-run /app/"],
    flags: [
      prefixFlag,
      numberFlag("rev", "The revision"),
      boolFlag("dry-run", "Only print what would be put (+), deleted (-) and changed (~)"),
      boolFlag("yes", "Do not ask"),
    ],
    run: revert,
  },
];
