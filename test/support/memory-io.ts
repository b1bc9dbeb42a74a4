// Standard streams for verbs of quoratectl that run inside a test.

import type { Io } from "../../src/cli/ctl/io.ts";
import { noTerminal, type Terminal } from "../../src/cli/ctl/terminal.ts";

/** What is written is kept, a character a byte; what is read is given beforehand. */
export class MemoryIo implements Io {
  readonly terminal: Terminal;
  out = "";
  err = "";
  readonly #interruption = new AbortController();
  #input: string;

  constructor(input = "", terminal = noTerminal) {
    this.#input = input;
    this.terminal = terminal;
  }

  line(...parts: readonly (string | Uint8Array)[]): void {
    this.write(...parts, "\n");
  }

  errorLine(text: string): void {
    this.errorWrite(`${text}\n`);
  }

  write(...parts: readonly (string | Uint8Array)[]): void {
    this.out += parts.map((part) => Buffer.from(part).toString("latin1")).join("");
  }

  errorWrite(text: string): void {
    this.err += text;
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  readStdin(): Promise<Uint8Array> {
    const bytes = Buffer.from(this.#input);
    this.#input = "";
    return Promise.resolve(bytes);
  }

  readLine(): Promise<string | undefined> {
    if (this.#input === "") {
      return Promise.resolve(undefined);
    }
    const [line = "", ...rest] = this.#input.split("\n");
    this.#input = rest.join("\n");
    return Promise.resolve(line);
  }

  async askSecret(question: string): Promise<string> {
    this.write(question);
    const line = await this.readLine();
    this.write("\n");
    return line ?? "";
  }

  interruption(): AbortSignal {
    return this.#interruption.signal;
  }

  interrupt(): void {
    this.#interruption.abort();
  }
}
