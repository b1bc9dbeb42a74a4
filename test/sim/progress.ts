// A progress bar, where somebody looks at a terminal.

const width = 40;

export class ProgressBar {
  readonly #total: number;
  readonly #isShown: boolean;

  constructor(total: number) {
    this.#total = total;
    this.#isShown = process.stderr.isTTY === true && total > 1;
  }

  show(done: number, note: string): void {
    if (this.#isShown) {
      const filled = Math.round((done / this.#total) * width);
      const bar = `${"#".repeat(filled)}${"-".repeat(width - filled)}`;
      process.stderr.write(`\r[${bar}] ${done}/${this.#total} ${note}\u001b[K`);
    }
  }

  clear(): void {
    if (this.#isShown) {
      process.stderr.write("\r\u001b[K");
    }
  }
}
