// What all parts of one Quorate share: the connection, the namespace, the codec.

import type { CallOptions, Client } from "../client/index.ts";
import type { Codec } from "./codecs.ts";
import { Entries } from "./entry.ts";
import type { Keyspace } from "./keys.ts";
import type { Lease } from "./lease.ts";

/** One connection, whichever namespaces and codecs it is used through. */
export interface Connection {
  readonly client: Client;
  /** Those that are kept alive; they are told when the connection is closed. */
  readonly leases: Set<Lease>;
}

export class Scope<Out, In> {
  readonly connection: Connection;
  readonly entries: Entries<Out, In>;

  constructor(connection: Connection, space: Keyspace, codec: Codec<Out, In>) {
    this.connection = connection;
    this.entries = new Entries(space, codec);
  }

  get client(): Client {
    return this.connection.client;
  }

  get space(): Keyspace {
    return this.entries.space;
  }
}

/** A lease as options take it. */
export type LeaseLike = bigint | { readonly id: bigint };

export function leaseIdOf(lease: LeaseLike | undefined): bigint {
  return lease === undefined ? 0n : typeof lease === "bigint" ? lease : lease.id;
}

/** The part of any options that is about the call. */
export function callOptionsOf(options: CallOptions): CallOptions {
  return { timeoutMs: options.timeoutMs, signal: options.signal };
}
