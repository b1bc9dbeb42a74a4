// A store that keeps every version of every key in plain arrays: slow, small, and by the contract.

import {
  compareBytes,
  emptyBytes,
  type LeaseId,
  noLease,
  type Revision,
  toLeaseId,
  toRevision,
} from "../../src/base/index.ts";
import type {
  Commit,
  KeyMeta,
  KeyRange,
  RangeQuery,
  RangeResult,
  StoredEvent,
  StoredKeyValue,
  StoreReader,
} from "../../src/node/handle.ts";
import { Event, KeyValue, lengthPrefix } from "../../src/wire/index.ts";
import { concatBytes } from "../../src/base/index.ts";

interface Version {
  readonly revision: number;
  readonly sub: number;
  /** undefined = deleted. */
  readonly pair: KeyValue | undefined;
}

const nameOf = (key: Uint8Array): string => Buffer.from(key).toString("latin1");

export function stored(pair: KeyValue): StoredKeyValue {
  const message = KeyValue.encode(pair);
  return { field: concatBytes([lengthPrefix(2, message.length), message]), message };
}

function inRange(key: Uint8Array, { key: from, rangeEnd }: KeyRange): boolean {
  if (rangeEnd.length === 0) {
    return compareBytes(key, from) === 0;
  }
  const open = rangeEnd.length === 1 && rangeEnd[0] === 0;
  return compareBytes(key, from) >= 0 && (open || compareBytes(key, rangeEnd) < 0);
}

export class FakeStore implements StoreReader {
  revision = toRevision(1);
  compactedRevision: Revision = toRevision(0);
  readonly #versions = new Map<string, Version[]>();
  readonly #commits: Commit[] = [];
  #open: StoredEvent[] = [];

  /** The pairs of a range at a revision (0 = latest), keys ascending. */
  pairs(range: KeyRange, revision: number): KeyValue[] {
    const found: KeyValue[] = [];
    for (const versions of this.#versions.values()) {
      const last = versions.findLast((v) => revision === 0 || v.revision <= revision);
      if (last?.pair !== undefined && inRange(last.pair.key, range)) {
        found.push(last.pair);
      }
    }
    return found.sort((a, b) => compareBytes(a.key, b.key));
  }

  range(query: RangeQuery): RangeResult {
    const all = this.pairs(query, query.revision);
    const sorts = {
      key: (a: KeyValue, b: KeyValue) => compareBytes(a.key, b.key),
      version: (a: KeyValue, b: KeyValue) => a.version - b.version,
      create: (a: KeyValue, b: KeyValue) => a.createRevision - b.createRevision,
      mod: (a: KeyValue, b: KeyValue) => a.modRevision - b.modRevision,
      value: (a: KeyValue, b: KeyValue) => compareBytes(a.value, b.value),
    };
    let kvs = all.filter(
      (kv) =>
        (query.minModRevision === 0 || kv.modRevision >= query.minModRevision) &&
        (query.maxModRevision === 0 || kv.modRevision <= query.maxModRevision) &&
        (query.minCreateRevision === 0 || kv.createRevision >= query.minCreateRevision) &&
        (query.maxCreateRevision === 0 || kv.createRevision <= query.maxCreateRevision),
    );
    if (query.sortOrder !== "none") {
      kvs.sort(sorts[query.sortTarget]);
    }
    if (query.sortOrder === "descend") {
      kvs.reverse();
    }
    let more = query.limit !== 0 && kvs.length > query.limit;
    kvs = more ? kvs.slice(0, query.limit) : kvs;
    if (query.sizeBytesMax !== undefined && query.sortOrder === "none" && !query.keysOnly) {
      let bytes = 0;
      const fits = kvs.findIndex((kv) => {
        bytes += stored(kv).field.length;
        return bytes > (query.sizeBytesMax as number);
      });
      more ||= fits > 0;
      kvs = fits > 0 ? kvs.slice(0, fits) : kvs;
    }
    const shown = query.keysOnly ? kvs.map((kv) => ({ ...kv, value: emptyBytes })) : kvs;
    return query.countOnly
      ? { kvs: [], more: false, count: all.length }
      : { kvs: shown.map(stored), more, count: query.uncounted === true ? 0 : all.length };
  }

