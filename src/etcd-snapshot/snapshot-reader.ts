// An etcd snapshot, opened for reading: its hash checked, its buckets found, their rows decoded.

import { crc32c, DecodeError } from "../base/index.ts";
import { KeyValue, LeaseRecord, Role, User } from "../wire/index.ts";
import { BboltReader } from "./bbolt-reader.ts";
import type { Bucket, Pair } from "./bbolt-reader.ts";
import type { ByteSource } from "./bytes.ts";
import { databaseSize } from "./checked-file.ts";
import { authKeys, bucketNames, decodeRevision, decodeU64, metaKeys, nameOf } from "./schema.ts";

export interface SnapshotEvent {
  readonly revision: number;
  readonly sub: number;
  readonly isTombstone: boolean;
  /** Of a tombstone only the key counts. */
  readonly pair: KeyValue;
}

export type SnapshotLease = LeaseRecord;

export interface SnapshotAuth {
  readonly enabled: boolean;
  readonly revision: number;
  readonly users: readonly User[];
  readonly roles: readonly Role[];
}

/** What `etcdctl snapshot status` shows. */
export interface SnapshotStatus {
  readonly hash: number;
  readonly revision: number;
  readonly totalKeys: number;
  readonly sizeBytes: number;
  /** "3.6.0"; empty before etcd 3.6. */
  readonly version: string;
}

export interface CompactionPoint {
  /** Asked for, and reached; 0 for never. */
  readonly scheduled: number;
  readonly finished: number;
}

export class EtcdSnapshot {
  readonly sizeBytes: number;
  readonly #buckets: readonly Bucket[];

  private constructor(reader: BboltReader, buckets: readonly Bucket[]) {
    this.sizeBytes = reader.sizeBytes;
    this.#buckets = buckets;
  }

  /** Throws DecodeError, in words for an operator, when the file is not a whole snapshot. */
  static async open(
    source: ByteSource,
    options: { readonly skipHashCheck: boolean },
  ): Promise<EtcdSnapshot> {
    const sizeBytes = await databaseSize(source, options);
    const database = {
      sizeBytes,
      read: (position: number, length: number) => source.read(position, length),
    };
    const reader = await BboltReader.open(database);
    const buckets = await reader.buckets();
    const found = new EtcdSnapshot(reader, buckets);
    if (found.#bucket(bucketNames.key) === undefined) {
      throw new DecodeError("snapshot: the database has no bucket of keys: it is not etcd's");
    }
    return found;
  }

  /** Reads all of it. */
  async status(): Promise<SnapshotStatus> {
    let hash = 0;
    let revision = 0;
    let totalKeys = 0;
    for (const bucket of this.#buckets) {
      hash = crc32c(bucket.name, hash);
      const isHistory = nameOf(bucket.name) === nameOf(bucketNames.key);
      for await (const pairs of bucket.pairs()) {
        for (const { key, value } of pairs) {
          hash = crc32c(value, crc32c(key, hash));
        }
        totalKeys += pairs.length;
        const last = pairs.at(-1);
        if (isHistory && last !== undefined) {
          revision = decodeRevision(last.key).revision;
        }
      }
    }
    const version = (await this.#values(bucketNames.meta)).get(nameOf(metaKeys.storageVersion));
    return {
      hash,
      revision,
      totalKeys,
      sizeBytes: this.sizeBytes,
      version: version === undefined ? "" : nameOf(version),
    };
  }

  async *history(): AsyncGenerator<readonly SnapshotEvent[]> {
    for await (const pairs of this.#pairs(bucketNames.key)) {
      yield pairs.map(({ key, value }) => ({
        ...decodeRevision(key),
        pair: KeyValue.decode(value),
      }));
    }
  }

  async *leases(): AsyncGenerator<readonly SnapshotLease[]> {
    for await (const pairs of this.#pairs(bucketNames.lease)) {
      yield pairs.map(({ value }) => LeaseRecord.decode(value));
    }
  }

  async compaction(): Promise<CompactionPoint> {
    const meta = await this.#values(bucketNames.meta);
    const revisionAt = (name: Uint8Array): number => {
      const value = meta.get(nameOf(name));
      return value === undefined ? 0 : decodeRevision(value).revision;
    };
    const finished = revisionAt(metaKeys.finishedCompact);
    return { finished, scheduled: Math.max(finished, revisionAt(metaKeys.scheduledCompact)) };
  }

  async auth(): Promise<SnapshotAuth> {
    const values = await this.#values(bucketNames.auth);
    const revision = values.get(nameOf(authKeys.revision));
    const users = await this.#values(bucketNames.authUsers);
    const roles = await this.#values(bucketNames.authRoles);
    return {
      enabled: values.get(nameOf(authKeys.enabled))?.[0] === 1,
      revision: revision === undefined ? 0 : decodeU64(revision, "authRevision"),
      users: [...users.values()].map((value) => User.decode(value)),
      roles: [...roles.values()].map((value) => Role.decode(value)),
    };
  }

  #bucket(name: Uint8Array): Bucket | undefined {
    return this.#buckets.find((bucket) => nameOf(bucket.name) === nameOf(name));
  }

  async *#pairs(name: Uint8Array): AsyncGenerator<readonly Pair[]> {
    const bucket = this.#bucket(name);
    if (bucket !== undefined) {
      yield* bucket.pairs();
    }
  }

  /** A small bucket whole. */
  async #values(name: Uint8Array): Promise<Map<string, Uint8Array>> {
    const values = new Map<string, Uint8Array>();
    for await (const pairs of this.#pairs(name)) {
      for (const { key, value } of pairs) {
        values.set(nameOf(key), value);
      }
    }
    return values;
  }
}
