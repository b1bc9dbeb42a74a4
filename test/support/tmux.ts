// A real terminal: a program in a window of tmux, what is typed into it, and what its screen shows.

import { execFile, execFileSync, spawnSync } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Which of `programs` are there. With CI=true all must be, so that no test is passed over unseen. */
export function installed(programs: readonly string[]): boolean {
  const missing = programs.filter((name) => spawnSync("which", [name]).status !== 0);
  if (missing.length > 0 && process.env["CI"] === "true") {
    throw new Error(`not installed: ${missing.join(", ")}`);
  }
  if (missing.length > 0) {
    process.stderr.write(`not installed, and so not tested with: ${missing.join(", ")}\n`);
  }
  return missing.length === 0;
}

let sessions = 0;

export interface TmuxOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
  readonly directory?: string;
}

/**
 * `await using` ends the program. Each has a tmux server of its own. When the program ends by itself
 * the screen says "[ended 0]", with its exit code.
 */
export class Tmux implements AsyncDisposable {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  static start(command: readonly string[], options: TmuxOptions = {}): Tmux {
    sessions++;
    const socket = `quorate-${process.pid}-${sessions}`;
    const { environment = {}, columns = 100, rows = 30, directory = "/" } = options;
    const variables = Object.entries({ LANG: "C.UTF-8", TERM: "screen-256color", ...environment });
    // What a program printed at its end is gone with the window, so the window stays.
    const stay = '"$@"; printf "\\n[ended %s]\\n" "$?"; exec sleep 600';
    const words = [
      ...["env", ...variables.map(([name, value]) => `${name}=${value}`)],
      ...["sh", "-c", stay, "sh", ...command],
    ];
    execFileSync("tmux", [
      ...["-L", socket, "-f", "/dev/null", "-u", "new-session", "-d"],
      ...["-x", String(columns), "-y", String(rows), "-c", directory],
      words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" "),
    ]);
    return new Tmux(socket);
  }

  /** Names of keys as tmux knows them ("Enter", "C-c", "Tab"). */
  async press(...keys: readonly string[]): Promise<void> {
    await run("tmux", ["-L", this.#socket, "send-keys", ...keys]);
  }

  async type(text: string): Promise<void> {
    await run("tmux", ["-L", this.#socket, "send-keys", "-l", text]);
  }

  /** The screen without empty lines at its end; with `colours`, their escape sequences too. */
  async screen(colours = false): Promise<string> {
    const { stdout } = await run("tmux", [
      ...["-L", this.#socket, "capture-pane", "-p"],
      ...(colours ? ["-e"] : []),
    ]);
    return stdout.replace(/\s+$/, "");
  }

  /** Resolves with the screen once it shows `text`. */
  async until(text: string | RegExp, timeoutMs = 30_000): Promise<string> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const screen = await this.screen();
      if (typeof text === "string" ? screen.includes(text) : text.test(screen)) {
        return screen;
      }
      if (performance.now() > endMs) {
        throw new Error(`the screen does not show ${String(text)}:\n${screen}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async resize(columns: number, rows: number): Promise<void> {
    await run("tmux", [
      ...["-L", this.#socket, "resize-window"],
      ...["-x", String(columns), "-y", String(rows)],
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("tmux", ["-L", this.#socket, "kill-server"]).catch(() => undefined);
  }
}
