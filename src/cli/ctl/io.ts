// Where a verb reads and writes: the three standard streams, the terminal, the interrupt.

import type { Environment } from "./settings.ts";
import { InputLines } from "./input.ts";
import { screenOf, type Terminal } from "./terminal.ts";

/** Where output goes. Lines end with a line feed of their own. */
export interface Output {
  line(...parts: readonly (string | Uint8Array)[]): void;
  errorLine(text: string): void;
}

export interface Io extends Output {
  readonly terminal: Terminal;
  /** Standard output, as it is. */
  write(...parts: readonly (string | Uint8Array)[]): void;
  /** Standard error, as it is: progress and questions. */
  errorWrite(text: string): void;
  /** Resolves when the reader of standard output has taken what was written: between batches. */
  flush(): Promise<void>;
  /** All of standard input. */
  readStdin(): Promise<Uint8Array>;
  /** The next line of standard input, as raw-text.ts writes bytes; undefined when there is none. */
  readLine(): Promise<string | undefined>;
  /** Asks on the terminal for a text that is not shown; without one, a line of standard input. */
  askSecret(question: string): Promise<string>;
  /** Aborted at the first SIGINT or SIGTERM from now on; the next one ends the process. */
  interruption(): AbortSignal;
}

/** The streams of this process. */
export class ProcessIo implements Io {
  readonly terminal: Terminal;
  readonly #input = new InputLines(process.stdin);
  #interruption: AbortSignal | undefined;

  constructor(environment: Environment) {
    this.terminal = {
      isInteractive: process.stdin.isTTY,
      output: screenOf(process.stdout, environment),
      errors: screenOf(process.stderr, environment),
    };
    // A reader that has seen enough, such as `head`, closes the pipe: that is no failure.
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      process.exit(error.code === "EPIPE" ? 0 : 6);
    });
  }

  line(...parts: readonly (string | Uint8Array)[]): void {
    this.write(...parts, "\n");
  }

  errorLine(text: string): void {
    this.errorWrite(`${text}\n`);
  }

  write(...parts: readonly (string | Uint8Array)[]): void {
    const bytes = parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
    process.stdout.write(Buffer.concat(bytes));
  }

  errorWrite(text: string): void {
    process.stderr.write(text);
  }

  flush(): Promise<void> {
    return process.stdout.writableNeedDrain
      ? new Promise((resolve) => process.stdout.once("drain", resolve))
      : Promise.resolve();
  }

  readStdin(): Promise<Uint8Array> {
    return this.#input.rest();
  }

  async readLine(): Promise<string | undefined> {
    try {
      return await this.#input.next();
    } finally {
      this.#input.release();
    }
  }

  async askSecret(question: string): Promise<string> {
    // On whichever stream a person sees.
    const { output, errors } = this.terminal;
    const show = (text: string): void =>
      errors.isTerminal && !output.isTerminal ? this.errorWrite(text) : this.write(text);
    try {
      const text = await this.#input.secret(() => show(question));
      return text ?? process.exit(130);
    } finally {
      this.#input.release();
      show("\n");
    }
  }

  interruption(): AbortSignal {
    if (this.#interruption === undefined) {
      const controller = new AbortController();
      this.#interruption = controller.signal;
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => controller.abort(signal));
      }
    }
    return this.#interruption;
  }
}
