// Reads declaration files as the compiler writes them: what is declared in each, with its
// docstring and members, and what each exports. It relies on the compiler's layout (one declaration
// after the other, members indented by four spaces), not on a parser: TypeScript 7 has none to
// offer.

export interface Member {
  readonly signature: string;
  readonly doc: string;
}

export interface Declaration {
  readonly kind: "class" | "interface" | "type" | "function" | "const";
  readonly name: string;
  /** Up to the body of a class or interface; the whole of anything else. */
  readonly signature: string;
  readonly doc: string;
  readonly members: readonly Member[];
}

export type Export =
  | { readonly kind: "all"; readonly from: string }
  | {
      readonly kind: "named";
      readonly from: string | undefined;
      readonly name: string;
      readonly exportedAs: string;
    };

export interface DeclarationFile {
  readonly declarations: readonly Declaration[];
  readonly exports: readonly Export[];
}

/** The text of a docstring, without its stars. */
function docText(comment: string): string {
  return comment
    .replace(/^\/\*\*/, "")
    .replace(/\*\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}

interface Piece {
  readonly doc: string;
  readonly text: string;
}

/** How much deeper in brackets `line` ends than it begins; text in quotes does not count. */
function depthOf(line: string): number {
  const bare = line.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|=>/g, "");
  return (bare.match(/[({[]/g)?.length ?? 0) - (bare.match(/[)}\]]/g)?.length ?? 0);
}

/** The statements of a block, each with the docstring in front of it. */
function pieces(lines: readonly string[]): Piece[] {
  const found: Piece[] = [];
  let doc = "";
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    if (line.trim() === "") {
      continue;
    }
    if (line.trimStart().startsWith("/**")) {
      const comment: string[] = [line.trim()];
      while (!(lines[i] as string).includes("*/")) {
        comment.push((lines[++i] as string).trim());
      }
      doc = docText(comment.join("\n"));
      continue;
    }
    if (line.trimStart().startsWith("//")) {
      continue;
    }
    const statement: string[] = [line];
    let depth = depthOf(line);
    while (i + 1 < lines.length && (depth > 0 || !/[;}]$/.test((lines[i] as string).trimEnd()))) {
      const next = lines[++i] as string;
      statement.push(next);
      depth += depthOf(next);
    }
    found.push({ doc, text: statement.join("\n") });
    doc = "";
  }
  return found;
}

/** Where the body of a class or interface begins: not inside of its type parameters. */
function openingLine(lines: readonly string[]): number {
  let angles = 0;
  return lines.findIndex((line) => {
    const bare = line.replaceAll("=>", "");
    angles += (bare.match(/</g)?.length ?? 0) - (bare.match(/>/g)?.length ?? 0);
    return angles === 0 && /[{}]$/.test(line);
  });
}

const declared =
  /^(?:export )?(?:declare )?(?:abstract )?(class|interface|type|function|const) ([\w$]+)/;

function declarationOf({ doc, text }: Piece): Declaration | undefined {
  const match = declared.exec(text);
  if (match === null) {
    return undefined;
  }
  const [, kind, name] = match as unknown as [string, Declaration["kind"], string];
  const lines = text.replace(/^(?:export )?(?:declare )?/, "").split("\n");
  if (kind !== "class" && kind !== "interface") {
    return { kind, name, signature: lines.join("\n"), doc, members: [] };
  }
  const opening = openingLine(lines);
  const signature = lines
    .slice(0, opening + 1)
    .join(" ")
    .replace(/\s*\{\s*\}?$/, "");
  const members = pieces(lines.slice(opening + 1, -1).map((line) => line.replace(/^ {4}/, "")))
    .map(({ text: member, doc: memberDoc }) => ({ signature: member, doc: memberDoc }))
    .filter(({ signature: member }) => !/^(?:#private|private |protected |declare )/.test(member));
  return { kind, name, signature, doc, members };
}

function exportsOf(text: string): Export[] {
  const found: Export[] = [];
  for (const match of text.matchAll(/^export (?:type )?\* from "([^"]+)";/gm)) {
    found.push({ kind: "all", from: match[1] as string });
  }
  const lists = /^export (?:type )?\{([^}]*)\}(?: from "([^"]+)")?;/gm;
  for (const [, list = "", from] of text.matchAll(lists)) {
    for (const item of list.split(",").map((part) => part.trim().replace(/^type /, ""))) {
      const [name = "", exportedAs = name] = item.split(" as ");
      if (name !== "") {
        found.push({ kind: "named", from, name, exportedAs });
      }
    }
  }
  for (const match of text.matchAll(
    /^export (?:declare )?(?:abstract )?(?:class|interface|type|function|const) ([\w$]+)/gm,
  )) {
    const name = match[1] as string;
    found.push({ kind: "named", from: undefined, name, exportedAs: name });
  }
  return found;
}

export function readDeclarations(text: string): DeclarationFile {
  const code = text.replace(/^\/\/# sourceMappingURL.*$/m, "");
  return {
    declarations: pieces(code.split("\n"))
      .map(declarationOf)
      .filter((one): one is Declaration => one !== undefined),
    exports: exportsOf(code),
  };
}
