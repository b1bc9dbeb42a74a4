// Writing: one transaction, one revision.
//
// Writes go straight to pages and to the tail of history, so that later reads of the transaction
// see them. Every write first makes sure that all it needs is in memory, and notes what it changes;
// a transaction that fails is undone from the notes, newest first.

import { noLease } from "../base/index.ts";
import type { LeaseId, Revision } from "../base/index.ts";
import type { KeyMeta, KeyRange, StoredEvent, StoredKeyValue } from "./contract.ts";
import { HistoryEvent } from "./event.ts";
import type { EventDraft } from "./history-block.ts";
import type { HistoryMark } from "./history.ts";
import { keyImageBytesMax, keyPayloadBytes, levelOf } from "./key-entry.ts";
import type { KeyEntry } from "./key-entry.ts";
import { isSingleKey, toBounds } from "./key-range.ts";
import { PairView } from "./key-value-codec.ts";
import { visitEntries } from "./page-walk.ts";
import { imageLength } from "./page.ts";
import type { Page } from "./page.ts";
import { attachmentKey } from "./state.ts";
import type { StoreState } from "./state.ts";

const noBytes = new Uint8Array(0);
/** Kept between transactions for notes; what is larger is given back, bytes. */
const notesBytesKept = 64 * 1024;

interface Doomed {
  readonly key: Uint8Array;
  readonly mod: number;
  readonly sub: number;
  readonly lease: LeaseId;
}

export class Writer {
  readonly #state: StoreState;
  events: StoredEvent[] = [];
  #mark: HistoryMark;
  /** Notes: keys written, and where each one's image before lies in `#notes` (-1 = none). */
  #keys: Uint8Array[] = [];
  #imageAt: number[] = [];
  #notes = new Uint8Array(1024);
  #notesEnd = 0;
  readonly #image = new Uint8Array(keyImageBytesMax);
  readonly #draft: EventDraft;

