// What a call can fail with.

import { type ErrorCode, errorTable, type GrpcStatus } from "../base/index.ts";

const codeOfText = new Map(
  (Object.keys(errorTable) as ErrorCode[]).map((code) => [errorTable[code].text as string, code]),
);

/** A call that the server refused, or that did not reach one. */
export class ClientError extends Error {
  override name = "ClientError";
  /** gRPC status. */
  readonly status: GrpcStatus;
  /** Which of the server's errors it is, found by its text; undefined for any other. */
  readonly code: ErrorCode | undefined;

  constructor(status: GrpcStatus, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.code = codeOfText.get(message);
  }
}

/** A watch cannot go on: what it has not seen yet is compacted. Read anew and watch from there. */
export class CompactedError extends ClientError {
  override name = "CompactedError";
  /** The oldest revision that can still be read. */
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super(errorTable.compacted.status, errorTable.compacted.text);
    this.compactRevision = compactRevision;
  }
}
