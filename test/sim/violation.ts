// A promise that was broken. Everything the checks find is one of these.

export class Violation extends Error {
  override name = "Violation";
}

export function demand(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) {
    throw new Violation(typeof message === "string" ? message : message());
  }
}
