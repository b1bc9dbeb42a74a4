// A command that a verb runs for its user: `watch KEY -- COMMAND`, `lock NAME -- COMMAND`. It has
// this process's output streams and no input.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { bytesOf } from "./raw-text.ts";
import type { Environment } from "./settings.ts";

/** How a command ended. */
export interface ChildEnd {
  /** What a shell would have as $?. */
  readonly exitCode: number;
  /** Empty for a good end; else Go's words: "exit status 3", "signal: killed". */
  readonly text: string;
}

const signalTexts: Readonly<Record<string, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGQUIT: "quit",
  SIGABRT: "aborted",
  SIGKILL: "killed",
  SIGSEGV: "segmentation fault",
  SIGPIPE: "broken pipe",
  SIGTERM: "terminated",
};

/** Runs `command` to its end; resolves also when it cannot be started. */
export function runChild(command: readonly string[], environment: Environment): Promise<ChildEnd> {
  const [file = "", ...args] = command.map((word) => Buffer.from(bytesOf(word)).toString());
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ["ignore", "inherit", "inherit"], env: environment });
    child.once("error", (error: NodeJS.ErrnoException) => {
      const missing = error.code === "ENOENT";
      const reason = missing
        ? "no such file or directory"
        : error.code === "EACCES"
          ? "permission denied"
          : error.message;
      const text =
        missing && !file.includes("/")
          ? `exec: ${JSON.stringify(file)}: executable file not found in $PATH`
          : `fork/exec ${file}: ${reason}`;
      resolve({ exitCode: 1, text });
    });
    child.once("exit", (code, signal) => {
      if (signal === null) {
        resolve({ exitCode: code ?? 0, text: code === 0 ? "" : `exit status ${code}` });
      } else {
        const number = constants.signals[signal];
        resolve({ exitCode: 128 + number, text: `signal: ${signalTexts[signal] ?? signal}` });
      }
    });
  });
}
