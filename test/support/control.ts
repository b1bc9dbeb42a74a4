// quoratectl as a process: what goes in, what it prints, how it exits.

import { type ChildProcess, spawn } from "node:child_process";
import { withTimeout } from "./processes.ts";

const script = new URL("../../dist/cli/quoratectl.js", import.meta.url).pathname;

export interface Outcome {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ControlOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

/** One that was started; `using` kills it. */
export class RunningControl implements Disposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Outcome>;
  readonly #out: Buffer[] = [];
  #err = "";

  constructor(args: readonly string[], options: ControlOptions = {}) {
    // No context of whoever runs the tests.
    const env = { ...process.env, XDG_CONFIG_HOME: "/nonexistent", ...options.env };
    const child = spawn(process.execPath, [script, ...args], { env, cwd: options.directory });
    this.#child = child;
    child.stdout.on("data", (bytes: Buffer) => this.#out.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => {
      this.#err += bytes.toString();
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    this.#ended = new Promise((resolve) => {
      child.once("close", (exit) => resolve({ exit, out: this.out, err: this.#err }));
    });
  }

  get out(): string {
    return Buffer.concat(this.#out).toString();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get err(): string {
    return this.#err;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  end(timeoutMs = 60_000): Promise<Outcome> {
    return withTimeout(this.#ended, timeoutMs, () => `did not end:\n${this.out}\n${this.#err}`);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

/** Runs it to its end. */
export async function control(
  args: readonly string[],
  options: ControlOptions = {},
): Promise<Outcome> {
  using running = new RunningControl(args, options);
  return await running.end();
}

/** Runs it to its end, which must be a good one; what it printed. */
export async function printed(
  args: readonly string[],
  options: ControlOptions = {},
): Promise<string> {
  const { exit, out, err } = await control(args, options);
  if (exit !== 0) {
    throw new Error(`quoratectl ${args.join(" ")} ended with ${exit}:\n${out}\n${err}`);
  }
  return out;
}
