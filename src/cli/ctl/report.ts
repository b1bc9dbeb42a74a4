// The output of verbs that etcdctl does not have: the same rows in every form of -w.

import { fieldLines } from "./fields.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { goJson } from "./go-text.ts";
import type { Io } from "./io.ts";
import type { Rows } from "./rows.ts";
import { tableLines } from "./table.ts";

export interface Report extends Rows {
  /** What -w json prints; bytes become base64, bigints numbers. */
  readonly json: unknown;
}

/** Simple: cells joined by ", ". Fields: a line a cell, a blank line after each row. */
export function printReport(io: Io, format: string, { json, ...rows }: Report): void {
  switch (format) {
    case "simple":
      rows.rows.forEach((row) => io.line(row.join(", ")));
      break;
    case "table":
      tableLines(rows, io.terminal.output.paint).forEach((line) => io.line(line));
      break;
    case "fields":
      fieldLines(rows).forEach((line) => io.line(line));
      break;
    case "json":
      io.line(goJson(json));
      break;
    default:
      throw new CommandError(exitCodes.badFeature, "unsupported output format");
  }
}
