// Generates dist/reference/*.md, the reference of the package, from the declarations that
// `npm run build` has written: a page for each entry point in package.json. The pages go into the
// package and not into the repository, where they could differ from the code. `--out` names another
// folder.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  type Declaration,
  type DeclarationFile,
  readDeclarations,
} from "./api-docs/declarations.ts";
import { type Exported, page } from "./api-docs/page.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const files = new Map<string, DeclarationFile>();

function fileAt(path: string): DeclarationFile {
  const known = files.get(path) ?? readDeclarations(readFileSync(path, "utf8"));
  files.set(path, known);
  return known;
}

function targetOf(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) {
    return undefined;
  }
  return resolve(dirname(from), specifier).replace(/\.[jt]s$/, ".d.ts");
}

/** All names that a module exports, with what is declared under each. */
function exportedBy(path: string): Map<string, readonly Declaration[]> {
  const found = new Map<string, readonly Declaration[]>();
  const { declarations, exports } = fileAt(path);
  for (const each of exports) {
    const target = each.from === undefined ? undefined : targetOf(path, each.from);
    if (each.kind === "all") {
      for (const [name, all] of target === undefined ? [] : exportedBy(target)) {
        found.set(name, found.get(name) ?? all);
      }
    } else if (target === undefined) {
      const own = declarations.filter(({ name }) => name === each.name);
      const imported = own.length > 0 ? own : importedAs(path, each.name);
      found.set(each.exportedAs, imported);
    } else {
      found.set(each.exportedAs, exportedBy(target).get(each.name) ?? []);
    }
  }
  return found;
}

/** What `name` is in a module that imports it and exports it again. */
function importedAs(path: string, name: string): readonly Declaration[] {
  const text = readFileSync(path, "utf8");
  for (const [, list = "", from = ""] of text.matchAll(
    /^import (?:type )?\{([^}]*)\} from "([^"]+)";/gm,
  )) {
    const names = list.split(",").map((part) => part.trim().replace(/^type /, ""));
    const target = targetOf(path, from);
    if (names.includes(name) && target !== undefined) {
      return exportedBy(target).get(name) ?? [];
    }
  }
  return [];
}

/** The chapter at the head of a source file, as Markdown: indented examples become code. */
function chapterOf(path: string): string {
  const source = path.replace("/dist/", "/src/").replace(/\.d\.ts$/, ".ts");
  if (!existsSync(source)) {
    return "";
  }
  const lines: string[] = [];
  let inCode = false;
  for (const line of readFileSync(source, "utf8").split("\n")) {
    if (!line.startsWith("//")) {
      break;
    }
    const text = line.replace(/^\/\/ ?/, "");
    const isCode: boolean = text.startsWith("  ") && (inCode || lines.at(-1) === "");
    if (isCode && !inCode) {
      lines.push("```ts");
    } else if (inCode && !isCode && text !== "") {
      lines.splice(lines.at(-1) === "" ? -1 : lines.length, 0, "```");
    }
    inCode = isCode || (inCode && text === "");
    lines.push(isCode ? text.slice(2) : text);
  }
  return lines.join("\n").trim();
}

interface EntryPoint {
  readonly types?: string;
}

function pages(): Map<string, string> {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | EntryPoint>>;
  };
  const all = new Map<string, string>();
  for (const [entry, target] of Object.entries(exports)) {
    const types = typeof target === "string" ? undefined : target.types;
    if (types === undefined) {
      continue;
    }
    const path = join(root, types);
    const exported: Exported[] = [...exportedBy(path)]
      .map(([name, declarations]) => ({ name, declarations }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const unknown = exported.filter(({ declarations }) => declarations.length === 0);
    if (exported.length === 0 || unknown.length > 0) {
      throw new Error(`${entry}: cannot read ${unknown.map(({ name }) => name).join(", ")}`);
    }
    const name = entry === "." ? "quorate" : `quorate${entry.slice(1)}`;
    const main = entry === "." ? join(root, "dist/sdk/index.d.ts") : path;
    all.set(`${name.replace("/", "-")}.md`, page(name, chapterOf(main), exported));
  }
  return all;
}

const { values } = parseArgs({ options: { out: { type: "string", default: "dist/reference" } } });
const outFolder = resolve(root, values.out);
mkdirSync(outFolder, { recursive: true });
for (const [name, text] of pages()) {
  writeFileSync(join(outFolder, name), text);
}
