// What a service throws, as what a client gets.

import { DecodeError, grpcStatus, type Logger, QuorateError } from "../base/index.ts";
import { RpcError } from "../grpc/index.ts";
import type { CommandResult, ErrorResult } from "../node/handle.ts";

/**
 * The answer for anything that a call threw or rejected with, for streams and for the HTTP
 * gateway (unary handlers throw, and the transport does the same). Codes and texts are those of
 * base/errors.ts; bytes that do not parse are answered as grpc-go answers them. Whatever else
 * comes is no answer: it is logged in full and the client told nothing of it.
 */
export function toRpcError(error: unknown, logger: Logger): RpcError {
  if (error instanceof RpcError) {
    return error;
  }
  if (error instanceof QuorateError) {
    return new RpcError(error.status, error.message);
  }
  if (error instanceof DecodeError) {
    return malformedRequest(error);
  }
  logger.error({ err: error }, "a call failed unexpectedly");
  return new RpcError(grpcStatus.internal, "internal error");
}

function malformedRequest(error: DecodeError): RpcError {
  return new RpcError(grpcStatus.internal, `grpc: error unmarshalling request: ${error.message}`);
}

/** The result when it is one; throws what applying the command failed with. */
export function succeeded<R extends { readonly kind: string }>(result: R): Exclude<R, ErrorResult> {
  if (isError(result)) {
    throw new QuorateError(result.code);
  }
  return result as Exclude<R, ErrorResult>;
}

function isError(result: { readonly kind: string }): result is ErrorResult {
  return result.kind === "error";
}

/** The same, for a result that must be of one kind: any other is a fault of the node. */
export function expectKind<K extends CommandResult["kind"]>(
  result: CommandResult,
  kind: K,
): Extract<CommandResult, { readonly kind: K }> {
  if (result.kind === "error") {
    throw new QuorateError(result.code);
  }
  if (result.kind !== kind) {
    throw new TypeError(`expected a result of kind ${kind}, got ${result.kind}`);
  }
  return result as Extract<CommandResult, { readonly kind: K }>;
}
