// How far something long has come: one line of standard error, drawn over itself. Nothing is drawn
// where that is no terminal, nor for what is over within a second.

import { durationText, sizeText } from "./go-text.ts";
import type { Io } from "./io.ts";

const redrawMs = 100;
const quietMs = 1_000;
const barCells = 30;
/** Erases the line that the cursor is on. */
const eraseLine = "\r\u001b[K";

/** Use it with `using`, so that its line is gone whatever happens. */
export class Progress implements Disposable {
  readonly #what: string;
  readonly #io: Io;
  readonly #startedMs = performance.now();
  #drawnMs = 0;

  constructor(io: Io, what: string) {
    this.#io = io;
    this.#what = what;
  }

  /** `total` is undefined where it is not known. */
  bytes(done: number, total: number | undefined): void {
    const rate = done / Math.max((performance.now() - this.#startedMs) / 1_000, 0.001);
    this.#draw(() => `${sizeText(done)} ${sizeText(Math.round(rate))}/s`, done, total);
  }

  /** `unit` is what is counted: "keys". */
  count(done: number, unit: string, total?: number): void {
    this.#draw(() => `${done} ${unit}`, done, total);
  }

  /** What cannot be told as a number. */
  note(text: string): void {
    this.#draw(() => text, 0, undefined);
  }

  end(): void {
    if (this.#drawnMs > 0) {
      this.#drawnMs = 0;
      this.#io.errorWrite(eraseLine);
    }
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #draw(text: () => string, done: number, total: number | undefined): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#startedMs;
    const { isTerminal, columns, paint } = this.#io.terminal.errors;
    if (!isTerminal || elapsedMs < quietMs || nowMs - this.#drawnMs < redrawMs) {
      return;
    }
    this.#drawnMs = nowMs;
    const tail = `${text()}${remaining(elapsedMs, done, total)}`;
    const drawn = bar(done, total);
    const line = `${this.#what} ${drawn}${tail}`.slice(0, Math.max(0, columns - 1));
    this.#io.errorWrite(
      `${eraseLine}${drawn === "" ? line : line.replace(drawn, paint("cyan", drawn))}`,
    );
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

/** How long it still takes at the rate up to now. */
function remaining(elapsedMs: number, done: number, total: number | undefined): string {
  if (total === undefined || done <= 0 || done >= total) {
    return "";
  }
  const seconds = Math.ceil((elapsedMs * (total - done)) / done / 1_000);
  return `, ${durationText(seconds * 1e9)} left`;
}
