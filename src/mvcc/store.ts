// The store: the operations of the contract over one StoreState.

import { assert } from "../base/index.ts";
import type { LeaseId, Revision } from "../base/index.ts";
import { Checkpointer } from "./checkpoint.ts";
import { Compactor } from "./compaction.ts";
import type {
  Checkpoint,
  Commit,
  HashWalk,
  HistoryExport,
  KeyMeta,
  KeyRange,
  RangeQuery,
  RangeResult,
  Store,
  StoredEvent,
  StoredKeyValue,
  StoreReader,
  WriteTransaction,
} from "./contract.ts";
import { readEvent, toCommits } from "./event.ts";
import { Exporter } from "./export.ts";
import { KvHash } from "./hash.ts";
import { visitEntries } from "./page-walk.ts";
import { range, readAt, readMeta, readPair } from "./range.ts";
import { parseRecordKey } from "./record-keys.ts";
import { attachmentKey } from "./state.ts";
import type { StoreState } from "./state.ts";
import { Writer } from "./transaction.ts";

const noBytes = new Uint8Array(0);

class Reader implements StoreReader {
  protected readonly state: StoreState;

  constructor(state: StoreState) {
    this.state = state;
  }

  get revision(): Revision {
    return this.state.visibleRevision as Revision;
  }

  get compactedRevision(): Revision {
    return this.state.compacted as Revision;
  }

  range(query: RangeQuery): RangeResult {
    return range(this.state, query);
  }

  meta(key: Uint8Array): KeyMeta | undefined {
    return readMeta(this.state, key);
  }

  get(key: Uint8Array): StoredKeyValue | undefined {
    return readPair(this.state, key);
  }

  at(revision: Revision, sub: number): StoredKeyValue | undefined {
    return readAt(this.state, revision, sub);
  }

  leaseKeys(lease: LeaseId): Uint8Array[] {
    const keys: Uint8Array[] = [];
    const { leases, pager } = this.state;
    const next = BigInt.asUintN(64, lease + 1n) as LeaseId;
    visitEntries(
      leases,
      attachmentKey(lease, noBytes),
      next === 0n ? undefined : attachmentKey(next, noBytes),
      (page, from, to) => {
        for (let slot = from; slot < to; slot++) {
          keys.push(page.keyAt(slot).subarray(8));
        }
        return true;
      },
      () => true,
    );
    pager.throwIfMissing();
    return keys;
  }

  hasLeaseKey(lease: LeaseId, begin: Uint8Array, end: Uint8Array | undefined): boolean {
    const { leases, pager } = this.state;
    const next = BigInt.asUintN(64, lease + 1n) as LeaseId;
    const beyond = next === 0n ? undefined : attachmentKey(next, noBytes);
    let found = false;
    visitEntries(
      leases,
      attachmentKey(lease, begin),
      end === undefined ? beyond : attachmentKey(lease, end),
      (_page, from, to) => {
        found = from < to;
        return !found;
      },
      () => false,
    );
    pager.throwIfMissing();
    return found;
  }

  events(from: Revision, to: Revision, maxEvents: number): Commit[] {
    const { history, head } = this.state;
    const events: StoredEvent[] = [];
    let revision: number = from;
    let sub = 0;
    for (;;) {
      const block = history.blockFrom(revision, sub);
      if (block === undefined) {
        return toCommits(events);
      }
      for (let i = block.lowerBound(revision, sub); i < block.count; i++) {
        const at = block.revisionAt(i);
        const last = events[events.length - 1];
        if (at > to || (events.length >= maxEvents && last?.revision !== at)) {
          return toCommits(events);
        }
        events.push(readEvent(head, block, i));
      }
      revision = block.lastRevision;
      sub = block.lastSub + 1;
      if (block === history.tail) {
        return toCommits(events);
      }
    }
  }
}

class OpenTransaction extends Reader implements WriteTransaction {
  readonly #writer: Writer;

