// What a handler threw -> what the client is told. Shared by both implementations.

import { DecodeError, grpcStatus, QuorateError } from "../base/index.ts";
import { RpcError } from "./contract.ts";

/**
 * The answer for anything that a handler threw or rejected with. An error that is no answer (a
 * breached assertion, a TypeError) is thrown again from a microtask, so that it is never hidden.
 */
export function rpcErrorFrom(error: unknown): RpcError {
  if (error instanceof RpcError) {
    return error;
  }
  if (error instanceof QuorateError) {
    return new RpcError(error.status, error.message);
  }
  if (error instanceof DecodeError) {
    return new RpcError(grpcStatus.internal, `grpc: error unmarshalling request: ${error.message}`);
  }
  queueMicrotask(() => {
    throw error;
  });
  return new RpcError(grpcStatus.internal, "internal error");
}
