// A difference between two values, for the screen.

import type { Io } from "./io.ts";
import { diffLines, hunksOf, linesOf } from "./text-diff.ts";
import { isText, visible, visibleLine } from "./visible.ts";

export interface Side {
  /** What the side is called: "/app/a at revision 12". */
  readonly name: string;
  /** Undefined where there is no key. */
  readonly value: Uint8Array | undefined;
}

/** Prints nothing when the values are the same; returns whether they differ. */
export function showDiff(io: Io, before: Side, after: Side): boolean {
  if (sameValue(before.value, after.value)) {
    return false;
  }
  const { paint } = io.terminal.output;
  io.line(paint("bold", `--- ${nameOf(before)}`));
  io.line(paint("bold", `+++ ${nameOf(after)}`));
  const values = [before.value, after.value].map((value) => value ?? new Uint8Array(0));
  if (!values.every(isText)) {
    showBytes(io, before, after);
    return true;
  }
  const [old = [], young = []] = values.map((value) => linesOf(Buffer.from(value).toString()));
  for (const { head, lines } of hunksOf(diffLines(old, young))) {
    io.line(paint("cyan", head));
    for (const { kind, text } of lines) {
      const line = visibleLine(text);
      switch (kind) {
        case "same":
          io.line(` ${line}`);
          break;
        case "old":
          io.line(paint("red", `-${line}`));
          break;
        case "new":
          io.line(paint("green", `+${line}`));
          break;
      }
    }
  }
  return true;
}

function nameOf({ name, value }: Side): string {
  return value === undefined ? `${name} (no such key)` : name;
}

/** What is no text, as one line each. */
function showBytes(io: Io, before: Side, after: Side): void {
  const { paint } = io.terminal.output;
  if (before.value !== undefined) {
    io.line(paint("red", `-${visible(before.value)}`));
  }
  if (after.value !== undefined) {
    io.line(paint("green", `+${visible(after.value)}`));
  }
}

export function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
