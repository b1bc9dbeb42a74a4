// A binary heap of things that fall due. Postponing costs nothing: an item keeps its place with
// the time it was put in for (`queuedMs`), and whoever takes it out looks whether it is due yet.

export interface Deadlined {
  /** When it is due now, monotonic milliseconds. */
  dueMs: number;
  /** The time by which it stands in the heap; never later than `dueMs`. */
  queuedMs: number;
  /** No longer of interest: dropped when it comes up. */
  gone: boolean;
}

export class DeadlineHeap<T extends Deadlined> {
  #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  clear(): void {
    this.#items = [];
  }

  /** Replaces everything; O(n). */
  rebuild(items: Iterable<T>): void {
    this.#items = [...items];
    for (const item of this.#items) {
      item.queuedMs = item.dueMs;
    }
    for (let at = (this.#items.length >> 1) - 1; at >= 0; at--) {
      this.#down(at);
    }
  }

  push(item: T): void {
    item.queuedMs = item.dueMs;
    this.#items.push(item);
    let at = this.#items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#items[parent] as T;
      if (above.queuedMs <= item.queuedMs) {
        break;
      }
      this.#items[at] = above;
      at = parent;
    }
    this.#items[at] = item;
  }

  /** Takes out the next item that is due at `nowMs`, or gives undefined. */
  popDue(nowMs: number): T | undefined {
    for (;;) {
      const top = this.#items[0];
      if (top === undefined || (!top.gone && top.queuedMs > nowMs)) {
        return undefined;
      }
      if (!top.gone && top.dueMs > nowMs) {
        top.queuedMs = top.dueMs;
        this.#down(0);
        continue;
      }
      this.#dropTop();
      if (!top.gone) {
        return top;
      }
    }
  }

  #dropTop(): void {
    const last = this.#items.pop() as T;
    if (this.#items.length > 0) {
      this.#items[0] = last;
      this.#down(0);
    }
  }

  #down(from: number): void {
    const items = this.#items;
    const item = items[from] as T;
    let at = from;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= items.length) {
        break;
      }
      const right = items[child + 1];
      if (right !== undefined && right.queuedMs < (items[child] as T).queuedMs) {
        child++;
      }
      const below = items[child] as T;
      if (below.queuedMs >= item.queuedMs) {
        break;
      }
      items[at] = below;
      at = child;
    }
    items[at] = item;
  }
}
