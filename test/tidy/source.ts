// Reading source text for the tidy checks: files, imports, code without comments and strings.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

export interface SourceFile {
  /** Path from the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with the content of comments and strings blanked; lines keep their numbers. */
  readonly code: string;
}

/** One import or re-export. */
export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

/** Files under `folder` whose name ends with one of `endings`, sorted by path. */
export function readSources(
  root: string,
  folder: string,
  endings: readonly string[],
): SourceFile[] {
  const files: SourceFile[] = [];
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && endings.some((ending) => entry.name.endsWith(ending))) {
      const full = join(entry.parentPath, entry.name);
      const text = readFileSync(full, "utf8");
      files.push({ path: relative(root, full).split(sep).join("/"), text, code: blank(text) });
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const importPattern =
  /^(?:import|export)\s+(type\s)?(?:[^;"']*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

/** Every module named by the file, in any form of import. */
export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(importPattern)) {
    const specifier = match[2] ?? match[3];
    if (specifier !== undefined) {
      found.push({ specifier, typeOnly: match[1] !== undefined });
    }
  }
  return found;
}

const regexMayFollow = /(?:^|[=(,:[!&|?{};+>]|\breturn)\s*$/;

/** Replaces what is inside comments, strings, templates and regular expressions by spaces. */
export function blank(text: string): string {
  let out = "";
  let i = 0;
  const skipTo = (end: number): void => {
    out += text.slice(i, end).replace(/[^\n]/g, " ");
    i = end;
  };
  while (i < text.length) {
    const two = text.slice(i, i + 2);
    const one = text[i] ?? "";
    if (two === "//") {
      skipTo(endOf(text, "\n", i));
    } else if (two === "/*") {
      skipTo(endOf(text, "*/", i + 2) + 2);
    } else if (one === '"' || one === "'" || one === "`") {
      skipTo(endOfQuoted(text, one, i + 1));
    } else if (one === "/" && regexMayFollow.test(out.slice(-40))) {
      skipTo(endOfRegex(text, i + 1));
    } else {
      out += one;
      i++;
    }
  }
  return out;
}

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at;
}

function endOfQuoted(text: string, quote: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === "\\") {
      i++;
    } else if (text[i] === quote) {
      return i + 1;
    }
  }
  return text.length;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  for (let i = from; i < text.length && text[i] !== "\n"; i++) {
    if (text[i] === "\\") {
      i++;
    } else if (text[i] === "[") {
      inClass = true;
    } else if (text[i] === "]") {
      inClass = false;
    } else if (text[i] === "/" && !inClass) {
      return i + 1;
    }
  }
  return from;
}

/** A function's first line (counted from 1) and how many lines it has. */
export interface FunctionSpan {
  readonly line: number;
  readonly lines: number;
}

const modifiers = String.raw`(?:export\s+)?(?:(?:async|static|override|get|set)\s+)*`;
const functionStart = new RegExp(
  [
    String.raw`^\s*${modifiers}(?:function\b|[\w#$]+(?:<[^>]*>)?\()`,
    String.raw`=>\s*\{$`,
    String.raw`=\s*(?:async\s+)?\($`,
  ].join("|"),
);
const notFunction = /^\s*(?:if|for|while|switch|catch|return|do|else|throw|new|await)\b/;

/** Functions by the indentation that the formatter guarantees. */
export function functionSpans(code: string): FunctionSpan[] {
  const lines = code.split("\n").map((line) => line.trimEnd());
  const spans: FunctionSpan[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (!functionStart.test(line) || notFunction.test(line)) {
      continue;
    }
    const indent = line.length - line.trimStart().length;
    const header = line.endsWith("{") ? i : nextAtIndent(lines, i + 1, indent);
    if (!(lines[header] ?? "").endsWith("{")) {
      continue;
    }
    const end = nextAtIndent(lines, header + 1, indent);
    if ((lines[end] ?? "").trimStart().startsWith("}")) {
      spans.push({ line: i + 1, lines: end - i + 1 });
    }
  }
  return spans;
}

function nextAtIndent(lines: readonly string[], from: number, indent: number): number {
  for (let i = from; i < lines.length; i++) {
    const line = lines[i] ?? "";
    if (line !== "" && line.length - line.trimStart().length <= indent) {
      return i;
    }
  }
  return lines.length;
}
