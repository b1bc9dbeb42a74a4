import { describe, expect, it } from "vitest";
import { regressions } from "./corpus.ts";
import { playLife } from "./run.ts";

describe("lives that failed once", () => {
  it("are there", () => {
    expect(regressions().length).toBeGreaterThan(0);
  });

  it.each(regressions())("$name: $found", { timeout: 300_000 }, async ({ options }) => {
    expect((await playLife(options)).failure).toBeUndefined();
  });
});
