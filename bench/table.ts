// The comparison as text: a line a row and system, and the ratio where both were measured.

import type { Results } from "./run.ts";

const columns = [
  ["nodes", 6],
  ["keys", 8],
  ["row", 30],
  ["system", 8],
  ["per s", 11],
  ["p50 ms", 9],
  ["p99 ms", 9],
  ["CPU s/M", 9],
  ["errors", 7],
  ["ratio", 7],
] as const;

const mib = 1024 * 1024;

export function printTable({ figures, resident, stores, limits }: Results): void {
  const lines = [columns.map(([name, width], i) => pad(name, width, i === 2 || i === 3)).join(" ")];
  for (const each of figures) {
    const peer = figures.find(
      (f) =>
        f.row === each.row && f.nodes === each.nodes && f.keys === each.keys && f.system === "etcd",
    );
    const ratio =
      each.system === "quorate" && peer !== undefined
        ? `${(each.perSecond / peer.perSecond).toFixed(2)}x`
        : "";
    const cells = [
      String(each.nodes),
      String(each.keys),
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
      cells.map((cell, i) => pad(cell, columns[i]?.[1] ?? 0, i === 2 || i === 3)).join(" "),
    );
  }
  lines.push("", "resident memory of the largest member:");
  for (const [name, bytes] of Object.entries(resident)) {
    lines.push(`  ${name}: ${(bytes / mib).toFixed(0)} MiB`);
  }
  for (const store of stores) {
    const { system, nodes, keys, residentFilled, residentUsed, residentRestarted } = store;
    const sizes = [residentFilled, residentUsed, residentRestarted].map((bytes) =>
      (bytes / mib).toFixed(0),
    );
    lines.push(
      `${system}, ${nodes} nodes, ${keys} keys: resident ${sizes.join(" / ")} MiB filled / used / ` +
        `restarted; restart ${store.restartSeconds.toFixed(1)} s`,
    );
  }
  for (const { inFlight, putsPerSecond, entriesPerWrite, logEntriesPerSecond } of limits.log) {
    lines.push(
      `put, ${inFlight} on one node: ${putsPerSecond.toFixed(0)} per s, the log alone ` +
        `${logEntriesPerSecond.toFixed(0)} (${entriesPerWrite} entries a write)`,
    );
  }
  if (limits.h2load !== undefined) {
    lines.push(`h2load: ${JSON.stringify(limits.h2load)}`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

function pad(text: string, width: number, left: boolean): string {
  return left ? text.padEnd(width) : text.padStart(width);
}
