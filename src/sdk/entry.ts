// A key with its value and history, as a program sees it.

import type { KeyValue } from "../wire/index.ts";
import { type Awaitable, type Codec, orInvalid } from "./codecs.ts";
import type { Keyspace } from "./keys.ts";

export interface Entry<V> {
  /** Without the namespace. */
  readonly key: string;
  readonly value: V;
  /** The revision that made the key. */
  readonly createRevision: number;
  /** The revision of the last change; what `update` takes. */
  readonly modRevision: number;
  /** Changes since the key was made; 1 at first. */
  readonly version: number;
  /** The lease that the key ends with; undefined if it has none. */
  readonly leaseId: bigint | undefined;
}

/** Reads and writes entries of one namespace and codec. */
export class Entries<Out, In> {
  readonly space: Keyspace;
  readonly codec: Codec<Out, In>;

  constructor(space: Keyspace, codec: Codec<Out, In>) {
    this.space = space;
    this.codec = codec;
  }

  /** Throws, or rejects, with InvalidValueError. */
  encode(key: string, value: In): Awaitable<Uint8Array> {
    return orInvalid(key, "write", () => this.codec.encode(value));
  }

  /** Throws, or rejects, with InvalidValueError. */
  decode(kv: KeyValue): Awaitable<Entry<Out>> {
    const key = this.space.fromWire(kv.key);
    const value = orInvalid(key, "read", () => this.codec.decode(kv.value));
    return value instanceof Promise
      ? value.then((decoded) => entryOf(key, decoded, kv))
      : entryOf(key, value, kv);
  }

  decodeAll(kvs: readonly KeyValue[]): Awaitable<Entry<Out>[]> {
    // Promise.all hears of every failure; one that is thrown at once must not leave others unheard.
    const entries = kvs.map((kv): Awaitable<Entry<Out>> => {
      try {
        return this.decode(kv);
      } catch (error) {
        return Promise.reject(error as Error);
      }
    });
    return entries.some((entry) => entry instanceof Promise)
      ? Promise.all(entries.map((entry) => Promise.resolve(entry)))
      : (entries as Entry<Out>[]);
  }

  /** undefined for undefined. */
  decodeSome(kv: KeyValue | undefined): Awaitable<Entry<Out> | undefined> {
    return kv === undefined ? undefined : this.decode(kv);
  }
}

function entryOf<V>(key: string, value: V, kv: KeyValue): Entry<V> {
  const { createRevision, modRevision, version, lease } = kv;
  const leaseId = lease === 0n ? undefined : lease;
  return { key, value, createRevision, modRevision, version, leaseId };
}
