// tree: keys as a tree, split at "/".

import { prefixRange } from "../../client/index.ts";
import { type Arguments, type Context, positionals, textFlag, wholeFlag } from "./context.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { goJson } from "./go-text.ts";
import { readPages } from "./pages.ts";
import { bytesOf } from "./raw-text.ts";
import type { Paint } from "./terminal.ts";
import { numberFlag, type Verb, valueFlag } from "./verb.ts";
import { visible } from "./visible.ts";

interface Branch {
  readonly name: string;
  /** Whether a key ends here. */
  isKey: boolean;
  /** Keys here and below. */
  keys: number;
  readonly children: Map<string, Branch>;
}

function branch(name: string): Branch {
  return { name, isKey: false, keys: 0, children: new Map() };
}

async function tree(context: Context, argv: Arguments): Promise<void> {
  const [prefix = "", ...rest] = positionals(argv);
  if (rest.length > 0) {
    throw new CommandError(exitCodes.badArguments, "tree takes at most one argument: a prefix");
  }
  const separator = textFlag(argv, "separator") || "/";
  const depth = wholeFlag(argv, "depth", Number.MAX_SAFE_INTEGER);
  const start = bytesOf(prefix);
  const root = branch(visible(start));
  using progress = context.progress("reading keys");
  const request = { ...prefixRange(start), revision: wholeFlag(argv, "rev"), keysOnly: true };
  for await (const page of readPages(context.client, request)) {
    for (const { key } of page.kvs) {
      add(root, visible(key).slice(root.name.length), separator, depth);
    }
    progress.count(root.keys, "keys");
  }
  progress.end();
  if (context.format === "json") {
    context.io.line(goJson(asJson(root)));
    return;
  }
  const { paint } = context.io.terminal.output;
  context.io.line(heading(root, paint));
  for (const line of linesOf(root, "", paint)) {
    context.io.line(line);
    await context.io.flush();
  }
}

/** Below `depth` only the count grows. */
function add(root: Branch, rest: string, separator: string, depth: number): void {
  root.keys++;
  let at = root;
  let from = 0;
  for (let level = 0; level < depth && from < rest.length; level++) {
    const end = rest.indexOf(separator, from);
    const next = end < 0 ? rest.length : end + separator.length;
    const name = rest.slice(from, next);
    let child = at.children.get(name);
    if (child === undefined) {
      child = branch(name);
      at.children.set(name, child);
    }
    child.keys++;
    at = child;
    from = next;
  }
  at.isKey ||= from >= rest.length;
}

function heading({ name, keys }: Branch, paint: Paint): string {
  return `${paint("bold", name === "" ? "all keys" : name)} ${paint("dim", `(${keys})`)}`;
}

function* linesOf({ children }: Branch, indent: string, paint: Paint): Generator<string> {
  let left = children.size;
  for (const child of children.values()) {
    left--;
    const isLast = left === 0;
    const below = child.keys - (child.isKey ? 1 : 0);
    const name = below > 0 ? paint("blue", child.name) : child.name;
    const count = below > 0 ? ` ${paint("dim", `(${below})`)}` : "";
    const mark = below > 0 && child.isKey ? paint("yellow", " *") : "";
    yield `${paint("dim", `${indent}${isLast ? "└── " : "├── "}`)}${name}${mark}${count}`;
    yield* linesOf(child, `${indent}${isLast ? "    " : "│   "}`, paint);
  }
}

interface JsonBranch {
  readonly name: string;
  readonly key: boolean;
  readonly keys: number;
  readonly children?: readonly JsonBranch[];
}

function asJson({ name, isKey, keys, children }: Branch): JsonBranch {
  const inner = [...children.values()].map(asJson);
  return { name, key: isKey, keys, ...(inner.length === 0 ? {} : { children: inner }) };
}

export const treeVerbs: readonly Verb[] = [
  {
    name: "tree",
    usage: "[prefix]",
    doc: "Print keys as a tree; a key that has others below it is marked by *",
    examples: ["tree", "tree --depth=2 /registry/", "tree --separator=. app."],
    flags: [
      numberFlag("depth", "Levels to print; deeper ones are counted"),
      valueFlag("separator", "What keys are split at", { default: "/" }),
      numberFlag("rev", "As of this revision"),
    ],
    run: tree,
  },
];
