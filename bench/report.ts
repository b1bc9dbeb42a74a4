// npm run bench:docs, second half: puts the figures of a run into docs/performance.md, between the
// markers there, and draws the plots.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { plotSvg } from "./plot.ts";
import type { Results } from "./run.ts";
import { plots } from "./scaling.ts";
import { targets } from "./targets.ts";

const page = new URL("../docs/performance.md", import.meta.url);
const directory = new URL("../docs/performance/", import.meta.url);
const mib = 1024 * 1024;

function cells(values: readonly (string | number)[]): string {
  return `| ${values.join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [cells(head), cells(head.map(() => "---")), ...rows.map(cells)].join("\n");
}

function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "-";
}

function times(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)}x` : "-";
}

function comparison({ figures }: Results): string {
  const rows = figures
    .filter(({ system }) => system === "quorate")
    .map((own) => {
      const peer = figures.find(
        (each) =>
          each.system === "etcd" &&
          each.row === own.row &&
          each.nodes === own.nodes &&
          each.keys === own.keys,
      );
      return [
        own.nodes,
        whole(own.keys),
        own.row,
        whole(own.perSecond),
        whole(peer?.perSecond ?? Number.NaN),
        times(own.perSecond / (peer?.perSecond ?? Number.NaN)),
        `${own.p99Ms.toFixed(1)} / ${peer?.p99Ms.toFixed(1) ?? "-"}`,
        `${whole(own.cpuSecondsPerMillion)} / ${whole(peer?.cpuSecondsPerMillion ?? Number.NaN)}`,
      ];
    });
  const head = ["members", "keys", "row", "per s", "etcd", "ratio", "p99 ms", "CPU s a million"];
  return table(head, rows);
}

function stores({ stores: all }: Results): string {
  const rows = all.map((store) => [
    store.system,
    store.nodes,
    whole(store.keys),
    ...[store.residentFilled, store.residentUsed, store.residentRestarted].map((bytes) =>
      whole(bytes / mib),
    ),
    store.restartSeconds.toFixed(1),
  ]);
  const head = ["system", "members", "keys", "filled, MiB", "used, MiB", "restarted, MiB"];
  return table([...head, "restart, s"], rows);
}

function limits({ limits: { log, h2load } }: Results): string {
  const rows = log.map((each) => [
    `put, ${each.inFlight}`,
    whole(each.putsPerSecond),
    each.entriesPerWrite,
    whole(each.logEntriesPerSecond),
    `${((each.putsPerSecond / each.logEntriesPerSecond) * 100).toFixed(0)}%`,
  ]);
  const head = ["one member", "puts per s", "entries a write", "log alone per s", "share"];
  const text = table(head, rows);
  if (h2load === undefined) {
    return text;
  }
  const { ownCeilingPerSecond, echoPerSecond, linearizableRangePerSecond } = h2load;
  const ranges = Object.entries(linearizableRangePerSecond).map(
    ([name, rate]) => [`linearizable range of one key, ${name}`, whole(rate)] as const,
  );
  const measured = [
    ["nghttpd, a small file (its own ceiling)", whole(ownCeilingPerSecond)],
    ["echo over src/grpc", whole(echoPerSecond)],
    ...ranges,
  ];
  return `${text}\n\n${table(["h2load, 100 in flight", "per s"], measured)}`;
}

function targetTable(results: Results): string {
  const rows = targets.map(({ name, atLeast, measure }) => {
    const value = measure(results);
    const met = value === undefined ? "-" : value >= atLeast ? "yes" : "no";
    return [name, times(atLeast), value === undefined ? "-" : times(value), met];
  });
  return table(["row", "target", "measured", "met"], rows);
}

function between(text: string, name: string, content: string): string {
  const begin = `<!-- bench:${name} -->`;
  const end = `<!-- /bench:${name} -->`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) {
    throw new Error(`docs/performance.md has no place for ${name}`);
  }
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}

async function main(): Promise<void> {
  const path = process.argv[2] ?? new URL("results.json", directory);
  const results = JSON.parse(await readFile(path, "utf8")) as Results;
  await mkdir(directory, { recursive: true });
  for (const { plot, title, x, y } of plots) {
    const own = results.scaling.filter((point) => point.plot === plot);
    const lines = [...new Set(own.map(({ system }) => system))].map((name) => ({
      name,
      points: own
        .filter(({ system }) => system === name)
        .map((point) => ({ x: point.x, y: point.perSecond })),
    }));
    await writeFile(new URL(`${plot}.svg`, directory), plotSvg({ title, x, y, lines }));
  }
  let text = await readFile(page, "utf8");
  text = between(text, "machine", results.machine);
  text = between(text, "targets", targetTable(results));
  text = between(text, "rows", comparison(results));
  text = between(text, "stores", stores(results));
  text = between(text, "limits", limits(results));
  const images = plots.map(({ plot, title }) => `![${title}](performance/${plot}.svg)`);
  text = between(text, "plots", images.join("\n\n"));
  await writeFile(page, text);
}

await main();
