// npm run sim:mutants -- [--only a,b] [--seeds N] [--jobs N]: plants each mutant into a copy of the
// sources and plays lives until one fails, or runs the tests that are to find it. A mutant that
// survives fails the run.

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutants } from "./list.ts";
import type { Change, Mutant } from "./mutant.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

/** Of what is shown of a failure, characters. */
const widthMax = 110;

interface Outcome {
  /** Lives until it was found, or that tests found it; undefined when nothing did. */
  readonly lives: number | "tests" | undefined;
  readonly failure: string;
}

function change(copy: string, { file, find, replace }: Change): void {
  const path = join(copy, file);
  const source = readFileSync(path, "utf8");
  if (source.split(find).length !== 2) {
    throw new Error(`its place is not once in ${file}: ${find}`);
  }
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
}

function copySources(): string {
  const copy = mkdtempSync(join(tmpdir(), "quorate-mutant-"));
  for (const folder of ["src", "test", "proto"]) {
    cpSync(join(root, folder), join(copy, folder), { recursive: true });
  }
  for (const name of ["package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, name), join(copy, name));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

function plant(copy: string, mutant: Mutant): void {
  change(copy, mutant);
  if (mutant.also !== undefined) {
    change(copy, mutant.also);
  }
}

function run(
  copy: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve) => {
    const stdio = ["ignore", "pipe", "pipe"] as const;
    const child = spawn(process.execPath, args, { cwd: copy, stdio: [...stdio] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("close", (code) => resolve({ code, output }));
  });
}

/** Plays lives until one fails. */
async function hunt(copy: string, seeds: number, jobs: string): Promise<Outcome> {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  await run(copy, [compiler, "-p", join(copy, "test/sim/tsconfig.json")]);
  const main = join(copy, "build/sim/test/sim/main.js");
  const range = ["--seeds", `1..${seeds}`];
  const args = [main, "--no-corpus", "--until-failure", "--jobs", jobs, ...range];
  const { output } = await run(copy, args);
  const found = /^seed (\d+) FAILED: (.*)$/m.exec(output);
  const lives = found === null ? undefined : Number(found[1]);
  const shortfall = /^TOO LITTLE: .*$/m.exec(output)?.[0] ?? "";
  return { lives, failure: (found?.[2] ?? shortfall).slice(0, widthMax) };
}

/** The first of these tests that fails; undefined when all pass. */
async function failing(copy: string, suite: string): Promise<string | undefined> {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const { code, output } = await run(copy, [vitest, "run", "--no-color", ...suite.split(" ")]);
  return code === 0 ? undefined : (/^ FAIL {2}(.*)$/m.exec(output)?.[1] ?? output.slice(-200));
}

/** Plants it and hunts it; tests that are to find it must pass without it. */
async function outcomeOf(mutant: Mutant, seeds: number, jobs: string): Promise<Outcome> {
  const copy = copySources();
  try {
    if (mutant.suite === undefined) {
      plant(copy, mutant);
      return await hunt(copy, seeds, jobs);
    }
    const before = await failing(copy, mutant.suite);
    if (before !== undefined) {
      return { lives: undefined, failure: `fails without it as well: ${before}` };
    }
    plant(copy, mutant);
    const failure = await failing(copy, mutant.suite);
    return failure === undefined
      ? { lives: undefined, failure: "the tests pass" }
      : { lives: "tests", failure: failure.slice(0, widthMax) };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      seeds: { type: "string", default: "2000" },
      jobs: { type: "string", default: "1" },
    },
  });
  const only = values.only?.split(",");
  let survivors = 0;
  process.stdout.write("mutant                       lives  how it was found\n");
  for (const mutant of mutants) {
    if (only === undefined || only.includes(mutant.name)) {
      const { lives, failure } = await outcomeOf(mutant, Number(values.seeds), values.jobs);
      survivors += lives === undefined ? 1 : 0;
      const count = String(lives ?? "none").padStart(6);
      process.stdout.write(`${mutant.name.padEnd(28)}${count}  ${failure}\n`);
    }
  }
  return survivors === 0;
}

process.exitCode = (await main()) ? 0 : 1;
