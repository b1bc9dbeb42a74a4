// --help: the flag table, grouped, in as many columns as the terminal has.

import { type Flag, type FlagGroup, flagTable } from "./flags/index.ts";

const groups: readonly FlagGroup[] = [
  "Member",
  "Cluster",
  "Operations",
  "Quorate's own",
  "Security",
  "Auth",
];

/** The text of --help for a terminal of `columns` columns. */
export function helpText(columns: number): string {
  const width = Math.max(60, Math.min(columns, 100));
  const lines = [
    "Usage: quorate [flags]",
    "",
    "Starts a member of a store that speaks the etcd v3 API. Flags are etcd's. Each can also be",
    "set by a variable, QUORATE_ or ETCD_ and the name in capitals (QUORATE_DATA_DIR), or by a key",
    "of the file given with --config-file. A flag wins over a variable, a variable over the file.",
    "",
    "  quorate check-data DIR    read the data of a member that is stopped, and say what is wrong",
    "  quorate gateway start     pass TCP connections on to the members of a cluster",
    "  quorate --version         print the version",
    "  quorate --help            print this",
  ];
  for (const group of groups) {
    const works = flagTable.filter((flag) => flag.group === group && flag.status === "works");
    if (works.length > 0) {
      lines.push("", `${group}:`, ...works.flatMap((flag) => flagLines(flag, width)));
    }
  }
  const others = (statuses: readonly string[]): string[] =>
    wrap(
      flagTable
        .filter((flag) => statuses.includes(flag.status))
        .map((flag) => flag.name)
        .join(" "),
      width - 2,
    ).map((line) => `  ${line}`);
  lines.push("", "Accepted with a warning and without effect:", ...others(["ignored"]));
  lines.push("", "Refused, since etcd has dropped it too:", ...others(["refused"]));
  return `${lines.join("\n")}\n`;
}

function flagLines(flag: Flag, width: number): string[] {
  const head = flag.kind === "bool" && flag.default === "false" ? "" : ` '${flag.default}'`;
  const isLong = flag.name.length + head.length > width - 4;
  const choices = flag.choices === undefined ? "" : ` (${flag.choices.join(", ")})`;
  return [
    `  --${flag.name}${isLong ? "" : head}`,
    ...wrap(`${isLong ? `${head.trim()}  ` : ""}${flag.doc}${choices}`, width - 6).map(
      (line) => `      ${line}`,
    ),
  ];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
