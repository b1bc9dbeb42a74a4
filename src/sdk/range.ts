// Entries of a range, page by page, all as they were at one revision.

import { concatBytes } from "../base/index.ts";
import type { CallOptions } from "../client/index.ts";
import {
  type KeyValue,
  RangeRequestSortOrder,
  RangeRequestSortTarget,
  type RangeResponse,
} from "../wire/index.ts";
import type { Entry } from "./entry.ts";
import type { KeyRange, WireRange } from "./keys.ts";
import { callOptionsOf, type Scope } from "./scope.ts";

export interface ReadOptions extends CallOptions {
  /** Reads the past: what was there at this revision. CompactedError if that is compacted. */
  readonly revision?: number | undefined;
  /** Takes one member's word for it: quicker, and may be out of date. */
  readonly serializable?: boolean | undefined;
}

export interface RangeOptions extends ReadOptions {
  /** Entries in one call; 1,000 when not given. */
  readonly pageSize?: number | undefined;
  /** Entries in all. */
  readonly limit?: number | undefined;
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined;
}

/** Entries that were there at one revision. */
export interface Listing<V> {
  readonly entries: readonly Entry<V>[];
  /** Watch from the next one on to miss nothing. */
  readonly revision: number;
}

const pageSizeDefault = 1_000;
const zeroByte = new Uint8Array([0]);

/**
 * Entries in the order of their keys (bytes, not locale). Nothing is read before it is iterated;
 * each iteration reads anew, at its own revision. Rejects with ClientError, InvalidValueError, and
 * CompactedError when a compaction overtakes the reading.
 */
export class EntryRange<Out, In = Out> implements AsyncIterable<Entry<Out>> {
  readonly #scope: Scope<Out, In>;
  readonly #range: WireRange;
  readonly #options: RangeOptions;

  /** Made by `Quorate.range`. */
  constructor(scope: Scope<Out, In>, range: KeyRange, options: RangeOptions) {
    for (const count of [options.pageSize ?? 1, (options.limit ?? 0) + 1]) {
      if (!(count >= 1)) {
        throw new RangeError(
          `no number of entries: ${options.pageSize} a page, ${options.limit} in all`,
        );
      }
    }
    this.#scope = scope;
    this.#range = scope.space.rangeToWire(range);
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Entry<Out>, undefined> {
    for await (const { entries } of this.pages()) {
      yield* entries;
    }
  }

  /** The same in pages; also the revision, which is that of all of them. */
  async *pages(): AsyncGenerator<Listing<Out>, undefined> {
    for await (const { kvs, revision } of this.#wirePages(false)) {
      yield { entries: await this.#scope.entries.decodeAll(kvs), revision };
    }
  }

  /** The keys alone; values are not read. */
  async *keys(): AsyncGenerator<string, undefined> {
    for await (const { kvs } of this.#wirePages(true)) {
      for (const { key } of kvs) {
        yield this.#scope.space.fromWire(key);
      }
    }
  }

  /** All of it. */
  async list(): Promise<Listing<Out>> {
    const all: Entry<Out>[] = [];
    let at = 0;
    for await (const { entries, revision } of this.pages()) {
      at = revision;
      for (const entry of entries) {
        all.push(entry);
      }
    }
    return { entries: all, revision: at };
  }

  /** The first of it, in the order asked for. */
  async first(): Promise<Entry<Out> | undefined> {
    const { kvs } = await this.#page(this.#range, {
      count: 1,
      revision: this.#options.revision ?? 0,
      keysOnly: false,
    });
    return await this.#scope.entries.decodeSome(kvs[0]);
  }

  async *#wirePages(
    keysOnly: boolean,
  ): AsyncGenerator<{ readonly kvs: readonly KeyValue[]; readonly revision: number }, undefined> {
    const { limit = Number.POSITIVE_INFINITY, pageSize = pageSizeDefault } = this.#options;
    let { revision = 0 } = this.#options;
    let range: WireRange | undefined = this.#range;
    let left = limit;
    while (range !== undefined && left > 0) {
      const count = Math.min(left, pageSize);
      const page: RangeResponse = await this.#page(range, { count, revision, keysOnly });
      revision ||= page.header?.revision ?? 0;
      yield { kvs: page.kvs, revision };
      left -= page.kvs.length;
      range = page.more ? this.#rest(range, page.kvs.at(-1)) : undefined;
    }
  }

  #page(
    range: WireRange,
    page: { readonly count: number; readonly revision: number; readonly keysOnly: boolean },
  ): Promise<RangeResponse> {
    const { serializable = false, reverse = false } = this.#options;
    return this.#scope.client.range(
      {
        ...range,
        limit: page.count,
        revision: page.revision,
        keysOnly: page.keysOnly,
        serializable,
        sortTarget: RangeRequestSortTarget.KEY,
        sortOrder: reverse ? RangeRequestSortOrder.DESCEND : RangeRequestSortOrder.NONE,
      },
      callOptionsOf(this.#options),
    );
  }

  /** What is left of `range` after `last`. */
  #rest(range: WireRange, last: KeyValue | undefined): WireRange | undefined {
    if (last === undefined) {
      return undefined;
    }
    return this.#options.reverse === true
      ? { key: range.key, rangeEnd: last.key }
      : { key: concatBytes([last.key, zeroByte]), rangeEnd: range.rangeEnd };
  }
}
