// -w table: boxes of ASCII, headers centred, cells to the right.

import type { Output } from "./io.ts";
import { type Printer, refuseOthers } from "./printer.ts";
import { hashRows, healthRows, memberRows, type Rows, snapshotRows, statusRows } from "./rows.ts";
import { type Paint, plain } from "./terminal.ts";

/** The lines of a table; on a terminal its header is bold. */
export function tableLines({ header, rows }: Rows, paint: Paint = plain): string[] {
  const titles = header.map((title) => title.toUpperCase());
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+`;
  const line = (cells: readonly string[], pad: (text: string, width: number) => string): string =>
    `| ${widths.map((width, column) => pad(cells[column] ?? "", width)).join(" | ")} |`;
  return [
    rule,
    line(titles, (text, width) => paint("bold", centred(text, width))),
    rule,
    ...rows.map((row) => line(row, (text, width) => text.padStart(width))),
    rule,
  ];
}

function centred(text: string, width: number): string {
  return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width);
}

export function tablePrinter(output: Output): Printer {
  const print = (rows: Rows): void => {
    for (const line of tableLines(rows)) {
      output.line(line);
    }
  };
  return refuseOthers("table", {
    memberList: (reply) => print(memberRows(reply)),
    endpointStatus: (list) => print(statusRows(list)),
    endpointHealth: (list) => print(healthRows(list)),
    endpointHashKv: (list) => print(hashRows(list)),
    snapshotStatus: (status) => print(snapshotRows(status)),
  });
}
