// Making a member's data directory from an etcd snapshot, of etcd or of Quorate.
//
// History is replayed into a new store with its own revisions, so readers and watchers find what
// they knew. Leases, users, roles and permissions come along. The members do not: they are those of
// a new cluster, which every one of its members is restored into from the same file. Alarms are
// dropped, since what raised them is judged anew.

import { compareBytes, DecodeError, toLeaseId, utf8, writeU32 } from "../base/index.ts";
import type { LeaseId, Rng } from "../base/index.ts";
import { authKey, roleRange, userRange } from "../auth/index.ts";
import { countingReads, EtcdSnapshot } from "../etcd-snapshot/index.ts";
import type { SnapshotEvent, SnapshotLease } from "../etcd-snapshot/index.ts";
import { leaseRange } from "../lease/index.ts";
import { HistoryImport, MissingRecords, storeConfigDefault } from "../mvcc/index.ts";
import { createDataDirectory, openFile } from "../storage/index.ts";
import type { NewDataDirectory } from "../storage/index.ts";
import type { BatchOperation, Engine } from "../storage/engine.ts";
import { AuthRecord, LeaseRecord, Role, User } from "../wire/index.ts";
import { foundingState } from "./open-member.ts";
import { foundingRecords } from "./replicated-state.ts";

/** Changes are handed to the engine when they are so many, bytes. */
const batchBytes = 4 * 1024 * 1024;
const leasesPerBatch = 5_000;
const leaseTtlSecondsMax = 9_000_000_000;

export interface RestoreOptions {
  readonly dataDirectory: string;
  readonly name: string;
  /** Name and peer URLs of every member of the new cluster, this one too. */
  readonly members: readonly { readonly name: string; readonly peerUrls: readonly string[] }[];
  readonly token: string;
  /** For a copied database, which has no hash behind it. */
  readonly skipHashCheck: boolean;
  /** Added to the newest revision, so that no revision that a client has seen comes again. */
  readonly bumpRevision: number;
  /** Compacts at the newest revision, so that every watcher finds out. */
  readonly markCompacted: boolean;
  readonly rng: Rng;
  readonly memoryBudgetBytes?: number | undefined;
  /** Directory for the log, apart from the rest; the data directory points to it. */
  readonly walDirectory?: string | undefined;
  /** Hears of the bytes read so far, and of how many they will be. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

export interface Restored {
  readonly revision: number;
  readonly compactedRevision: number;
  readonly rows: number;
}

/**
 * Makes the data directory. Throws DecodeError when the file is not a whole snapshot, StorageError
 * when the directory cannot be made; then nothing is left of it.
 */
export async function restoreSnapshot(path: string, options: RestoreOptions): Promise<Restored> {
  const file = await openFile(path);
  try {
    // Once for its hash, once for its pages.
    const total = file.sizeBytes * (options.skipHashCheck ? 1 : 2);
    const source = countingReads(file, (bytes) => options.onProgress?.(bytes, total));
    const snapshot = await EtcdSnapshot.open(source, options);
    const { identity, membership, hardState, snapshot: at } = foundingState(options);
    let restored: Restored | undefined;
    const contents: NewDataDirectory = {
      identity,
      salt: options.rng.next(),
      hardState,
      snapshot: at,
      fill: async (engine) => {
        restored = await fill(engine, snapshot, options);
        await engine.write(foundingRecords(membership, at), { sync: true });
      },
    };
    const { dataDirectory, walDirectory } = options;
    await createDataDirectory(dataDirectory, contents, { walDirectory });
    return restored as Restored;
  } finally {
    await file.close();
  }
}

async function fill(
  engine: Engine,
  snapshot: EtcdSnapshot,
  options: RestoreOptions,
): Promise<Restored> {
  const leases = await restoreLeases(engine, snapshot);
  await restoreAuth(engine, snapshot);
  return new HistoryRestore(engine, leases, options).run(snapshot);
}

/** The replay of history, with the engine behind it. */
class HistoryRestore {
  readonly #engine: Engine;
  readonly #leases: ReadonlySet<LeaseId>;
  readonly #options: RestoreOptions;
  readonly #import: HistoryImport;
  #rows = 0;
  #revision = 1;

  constructor(engine: Engine, leases: ReadonlySet<LeaseId>, options: RestoreOptions) {
    const { memoryBudgetBytes = storeConfigDefault.memoryBudgetBytes } = options;
    this.#engine = engine;
    this.#leases = leases;
    this.#options = options;
    this.#import = new HistoryImport({ ...storeConfigDefault, memoryBudgetBytes });
  }

