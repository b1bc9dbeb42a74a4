// Standard input line by line, without taking more of it than was asked for.

import type { ReadStream } from "node:tty";
import { textOfBytes } from "./raw-text.ts";

const lineFeed = 0x0a;
const endOfText = "\u0003";
const endOfInput = "\u0004";

/** Reads one line after the other; what came with a line and is behind it is kept. */
export class InputLines {
  readonly #stream: NodeJS.ReadStream;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #pending: Uint8Array = new Uint8Array(0);

  constructor(stream: NodeJS.ReadStream) {
    this.#stream = stream;
  }

  /** The next line without its end, as raw-text.ts writes bytes; undefined at the end. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#pending.indexOf(lineFeed);
      if (end >= 0) {
        const line = textOfBytes(this.#pending.subarray(0, end));
        this.#pending = this.#pending.subarray(end + 1);
        return line;
      }
      if (!(await this.#read())) {
        const rest = textOfBytes(this.#pending);
        this.#pending = new Uint8Array(0);
        return rest === "" ? undefined : rest;
      }
    }
  }

  /** Everything that is left. */
  async rest(): Promise<Uint8Array> {
    while (await this.#read()) {
      // Whatever comes is pending.
    }
    const rest = this.#pending;
    this.#pending = new Uint8Array(0);
    return rest;
  }

  /**
   * A line that the terminal does not show; `ask` says what for, once nothing is shown any longer.
   * Undefined when Control-C is typed.
   */
  async secret(ask: () => void): Promise<string | undefined> {
    const terminal = this.#stream as ReadStream;
    if (!terminal.isTTY) {
      ask();
      return (await this.next()) ?? "";
    }
    terminal.setRawMode(true);
    try {
      ask();
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
    do {
      const typed = Array.from(Buffer.from(this.#pending).toString());
      this.#pending = new Uint8Array(0);
      for (const [at, character] of typed.entries()) {
        if (character === endOfText) {
          return undefined;
        }
        if (character === "\n" || character === "\r" || character === endOfInput) {
          this.#pending = Buffer.from(typed.slice(at + 1).join(""));
          return text;
        }
        const erases = character === "\u007f" || character === "\b";
        text = erases ? Array.from(text).slice(0, -1).join("") : text + character;
      }
    } while (await this.#read());
    return text;
  }

  /** Adds the next chunk to what is pending; false at the end. */
  async #read(): Promise<boolean> {
    this.#chunks ??= this.#stream.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
    const { done, value } = await this.#chunks.next();
    if (done === true) {
      return false;
    }
    this.#pending = Buffer.concat([this.#pending, value as Uint8Array]);
    return true;
  }
}