  latest(key: Uint8Array): KeyValue | undefined {
    return this.#versions.get(nameOf(key))?.at(-1)?.pair;
  }

  get(key: Uint8Array): StoredKeyValue | undefined {
    const pair = this.latest(key);
    return pair === undefined ? undefined : stored(pair);
  }

  meta(key: Uint8Array): KeyMeta | undefined {
    const pair = this.latest(key);
    return pair === undefined
      ? undefined
      : {
          createRevision: toRevision(pair.createRevision),
          modRevision: toRevision(pair.modRevision),
          version: pair.version,
          lease: toLeaseId(pair.lease),
        };
  }

  at(revision: Revision, sub: number): StoredKeyValue | undefined {
    for (const versions of this.#versions.values()) {
      const found = versions.find((v) => v.revision === revision && v.sub === sub);
      if (found?.pair !== undefined) {
        return stored(found.pair);
      }
    }
    return undefined;
  }

  leaseKeys(lease: LeaseId): Uint8Array[] {
    return this.pairs({ key: new Uint8Array(1), rangeEnd: new Uint8Array(1) }, 0)
      .filter((kv) => toLeaseId(kv.lease) === lease)
      .map((kv) => kv.key);
  }

  hasLeaseKey(lease: LeaseId, begin: Uint8Array, end: Uint8Array | undefined): boolean {
    return this.leaseKeys(lease).some(
      (key) => compareBytes(key, begin) >= 0 && (end === undefined || compareBytes(key, end) < 0),
    );
  }

  events(from: Revision, to: Revision): Commit[] {
    return this.#commits.filter(({ revision }) => revision >= from && revision <= to);
  }

  put(key: Uint8Array, value: Uint8Array, lease: bigint): KeyValue | undefined {
    const previous = this.latest(key);
    const revision = this.revision + 1;
    this.#record(key, previous, {
      key,
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0) + 1,
      value,
      lease,
    });
    return previous;
  }

  delete(range: KeyRange): KeyValue[] {
    const deleted = this.pairs(range, 0);
    for (const pair of deleted) {
      this.#record(pair.key, pair, undefined);
    }
    return deleted;
  }

  /** Whether writes are waiting for `commit`. */
  get changed(): boolean {
    return this.#open.length > 0;
  }

  commit(): Commit | undefined {
    if (!this.changed) {
      return undefined;
    }
    this.revision = toRevision(this.revision + 1);
    const commit = { revision: this.revision, events: this.#open };
    this.#open = [];
    this.#commits.push(commit);
    return commit;
  }

  #record(key: Uint8Array, previous: KeyValue | undefined, pair: KeyValue | undefined): void {
    const revision = toRevision(this.revision + 1);
    const sub = this.#open.length;
    const versions = this.#versions.get(nameOf(key)) ?? [];
    const before = versions.at(-1);
    this.#versions.set(nameOf(key), [...versions, { revision, sub, pair }]);
    const kv = pair ?? KeyValue.create({ key, modRevision: revision });
    this.#open.push({
      kind: pair === undefined ? "delete" : "put",
      key,
      revision,
      created: pair !== undefined && previous === undefined,
      previousRevision: previous === undefined ? 0 : toRevision(before?.revision ?? 0),
      sub,
      previousSub: before?.sub ?? 0,
      lease: pair === undefined ? noLease : toLeaseId(pair.lease),
      previousLease: previous === undefined ? noLease : toLeaseId(previous.lease),
      message: Event.encode({ type: pair === undefined ? 1 : 0, kv, prevKv: undefined }),
    });
  }
}
