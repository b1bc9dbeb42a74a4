// A program that was started and goes on until it ends or is told to: etcdctl, or the built
// quoratectl, with pipes or on a terminal.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { withTimeout } from "../../support/processes.ts";
import type { Outcome } from "./both.ts";

const script = new URL("../../../dist/cli/quoratectl.js", import.meta.url).pathname;

export type Tool = "etcdctl" | "quoratectl";

export function commandOf(tool: Tool): readonly string[] {
  return tool === "etcdctl" ? ["etcdctl"] : [process.execPath, script];
}

/** Runs a command on a terminal of its own, and passes on what it reads and writes. */
const onTerminal = `
import os, pty, sys
status = pty.spawn(sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

export interface RunningOptions {
  readonly env: Readonly<Record<string, string>>;
  /** On a terminal: what it writes to either stream comes as `out`, line ends as CR LF. */
  readonly terminal?: boolean;
}

export class Running implements Disposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<Outcome>;
  #out = "";
  #err = "";
  #wake: () => void = () => {};

  constructor(tool: Tool, args: readonly string[], options: RunningOptions) {
    const direct = [...commandOf(tool), ...args];
    const [file = "", ...rest] =
      options.terminal === true ? ["/usr/bin/python3", "-c", onTerminal, ...direct] : direct;
    const env = { ...process.env, ETCDCTL_API: "3", TERM: "xterm", ...options.env };
    const child = spawn(file, rest, { stdio: ["pipe", "pipe", "pipe"], env });
    this.#child = child;
    child.stdout.on("data", (text: Buffer) => {
      this.#out += text.toString("latin1");
      this.#wake();
    });
    child.stderr.on("data", (text: Buffer) => {
      this.#err += text.toString("latin1");
      this.#wake();
    });
    child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      child.once("close", (exit) => {
        this.#wake();
        const err = this.#err.replaceAll(/^(?:\{"level"|Hint: |.* \| pkg\/flags).*\n/gm, "");
        resolve({ exit, out: this.#out, err });
      });
    });
  }

  get out(): string {
    return this.#out;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Resolves once it has printed `text`; what it printed up to then. */
  async until(text: string | RegExp): Promise<string> {
    const found = (): boolean =>
      typeof text === "string" ? this.#out.includes(text) : text.test(this.#out);
    const message = (): string => `not printed: ${String(text)}\n${this.#out}\n${this.#err}`;
    const endMs = performance.now() + 25_000;
    while (!found()) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (this.#child.exitCode !== null) {
        throw new Error(message());
      }
      await withTimeout(woken, Math.max(1, endMs - performance.now()), message);
    }
    return this.#out;
  }

  end(): Promise<Outcome> {
    return withTimeout(this.#ended, 25_000, () => `did not end:\n${this.#out}\n${this.#err}`);
  }

  signal(signal: NodeJS.Signals): Promise<Outcome> {
    this.#child.kill(signal);
    return this.end();
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
