// What may come next on a command line: commands, flags, their values, and what only the cluster
// knows: keys, leases, members. Nothing is asked for, nothing is printed but candidates, and what
// takes long or fails gives none.

import { prefixEnd } from "../../client/index.ts";
import type { Context } from "./context.ts";
import { contextsPath, readContexts } from "./contexts.ts";
import { type ReadFlag, readLine } from "./go-flags.ts";
import { hexOf } from "./transfer-lines.ts";
import { bytesOf } from "./raw-text.ts";
import { type Environment, globalFlags } from "./settings.ts";
import type { Verb } from "./verb.ts";
import { nameVerb, wordsBehind } from "./words.ts";

export interface Candidate {
  /** What the word becomes, whole. */
  readonly word: string;
  /** Beside it, where the shell can show that. */
  readonly doc: string;
}

/** The shell is to complete names of files. */
export const filesWanted = "files";

export interface CompletionSource {
  readonly verbs: readonly Verb[];
  readonly environment: Environment;
  /** A context for the global flags of the line; undefined where it would ask for a password. */
  connect(flags: ReadonlyMap<string, string>): Promise<Context | undefined>;
}

type Kind = "keys" | "leases" | "members" | "contexts" | "files" | "shells" | "nothing";

/** What the arguments of verbs are; verbs that are not here take none that can be told. */
const argumentKinds: Readonly<Record<string, readonly Kind[]>> = {
  get: ["keys", "keys"],
  put: ["keys"],
  del: ["keys", "keys"],
  watch: ["keys", "keys"],
  edit: ["keys"],
  diff: ["keys"],
  revert: ["keys"],
  tree: ["keys"],
  export: ["keys"],
  lock: ["keys"],
  elect: ["keys"],
  "role grant-permission": ["nothing", "nothing", "keys", "keys"],
  "role revoke-permission": ["nothing", "keys", "keys"],
  "lease revoke": ["leases"],
  "lease timetolive": ["leases"],
  "lease keep-alive": ["leases"],
  "member remove": ["members"],
  "member update": ["members"],
  "member promote": ["members"],
  "move-leader": ["members"],
  "context use": ["contexts"],
  "context show": ["contexts"],
  "context delete": ["contexts"],
  "snapshot save": ["files"],
  "snapshot status": ["files"],
  "snapshot restore": ["files"],
  hashkv: ["files"],
  import: ["files"],
  completion: ["shells"],
};

const flagValues: Readonly<Record<string, readonly string[]>> = {
  "write-out": ["simple", "fields", "json", "table", "protobuf"],
  order: ["ASCEND", "DESCEND"],
  "sort-by": ["CREATE", "KEY", "MODIFY", "VALUE", "VERSION"],
  consistency: ["l", "s"],
  load: ["s", "m", "l", "xl"],
};

const keyFlags: ReadonlySet<string> = new Set(["prefix", "dest-prefix"]);
const fileFlags: ReadonlySet<string> = new Set(
  "cacert cert key dest-cacert dest-cert dest-key data-dir wal-dir checkpoint output".split(" "),
);
const keysMax = 100;
const requestsMax = 20;

/** Candidates for the last of `words`, or that file names are wanted. */
export async function complete(
  source: CompletionSource,
  words: readonly string[],
): Promise<readonly Candidate[] | typeof filesWanted> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? "";
  const { path, verb, rest } = nameVerb(before, source.verbs, globalFlags);
  const flags: readonly ReadFlag[] = [...(verb?.flags ?? []), ...globalFlags];
  const pending = pendingFlag(rest, flags);
  if (pending !== undefined) {
    return valuesOf(source, pending, "", current, rest.slice(0, -1), flags);
  }
  if (current.startsWith("--") && current.includes("=")) {
    const end = current.indexOf("=") + 1;
    const flag = flags.find(({ name }) => current.slice(2, end - 1) === name);
    const value = current.slice(end);
    const start = current.slice(0, end);
    return flag === undefined ? [] : valuesOf(source, flag, start, value, rest, flags);
  }
  if (current.startsWith("-")) {
    return flagCandidates([...(verb?.flags ?? []), ...globalFlags], current);
  }
  if (verb === undefined) {
    return wordsBehind(path, source.verbs)
      .filter((word) => word.startsWith(current))
      .map((word) => ({
        word,
        doc: source.verbs.find(({ name }) => name === [...path, word].join(" "))?.doc ?? "",
      }));
  }
  const line = readLine(rest, flags);
  const kind = argumentKinds[verb.name]?.[line.words.length] ?? "nothing";
  return kind === "files" ? filesWanted : argumentsOf(source, kind, current, line.flags);
}

