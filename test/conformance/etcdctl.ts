// etcdctl 3.4 as a user runs it: what goes in by arguments and standard input, what it prints and
// how it exits. Debian's package etcd-client has it. Under CI=true it must be installed; elsewhere
// its cases are left out, and a line says so.

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { withTimeout } from "../support/processes.ts";

function installed(): boolean {
  try {
    execFileSync("etcdctl", ["version"], { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch (error) {
    if (process.env["CI"] === "true") {
      throw new Error("etcdctl must be installed under CI", { cause: error });
    }
    console.log("etcdctl is not installed: nothing was checked with it");
    return false;
  }
}

export const etcdctlInstalled = installed();

export interface Outcome {
  readonly exit: number | null;
  readonly out: string;
  /** Without what its client logs of its retries. */
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** An etcdctl that was started and goes on until it ends or is told to. */
export class RunningEtcdctl implements Disposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Outcome>;
  #out = "";
  #err = "";
  #wake: () => void = () => {};

  constructor(endpoint: string, args: readonly string[], options: RunOptions = {}) {
    const env = { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: endpoint, ...options.env };
    const child = spawn("etcdctl", args, { stdio: ["pipe", "pipe", "pipe"], env });
    this.#child = child;
    child.stdout.on("data", (text: Buffer) => {
      this.#out += text.toString("latin1");
      this.#wake();
    });
    child.stderr.on("data", (text: Buffer) => {
      this.#err += text.toString("latin1");
    });
    child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      child.once("close", (exit) => {
        this.#wake();
        resolve({ exit, out: this.#out, err: this.#err.replaceAll(/^\{"level".*\n/gm, "") });
      });
    });
    if (options.input !== undefined) {
      child.stdin.end(options.input);
    }
  }

  get out(): string {
    return this.#out;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Resolves once it has printed `text`. */
  async until(text: string | RegExp, timeoutMs = 20_000): Promise<void> {
    const found = (): boolean =>
      typeof text === "string" ? this.#out.includes(text) : text.test(this.#out);
    const endMs = performance.now() + timeoutMs;
    while (!found()) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const message = (): string => `not printed: ${String(text)}\n${this.#out}\n${this.#err}`;
      if (this.#child.exitCode !== null) {
        throw new Error(message());
      }
      await withTimeout(woken, Math.max(1, endMs - performance.now()), message);
    }
  }

  end(timeoutMs = 30_000): Promise<Outcome> {
    return withTimeout(this.#ended, timeoutMs, () => `did not end:\n${this.#out}\n${this.#err}`);
  }

  interrupt(): Promise<Outcome> {
    this.#child.kill("SIGINT");
    return this.end();
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

/** Runs it to its end. */
export async function run(
  endpoint: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  using running = new RunningEtcdctl(endpoint, args, { input: "", ...options });
  return await running.end();
}

/** Runs it to its end, which must be a good one; what it printed. */
export async function print(
  endpoint: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { exit, out, err } = await run(endpoint, args, options);
  if (exit !== 0 || err !== "") {
    throw new Error(`etcdctl ${args.join(" ")} ended with ${exit}:\n${out}\n${err}`);
  }
  return out;
}
