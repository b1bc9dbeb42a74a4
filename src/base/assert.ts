// Assertions stay on in production. A breach is a programmer's error: it is never caught below
// the process entry, which dumps what it knows and exits. Client and peer input is validated,
// never asserted.

export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Throws AssertionError when `condition` is false; the message may be lazy. */
export function assert(
  condition: boolean,
  message: string | (() => string) = "assertion failed",
): asserts condition {
  if (!condition) {
    throw new AssertionError(typeof message === "string" ? message : message());
  }
}

/** The value, asserted present. */
export function must<T>(value: T | undefined | null, message = "value must be present"): T {
  if (value === undefined || value === null) {
    throw new AssertionError(message);
  }
  return value;
}

/** Marks a branch that the type system proves impossible. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
