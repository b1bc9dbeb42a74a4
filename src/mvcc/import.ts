// Filling a new store with history from elsewhere, in order and with its own revisions. What was
// compacted there is missing: events name create revisions and versions whose events are gone, and
// revisions have gaps. Each event becomes what it would be here after a compaction: it points to
// the key's event before it, if that is there.
//
// The caller, who may await, follows these steps:
//   1. add(event) for each, in order; on MissingRecords it gives the records to `store.load` and
//      adds the same event again; beyond some `store.pendingBytes` it writes a checkpoint
//   2. finish(point), then checkpoints until `isWritten` says that nothing is left
//
// Afterwards the engine holds what a store leaves that has run here.

import { assert, CorruptionError, emptyBytes, noLease } from "../base/index.ts";
import type { LeaseId } from "../base/index.ts";
import type { Store } from "./contract.ts";
import type { EventDraft } from "./history-block.ts";
import { keyImageBytesMax, levelOf } from "./key-entry.ts";
import { attachmentKey, emptyMeta, StoreState } from "./state.ts";
import type { StoreConfig } from "./state.ts";
import { MvccStore } from "./store.ts";
import { attachmentImage, detach } from "./transaction.ts";

export interface ImportedEvent {
  readonly revision: number;
  readonly sub: number;
  readonly isTombstone: boolean;
  readonly key: Uint8Array;
  /** The rest says nothing for a tombstone. */
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: LeaseId;
  /** Whether there is that lease; a pair may name one that is long gone. */
  readonly isAttached: boolean;
}

export interface ImportPoint {
  /** At or beyond the last event's. */
  readonly revision: number;
  readonly compactedRevision: number;
  /** Up to where what compaction frees is missing already. */
  readonly freedTo: number;
}

/**
 * History ends at the store's revision, always. Where the event of that revision is missing the
 * deletion of the empty key, which nobody can have put, stands for it.
 */
const markEvent = {
  sub: 0,
  isTombstone: true,
  key: emptyBytes,
  value: emptyBytes,
  createRevision: 0,
  version: 0,
  lease: noLease,
  isAttached: false,
};

export class HistoryImport {
  readonly store: Store;
  readonly #state: StoreState;
  readonly #image = new Uint8Array(keyImageBytesMax);
  #revision = 1;
  #sub = -1;

  constructor(config: StoreConfig) {
    this.#state = new StoreState(config, emptyMeta, []);
    this.#state.history.tree.pinLast();
    this.store = new MvccStore(this.#state);
  }

  /** Throws MissingRecords, having changed nothing; CorruptionError when events do not fit. */
  add(event: ImportedEvent): void {
    const { revision, sub, key } = event;
    if (revision < this.#revision || (revision === this.#revision && sub <= this.#sub)) {
      throw new CorruptionError(`event ${revision}.${sub} is out of order`);
    }
    const state = this.#state;
    const { keys, entry, history, pager } = state;
    const slot = keys.locate(key);
    if (slot >= 0) {
      entry.read(keys.page, slot);
    } else {
      entry.clear();
    }
    const from = entry.deleted ? noLease : entry.lease;
    const lease = event.isTombstone ? noLease : event.lease;
    const to = event.isAttached ? lease : noLease;
    this.#needAttachments(key, from, to);
    const draft = this.#draft(event, lease);
    pager.revision = revision - 1;
    const size = history.append(draft);
    entry.deleted = draft.deleted;
    entry.create = draft.create;
    entry.version = draft.version;
    entry.lease = draft.lease;
    entry.advance(draft.depth, draft.level, revision, sub, size);
    entry.write(this.#image);
    keys.set(slot, key, this.#image, revision);
    this.#attach(key, from, to);
    this.#revision = revision;
    this.#sub = sub;
    state.revision = revision;
    state.visibleRevision = revision;
    pager.revision = revision;
  }

  /** Everything has been added. Throws MissingRecords, as `add` does. */
  finish({ revision, compactedRevision, freedTo }: ImportPoint): void {
    const state = this.#state;
    assert(revision >= this.#revision && compactedRevision <= revision, "the point covers all");
    if (revision > this.#revision) {
      this.add({ ...markEvent, revision });
    }
    state.compacted = compactedRevision;
    state.walked = Math.min(freedTo, compactedRevision);
    state.flushBefore = Number.POSITIVE_INFINITY;
  }

  /** Whether the last checkpoint left nothing to be written. */
  get isWritten(): boolean {
    return this.#state.pager.dirtyGroups.size === 0 && this.store.pendingBytes === 0;
  }

  #draft(event: ImportedEvent, lease: LeaseId): EventDraft {
    const { entry } = this.#state;
    const depth = (entry.depth + 1) >>> 0;
    return {
      deleted: event.isTombstone,
      key: event.key,
      value: event.value,
      revision: event.revision,
      sub: event.sub,
      depth,
      level: levelOf(depth),
      before: entry,
      create: event.isTombstone ? entry.create : event.createRevision,
      version: event.isTombstone ? entry.version : event.version,
      lease,
      pairBytes: 0,
    };
  }

  #needAttachments(key: Uint8Array, from: LeaseId, to: LeaseId): void {
    const { leases, pager } = this.#state;
    for (const lease of from === to ? [] : [from, to]) {
      if (lease !== noLease) {
        leases.isLoaded(attachmentKey(lease, key));
      }
    }
    pager.throwIfMissing();
  }

  #attach(key: Uint8Array, from: LeaseId, to: LeaseId): void {
    if (from === to) {
      return;
    }
    if (from !== noLease) {
      detach(this.#state, attachmentKey(from, key));
    }
    if (to !== noLease) {
      const { leases } = this.#state;
      const attachment = attachmentKey(to, key);
      const slot = leases.locate(attachment);
      if (slot < 0) {
        leases.set(slot, attachment, attachmentImage, 0);
      }
    }
  }
}
