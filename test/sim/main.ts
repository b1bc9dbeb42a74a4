// npm run sim -- --seed N | --seeds A..B [--faults a,b] [--secs S] [--trace]

import { parseArgs } from "node:util";
import { chooseOptions } from "./options.ts";
import { playLife } from "./run.ts";
const { values } = parseArgs({ options: { seed: { type: "string" }, seeds: { type: "string" }, trace: { type: "boolean" }, faults: {type: "string"}, secs: {type:"string"} } });
const [from, to] = values.seeds !== undefined ? values.seeds.split("..").map(Number) as [number, number] : [Number(values.seed ?? 1), Number(values.seed ?? 1)];
const over: any = {};
if (values.faults !== undefined) over.faults = values.faults === "" ? [] : values.faults.split(",");
if (values.secs !== undefined) over.faultSecs = Number(values.secs);
let simMs = 0, events = 0, failed = 0, ops=0, answered=0;
const started = process.cpuUsage();
for (let seed = from; seed <= to; seed++) {
  const options = chooseOptions(seed, over);
  const report = await playLife(options, values.trace ? (l) => console.log(l) : undefined);
  simMs += report.simulatedMs; events += report.events; ops += report.operations; answered += report.answered;
  if (report.failure) { failed++; console.log(`seed ${seed} FAILED: ${report.failure}`); }
  else if (from === to) console.log(JSON.stringify(options), report.hash, [...report.marks.counts], [...report.faults]);
}
const cpu = process.cpuUsage(started);
const cpuS = (cpu.user + cpu.system) / 1e6;
console.log(`${to - from + 1} seeds ${failed} failed, ${(simMs/3.6e6).toFixed(2)} h in ${cpuS.toFixed(1)} cpu-s: ${(simMs/3.6e6/(cpuS/60)).toFixed(2)} h/cpu-min, ${(events/cpuS).toFixed(0)} events/s ops ${ops} answered ${answered}`);
