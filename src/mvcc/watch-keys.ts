// A hash table from byte keys to values: a lookup allocates nothing and makes no string.

import { equalBytes } from "../base/index.ts";
import type { Rng } from "../base/index.ts";

interface Entry<T> {
  readonly key: Uint8Array;
  readonly value: T;
  next: Entry<T> | undefined;
}

export class KeyTable<T> {
  /** Chains of entries by hash. The seed keeps a client from choosing keys that share a chain. */
  readonly #chains = new Map<number, Entry<T>>();
  readonly #seed: number;
  #size = 0;

  constructor(rng: Rng) {
    this.#seed = rng.next();
  }

  get size(): number {
    return this.#size;
  }

  get(key: Uint8Array): T | undefined {
    let entry = this.#chains.get(hashBytes(key, this.#seed));
    while (entry !== undefined && !equalBytes(entry.key, key)) {
      entry = entry.next;
    }
    return entry?.value;
  }

  /** Adds a key that is not there yet. `key` is kept, not copied. */
  add(key: Uint8Array, value: T): void {
    const hash = hashBytes(key, this.#seed);
    this.#chains.set(hash, { key, value, next: this.#chains.get(hash) });
    this.#size++;
  }

  delete(key: Uint8Array): void {
    const hash = hashBytes(key, this.#seed);
    let before: Entry<T> | undefined;
    let entry = this.#chains.get(hash);
    while (entry !== undefined && !equalBytes(entry.key, key)) {
      before = entry;
      entry = entry.next;
    }
    if (entry === undefined) {
      return;
    }
    this.#size--;
    if (before !== undefined) {
      before.next = entry.next;
    } else if (entry.next !== undefined) {
      this.#chains.set(hash, entry.next);
    } else {
      this.#chains.delete(hash);
    }
  }
}

/** FNV-1a with a last mix; 30 bits, so that the engine keeps it a small integer. */
function hashBytes(bytes: Uint8Array, seed: number): number {
  let hash = seed;
  for (let i = 0; i < bytes.length; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  }
  return (hash ^ (hash >>> 15)) & 0x3fff_ffff;
}
