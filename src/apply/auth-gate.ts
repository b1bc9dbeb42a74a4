// Refuses what the caller of a command may not do, while authentication is on. It looks only at
// the envelope and at replicated state, so every member refuses the same commands. What is checked
// is etcd's (server/etcdserver/apply/auth.go): both branches of a txn and of those inside it,
// reading for comparisons and for previous pairs, and writing on every key of a lease for a put
// that attaches to it and for its revocation.

import { emptyBytes, isSystem, toLeaseId, unreachable } from "../base/index.ts";
import type { Caller } from "../base/index.ts";
import type { AuthReader, Refusal } from "../auth/index.ts";
import type { Commit, StoreReader } from "../mvcc/contract.ts";
import { DeleteRangeRequest, LeaseRevokeRequest, PutRequest, TxnRequest } from "../wire/index.ts";
import type { DecodedCommand, RequestOp } from "../wire/index.ts";
import type { CommandResult } from "./command.ts";
import type { Executor, Position, ReplicatedParts } from "./executor.ts";

export class AuthGate implements Executor {
  readonly #inner: Executor;
  readonly #parts: ReplicatedParts;

  constructor(inner: Executor, parts: ReplicatedParts) {
    this.#inner = inner;
    this.#parts = parts;
  }

  execute(command: DecodedCommand, position: Position, commits: Commit[]): CommandResult {
    if (this.#parts.auth.enabled && !isSystem(command)) {
      const code = this.#refusal(command);
      if (code !== undefined) {
        return { kind: "error", code };
      }
    }
    return this.#inner.execute(command, position, commits);
  }

  #refusal(command: DecodedCommand): Refusal {
    const { auth, store } = this.#parts;
    const { kind, body } = command;
    const check = new KeyChecks(auth, store, command);
    switch (kind) {
      case "put":
        return check.put(PutRequest.decode(body));
      case "deleteRange":
        return check.deleteRange(DeleteRangeRequest.decode(body));
      case "txn":
        return check.txn(TxnRequest.decode(body));
      case "leaseGrant":
        return auth.checkLogin(command);
      case "leaseRevoke":
        return auth.checkLogin(command) ?? check.lease(LeaseRevokeRequest.decode(body).id);
      case "tokenIssue":
        // The password was the proof.
        return undefined;
      case "compaction":
      case "alarm":
      case "leaseCheckpoint":
      case "leaseExpiry":
      case "memberAttributes":
      case "authEnable":
      case "authDisable":
      case "userAdd":
      case "userDelete":
      case "userChangePassword":
      case "userGrantRole":
      case "userRevokeRole":
      case "roleAdd":
      case "roleDelete":
      case "roleGrantPermission":
      case "roleRevokePermission":
        return auth.checkRoot(command);
      default:
        return unreachable(kind);
    }
  }
}

/** What one caller may do to keys. The checks stop at the first refusal. */
export class KeyChecks {
  readonly #auth: AuthReader;
  readonly #store: StoreReader;
  readonly #caller: Caller | undefined;

  constructor(auth: AuthReader, store: StoreReader, caller: Caller | undefined) {
    this.#auth = auth;
    this.#store = store;
    this.#caller = caller;
  }

  put({ key, lease, prevKv }: PutRequest): Refusal {
    return (
      this.#write(key, emptyBytes) ??
      (lease === 0n ? undefined : this.lease(lease)) ??
      (prevKv ? this.#read(key, emptyBytes) : undefined)
    );
  }

  deleteRange({ key, rangeEnd, prevKv }: DeleteRangeRequest): Refusal {
    return this.#write(key, rangeEnd) ?? (prevKv ? this.#read(key, rangeEnd) : undefined);
  }

  /**
   * Writing on all keys of a lease: whoever attaches a key to it, keeps it alive or revokes it
   * decides about them. May throw MissingRecords.
   */
  lease(id: bigint): Refusal {
    if (this.#auth.checkRoot(this.#caller) === undefined) {
      return undefined;
    }
    const lease = toLeaseId(id);
    return this.#auth.checkWriteAll(this.#caller, (begin, end) =>
      this.#store.hasLeaseKey(lease, begin, end),
    );
  }

  /** Both branches, whichever will run. */
  txn({ compare, success, failure }: TxnRequest): Refusal {
    for (const { key, rangeEnd } of compare) {
      const code = this.#read(key, rangeEnd);
      if (code !== undefined) {
        return code;
      }
    }
    return this.#operations(success) ?? this.#operations(failure);
  }

  #operations(operations: readonly RequestOp[]): Refusal {
    for (const { request } of operations) {
      const code = this.#operation(request);
      if (code !== undefined) {
        return code;
      }
    }
    return undefined;
  }

  #operation(operation: RequestOp["request"]): Refusal {
    switch (operation?.kind) {
      case "requestRange":
        return this.#read(operation.value.key, operation.value.rangeEnd);
      case "requestPut":
        return this.put(operation.value);
      case "requestDeleteRange":
        return this.deleteRange(operation.value);
      case "requestTxn":
        return this.txn(operation.value);
      default:
        return undefined;
    }
  }

  #read(key: Uint8Array, rangeEnd: Uint8Array): Refusal {
    return this.#auth.checkRead(this.#caller, key, rangeEnd);
  }

  #write(key: Uint8Array, rangeEnd: Uint8Array): Refusal {
    return this.#auth.checkWrite(this.#caller, key, rangeEnd);
  }
}
