// A promise that was broken. Everything the checks find is one of these.

export class Violation extends Error {
  override name = "Violation";
}

export function demand(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) {
    throw new Violation(typeof message === "string" ? message : message());
  }
}

/** An error, or whatever else was thrown, in one line. */
export function briefly(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error);
}
