// Transactions, in etcd's three steps: choose the path, check it, run it.
//
// All comparisons, those of nested txns too, look at the state before the txn. So do the checks,
// and a check that fails stops everything before anything is written. Only ranges and puts that
// run later see what ran before them.

import { assert, emptyBytes, toLeaseId } from "../base/index.ts";
import type { ErrorCode, LeaseId, Revision } from "../base/index.ts";
import type {
  Commit,
  Store,
  StoredKeyValue,
  StoreReader,
  WriteTransaction,
} from "../mvcc/contract.ts";
import { KeyValue, TxnRequest } from "../wire/index.ts";
import type { PutRequest, RequestOp } from "../wire/index.ts";
import type { KeyChecks } from "./auth-gate.ts";
import type { ErrorResult, PutResult, RangeOpResult, TxnOpResult, TxnResult } from "./command.ts";
import { holds } from "./compare.ts";
import { checkTxnRevision, toRangeQuery } from "./range.ts";

/** Which branch of a txn runs, and of those inside it. */
interface Path {
  readonly succeeded: boolean;
  readonly operations: readonly RequestOp[];
  /** Index-aligned with `operations`; set where the operation is a txn. */
  readonly nested: readonly (Path | undefined)[];
}

export interface LeaseLookup {
  has(id: LeaseId): boolean;
}

const noLeases: LeaseLookup = { has: () => false };

/** Leaves a write transaction that must not happen. */
class Refusal extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode) {
    super(code);
    this.code = code;
  }
}

function refuse(code: ErrorCode): ErrorResult {
  return { kind: "error", code };
}

function choose(reader: StoreReader, request: TxnRequest): Path {
  const succeeded = request.compare.every((compare) => holds(reader, compare));
  const operations = succeeded ? request.success : request.failure;
  const nested = operations.map(({ request: operation }) =>
    operation?.kind === "requestTxn" ? choose(reader, operation.value) : undefined,
  );
  return { succeeded, operations, nested };
}

function check(reader: StoreReader, leases: LeaseLookup, path: Path): ErrorCode | undefined {
  for (const [i, { request: operation }] of path.operations.entries()) {
    const code = checkOperation(reader, leases, operation, path.nested[i]);
    if (code !== undefined) {
      return code;
    }
  }
  return undefined;
}

function checkOperation(
  reader: StoreReader,
  leases: LeaseLookup,
  operation: RequestOp["request"],
  nested: Path | undefined,
): ErrorCode | undefined {
  switch (operation?.kind) {
    case "requestRange":
      return checkTxnRevision(reader, operation.value.revision);
    case "requestPut":
      return checkPut(reader, leases, operation.value);
    case "requestTxn":
      return nested && check(reader, leases, nested);
    case "requestDeleteRange":
      return undefined;
    default:
      // The front door refuses an empty operation with the same words.
      return "keyNotFound";
  }
}

/** The lease must exist, and the key too if it is to keep its value or lease. */
export function checkPut(
  reader: StoreReader,
  leases: LeaseLookup,
  request: PutRequest,
): ErrorCode | undefined {
  if (request.lease !== 0n && !leases.has(toLeaseId(request.lease))) {
    return "leaseNotFound";
  }
  const keeps = request.ignoreValue || request.ignoreLease;
  return keeps && reader.meta(request.key) === undefined ? "keyNotFound" : undefined;
}

function writes(path: Path): boolean {
  return path.operations.some(({ request: operation }, i) => {
    const nested = path.nested[i];
    return nested === undefined ? operation?.kind !== "requestRange" : writes(nested);
  });
}

/** Runs the operations of a path and keeps the revision that each reply shows. */
class Run {
  readonly #reader: StoreReader;
  readonly #transaction: WriteTransaction | undefined;
  readonly #before: number;
  #changed = false;

  constructor(reader: StoreReader, transaction: WriteTransaction | undefined, before: Revision) {
    this.#reader = transaction ?? reader;
    this.#transaction = transaction;
    this.#before = before;
  }

