// From what grpc-js reports to the error classes.

import type { ServiceError } from "@grpc/grpc-js";
import { type ErrorCode, errorTable, type GrpcStatus, grpcStatus } from "../base/index.ts";
import {
  CallAbortedError,
  ClientClosedError,
  ClientError,
  DeadlineExceededError,
  UnavailableError,
} from "./client-error.ts";
import { errorClasses } from "./generated/errors.ts";

const codeOfText = new Map(
  (Object.keys(errorTable) as ErrorCode[]).map((code) => [errorTable[code].text as string, code]),
);

/** How grpc-js words failures before anything was sent. */
const neverSentWords = /^(?:No connection established|Name resolution (?:failed|error))/;

export interface FailedCall {
  readonly endpoint?: string | undefined;
  /** The caller's, to tell an abort from other cancellations. */
  readonly signal?: AbortSignal | undefined;
  readonly cause?: unknown;
}

/** The error for a gRPC status and text, in its class. */
export function errorOf(status: GrpcStatus, text: string, call: FailedCall = {}): ClientError {
  const { endpoint, signal, cause } = call;
  const options = { endpoint, ...(cause === undefined ? {} : { cause }) };
  const code = codeOfText.get(text);
  if (code !== undefined) {
    const known = code === "compacted" ? undefined : errorClasses[code];
    return known === undefined ? new errorClasses.compacted(0, options) : new known(options);
  }
  switch (status) {
    case grpcStatus.unavailable:
      return new UnavailableError(text, { ...options, unsent: neverSentWords.test(text) });
    case grpcStatus.deadlineExceeded:
      return new DeadlineExceededError(text, options);
    case grpcStatus.cancelled:
      return signal?.aborted === true
        ? abortedBy(signal, endpoint)
        : new ClientError(status, text, options);
    default:
      return new ClientError(status, text, options);
  }
}

/** The error of a call that its AbortSignal ended. */
export function abortedBy(signal: AbortSignal, endpoint?: string): CallAbortedError {
  return new CallAbortedError("the call was aborted", { cause: signal.reason, endpoint });
}

/** Anything that a call to grpc-js threw or emitted. */
export function toClientError(error: unknown, call: FailedCall = {}): ClientError {
  if (error instanceof ClientError) {
    return error;
  }
  if (isServiceError(error)) {
    return errorOf(error.code as GrpcStatus, error.details, { ...call, cause: error });
  }
  // What grpc-js says of a channel that was closed.
  return error instanceof Error && /channel (?:has been|was) (?:closed|shut)/i.test(error.message)
    ? new ClientClosedError({ endpoint: call.endpoint, cause: error })
    : errorOf(grpcStatus.internal, String(error), { ...call, cause: error });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}

/** Whether a call failed before anything of it was sent. */
export function neverSent(error: ClientError): boolean {
  return error.status === grpcStatus.unavailable && !error.uncertain;
}
