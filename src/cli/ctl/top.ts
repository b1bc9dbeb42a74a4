// top: what the members of a cluster do right now. On a terminal it is drawn over itself until q or
// Control-C; with --once, or in a pipe, it is one table.

import { setTimeout as sleep } from "node:timers/promises";
import { type Arguments, type Context, isSet, textFlag } from "./context.ts";
import { CommandError, exitCodes } from "./failure.ts";
import { membersOf, type MemberReading, readMembers } from "./cluster-facts.ts";
import { durationMs } from "./go-flags.ts";
import { KeyPresses } from "./key-presses.ts";
import { topRows } from "./top-rows.ts";
import { boolFlag, durationFlag, type Verb } from "./verb.ts";

const enterScreen = "\u001b[?1049h\u001b[?25l";
const leaveScreen = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const eraseRest = "\u001b[J";
const eraseLineEnd = "\u001b[K";

async function top(context: Context, argv: Arguments): Promise<void> {
  const intervalMs = durationMs(textFlag(argv, "interval") || "2s");
  if (intervalMs < 100) {
    throw new CommandError(exitCodes.badArguments, "--interval must be at least 100ms");
  }
  const live =
    context.io.terminal.output.isTerminal && !isSet(argv, "once") && context.format === "simple";
  await (live ? watchMembers(context, intervalMs) : printOnce(context, intervalMs));
}

async function readAll(context: Context): Promise<MemberReading[]> {
  return readMembers(context, context.client, await membersOf(context));
}

/** Two readings, for there to be rates. */
async function printOnce(context: Context, intervalMs: number): Promise<void> {
  const before = await readAll(context);
  await sleep(intervalMs, undefined, { signal: context.io.interruption() }).catch(() => undefined);
  const { header, rows, members, failures } = topRows(before, await readAll(context));
  if (context.format === "simple") {
    [...aligned(header, rows), ...failures].forEach((line) => context.io.line(line));
    return;
  }
  context.report({ header, rows, json: members });
}

async function watchMembers(context: Context, intervalMs: number): Promise<void> {
  const { io } = context;
  const interrupted = io.interruption();
  using keys = new KeyPresses();
  const ended = AbortSignal.any([interrupted, keys.quit]);
  io.write(enterScreen);
  try {
    let before: MemberReading[] = [];
    while (!ended.aborted) {
      const after = await readAll(context).catch((error: unknown) =>
        before.length === 0 ? Promise.reject(error) : before,
      );
      io.write(screenOf(context, before, after));
      before = after;
      await sleep(intervalMs, undefined, { signal: ended }).catch(() => undefined);
    }
  } finally {
    io.write(leaveScreen);
  }
}

function screenOf(
  context: Context,
  before: readonly MemberReading[],
  after: readonly MemberReading[],
): string {
  const { paint, columns, rows: screenRows } = context.io.terminal.output;
  const { header, rows, title, members, failures } = topRows(before, after);
  const [head = "", ...body] = aligned(header, rows);
  const painted = body.map((text, at) => {
    const line = text.slice(0, columns);
    const member = members[at];
    if (member?.role === "leader") {
      return paint("green", line);
    }
    return member?.role === "away" ? paint("red", line) : line;
  });
  const lines = [
    paint("bold", title.slice(0, columns)),
    "",
    paint("dim", head.slice(0, columns)),
    ...painted,
    ...failures.map((line) => paint("red", line.slice(0, columns))),
    "",
    paint("dim", "q ends"),
  ].slice(0, screenRows);
  return `${home}${lines.map((line) => `${line}${eraseLineEnd}`).join("\r\n")}${eraseRest}`;
}

/** Columns as wide as their widest cell: texts to the left, numbers to the right. */
function aligned(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const textColumns = 2;
  return [header.map((title) => title.toUpperCase()), ...rows].map((row) =>
    row
      .map((cell, at) =>
        at < textColumns ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

export const topVerbs: readonly Verb[] = [
  {
    name: "top",
    usage: "",
    doc: "Show what each member does now: rates, latency, lag, size",
    examples: ["top", "top --once -w json", "top --interval=500ms"],
    flags: [
      boolFlag("once", "Print one table and end, as in a pipe"),
      durationFlag("interval", "Time that rates are taken over", { default: "2s" }),
    ],
    run: top,
  },
];
