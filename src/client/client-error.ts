// What a call can fail with: one base class, a class for each of the server's errors
// (generated/), and a few for what happens on the way.

import { type ErrorCode, errorTable, grpcStatus, type GrpcStatus } from "../base/index.ts";
import type { ResponseHeader } from "../wire/index.ts";

export interface ClientErrorOptions extends ErrorOptions {
  /** The endpoint that the call went to. */
  readonly endpoint?: string | undefined;
  /** Whether what failed had certainly not been sent to any server. */
  readonly unsent?: boolean | undefined;
}

/** After these a write may have been carried out all the same. */
const uncertainStatuses: ReadonlySet<GrpcStatus> = new Set([
  grpcStatus.unavailable,
  grpcStatus.deadlineExceeded,
  grpcStatus.cancelled,
  grpcStatus.internal,
  grpcStatus.unknown,
]);

/** A call that the server refused, or that did not reach one. `message` is the server's text. */
export class ClientError extends Error {
  override name = "ClientError";
  /** gRPC status. */
  readonly status: GrpcStatus;
  /** Which of the server's errors it is; undefined for any other. */
  readonly code: ErrorCode | undefined;
  /** The endpoint that was called; undefined where none was. */
  readonly endpoint: string | undefined;
  /**
   * Whether a write that failed so may have been carried out all the same, or may still be. False
   * where the server refused it, or where it was certainly not sent.
   */
  readonly uncertain: boolean;

  constructor(
    status: GrpcStatus,
    message: string,
    options: ClientErrorOptions = {},
    code?: ErrorCode,
  ) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.endpoint = options.endpoint;
    this.uncertain =
      options.unsent !== true &&
      uncertainStatuses.has(status) &&
      (code === undefined || status === grpcStatus.unavailable || status === grpcStatus.cancelled);
  }
}

/** The time limit of a call passed. A write may have been carried out all the same. */
export class DeadlineExceededError extends ClientError {
  override name = "DeadlineExceededError";

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(grpcStatus.deadlineExceeded, message, options);
  }
}

/** No server could be reached, or the connection broke before the answer came. */
export class UnavailableError extends ClientError {
  override name = "UnavailableError";

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(grpcStatus.unavailable, message, options);
  }
}

/** The caller's AbortSignal ended the call; `cause` is the signal's reason. */
export class CallAbortedError extends ClientError {
  // The name by which Node.js programs know an abort.
  override name = "AbortError";

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(grpcStatus.cancelled, message, options);
  }
}

/** The client was closed before the call or while it went on. */
export class ClientClosedError extends ClientError {
  override name = "ClientClosedError";

  constructor(options: ClientErrorOptions = {}) {
    super(grpcStatus.cancelled, "the client is closed", options);
  }
}

/** A watch was closed before what was asked of it. */
export class WatchEndedError extends ClientError {
  override name = "WatchEndedError";

  constructor(options: ClientErrorOptions = {}) {
    super(grpcStatus.cancelled, "the watch has ended", options);
  }
}

/** What was asked for is compacted. A watch cannot go on: read anew and watch from there. */
export class CompactedError extends ClientError {
  override name = "CompactedError";
  /** The oldest revision that can still be read; 0 where the server did not say: watches do. */
  readonly compactRevision: number;

  /** Of the reply that said so; undefined when it was an error (only watches have a reply). */
  readonly header: ResponseHeader | undefined;

  constructor(compactRevision = 0, options: ClientErrorOptions = {}, header?: ResponseHeader) {
    super(errorTable.compacted.status, errorTable.compacted.text, options, "compacted");
    this.compactRevision = compactRevision;
    this.header = header;
  }
}
