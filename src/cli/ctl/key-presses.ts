// Keys that end a live view: q, and Control-C, which a terminal in raw mode sends as a character.

/** "q", "Q" and Control-C. */
const quitBytes: readonly number[] = [0x71, 0x51, 0x03];

export class KeyPresses implements Disposable {
  readonly #quit = new AbortController();
  readonly #stream = process.stdin;
  readonly #onData = (bytes: Buffer): void => {
    if (bytes.some((byte) => quitBytes.includes(byte))) {
      this.#quit.abort();
    }
  };

  constructor() {
    if (this.#stream.isTTY) {
      this.#stream.setRawMode(true);
      this.#stream.on("data", this.#onData);
      this.#stream.resume();
    }
  }

  get quit(): AbortSignal {
    return this.#quit.signal;
  }

  [Symbol.dispose](): void {
    if (this.#stream.isTTY) {
      this.#stream.off("data", this.#onData);
      this.#stream.setRawMode(false);
      this.#stream.pause();
    }
  }
}
