// npm run bench:profile: a CPU profile of every member while one row runs, for Chrome's DevTools,
// and the functions that the leader spent its time in.
//
//   npm run bench:profile -- --row="put, 1000" --nodes=3 --seconds=5 --keys=100000
//
// `--before` names a row to run first, such as one that scatters the keys over history.

import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rowNamed } from "./rows.ts";
import { System } from "./systems.ts";
import { fill } from "./workloads.ts";

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const linesShown = 30;

/** Share of the profile's time by function, largest first. */
function selfTimes(profile: Profile): [name: string, share: number][] {
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => {
      const file = callFrame.url.split("/").slice(-2).join("/");
      return [id, `${callFrame.functionName || "(anonymous)"} ${file}`];
    }),
  );
  const spent = new Map<string, number>();
  let total = 0;
  profile.samples.forEach((id, i) => {
    const name = names.get(id) ?? "";
    const delta = profile.timeDeltas[i] ?? 0;
    spent.set(name, (spent.get(name) ?? 0) + delta);
    total += delta;
  });
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .map(([name, microseconds]) => [name, microseconds / total]);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      row: { type: "string", default: "put, 1000" },
      nodes: { type: "string", default: "3" },
      seconds: { type: "string", default: "5" },
      keys: { type: "string", default: "100000" },
      before: { type: "string", default: "" },
      out: { type: "string", default: "profiles" },
    },
  });
  const row = rowNamed(values.row);
  const before = values.before === "" ? undefined : rowNamed(values.before);
  await mkdir(values.out, { recursive: true });
  const flags = ["--cpu-prof", `--cpu-prof-dir=${values.out}`];
  const system = await System.start("quorate", Number(values.nodes), [], flags);
  // The leader's endpoint comes first, and with it its process.
  const leader = system.leaderPid();
  try {
    await fill(system.endpoints, Number(values.keys));
    await before?.run(system.endpoints, Number(values.keys), Number(values.seconds));
    const result = await row.run(system.endpoints, Number(values.keys), Number(values.seconds));
    process.stdout.write(`${row.name}: ${Math.round(result.perSecond)} per s\n`);
    await system.halt("SIGTERM");
  } finally {
    await system.stop();
  }
  const name = (await readdir(values.out)).find((file) => file.split(".")[3] === String(leader));
  if (name === undefined) {
    throw new Error("the leader left no profile");
  }
  const profile = JSON.parse(await readFile(join(values.out, name), "utf8")) as Profile;
  process.stdout.write(`${join(values.out, name)}\n`);
  for (const [where, share] of selfTimes(profile).slice(0, linesShown)) {
    process.stdout.write(`${(share * 100).toFixed(1).padStart(5)}%  ${where}\n`);
  }
}

await main();
