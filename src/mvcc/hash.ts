// HashKV, as etcd defines it, so that members (and etcd, where its rule is the same) can be
// compared: CRC-32C over the bucket's name "key" and then, for every event up to the revision in
// the order of revisions, its revision key and its stored value:
//
//   key    main revision (8 bytes, big endian) "_" sub revision (8), and "t" for a tombstone
//   value  the KeyValue; that of a tombstone has only the key
//
// Left out, whether they have been freed yet or not: events up to the compacted revision that are
// not their key's newest at the revision asked for, and tombstones up to the compacted revision.

import { crc32c, QuorateError, utf8, writeU64 } from "../base/index.ts";
import type { Revision } from "../base/index.ts";
import type { HashWalk } from "./contract.ts";
import type { HistoryBlock } from "./history-block.ts";
import { messageStart } from "./key-value-codec.ts";
import type { StoreState } from "./state.ts";
import { seekVersion } from "./versions.ts";

const bucketName = utf8("key");
const underscore = 0x5f;
const tombstoneMark = 0x74;

export class KvHash implements HashWalk {
  readonly #state: StoreState;
  readonly #upTo: number;
  #compacted: number;
  #revision = 0;
  #sub = 0;
  #hash: number;
  readonly #revisionKey = new Uint8Array(18);

  constructor(state: StoreState, upTo: number) {
    this.#state = state;
    this.#upTo = upTo;
    this.#compacted = state.compacted;
    this.#hash = crc32c(bucketName);
    this.#revisionKey[8] = underscore;
    this.#revisionKey[17] = tombstoneMark;
  }

  get hash(): number {
    return this.#hash;
  }

  get compactedRevision(): Revision {
    return this.#compacted as Revision;
  }

  step(): boolean {
    if (this.#state.compacted !== this.#compacted) {
      this.#beginAnew();
    }
    const { history } = this.#state;
    const block = history.blockFrom(this.#revision, this.#sub);
    if (block === undefined || block.firstRevision > this.#upTo) {
      return false;
    }
    const from = block.lowerBound(this.#revision, this.#sub);
    let to = from;
    while (to < block.count && block.revisionAt(to) <= this.#upTo) {
      to++;
    }
    const included = this.#choose(block, from, to);
    let hash = this.#hash;
    for (const index of included) {
      hash = this.#add(hash, block, index);
    }
    this.#hash = hash;
    this.#revision = block.lastRevision;
    this.#sub = block.lastSub + 1;
    return to === block.count && block !== history.tail;
  }

  #beginAnew(): void {
    this.#compacted = this.#state.compacted;
    if (this.#upTo < this.#compacted) {
      throw new QuorateError("compacted");
    }
    this.#revision = 0;
    this.#sub = 0;
    this.#hash = crc32c(bucketName);
  }

  /** Indexes of the events that count. Throws what is missing before anything is hashed. */
  #choose(block: HistoryBlock, from: number, to: number): number[] {
    const { keys, pair, pager } = this.#state;
    const below = (index: number): boolean => block.revisionAt(index) <= this.#compacted;
    for (let i = from; i < to && below(i); i++) {
      pair.read(block.bytes, block.fieldAt(i));
      keys.isLoaded(pair.key);
    }
    pager.throwIfMissing();
    const included: number[] = [];
    for (let i = from; i < to; i++) {
      if (!below(i) || (!block.isDeleteAt(i) && this.#isNewest(block, i))) {
        included.push(i);
      }
    }
    return included;
  }

  /** Whether an event is its key's newest at the revision asked for. */
  #isNewest(block: HistoryBlock, index: number): boolean {
    const { keys, pair, entry, history, pager } = this.#state;
    const revision = block.revisionAt(index);
    const sub = block.subAt(index);
    pair.read(block.bytes, block.fieldAt(index));
    const slot = keys.locate(pair.key);
    if (slot < 0) {
      return false;
    }
    entry.read(keys.page, slot);
    if (entry.mod <= this.#upTo) {
      return entry.mod === revision && entry.sub === sub;
    }
    const result = seekVersion(this.#state, entry, this.#upTo);
    if (result === "missing") {
      pager.throwIfMissing();
    }
    return (
      result === "found" &&
      history.block.revisionAt(history.index) === revision &&
      history.block.subAt(history.index) === sub
    );
  }

  #add(hash: number, block: HistoryBlock, index: number): number {
    const key = this.#revisionKey;
    writeU64(key, 0, block.revisionAt(index));
    writeU64(key, 9, block.subAt(index));
    const field = block.fieldAt(index);
    if (!block.isDeleteAt(index)) {
      const keyed = crc32c(key.subarray(0, 17), hash);
      return crc32c(
        block.bytes.subarray(messageStart(block.bytes, field), block.endAt(index)),
        keyed,
      );
    }
    const { pair } = this.#state;
    pair.read(block.bytes, field);
    const keyed = crc32c(key, hash);
    // The key stands first in the message, with its tag and length.
    return crc32c(block.bytes.subarray(messageStart(block.bytes, field), pair.keyEnd), keyed);
  }
}