  async run(snapshot: EtcdSnapshot): Promise<Restored> {
    for await (const events of snapshot.history()) {
      for (const event of events) {
        await this.#add(event);
      }
      this.#rows += events.length;
      if (this.#import.store.pendingBytes >= batchBytes) {
        await this.#write();
        this.#import.store.trim();
      }
    }
    const { scheduled, finished } = await snapshot.compaction();
    const { bumpRevision, markCompacted } = this.#options;
    const revision = Math.max(this.#revision, scheduled) + bumpRevision;
    const compactedRevision = markCompacted ? revision : scheduled;
    const point = { revision, compactedRevision, freedTo: finished };
    await this.#loading(() => this.#import.finish(point));
    do {
      await this.#write();
    } while (!this.#import.isWritten);
    return { revision, compactedRevision, rows: this.#rows };
  }

  async #add(event: SnapshotEvent): Promise<void> {
    const { revision, sub, isTombstone, pair } = event;
    // etcdutl marks a bumped revision by a pair without a key.
    const isMark = pair.key.length === 0;
    if (!isMark) {
      checkEvent(event);
    }
    const lease = toLeaseId(BigInt.asUintN(64, pair.lease));
    const imported = {
      revision,
      sub,
      isTombstone: isTombstone || isMark,
      key: pair.key,
      value: pair.value,
      createRevision: pair.createRevision,
      version: pair.version,
      lease,
      isAttached: this.#leases.has(lease),
    };
    await this.#loading(() => this.#import.add(imported));
    this.#revision = revision;
  }

  async #loading(work: () => void): Promise<void> {
    for (;;) {
      try {
        work();
        return;
      } catch (error) {
        if (!(error instanceof MissingRecords)) {
          throw error;
        }
        const values = await this.#engine.getMany(error.keys);
        this.#import.store.load(error.keys.map((key, i) => ({ key, value: values[i] })));
      }
    }
  }

  async #write(): Promise<void> {
    const { store } = this.#import;
    await this.#engine.write(store.checkpoint().operations, { sync: false });
    store.checkpointDone();
  }
}

function checkEvent({ revision, sub, isTombstone, pair }: SnapshotEvent): void {
  const isWhole =
    isTombstone ||
    (pair.modRevision === revision &&
      pair.createRevision > 0 &&
      pair.createRevision <= revision &&
      pair.version > 0);
  if (revision < 1 || !isWhole) {
    throw new DecodeError(`snapshot: the pair at revision ${revision}.${sub} does not fit there`);
  }
}

async function restoreLeases(engine: Engine, snapshot: EtcdSnapshot): Promise<Set<LeaseId>> {
  const ids = new Set<LeaseId>();
  let batch: BatchOperation[] = [];
  for await (const leases of snapshot.leases()) {
    for (const lease of leases) {
      const operation = leaseRecord(lease);
      ids.add(toLeaseId(lease.id));
      batch.push(operation);
    }
    if (batch.length >= leasesPerBatch) {
      await engine.write(batch, { sync: false });
      batch = [];
    }
  }
  await engine.write(batch, { sync: false });
  return ids;
}

function leaseRecord(lease: SnapshotLease): BatchOperation {
  const { id, grantedTtlSeconds, remainingTtlSeconds } = lease;
  const isWhole =
    id !== 0n &&
    grantedTtlSeconds > 0 &&
    grantedTtlSeconds <= leaseTtlSecondsMax &&
    remainingTtlSeconds >= 0 &&
    remainingTtlSeconds <= grantedTtlSeconds;
  if (!isWhole) {
    throw new DecodeError(`snapshot: lease ${id.toString(16)} does not add up`);
  }
  const key = new Uint8Array(9);
  key.set(leaseRange.from);
  writeU32(key, 1, Number(id >> 32n));
  writeU32(key, 5, Number(id & 0xffff_ffffn));
  return { kind: "put", key, value: LeaseRecord.encode(lease) };
}

async function restoreAuth(engine: Engine, snapshot: EtcdSnapshot): Promise<void> {
  const { enabled, revision, users, roles } = await snapshot.auth();
  const batch: BatchOperation[] = [];
  for (const user of users) {
    const sorted = { ...user, roles: sortedByBytes(user.roles) };
    batch.push(named(userRange.from, user.name, User.encode(sorted)));
  }
  for (const role of roles) {
    const keyPermission = [...role.keyPermission].sort(
      (a, b) => compareBytes(a.key, b.key) || compareBytes(a.rangeEnd, b.rangeEnd),
    );
    batch.push(named(roleRange.from, role.name, Role.encode({ ...role, keyPermission })));
  }
  if (revision > 0) {
    batch.push({ kind: "put", key: authKey, value: AuthRecord.encode({ enabled, revision }) });
  }
  await engine.write(batch, { sync: false });
}

function sortedByBytes(names: readonly string[]): string[] {
  return [...names].sort((a, b) => compareBytes(utf8(a), utf8(b)));
}

function named(prefix: Uint8Array, name: Uint8Array, value: Uint8Array): BatchOperation {
  const key = new Uint8Array(prefix.length + name.length);
  key.set(prefix);
  key.set(name, prefix.length);
  return { kind: "put", key, value };
}