/** The flag whose value the current word is. */
function pendingFlag(rest: readonly string[], flags: readonly ReadFlag[]): ReadFlag | undefined {
  const last = rest.at(-1) ?? "";
  const flag = last.startsWith("--")
    ? flags.find(({ name }) => last === `--${name}`)
    : flags.find(({ short }) => short !== undefined && last === `-${short}`);
  return flag?.kind === "bool" ? undefined : flag;
}

function flagCandidates(
  flags: readonly (ReadFlag & { readonly doc: string })[],
  current: string,
): Candidate[] {
  return flags
    .map(({ name, kind, doc }) => ({ word: kind === "bool" ? `--${name}` : `--${name}=`, doc }))
    .filter(({ word }) => word.startsWith(current));
}

/** Values of `flag` that begin with `value`, each behind `start`. */
async function valuesOf(
  source: CompletionSource,
  flag: ReadFlag,
  start: string,
  value: string,
  rest: readonly string[],
  flags: readonly ReadFlag[],
): Promise<readonly Candidate[] | typeof filesWanted> {
  if (fileFlags.has(flag.name)) {
    return filesWanted;
  }
  const given = readLine(rest, flags).flags;
  const found = keyFlags.has(flag.name)
    ? await argumentsOf(source, "keys", value, given)
    : flag.name === "context"
      ? await argumentsOf(source, "contexts", value, given)
      : (flagValues[flag.name] ?? [])
          .filter((word) => word.startsWith(value))
          .map((word) => ({ word, doc: "" }));
  return found.map(({ word, doc }) => ({ word: `${start}${word}`, doc }));
}

async function argumentsOf(
  source: CompletionSource,
  kind: Kind,
  current: string,
  flags: ReadonlyMap<string, string>,
): Promise<Candidate[]> {
  const starts = ({ word }: Candidate): boolean => word.startsWith(current);
  switch (kind) {
    case "shells":
      return ["bash", "zsh", "fish"].map((word) => ({ word, doc: "" })).filter(starts);
    case "contexts": {
      const { contexts } = await readContexts(contextsPath(source.environment));
      return Object.entries(contexts)
        .map(([word, { endpoints = "" }]) => ({ word, doc: endpoints }))
        .filter(starts);
    }
    case "keys":
    case "leases":
    case "members":
      return (await fromCluster(source, kind, current, flags)).filter(starts);
    default:
      return [];
  }
}

async function fromCluster(
  source: CompletionSource,
  kind: "keys" | "leases" | "members",
  current: string,
  flags: ReadonlyMap<string, string>,
): Promise<Candidate[]> {
  const context = await source.connect(flags);
  if (context === undefined) {
    return [];
  }
  try {
    switch (kind) {
      case "keys":
        return await keysFrom(context, current);
      case "leases":
        return (await context.client.leases()).leases.map(({ id }) => ({
          word: hexOf(id),
          doc: "",
        }));
      case "members":
        return (await context.client.memberList({})).members.map(({ id, name }) => ({
          word: BigInt.asUintN(64, id).toString(16),
          doc: name,
        }));
    }
  } finally {
    context.close();
  }
}

/**
 * Keys that begin with `current`, up to their next "/": a level at a time, as with directories. A
 * whole level is passed over in one step, however many keys are in it.
 */
async function keysFrom({ client }: Context, current: string): Promise<Candidate[]> {
  const typed = bytesOf(current);
  const rangeEnd = typed.length === 0 ? Uint8Array.of(0) : prefixEnd(typed);
  const found = new Map<string, Candidate>();
  let from: Uint8Array = typed.length === 0 ? Uint8Array.of(0) : typed;
  for (let request = 0; request < requestsMax && found.size < keysMax; request++) {
    const reply = await client.range({ key: from, rangeEnd, limit: keysMax, keysOnly: true });
    const last = reply.kvs.at(-1);
    for (const { key } of reply.kvs) {
      const word = levelOf(key, typed.length);
      if (word !== undefined) {
        found.set(word, { word, doc: "" });
      }
    }
    if (last === undefined || !reply.more) {
      break;
    }
    const level = levelBytes(last.key, typed.length);
    from = level.at(-1) === slash ? prefixEnd(level) : Buffer.concat([level, Buffer.alloc(1)]);
  }
  return [...found.values()];
}

const slash = 0x2f;

/** `key` up to the first "/" behind its first `length` bytes, that included. */
function levelBytes(key: Uint8Array, length: number): Uint8Array {
  const end = key.indexOf(slash, length);
  return end < 0 ? key : key.subarray(0, end + 1);
}

/** As text; undefined for what a shell cannot hold. */
function levelOf(key: Uint8Array, length: number): string | undefined {
  const text = Buffer.from(levelBytes(key, length)).toString("utf8");
  return /[\p{Cc}\ufffd]/u.test(text) ? undefined : text;
}
