// Differences of texts: they lead from one to the other, and are as short as can be.

import { expect, test } from "vitest";
import { SeededRng } from "../../../src/base/index.ts";
import { withConflict } from "../../../src/cli/ctl/merge.ts";
import { type DiffLine, diffLines, hunksOf, linesOf } from "../../../src/cli/ctl/text-diff.ts";
import { isText, visible, visibleLine } from "../../../src/cli/ctl/visible.ts";

function sides(lines: readonly DiffLine[]): {
  readonly before: string[];
  readonly after: string[];
} {
  const without = (kind: DiffLine["kind"]): string[] =>
    lines.filter((line) => line.kind !== kind).map(({ text }) => text);
  return { before: without("new"), after: without("old") };
}

/** Length of the longest common subsequence, by the table. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  let above = new Array<number>(b.length + 1).fill(0);
  for (const line of a) {
    const row = [0];
    for (const [j, other] of b.entries()) {
      row.push(line === other ? (above[j] ?? 0) + 1 : Math.max(row[j] ?? 0, above[j + 1] ?? 0));
    }
    above = row;
  }
  return above.at(-1) ?? 0;
}

test("differences lead from one text to the other, and none is shorter", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const rng = new SeededRng(seed);
  for (let round = 0; round < 500; round++) {
    const letters = 1 + rng.below(4);
    const text = (): string[] =>
      Array.from({ length: rng.below(14) }, () => String.fromCharCode(97 + rng.below(letters)));
    const before = text();
    const after = text();
    const lines = diffLines(before, after);
    expect(sides(lines)).toEqual({ before, after });
    const same = lines.filter(({ kind }) => kind === "same").length;
    expect(same).toBe(commonLength(before, after));
  }
});

test("texts that have nothing in common are replaced, however long", () => {
  const before = Array.from({ length: 6_000 }, (_, i) => `old ${i}`);
  const after = Array.from({ length: 6_000 }, (_, i) => `new ${i}`);
  expect(sides(diffLines(before, after))).toEqual({ before, after });
});

test("hunks have the heads of diff -u, and three lines around", () => {
  const before = Array.from({ length: 20 }, (_, i) => `${i}`);
  const after = before.filter((line) => line !== "4").concat("20");
  const hunks = hunksOf(diffLines(before, after));
  expect(hunks.map(({ head }) => head)).toEqual(["@@ -2,7 +2,6 @@", "@@ -18,3 +17,4 @@"]);
  expect(hunksOf(diffLines([], ["a"])).map(({ head }) => head)).toEqual(["@@ -0,0 +1,1 @@"]);
  expect(hunksOf(diffLines(before, before))).toEqual([]);
  expect(linesOf("a\nb")).toEqual(["a", "b", "\\ No newline at end"]);
  expect(linesOf("a\n")).toEqual(["a"]);
});

test("a conflict shows both sides once, between what they share", () => {
  const text = withConflict(Buffer.from("a\nmine\nz\n"), Buffer.from("a\ntheirs\nz\n"), 7);
  expect(text).toBe("a\n<<<<<<< your text\nmine\n=======\ntheirs\n>>>>>>> revision 7\nz\n");
  expect(withConflict(Buffer.from("a"), Buffer.from(""), undefined)).toContain("deleted meanwhile");
});

test("what a terminal would obey is shown, not sent", () => {
  expect(visible(Buffer.from("a\u001b[2Jé\\\n"))).toBe("a\\x1b[2Jé\\\\\\x0a");
  expect(visible(Uint8Array.of(0xff, 0x41, 0x0a))).toBe("\\xffA\\x0a");
  expect(visibleLine("a\tb\u001b[0m")).toBe("a\tb\\x1b[0m");
  expect([
    isText(Buffer.from("a\tb\n")),
    isText(Uint8Array.of(0xff)),
    isText(Uint8Array.of(0)),
  ]).toEqual([true, false, false]);
});