  constructor(state: StoreState) {
    this.#state = state;
    this.#mark = state.history.mark();
    this.#draft = {
      deleted: false,
      key: noBytes,
      value: noBytes,
      revision: 0,
      sub: 0,
      depth: 0,
      level: 0,
      before: state.entry,
      create: 0,
      version: 0,
      lease: noLease,
      pairBytes: 0,
    };
  }

  begin(): void {
    this.events = [];
    this.#mark = this.#state.history.mark();
  }

  /** Ends a transaction whose changes stay. */
  commit(): void {
    this.#forget();
  }

  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): KeyMeta | undefined {
    const { keys, entry } = this.#state;
    const slot = keys.locate(key);
    if (slot >= 0) {
      entry.read(keys.page, slot);
    } else {
      entry.clear();
    }
    const previousLease = entry.deleted ? noLease : entry.lease;
    if (lease !== previousLease) {
      this.#needAttachments(key, previousLease, lease);
    }
    const replaced = entry.deleted ? undefined : metaOf(entry);
    const draft = this.#draft;
    draft.deleted = false;
    draft.value = value;
    draft.lease = lease;
    draft.create = entry.deleted ? this.#state.revision + 1 : entry.create;
    draft.version = entry.deleted ? 1 : entry.version + 1;
    this.#write(key, slot);
    this.#attach(key, previousLease, lease);
    this.#state.putBytes += key.length + value.length;
    return replaced;
  }

  deleteRange(
    range: KeyRange,
    wantPrevious: boolean,
  ): { readonly deleted: number; readonly previous: readonly StoredKeyValue[] } {
    const doomed = isSingleKey(range) ? this.#findOne(range.key) : this.#findAll(range);
    const previous = wantPrevious ? this.#pairsOf(doomed) : [];
    for (const one of doomed) {
      if (one.lease !== noLease) {
        this.#state.leases.isLoaded(attachmentKey(one.lease, one.key));
      }
    }
    this.#state.pager.throwIfMissing();
    for (const one of doomed) {
      this.#delete(one.key);
    }
    return { deleted: doomed.length, previous };
  }

  /** Takes everything back that was written since `begin`. */
  undo(): void {
    const { keys, history } = this.#state;
    for (let i = this.#keys.length - 1; i >= 0; i--) {
      const key = this.#keys[i] as Uint8Array;
      const at = this.#imageAt[i] as number;
      const event = this.events[i] as StoredEvent;
      this.#attach(key, event.lease, event.previousLease);
      const slot = keys.locate(key);
      if (at < 0) {
        keys.remove(slot);
      } else {
        keys.set(slot, key, this.#notes.subarray(at), 0);
      }
    }
    history.rollback(this.#mark);
    this.#forget();
  }

  #forget(): void {
    this.#keys.length = 0;
    this.#imageAt.length = 0;
    this.#notesEnd = 0;
    if (this.#notes.length > notesBytesKept) {
      this.#notes = new Uint8Array(1024);
    }
    this.#state.visibleRevision = this.#state.revision;
  }

  #findOne(key: Uint8Array): Doomed[] {
    const { keys, entry } = this.#state;
    const slot = keys.locate(key);
    if (slot < 0) {
      return [];
    }
    entry.read(keys.page, slot);
    return entry.deleted ? [] : [{ key, mod: entry.mod, sub: entry.sub, lease: entry.lease }];
  }

  #findAll(range: KeyRange): Doomed[] {
    const { start, end, empty } = toBounds(range);
    if (empty) {
      return [];
    }
    const { keys, entry, pager } = this.#state;
    const doomed: Doomed[] = [];
    visitEntries(
      keys,
      start,
      end,
      (page, from, to) => {
        for (let slot = from; slot < to; slot++) {
          entry.read(page, slot);
          if (!entry.deleted) {
            const key = page.keyAt(slot);
            doomed.push({ key, mod: entry.mod, sub: entry.sub, lease: entry.lease });
          }
        }
        return true;
      },
      () => true,
    );
    pager.throwIfMissing();
    return doomed;
  }

  #pairsOf(doomed: readonly Doomed[]): StoredKeyValue[] {
    const { history, pager } = this.#state;
    const pairs: StoredKeyValue[] = [];
    for (const one of doomed) {
      if (history.seek(one.mod, one.sub) === "found") {
        const { block, index } = history;
        pairs.push(new PairView(block.bytes, block.fieldAt(index), block.endAt(index)));
      } else if (pager.wantsEnough) {
        break;
      }
    }
    pager.throwIfMissing();
    return pairs;
  }

  #delete(key: Uint8Array): void {
    const { keys, entry } = this.#state;
    const slot = keys.locate(key);
    entry.read(keys.page, slot);
    const previousLease = entry.lease;
    const draft = this.#draft;
    draft.deleted = true;
    draft.value = noBytes;
    draft.lease = noLease;
    draft.create = entry.create;
    draft.version = entry.version;
    this.#write(key, slot);
    this.#attach(key, previousLease, noLease);
  }

  /** Appends the drafted event and moves the key's entry, which is in `entry`, on to it. */
  #write(key: Uint8Array, slot: number): void {
    const { keys, entry, history } = this.#state;
    const draft = this.#draft;
    const revision = this.#state.revision + 1;
    draft.key = key;
    draft.revision = revision;
    draft.sub = this.events.length;
    draft.depth = (entry.depth + 1) >>> 0;
    draft.level = levelOf(draft.depth);
    const size = history.append(draft);
    const block = history.block;
    this.events.push(
      new HistoryEvent(
        block.bytes,
        block.end - history.bodyBytes,
        block.end,
        draft.deleted,
        entry.deleted,
        revision,
        draft.sub,
        entry.mod,
        entry.sub,
        draft.lease,
        entry.deleted ? noLease : entry.lease,
      ),
    );
    this.#note(key, keys.page, slot);
    entry.deleted = draft.deleted;
    entry.create = draft.create;
    entry.version = draft.version;
    entry.lease = draft.lease;
    entry.advance(draft.depth, draft.level, revision, draft.sub, size);
    entry.write(this.#image);
    keys.set(slot, key, this.#image, revision);
    this.#state.visibleRevision = revision;
  }

  #note(key: Uint8Array, page: Page, slot: number): void {
    this.#keys.push(key);
    if (slot < 0) {
      this.#imageAt.push(-1);
      return;
    }
    const at = page.imageAt(slot);
    const length = imageLength(keyPayloadBytes, page.bytes[at] as number);
    if (this.#notesEnd + length > this.#notes.length) {
      const larger = new Uint8Array(this.#notes.length * 2);
      larger.set(this.#notes);
      this.#notes = larger;
    }
    const notes = this.#notes;
    const end = this.#notesEnd;
    for (let i = 0; i < length; i++) {
      notes[end + i] = page.bytes[at + i] as number;
    }
    this.#imageAt.push(end);
    this.#notesEnd = end + length;
  }

  #needAttachments(key: Uint8Array, from: LeaseId, to: LeaseId): void {
    const { leases, pager } = this.#state;
    if (from !== noLease) {
      leases.isLoaded(attachmentKey(from, key));
    }
    if (to !== noLease) {
      leases.isLoaded(attachmentKey(to, key));
    }
    pager.throwIfMissing();
  }

  /** Moves the key from one lease to another in the attachments. */
  #attach(key: Uint8Array, from: LeaseId, to: LeaseId): void {
    if (from === to) {
      return;
    }
    const { leases } = this.#state;
    if (from !== noLease) {
      detach(this.#state, attachmentKey(from, key));
    }
    if (to !== noLease) {
      const attachment = attachmentKey(to, key);
      const slot = leases.locate(attachment);
      if (slot < 0) {
        leases.set(slot, attachment, attachmentImage, 0);
      }
    }
  }
}

/** The image of an attachment: no flags, no payload. */
export const attachmentImage: Uint8Array = new Uint8Array(1);

export function detach(state: StoreState, attachment: Uint8Array): void {
  const slot = state.leases.locate(attachment);
  if (slot >= 0) {
    state.leases.remove(slot);
  }
}

export function metaOf(entry: KeyEntry): KeyMeta {
  return {
    createRevision: entry.create as Revision,
    modRevision: entry.mod as Revision,
    version: entry.version,
    lease: entry.lease,
  };
}
