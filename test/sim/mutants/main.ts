// npm run sim:mutants -- [--only a,b] [--seeds N]: plants each mutant into a copy of the sources
// and plays lives until one fails. A mutant that survives all of them fails the run.

import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mutants } from "./list.ts";
import type { Change, Mutant } from "./list.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

interface Outcome {
  /** Lives until it was found; undefined when it was not. */
  readonly lives: number | undefined;
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

function plant(mutant: Mutant): string {
  const copy = mkdtempSync(join(tmpdir(), "quorate-mutant-"));
  mkdirSync(join(copy, "test"));
  cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
  cpSync(join(root, "test", "sim"), join(copy, "test", "sim"), { recursive: true });
  for (const name of ["package.json", "tsconfig.json"]) {
    cpSync(join(root, name), join(copy, name));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  try {
    change(copy, mutant);
    if (mutant.also !== undefined) {
      change(copy, mutant.also);
    }
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [compiler, "-p", join(copy, "test/sim/tsconfig.json")]);
  } catch (error) {
    rmSync(copy, { recursive: true });
    throw error;
  }
  return copy;
}

function hunt(copy: string, seeds: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        join(copy, "build/sim/test/sim/main.js"),
        "--no-corpus",
        "--until-failure",
        "--seeds",
        `1..${seeds}`,
      ],
      { cwd: copy, stdio: ["ignore", "pipe", "pipe"] },
    );
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("close", () => {
      const found = /^seed (\d+) FAILED: (.*)$/m.exec(output);
      const lives = found === null ? undefined : Number(found[1]);
      resolve({ lives, failure: (found?.[2] ?? output.slice(-200)).slice(0, 110) });
    });
  });
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: { only: { type: "string" }, seeds: { type: "string", default: "2000" } },
  });
  const only = values.only?.split(",");
  let survivors = 0;
  process.stdout.write("mutant                       lives  how it was found\n");
  for (const mutant of mutants) {
    if (only === undefined || only.includes(mutant.name)) {
      const copy = plant(mutant);
      const { lives, failure } = await hunt(copy, Number(values.seeds));
      rmSync(copy, { recursive: true });
      survivors += lives === undefined ? 1 : 0;
      const count = String(lives ?? "none").padStart(6);
      process.stdout.write(`${mutant.name.padEnd(28)}${count}  ${failure}\n`);
    }
  }
  return survivors === 0;
}

process.exitCode = (await main()) ? 0 : 1;
