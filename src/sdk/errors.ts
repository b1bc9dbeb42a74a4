// What fails on the user's level without a call having failed. Calls fail with ClientError and its
// classes.

import type { Entry } from "./entry.ts";
import { pathText, type StandardIssue } from "./standard-schema.ts";

/** `create` found the key there already. Nothing was changed. */
export class KeyExistsError<V = unknown> extends Error {
  override name = "KeyExistsError";
  /** What is there. */
  readonly entry: Entry<V>;

  constructor(entry: Entry<V>) {
    super(`"${entry.key}" exists already, since revision ${entry.createRevision}`);
    this.entry = entry;
  }
}

/** A key is not at the revision that a change was made for. Nothing was changed. */
export class RevisionMismatchError<V = unknown> extends Error {
  override name = "RevisionMismatchError";
  readonly key: string;
  readonly expectedRevision: number;
  /** What is there now; undefined if nothing is. */
  readonly current: Entry<V> | undefined;

  constructor(key: string, expectedRevision: number, current: Entry<V> | undefined) {
    const now = current === undefined ? "does not exist" : `is at revision ${current.modRevision}`;
    super(`"${key}" ${now}, not at ${expectedRevision}`);
    this.key = key;
    this.expectedRevision = expectedRevision;
    this.current = current;
  }
}

/** A transaction in software memory met so many others that it gave up. Nothing was changed. */
export class ConflictError extends Error {
  override name = "ConflictError";
  readonly attempts: number;

  constructor(attempts: number) {
    super(`a transaction conflicted with others ${attempts} times`);
    this.attempts = attempts;
  }
}

/** A value that its codec or schema does not take. */
export class InvalidValueError extends Error {
  override name = "InvalidValueError";
  readonly key: string;
  /** "write": the caller's value, nothing was sent. "read": what is stored. */
  readonly direction: "read" | "write";
  /** What a schema found; empty when a codec failed (see `cause`). */
  readonly issues: readonly StandardIssue[];

  constructor(
    key: string,
    direction: "read" | "write",
    issues: readonly StandardIssue[],
    cause?: unknown,
  ) {
    const what = issues.map(({ message, path }) => {
      const where = pathText(path);
      return where === "" ? message : `${where}: ${message}`;
    });
    const reason = what.length > 0 ? what.join("; ") : String(cause);
    super(
      `the value ${direction === "read" ? "stored at" : "for"} "${key}" is invalid: ${reason}`,
      cause === undefined ? undefined : { cause },
    );
    this.key = key;
    this.direction = direction;
    this.issues = issues;
  }
}

/**
 * A lease is over.
 * - "expired": it could not be renewed in time; the servers may not have noticed yet.
 * - "gone": the servers say so: it was revoked by someone else, or expired.
 * - "revoked": this program gave it back.
 * - "closed": the store was closed. The lease ends by itself when its time is over.
 */
export type LeaseEnd = "expired" | "gone" | "revoked" | "closed";

export class LeaseLostError extends Error {
  override name = "LeaseLostError";
  readonly leaseId: bigint;
  readonly why: LeaseEnd;

  constructor(leaseId: bigint, why: LeaseEnd, options?: ErrorOptions) {
    super(`lease ${BigInt.asUintN(64, leaseId).toString(16)} is over: ${why}`, options);
    this.leaseId = leaseId;
    this.why = why;
  }
}
