// Which records a command will need, found by trying the reads that it begins with. A hint: what
// is missed here is missed again when the command runs, and loaded then.

import { toLeaseId } from "../base/index.ts";
import type { Store } from "../mvcc/contract.ts";
import { MissingRecords } from "../mvcc/index.ts";
import {
  CompareTarget,
  DeleteRangeRequest,
  LeaseExpiry,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from "../wire/index.ts";
import type { DecodedCommand } from "../wire/index.ts";
import { toRangeQuery } from "./range.ts";

/** Tries reads and gathers what they miss. */
export class Toucher {
  readonly #store: Store;
  readonly missing: Uint8Array[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  command({ kind, body }: DecodedCommand): void {
    switch (kind) {
      case "put":
        this.#put(PutRequest.decode(body));
        return;
      case "deleteRange":
        this.#deleteRange(DeleteRangeRequest.decode(body));
        return;
      case "txn":
        this.#txn(TxnRequest.decode(body));
        return;
      case "leaseRevoke":
        this.lease(LeaseRevokeRequest.decode(body).id);
        return;
      case "leaseExpiry":
        for (const id of LeaseExpiry.decode(body).ids) {
          this.lease(id);
        }
        return;
      default:
    }
  }

  lease(id: bigint): void {
    this.#try(() => {
      for (const key of this.#store.leaseKeys(toLeaseId(id))) {
        this.#try(() => this.#store.meta(key));
      }
    });
  }

  #put({ key, prevKv, ignoreValue }: PutRequest): void {
    this.#try(() => (prevKv || ignoreValue ? this.#store.get(key) : this.#store.meta(key)));
  }

  #deleteRange({ key, rangeEnd, prevKv }: DeleteRangeRequest): void {
    if (rangeEnd.length === 0) {
      this.#try(() => (prevKv ? this.#store.get(key) : this.#store.meta(key)));
    } else {
      this.#range(RangeRequest.create({ key, rangeEnd, keysOnly: !prevKv }));
    }
  }

  #range(request: RangeRequest): void {
    this.#try(() => this.#store.range(toRangeQuery(request)));
  }

  #txn(request: TxnRequest): void {
    for (const { key, rangeEnd, target } of request.compare) {
      const byValue = target === CompareTarget.VALUE;
      if (rangeEnd.length === 0) {
        this.#try(() => (byValue ? this.#store.get(key) : this.#store.meta(key)));
      } else {
        this.#range(RangeRequest.create({ key, rangeEnd, keysOnly: !byValue }));
      }
    }
    // Which branch will run is not known before the comparisons can be read; the usual txn
    // touches the same few keys in both.
    for (const { request: operation } of [...request.success, ...request.failure]) {
      switch (operation?.kind) {
        case "requestPut":
          this.#put(operation.value);
          break;
        case "requestDeleteRange":
          this.#deleteRange(operation.value);
          break;
        case "requestTxn":
          this.#txn(operation.value);
          break;
        case "requestRange":
          if (this.#isReadable(operation.value.revision)) {
            this.#range(operation.value);
          }
          break;
        default:
      }
    }
  }

  /** The store reads only what its caller has checked. */
  #isReadable(revision: number): boolean {
    return (
      revision <= 0 ||
      (revision <= this.#store.revision && revision >= this.#store.compactedRevision)
    );
  }

  #try(read: () => unknown): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof MissingRecords)) {
        throw error;
      }
      this.missing.push(...error.keys);
    }
  }
}
