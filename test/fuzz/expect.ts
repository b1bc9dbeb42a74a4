// Assertions that work in the test runner and without it.

export class Finding extends Error {
  override name = "Finding";
}

export function expect(condition: boolean, message: string): asserts condition {
  if (!condition) {
    throw new Finding(message);
  }
}