  /** The revision that the next read shows: one up as soon as something was changed. */
  get revision(): Revision {
    return (this.#changed ? this.#before + 1 : this.#before) as Revision;
  }

  operations(path: Path): TxnOpResult[] {
    return path.operations.map(({ request: operation }, i) =>
      this.#operation(operation, path.nested[i]),
    );
  }

  #operation(operation: RequestOp["request"], nested: Path | undefined): TxnOpResult {
    switch (operation?.kind) {
      case "requestRange":
        return this.#range(operation.value);
      case "requestPut": {
        const result = putIn(this.#writer(), operation.value, (this.#before + 1) as Revision);
        this.#changed = true;
        return result;
      }
      case "requestDeleteRange": {
        const { key, rangeEnd, prevKv } = operation.value;
        const { deleted, previous } = this.#writer().deleteRange({ key, rangeEnd }, prevKv);
        this.#changed ||= deleted > 0;
        return { kind: "deleteRange", revision: this.revision, deleted, previous };
      }
      default: {
        assert(nested !== undefined, "an empty operation passed the check");
        const responses = this.operations(nested);
        return { kind: "txn", revision: 0, succeeded: nested.succeeded, responses };
      }
    }
  }

  #range(request: Parameters<typeof toRangeQuery>[0]): RangeOpResult {
    const { revision } = this;
    return { kind: "range", revision, range: this.#reader.range(toRangeQuery(request)) };
  }

  #writer(): WriteTransaction {
    assert(this.#transaction !== undefined, "a write in a read-only txn");
    return this.#transaction;
  }
}

/**
 * One put in an open transaction, whose revision will be `revision`. Throws a refusal when the key
 * is gone that it wants to keep something of, which the checks leave possible only where an
 * earlier operation of the same txn deleted it.
 */
function putIn(transaction: WriteTransaction, request: PutRequest, revision: Revision): PutResult {
  let previous: StoredKeyValue | undefined;
  let value = request.value;
  let lease = toLeaseId(request.lease);
  if (request.ignoreValue || request.prevKv) {
    previous = transaction.get(request.key);
  }
  if (request.ignoreValue) {
    value = previous === undefined ? emptyBytes : KeyValue.decode(previous.message).value;
  }
  if (request.ignoreLease) {
    lease = transaction.meta(request.key)?.lease ?? lease;
  }
  const replaced = transaction.put(request.key, value, lease);
  if (replaced === undefined && (request.ignoreValue || request.ignoreLease)) {
    throw new Refusal("keyNotFound");
  }
  return { kind: "put", revision, previous: request.prevKv ? previous : undefined };
}

/** A Put of its own. */
export function executePut(
  store: Store,
  leases: LeaseLookup,
  request: PutRequest,
  commits: Commit[],
): PutResult | ErrorResult {
  const code = checkPut(store, leases, request);
  if (code !== undefined) {
    return refuse(code);
  }
  const revision = (store.revision + 1) as Revision;
  const { value, commit } = store.transact((transaction) => putIn(transaction, request, revision));
  if (commit !== undefined) {
    commits.push(commit);
  }
  return value;
}

/** A Txn from the log. */
export function executeTxn(
  store: Store,
  leases: LeaseLookup,
  request: TxnRequest,
  commits: Commit[],
): TxnResult | ErrorResult {
  const path = choose(store, request);
  const code = check(store, leases, path);
  if (code !== undefined) {
    return refuse(code);
  }
  if (!writes(path)) {
    return runReads(store, path);
  }
  const before = store.revision;
  try {
    const { value, commit } = store.transact((transaction): TxnResult => {
      const run = new Run(store, transaction, before);
      const responses = run.operations(path);
      return { kind: "txn", revision: run.revision, succeeded: path.succeeded, responses };
    });
    if (commit !== undefined) {
      commits.push(commit);
    }
    return value;
  } catch (error) {
    if (error instanceof Refusal) {
      return refuse(error.code);
    }
    throw error;
  }
}

function runReads(reader: StoreReader, path: Path): TxnResult {
  const run = new Run(reader, undefined, reader.revision);
  const responses = run.operations(path);
  return { kind: "txn", revision: reader.revision, succeeded: path.succeeded, responses };
}

/**
 * A TxnRequest whose operations are all ranges, on the applied state; for txns that need not go
 * through the log. `permission` is looked at first, where authentication is on. Throws DecodeError,
 * and MissingRecords as the store does.
 */
export function readTxn(
  reader: StoreReader,
  encoded: Uint8Array,
  permission?: KeyChecks,
): TxnResult | ErrorResult {
  const request = TxnRequest.decode(encoded);
  const refusal = permission?.txn(request);
  if (refusal !== undefined) {
    return refuse(refusal);
  }
  const path = choose(reader, request);
  const code = check(reader, noLeases, path);
  return code === undefined ? runReads(reader, path) : refuse(code);
}
