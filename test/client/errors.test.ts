// The error classes: one for each of the server's errors, found by its text.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { errorsModule } from "../../scripts/generate-errors.ts";
import { type ErrorCode, errorTable, grpcStatus } from "../../src/base/index.ts";
import {
  CallAbortedError,
  ClientError,
  CompactedError,
  DeadlineExceededError,
  errorClasses,
  errorOf,
  LeaseNotFoundError,
  NoLeaderError,
  UnavailableError,
} from "../../src/client/index.ts";

const codes = Object.keys(errorTable) as ErrorCode[];

it("has a class for each of the server's errors", () => {
  for (const code of codes) {
    const { status, text } = errorTable[code];
    const error = errorOf(status, text, { endpoint: "a:1" });
    expect(error).toBeInstanceOf(errorClasses[code]);
    expect(error).toBeInstanceOf(ClientError);
    expect([error.code, error.status, error.message]).toEqual([code, status, text]);
    expect(error.endpoint).toBe("a:1");
    expect(error.name).toBe(errorClasses[code].name);
  }
  expect(codes.length).toBeGreaterThan(60);
});

it("tells classes apart", () => {
  const { status, text } = errorTable.leaseNotFound;
  expect(errorOf(status, text)).toBeInstanceOf(LeaseNotFoundError);
  expect(errorOf(status, text)).not.toBeInstanceOf(NoLeaderError);
  expect(errorOf(errorTable.compacted.status, errorTable.compacted.text)).toBeInstanceOf(
    CompactedError,
  );
});

it("names what happens on the way", () => {
  expect(errorOf(grpcStatus.unavailable, "x")).toBeInstanceOf(UnavailableError);
  expect(errorOf(grpcStatus.deadlineExceeded, "x")).toBeInstanceOf(DeadlineExceededError);
  const signal = AbortSignal.abort(new Error("enough"));
  const aborted = errorOf(grpcStatus.cancelled, "x", { signal });
  expect(aborted).toBeInstanceOf(CallAbortedError);
  expect([aborted.name, aborted.cause]).toEqual(["AbortError", signal.reason]);
});

it("says whether a write may have been carried out all the same", () => {
  const uncertain = (code: ErrorCode): boolean =>
    errorOf(errorTable[code].status, errorTable[code].text).uncertain;
  expect(uncertain("timeout")).toBe(true);
  expect(uncertain("requestCanceled")).toBe(true);
  expect(uncertain("permissionDenied")).toBe(false);
  expect(uncertain("tooManyRequests")).toBe(false);
  expect(errorOf(grpcStatus.unavailable, "read ECONNRESET").uncertain).toBe(true);
  const unsent = "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1";
  expect(errorOf(grpcStatus.unavailable, unsent).uncertain).toBe(false);
});

it("is generated from the table as it is", () => {
  const path = new URL("../../src/client/generated/errors.ts", import.meta.url);
  expect(readFileSync(path, "utf8")).toBe(errorsModule());
});
