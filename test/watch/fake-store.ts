// The part of the store that the watch hub reads, as naive as possible: all commits in an array.
// Revisions can be made cold, so that reading them throws MissingRecords until they are loaded.

import type { LeaseId, Revision } from "../../src/base/index.ts";
import { bytesToHex, compareBytes, noLease, utf8 } from "../../src/base/index.ts";
import { MissingRecords } from "../../src/mvcc/contract.ts";
import type {
  Commit,
  KeyMeta,
  KeyRange,
  RangeResult,
  StoredEvent,
  StoredKeyValue,
  StoreReader,
} from "../../src/mvcc/contract.ts";
import { Event, KeyValue } from "../../src/wire/index.ts";

export type Change =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string; readonly rangeEnd: string };

interface Live {
  readonly createRevision: number;
  readonly modRevision: Revision;
  readonly sub: number;
  readonly version: number;
}

export class FakeStore implements StoreReader {
  revision = 1 as Revision;
  compactedRevision = 0 as Revision;
  readonly commits: Commit[] = [];
  readonly #live = new Map<string, Live>();
  readonly #pairs = new Map<string, StoredKeyValue>();
  readonly #cold = new Set<number>();

  /** A store with the same contents that goes its own way from here. */
  copy(): FakeStore {
    const twin = new FakeStore();
    twin.revision = this.revision;
    twin.compactedRevision = this.compactedRevision;
    twin.commits.push(...this.commits);
    for (const [key, live] of this.#live) {
      twin.#live.set(key, live);
    }
    for (const [at, pair] of this.#pairs) {
      twin.#pairs.set(at, pair);
    }
    return twin;
  }

  keys(): string[] {
    return [...this.#live.keys()].sort();
  }

  /** Undefined when nothing changed. */
  commit(changes: readonly Change[]): Commit | undefined {
    const revision = (this.revision + 1) as Revision;
    const events: StoredEvent[] = [];
    for (const change of changes) {
      if (change.kind === "put") {
        events.push(this.#put(change.key, change.value, revision, events.length));
      } else {
        for (const key of this.keys()) {
          if (inRange(utf8(key), { key: utf8(change.key), rangeEnd: utf8(change.rangeEnd) })) {
            events.push(this.#delete(key, revision, events.length));
          }
        }
      }
    }
    if (events.length === 0) {
      return undefined;
    }
    const commit = { revision, events };
    this.revision = revision;
    this.commits.push(commit);
    return commit;
  }

  compact(revision: number): void {
    this.compactedRevision = revision as Revision;
    while ((this.commits[0]?.revision ?? revision) < revision) {
      this.commits.shift();
    }
  }

  chill(...revisions: number[]): void {
    for (const revision of revisions) {
      this.#cold.add(revision);
    }
  }

  load(keys: readonly Uint8Array[]): void {
    for (const key of keys) {
      this.#cold.delete(Number(bytesToText(key)));
    }
  }

  events(from: Revision, to: Revision, maxEvents: number): Commit[] {
    const found: Commit[] = [];
    let count = 0;
    for (const commit of this.commits) {
      if (commit.revision < from || commit.revision > to) {
        continue;
      }
      if (count >= maxEvents) {
        break;
      }
      found.push(commit);
      count += commit.events.length;
    }
    this.#need(found.map((commit) => commit.revision));
    return found;
  }

  at(revision: Revision, sub: number): StoredKeyValue | undefined {
    this.#need([revision]);
    return this.#pairs.get(`${revision}/${sub}`);
  }

  range(): RangeResult {
    throw new Error("not for the hub");
  }

  meta(): KeyMeta | undefined {
    throw new Error("not for the hub");
  }

  get(): StoredKeyValue | undefined {
    throw new Error("not for the hub");
  }

  leaseKeys(_lease: LeaseId): Uint8Array[] {
    throw new Error("not for the hub");
  }

  hasLeaseKey(): boolean {
    throw new Error("not for the hub");
  }

  #need(revisions: readonly number[]): void {
    const missing = revisions.filter((revision) => this.#cold.has(revision));
    if (missing.length > 0) {
      throw new MissingRecords(missing.map((revision) => utf8(String(revision))));
    }
  }

  #put(key: string, value: string, revision: Revision, sub: number): StoredEvent {
    const old = this.#live.get(key);
    const live = {
      createRevision: old?.createRevision ?? revision,
      modRevision: revision,
      sub,
      version: (old?.version ?? 0) + 1,
    };
    this.#live.set(key, live);
    const pair = {
      key: utf8(key),
      createRevision: live.createRevision,
      modRevision: revision,
      version: live.version,
      value: utf8(value),
      lease: 0n,
    };
    const message = KeyValue.encode(KeyValue.create(pair));
    this.#pairs.set(`${revision}/${sub}`, { field: message, message });
    return {
      ...eventFrame(key, revision, sub, old),
      kind: "put",
      created: old === undefined,
      message: Event.encode(Event.create({ type: 0, kv: KeyValue.create(pair) })),
    };
  }

  #delete(key: string, revision: Revision, sub: number): StoredEvent {
    const old = this.#live.get(key);
    this.#live.delete(key);
    const kv = KeyValue.create({ key: utf8(key), modRevision: revision });
    return {
      ...eventFrame(key, revision, sub, old),
      kind: "delete",
      created: false,
      message: Event.encode(Event.create({ type: 1, kv })),
    };
  }
}

function eventFrame(key: string, revision: Revision, sub: number, old: Live | undefined) {
  return {
    key: utf8(key),
    revision,
    sub,
    previousRevision: old?.modRevision ?? (0 as const),
    previousSub: old?.sub ?? 0,
    lease: noLease,
    previousLease: noLease,
  };
}

/** The range rule, written anew: the tests must not lean on the code that they test. */
export function inRange(key: Uint8Array, range: KeyRange): boolean {
  if (range.rangeEnd.length === 0) {
    return bytesToHex(key) === bytesToHex(range.key);
  }
  const isOpen = range.rangeEnd.length === 1 && range.rangeEnd[0] === 0;
  return compareBytes(key, range.key) >= 0 && (isOpen || compareBytes(key, range.rangeEnd) < 0);
}

export function bytesToText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
