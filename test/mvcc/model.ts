// The store as anybody would write it: every event in an array, every question a search of it.

import { bytesToHex, compareBytes, crc32c, utf8, writeU64 } from "../../src/base/index.ts";
import type { LeaseId } from "../../src/base/index.ts";
import type { KeyRange, RangeQuery } from "../../src/mvcc/contract.ts";

export interface ModelEvent {
  readonly deleted: boolean;
  readonly key: Uint8Array;
  readonly revision: number;
  readonly sub: number;
  readonly create: number;
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
  /** The key's event before this one, tombstones included. */
  readonly before: ModelEvent | undefined;
}

export interface ModelRange {
  readonly pairs: readonly ModelEvent[];
  readonly more: boolean;
  readonly count: number;
}

const noBytes = new Uint8Array(0);

export class Model {
  readonly events: ModelEvent[] = [];
  revision = 1;
  compacted = 0;
  #byKey = new Map<string, ModelEvent[]>();
  #open: number | undefined;

  begin(): void {
    this.#open = this.events.length;
  }

  commit(): void {
    if (this.events.length > (this.#open as number)) {
      this.revision++;
    }
    this.#open = undefined;
  }

  abort(): void {
    while (this.events.length > (this.#open as number)) {
      const event = this.events.pop() as ModelEvent;
      this.#byKey.get(bytesToHex(event.key))?.pop();
    }
    this.#open = undefined;
  }

  /** The newest revision that reads see. */
  get visible(): number {
    const wrote = this.#open !== undefined && this.events.length > this.#open;
    return this.revision + (wrote ? 1 : 0);
  }

  latest(key: Uint8Array): ModelEvent | undefined {
    return this.#byKey.get(bytesToHex(key))?.at(-1);
  }

  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): ModelEvent | undefined {
    const before = this.latest(key);
    const replaced = before === undefined || before.deleted ? undefined : before;
    this.#append({
      deleted: false,
      key,
      revision: this.revision + 1,
      sub: this.events.length - (this.#open as number),
      create: replaced?.create ?? this.revision + 1,
      version: (replaced?.version ?? 0) + 1,
      value,
      lease,
      before,
    });
    return replaced;
  }

  delete(range: KeyRange): ModelEvent[] {
    const doomed = this.#pairsAt(range, this.visible);
    for (const before of doomed) {
      this.#append({
        deleted: true,
        key: before.key,
        revision: this.revision + 1,
        sub: this.events.length - (this.#open as number),
        create: 0,
        version: 0,
        value: noBytes,
        lease: 0n as LeaseId,
        before,
      });
    }
    return doomed;
  }

  range(query: RangeQuery): ModelRange {
    const { limit, sortTarget: target } = query;
    const revision = query.revision === 0 ? this.visible : query.revision;
    const all = this.#pairsAt(query, revision);
    const count = all.length;
    if (query.countOnly) {
      return { pairs: [], more: false, count };
    }
    const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = query;
    const whole =
      query.sortOrder !== "none" ||
      minModRevision + maxModRevision + minCreateRevision + maxCreateRevision > 0;
    let pairs = whole || limit === 0 ? all : all.slice(0, limit + 1);
    pairs = pairs.filter(
      (p) =>
        p.revision >= minModRevision &&
        (maxModRevision === 0 || p.revision <= maxModRevision) &&
        p.create >= minCreateRevision &&
        (maxCreateRevision === 0 || p.create <= maxCreateRevision),
    );
    const compare = {
      key: (a: ModelEvent, b: ModelEvent) => compareBytes(a.key, b.key),
      version: (a: ModelEvent, b: ModelEvent) => a.version - b.version,
      create: (a: ModelEvent, b: ModelEvent) => a.create - b.create,
      mod: (a: ModelEvent, b: ModelEvent) => a.revision - b.revision,
      value: (a: ModelEvent, b: ModelEvent) => compareBytes(a.value, b.value),
    }[target];
    if (query.sortOrder === "descend") {
      pairs = pairs.toSorted((a, b) => compare(b, a));
    } else {
      pairs = pairs.toSorted(compare);
    }
    const more = limit > 0 && pairs.length > limit;
    return { pairs: more ? pairs.slice(0, limit) : pairs, more, count };
  }

  /** The pair written at a position, unless compaction has passed it. */
  at(revision: number, sub: number): ModelEvent | undefined {
    const event = this.events.find((e) => e.revision === revision && e.sub === sub);
    if (event === undefined || event.deleted) {
      return undefined;
    }
    return revision >= this.compacted || this.isNewestAt(event, this.compacted) ? event : undefined;
  }

  /** Whether an event is its key's newest at a revision. */
  isNewestAt(event: ModelEvent, revision: number): boolean {
    const versions = this.#byKey.get(bytesToHex(event.key)) ?? [];
    return versions.findLast((e) => e.revision <= revision) === event;
  }

  eventsOf(from: number, to: number): ModelEvent[] {
    return this.events.filter((e) => e.revision >= from && e.revision <= to);
  }

  leaseKeys(lease: LeaseId): Uint8Array[] {
    const keys: Uint8Array[] = [];
    for (const versions of this.#byKey.values()) {
      const newest = versions.at(-1);
      if (newest !== undefined && !newest.deleted && newest.lease === lease) {
        keys.push(newest.key);
      }
    }
    return keys.sort(compareBytes);
  }

  keyCount(): number {
    return [...this.#byKey.values()].filter((v) => v.at(-1)?.deleted === false).length;
  }

  hash(revision: number, encode: (event: ModelEvent) => Uint8Array): number {
    let hash = crc32c(utf8("key"));
    for (const event of this.events) {
      if (event.revision > revision) {
        break;
      }
      const kept = !event.deleted && this.isNewestAt(event, revision);
      if (event.revision <= this.compacted && !kept) {
        continue;
      }
      const key = new Uint8Array(event.deleted ? 18 : 17);
      writeU64(key, 0, event.revision);
      key[8] = 0x5f;
      writeU64(key, 9, event.sub);
      key.fill(0x74, 17);
      hash = crc32c(encode(event), crc32c(key, hash));
    }
    return hash;
  }

  /** Whether compaction must keep an event. */
  mustKeep(event: ModelEvent): boolean {
    return (
      event.revision >= this.compacted || (!event.deleted && this.isNewestAt(event, this.compacted))
    );
  }

  #append(event: ModelEvent): void {
    const name = bytesToHex(event.key);
    const versions = this.#byKey.get(name) ?? [];
    versions.push(event);
    this.#byKey.set(name, versions);
    this.events.push(event);
  }

  #pairsAt({ key, rangeEnd }: KeyRange, revision: number): ModelEvent[] {
    const open = rangeEnd.length === 1 && rangeEnd[0] === 0;
    const pairs: ModelEvent[] = [];
    for (const versions of this.#byKey.values()) {
      const event = versions.findLast((e) => e.revision <= revision);
      if (event === undefined || event.deleted) {
        continue;
      }
      const order = compareBytes(event.key, key);
      const inside =
        rangeEnd.length === 0
          ? order === 0
          : order >= 0 && (open || compareBytes(event.key, rangeEnd) < 0);
      if (inside) {
        pairs.push(event);
      }
    }
    return pairs.sort((a, b) => compareBytes(a.key, b.key));
  }
}
