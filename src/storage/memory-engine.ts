// The engine in memory (the contract is in engine.ts): for tests and for nodes that keep nothing.
// Rows stand sorted in leaves of bounded size; a leaf that a view can see is copied before it is
// changed, so a view costs nothing until something is written.

import { StorageError, assert, compareBytes, copyBytes } from "../base/index.ts";
import type { BatchOperation, Engine, EngineReader, EngineView, Row, ScanRange } from "./engine.ts";
import { assertKeyIsFree } from "./engine-records.ts";

const leafRowsMax = 128;
const scanChunkRows = 1000;

interface Leaf {
  /** The generation that may change it; older leaves may be in a view. */
  readonly generation: number;
  readonly keys: Uint8Array[];
  readonly values: Uint8Array[];
}

export function createMemoryEngine(): Engine {
  return new MemoryEngine();
}

class MemoryEngine implements Engine {
  #leaves: Leaf[] = [];
  #leavesAreShared = false;
  #generation = 0;
  #sizeBytes = 0;
  #isClosed = false;

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#checkUsable();
    return new MemoryReader(this.#leaves).getMany(keys);
  }

  /** Sees one state from begin to end, as a LevelDB iterator does. */
  async *scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    const view = this.view();
    yield* view.scan(range);
  }

  async write(batch: readonly BatchOperation[]): Promise<void> {
    this.#checkUsable();
    for (const operation of batch) {
      assertKeyIsFree(operation.key);
    }
    if (this.#leavesAreShared) {
      this.#leaves = [...this.#leaves];
      this.#leavesAreShared = false;
      this.#generation++;
    }
    for (const operation of batch) {
      if (operation.kind === "put") {
        this.#put(operation.key, operation.value);
      } else {
        this.#delete(operation.key);
      }
    }
  }

  view(): EngineView {
    this.#checkUsable();
    this.#leavesAreShared = true;
    const reader = new MemoryReader(this.#leaves);
    return {
      getMany: (keys) => reader.getMany(keys),
      scan: (range) => reader.scan(range),
      close: () => Promise.resolve(),
    };
  }

  sizeBytes(): number {
    return this.#sizeBytes;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#leaves = [];
  }

  #checkUsable(): void {
    if (this.#isClosed) {
      throw new StorageError("the store is closed");
    }
  }

  #put(key: Uint8Array, value: Uint8Array): void {
    const at = Math.max(0, leafFor(this.#leaves, key));
    const leaf = this.#own(at);
    const row = lowerBound(leaf.keys, key);
    const found = leaf.keys[row];
    if (found !== undefined && compareBytes(found, key) === 0) {
      this.#sizeBytes += value.length - (leaf.values[row]?.length ?? 0);
      leaf.values[row] = copyBytes(value);
      return;
    }
    leaf.keys.splice(row, 0, copyBytes(key));
    leaf.values.splice(row, 0, copyBytes(value));
    this.#sizeBytes += key.length + value.length;
    if (leaf.keys.length > leafRowsMax) {
      const half = leafRowsMax / 2;
      this.#leaves.splice(at + 1, 0, {
        generation: this.#generation,
        keys: leaf.keys.splice(half),
        values: leaf.values.splice(half),
      });
    }
  }

  #delete(key: Uint8Array): void {
    const at = leafFor(this.#leaves, key);
    const keys = this.#leaves[at]?.keys ?? [];
    const row = lowerBound(keys, key);
    const found = keys[row];
    if (found === undefined || compareBytes(found, key) !== 0) {
      return;
    }
    const leaf = this.#own(at);
    this.#sizeBytes -= key.length + (leaf.values[row]?.length ?? 0);
    leaf.keys.splice(row, 1);
    leaf.values.splice(row, 1);
    if (leaf.keys.length === 0) {
      this.#leaves.splice(at, 1);
    }
  }

  /** The leaf at `at`, safe to change. */
  #own(at: number): Leaf {
    const leaf = this.#leaves[at] ?? { generation: this.#generation, keys: [], values: [] };
    const own =
      leaf.generation === this.#generation
        ? leaf
        : { generation: this.#generation, keys: [...leaf.keys], values: [...leaf.values] };
    this.#leaves[at] = own;
    return own;
  }
}

class MemoryReader implements EngineReader {
  readonly #leaves: readonly Leaf[];

  constructor(leaves: readonly Leaf[]) {
    this.#leaves = leaves;
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => {
      const leaf = this.#leaves[leafFor(this.#leaves, key)];
      const row = leaf === undefined ? -1 : lowerBound(leaf.keys, key);
      const found = leaf?.keys[row];
      const value = leaf?.values[row];
      return found !== undefined && value !== undefined && compareBytes(found, key) === 0
        ? copyBytes(value)
        : undefined;
    });
  }

  async *scan(range: ScanRange): AsyncIterable<readonly Row[]> {
    const limit = range.limit ?? Number.POSITIVE_INFINITY;
    let rows: Row[] = [];
    let count = 0;
    for (const row of range.reverse === true ? this.#backward(range) : this.#forward(range)) {
      if (count === limit) {
        break;
      }
      rows.push(row);
      count++;
      if (rows.length === scanChunkRows) {
        yield rows;
        rows = [];
      }
    }
    if (rows.length > 0) {
      yield rows;
    }
  }

  *#forward(range: ScanRange): Generator<Row> {
    const first = Math.max(0, leafFor(this.#leaves, range.from));
    for (let at = first; at < this.#leaves.length; at++) {
      const leaf = this.#leaves[at] as Leaf;
      for (let row = at === first ? lowerBound(leaf.keys, range.from) : 0; ; row++) {
        const key = leaf.keys[row];
        if (key === undefined) {
          break;
        }
        if (range.to !== undefined && compareBytes(key, range.to) >= 0) {
          return;
        }
        yield copyRow(key, leaf.values[row]);
      }
    }
  }

  *#backward(range: ScanRange): Generator<Row> {
    const { to } = range;
    const first = to === undefined ? this.#leaves.length - 1 : leafFor(this.#leaves, to);
    for (let at = first; at >= 0; at--) {
      const { keys, values } = this.#leaves[at] as Leaf;
      const end = at === first && to !== undefined ? lowerBound(keys, to) : keys.length;
      for (let row = end - 1; row >= 0; row--) {
        const key = keys[row] as Uint8Array;
        if (compareBytes(key, range.from) < 0) {
          return;
        }
        yield copyRow(key, values[row]);
      }
    }
  }
}

function copyRow(key: Uint8Array, value: Uint8Array | undefined): Row {
  assert(value !== undefined, "every key has a value");
  return [copyBytes(key), copyBytes(value)];
}

/** The last leaf whose first key is at or before `key`; -1 when there is none. */
function leafFor(leaves: readonly Leaf[], key: Uint8Array): number {
  let low = 0;
  let high = leaves.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes((leaves[middle] as Leaf).keys[0] as Uint8Array, key) <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

/** The first position whose key is at or behind `key`. */
function lowerBound(keys: readonly Uint8Array[], key: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(keys[middle] as Uint8Array, key) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
