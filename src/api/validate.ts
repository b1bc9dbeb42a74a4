// What a request must look like before anything is done with it: etcd's own checks, in etcd's
// order, with etcd's errors (api/v3rpc/key.go). They look at shapes only; what depends on the
// state (revisions, leases, existing keys) is checked where the state is.

import { QuorateError, txnDepthMax } from "../base/index.ts";
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "../wire/index.ts";
import { checkOverlaps } from "./overlaps.ts";

const sortOrderMax = 2;
const sortTargetMax = 4;

export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) {
    throw new QuorateError("emptyKey");
  }
  const { sortOrder, sortTarget } = request;
  if (sortOrder < 0 || sortOrder > sortOrderMax || sortTarget < 0 || sortTarget > sortTargetMax) {
    throw new QuorateError("invalidSortOption");
  }
}

export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) {
    throw new QuorateError("emptyKey");
  }
  if (request.ignoreValue && request.value.length !== 0) {
    throw new QuorateError("valueProvided");
  }
  if (request.ignoreLease && request.lease !== 0n) {
    throw new QuorateError("leaseProvided");
  }
}

export function checkDeleteRange(request: DeleteRangeRequest): void {
  if (request.key.length === 0) {
    throw new QuorateError("emptyKey");
  }
}

/**
 * A whole transaction: number of operations (a nested one gets what its parent's longest list left
 * of the budget), depth, each operation, then keys that a branch would change twice.
 */
export function checkTxn(request: TxnRequest, opsMax: number): void {
  checkTxnShape(request, opsMax, 0);
  checkOverlaps(request.success);
  checkOverlaps(request.failure);
}

function checkTxnShape(request: TxnRequest, opsMax: number, depth: number): void {
  const { compare, success, failure } = request;
  const ops = Math.max(compare.length, success.length, failure.length);
  if (ops > opsMax || depth > txnDepthMax) {
    throw new QuorateError("tooManyOps");
  }
  checkCompares(compare);
  checkOps(success, opsMax - ops, depth);
  checkOps(failure, opsMax - ops, depth);
}

function checkCompares(compares: readonly Compare[]): void {
  for (const compare of compares) {
    if (compare.key.length === 0) {
      throw new QuorateError("emptyKey");
    }
  }
}

function checkOps(ops: readonly RequestOp[], opsMax: number, depth: number): void {
  for (const { request } of ops) {
    switch (request?.kind) {
      case "requestRange":
        checkRange(request.value);
        break;
      case "requestPut":
        checkPut(request.value);
        break;
      case "requestDeleteRange":
        checkDeleteRange(request.value);
        break;
      case "requestTxn":
        checkTxnShape(request.value, opsMax, depth + 1);
        break;
      default:
        // An operation that says nothing: etcd answers with this text.
        throw new QuorateError("keyNotFound");
    }
  }
}

/** Only ranges in both branches. A nested transaction makes it a write, whatever is inside. */
export function isReadOnly(request: TxnRequest): boolean {
  return request.success.every(isRange) && request.failure.every(isRange);
}

function isRange(op: RequestOp): boolean {
  return op.request?.kind === "requestRange";
}

/** Of a read-only transaction: no range asks for more than this member's state. */
export function isSerializable(request: TxnRequest): boolean {
  return request.success.every(isSerializableRange) && request.failure.every(isSerializableRange);
}

function isSerializableRange(op: RequestOp): boolean {
  return op.request?.kind === "requestRange" && op.request.value.serializable;
}
