// The small daily dose; `npm run fuzz -- --minutes N` goes on for longer.

import fc from "fast-check";
import { expect, test } from "vitest";
import { targets } from "./targets.ts";

test("there is something to fuzz", () => {
  expect(targets.length).toBeGreaterThan(24);
});

test.each(targets)("$name", async ({ property, runs }) => {
  await fc.assert(property as fc.IAsyncProperty<unknown>, { numRuns: runs });
});
