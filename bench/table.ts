// The comparison as text: a line a row and system, and the ratio where both were measured.

import type { SystemName } from "./systems.ts";

export interface RowFigures {
  readonly row: string;
  readonly nodes: number;
  readonly system: SystemName;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all members together. */
  readonly cpuSecondsPerMillion: number;
  readonly errors: number;
}

const columns = [
  ["nodes", 6],
  ["row", 30],
  ["system", 8],
  ["per s", 11],
  ["p50 ms", 9],
  ["p99 ms", 9],
  ["CPU s/M", 9],
  ["errors", 7],
  ["ratio", 7],
] as const;

export function printTable(
  figures: readonly RowFigures[],
  resident: Readonly<Record<string, number>>,
): void {
  const lines = [columns.map(([name, width], i) => pad(name, width, i === 1 || i === 2)).join(" ")];
  for (const each of figures) {
    const peer = figures.find(
      (f) => f.row === each.row && f.nodes === each.nodes && f.system === "etcd",
    );
    const ratio =
      each.system === "quorate" && peer !== undefined
        ? `${(each.perSecond / peer.perSecond).toFixed(2)}x`
        : "";
    const cells = [
      String(each.nodes),
      each.row,
      each.system,
      Math.round(each.perSecond).toLocaleString("en"),
      each.p50Ms.toFixed(2),
      each.p99Ms.toFixed(2),
      each.cpuSecondsPerMillion.toFixed(0),
      String(each.errors),
      ratio,
    ];
    lines.push(
      cells.map((cell, i) => pad(cell, columns[i]?.[1] ?? 0, i === 1 || i === 2)).join(" "),
    );
  }
  lines.push("", "resident memory of the largest member:");
  for (const [name, bytes] of Object.entries(resident)) {
    lines.push(`  ${name}: ${(bytes / 1024 / 1024).toFixed(0)} MiB`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

function pad(text: string, width: number, left: boolean): string {
  return left ? text.padEnd(width) : text.padStart(width);
}