  constructor(state: StoreState, writer: Writer) {
    super(state);
    this.#writer = writer;
  }

  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): KeyMeta | undefined {
    return this.#writer.put(key, value, lease);
  }

  deleteRange(
    keys: KeyRange,
    wantPrevious: boolean,
  ): { readonly deleted: number; readonly previous: readonly StoredKeyValue[] } {
    return this.#writer.deleteRange(keys, wantPrevious);
  }
}

export class MvccStore extends Reader implements Store {
  readonly #writer: Writer;
  readonly #transaction: OpenTransaction;
  readonly #checkpointer: Checkpointer;
  readonly #compactor: Compactor;
  #open = false;

  constructor(state: StoreState) {
    super(state);
    this.#writer = new Writer(state);
    this.#transaction = new OpenTransaction(state, this.#writer);
    this.#compactor = new Compactor(state);
    this.#checkpointer = new Checkpointer(state);
  }

  transact<T>(body: (txn: WriteTransaction) => T): {
    readonly value: T;
    readonly commit: Commit | undefined;
  } {
    assert(!this.#open, "transactions do not nest");
    const { state } = this;
    const writer = this.#writer;
    this.#open = true;
    writer.begin();
    try {
      const value = body(this.#transaction);
      const events = writer.events;
      if (events.length === 0) {
        return { value, commit: undefined };
      }
      state.revision++;
      state.pager.revision = state.revision;
      writer.commit();
      return { value, commit: { revision: state.revision as Revision, events } };
    } catch (error) {
      writer.undo();
      throw error;
    } finally {
      this.#open = false;
    }
  }

  compact(revision: Revision): void {
    this.#compactor.begin(revision);
  }

  compactStep(): boolean {
    return this.#compactor.step();
  }

  get compactionPending(): boolean {
    return this.#compactor.pending;
  }

  load(
    records: readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[],
  ): void {
    loadRecords(this.state, records);
  }

  checkpoint(): Checkpoint {
    assert(!this.#open, "a checkpoint stands between transactions");
    return this.#checkpointer.take();
  }

  checkpointDone(): void {
    this.#checkpointer.done();
  }

  get pendingBytes(): number {
    return this.#checkpointer.pendingBytes;
  }

  trim(): void {
    const { pager, history, config } = this.state;
    const budget = config.memoryBudgetBytes;
    if (pager.memoryBytes + history.cache.bytes > budget) {
      // Blocks give way first, but keep a quarter; then pages.
      const blockBytes = Math.max(budget - pager.memoryBytes, budget >> 2);
      history.cache.evict(blockBytes);
      pager.evict(budget - Math.min(history.cache.bytes, blockBytes));
    }
  }

  beginHash(revision: Revision): HashWalk {
    return new KvHash(this.state, revision);
  }

  beginExport(): HistoryExport {
    return new Exporter(this.state);
  }

  get keyCount(): number {
    return this.state.keys.visible;
  }

  get putBytes(): number {
    return this.state.putBytes;
  }

  get compactedVersions(): number {
    return this.state.compactedVersions;
  }

  get sizeInUseBytes(): number {
    const { keys, leases, history } = this.state;
    return keys.weight + leases.weight + history.tree.weight + history.unindexedBytes;
  }

  get memoryBytes(): number {
    const { pager, history } = this.state;
    return pager.memoryBytes + history.cache.bytes + history.unwrittenBytes;
  }
}

/** Hands loaded records to the parts that asked for them. */
export function loadRecords(
  state: StoreState,
  records: readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[],
): void {
  for (const { key, value } of records) {
    const name = parseRecordKey(key);
    switch (name.kind) {
      case "group":
        state.pager.loadGroup(name.tree, name.group, value);
        break;
      case "page":
        state.pager.loadPage(name.page, value);
        break;
      case "block":
        state.history.load(name.revision, name.sub, value);
        break;
      default:
        assert(false, "a record that no part asked for");
    }
  }
}
