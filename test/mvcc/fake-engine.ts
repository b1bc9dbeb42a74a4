// A synchronous engine of records with the promises of the real one: batches are whole, survive a
// crash as a prefix, and a synced batch survives with all before it.

import { bytesToHex, compareBytes } from "../../src/base/index.ts";
import type { BatchOperation, Row } from "../../src/storage/engine.ts";

type Records = Map<string, Row>;

export class FakeEngine {
  #records: Records = new Map();
  #synced: Records = new Map();
  /** Batches since the last sync, oldest first, each with the tag it was written under. */
  #unsynced: { readonly operations: readonly BatchOperation[]; readonly tag: number }[] = [];
  #syncedTag = 0;
  writtenBytes = 0;

  write(operations: readonly BatchOperation[], tag: number, sync: boolean): void {
    // What a caller hands over must not change while it is being written.
    const copies = operations.map(copyOperation);
    apply(this.#records, copies);
    this.#unsynced.push({ operations: copies, tag });
    for (const operation of operations) {
      this.writtenBytes += operation.kind === "put" ? operation.value.length : 0;
    }
    if (sync) {
      this.#synced = new Map(this.#records);
      this.#unsynced = [];
      this.#syncedTag = tag;
    }
  }

  /** Unsynced batches that a crash may lose. */
  get losable(): number {
    return this.#unsynced.length;
  }

  /** Keeps the first `kept` unsynced batches; returns the tag of the last batch that is left. */
  crash(kept: number): number {
    this.#records = new Map(this.#synced);
    let tag = this.#syncedTag;
    for (const batch of this.#unsynced.slice(0, kept)) {
      apply(this.#records, batch.operations);
      tag = batch.tag;
    }
    this.#synced = new Map(this.#records);
    this.#unsynced = [];
    this.#syncedTag = tag;
    return tag;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#records.get(bytesToHex(key))?.[1];
    return value === undefined ? undefined : value.slice();
  }

  scan(from: Uint8Array, to: Uint8Array | undefined): Row[] {
    return [...this.#records.values()]
      .filter(([key]) => compareBytes(key, from) >= 0)
      .filter(([key]) => to === undefined || compareBytes(key, to) < 0)
      .sort(([a], [b]) => compareBytes(a, b))
      .map(([key, value]): Row => [key.slice(), value.slice()]);
  }

  /** Changes a record behind the store's back; undefined removes it. */
  damage(key: Uint8Array, value: Uint8Array | undefined): void {
    if (value === undefined) {
      this.#records.delete(bytesToHex(key));
    } else {
      this.#records.set(bytesToHex(key), [key, value]);
    }
  }
}

function copyOperation(operation: BatchOperation): BatchOperation {
  const key = operation.key.slice();
  return operation.kind === "put"
    ? { kind: "put", key, value: operation.value.slice() }
    : { kind: "delete", key };
}

function apply(records: Records, operations: readonly BatchOperation[]): void {
  for (const operation of operations) {
    const name = bytesToHex(operation.key);
    if (operation.kind === "put") {
      records.set(name, [operation.key, operation.value]);
    } else {
      records.delete(name);
    }
  }
}
