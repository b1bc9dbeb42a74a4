// How far something long has come, on a terminal: one line of standard error, drawn over itself.

import { sizeText } from "./go-text.ts";

const redrawMs = 100;
/** What is over sooner shows nothing. */
const quietMs = 1_000;
const barCells = 30;

export class Progress {
  readonly #what: string;
  readonly #isTerminal: boolean;
  readonly #startedMs = performance.now();
  #drawnMs = 0;

  constructor(what: string) {
    this.#what = what;
    this.#isTerminal = process.stderr.isTTY;
  }

  /** `total` is undefined where it is not known. */
  bytes(done: number, total: number | undefined): void {
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    const rate = `${sizeText(Math.round(done / Math.max(seconds, 0.001)))}/s`;
    this.#draw(`${bar(done, total)}${sizeText(done)} ${rate}`);
  }

  count(done: number, unit: string): void {
    this.#draw(`${done} ${unit}`);
  }

  end(): void {
    if (this.#drawnMs > 0) {
      process.stderr.write("\r\u001b[K");
    }
  }

  #draw(text: string): void {
    const nowMs = performance.now();
    const isEarly = nowMs - this.#startedMs < quietMs || nowMs - this.#drawnMs < redrawMs;
    if (this.#isTerminal && !isEarly) {
      this.#drawnMs = nowMs;
      process.stderr.write(`\r\u001b[K${this.#what} ${text}`);
    }
  }
}

function bar(done: number, total: number | undefined): string {
  if (total === undefined || total === 0) {
    return "";
  }
  const share = Math.min(1, done / total);
  const full = Math.round(share * barCells);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `[${"#".repeat(full)}${" ".repeat(barCells - full)}] ${percent}% `;
}
