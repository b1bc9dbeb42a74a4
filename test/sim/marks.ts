// Coverage marks: things that must happen now and then, or the simulation proves little.

export class Marks {
  readonly #counts = new Map<string, number>();

  hit(name: string): void {
    this.count(name, 1);
  }

  count(name: string, times: number): void {
    if (times > 0) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
    }
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  add(counts: ReadonlyMap<string, number>): void {
    for (const [name, times] of counts) {
      this.count(name, times);
    }
  }
}
