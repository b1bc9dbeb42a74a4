// A page of Markdown for one entry point of the package.

import type { Declaration } from "./declarations.ts";

export interface Exported {
  readonly name: string;
  /** All of a name: overloads of a function, or a type and a value. */
  readonly declarations: readonly Declaration[];
}

function code(text: string): string {
  return `\`\`\`ts\n${text}\n\`\`\``;
}

function anchor(name: string): string {
  return name.toLowerCase();
}

function memberText(member: Declaration["members"][number]): string {
  const doc = member.doc === "" ? "" : `\n\n${member.doc}`;
  return `${code(member.signature)}${doc}`;
}

function section({ name, declarations }: Exported): string {
  const parts = [`### ${name}`];
  for (const { doc, signature, members } of declarations) {
    parts.push(code(signature));
    if (doc !== "") {
      parts.push(doc);
    }
    parts.push(...members.map(memberText));
  }
  return parts.join("\n\n");
}

function isError({ name, declarations }: Exported): boolean {
  return name.endsWith("Error") && declarations.every(({ kind }) => kind === "class");
}

/** Classes of the server's errors say nothing but their text: a table holds them. */
function isGenerated(exported: Exported): boolean {
  return isError(exported) && /^`[^`]+`$/.test(exported.declarations[0]?.doc ?? "");
}

function errorTable(errors: readonly Exported[]): string {
  const rows = errors.map(({ name, declarations }) => `| \`${name}\` | ${declarations[0]?.doc} |`);
  return ["| class | what the server says |", "| --- | --- |", ...rows].join("\n");
}

function group(title: string, members: readonly Exported[]): string[] {
  return members.length === 0 ? [] : [`## ${title}`, ...members.map(section)];
}

/** `intro` is the chapter of the module, as Markdown. */
export function page(entry: string, intro: string, exported: readonly Exported[]): string {
  const generated = exported.filter(isGenerated);
  const errors = exported.filter((one) => isError(one) && !isGenerated(one));
  const others = exported.filter((one) => !isError(one));
  const ofKind = (...kinds: readonly Declaration["kind"][]): Exported[] =>
    others.filter(({ declarations }) => kinds.includes(declarations[0]?.kind ?? "const"));
  const classes = ofKind("class");
  const functions = ofKind("function", "const");
  const types = ofKind("interface", "type");
  const contents = [...classes, ...functions, ...types, ...errors]
    .map(({ name }) => `[${name}](#${anchor(name)})`)
    .join(" · ");
  return [
    `# ${entry}`,
    "Made from the docstrings by `npm run docs:api`; do not edit.",
    intro,
    contents,
    ...group("Classes", classes),
    ...group("Functions and values", functions),
    ...group("Types", types),
    ...group("Errors", errors),
    ...(generated.length === 0
      ? []
      : [
          "## Errors of the server",
          "One class for each, all of them `ClientError`.",
          errorTable(generated),
        ]),
    "",
  ]
    .filter((part, index, all) => part !== "" || index === all.length - 1)
    .join("\n\n");
}
