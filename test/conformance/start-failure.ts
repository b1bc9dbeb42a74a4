// Servers that must not start: how they end, what they say, and what they leave.

import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const command = fileURLToPath(new URL("../../dist/cli/quorate.cjs", import.meta.url));

export interface Failure {
  readonly exit: number | null;
  /** The lines that say that something failed: plain ones, and those of the log. */
  readonly complaints: readonly string[];
}

/** Starts a server that must not start; `env` is added to the environment. */
export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Failure> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [command, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      timeout: 20_000,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text: Buffer) => {
        output += text.toString();
      });
    }
    child.once("close", (exit) => {
      const complaints: string[] = [];
      for (const line of output.split("\n")) {
        if (!line.startsWith("{")) {
          complaints.push(line);
          continue;
        }
        const { level, msg } = JSON.parse(line) as { readonly level: string; readonly msg: string };
        if (level === "error" || level === "fatal") {
          complaints.push(msg);
        }
      }
      resolve({ exit, complaints: complaints.filter((line) => line !== "") });
    });
  });
}

/** Every file and directory below, with its size and when it was changed. */
export function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return `${name} ${size} ${mtimeMs}`;
    })
    .sort((a, b) => (a < b ? -1 : Number(a > b)));
}
