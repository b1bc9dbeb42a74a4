// Standard input as text, line by line, without taking more of it than was asked for.

import type { ReadStream } from "node:tty";

const endOfText = "\u0003";
const endOfInput = "\u0004";

/** Reads one line after the other; what came with a line and is behind it is kept. */
export class InputLines {
  readonly #stream: NodeJS.ReadStream;
  #chunks: AsyncIterator<string> | undefined;
  #pending = "";

  constructor(stream: NodeJS.ReadStream) {
    this.#stream = stream;
  }

  /** The next line without its end; undefined at the end of the input. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#pending.indexOf("\n");
      if (end >= 0) {
        const line = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end + 1);
        return line.replace(/\r$/, "");
      }
      const chunk = await this.#read();
      if (chunk === undefined) {
        const rest = this.#pending;
        this.#pending = "";
        return rest === "" ? undefined : rest;
      }
      this.#pending += chunk;
    }
  }

  /** A line that the terminal does not show. Resolves with undefined when Control-C is typed. */
  async secret(): Promise<string | undefined> {
    const terminal = this.#stream as ReadStream;
    if (!terminal.isTTY) {
      return (await this.next()) ?? "";
    }
    terminal.setRawMode(true);
    try {
      return await this.#typed();
    } finally {
      terminal.setRawMode(false);
    }
  }

  /** Lets the process end although the stream is still open. */
  release(): void {
    this.#stream.pause();
  }

  async #typed(): Promise<string | undefined> {
    let text = "";
    for (;;) {
      const typed = this.#pending;
      this.#pending = "";
      for (const [at, character] of Array.from(typed).entries()) {
        if (character === endOfText) {
          return undefined;
        }
        if (character === "\n" || character === "\r" || character === endOfInput) {
          this.#pending = Array.from(typed)
            .slice(at + 1)
            .join("");
          return text;
        }
        const erases = character === "\u007f" || character === "\b";
        text = erases ? Array.from(text).slice(0, -1).join("") : text + character;
      }
      const chunk = await this.#read();
      if (chunk === undefined) {
        return text;
      }
      this.#pending = chunk;
    }
  }

  async #read(): Promise<string | undefined> {
    this.#stream.setEncoding("utf8");
    this.#chunks ??= this.#stream
      .iterator({ destroyOnReturn: false })
      [Symbol.asyncIterator]() as AsyncIterator<string>;
    const { done, value } = await this.#chunks.next();
    return done === true ? undefined : value;
  }
}
