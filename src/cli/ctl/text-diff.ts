// The difference between two texts, line by line, in the form of diff -u. Lines that both begin or
// end with are set aside; of the rest the longest common subsequence by Myers (An O(ND) Difference
// Algorithm, 1986), given up for a plain replacement where it would take long.

export interface DiffLine {
  readonly kind: "same" | "old" | "new";
  readonly text: string;
}

const stepsMax = 2_000;
const contextLines = 3;

/** Lines without their ends; a missing end of the last line is told by a line of its own. */
export function linesOf(text: string): string[] {
  if (text === "") {
    return [];
  }
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : [...lines, "\\ No newline at end"];
}

export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) {
    start++;
  }
  let end = 0;
  const endMax = Math.min(before.length, after.length) - start;
  while (end < endMax && before.at(-1 - end) === after.at(-1 - end)) {
    end++;
  }
  const same = (text: string): DiffLine => ({ kind: "same", text });
  return [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
}

function middle(before: readonly string[], after: readonly string[]): DiffLine[] {
  const trace = before.length > 0 && after.length > 0 ? search(before, after) : undefined;
  if (trace === undefined) {
    return [
      ...before.map((text): DiffLine => ({ kind: "old", text })),
      ...after.map((text): DiffLine => ({ kind: "new", text })),
    ];
  }
  return walkBack(before, after, trace);
}

/** Of each number of edits the furthest points, by diagonal; undefined when it takes too long. */
function search(
  before: readonly string[],
  after: readonly string[],
): readonly Int32Array[] | undefined {
  const max = Math.min(before.length + after.length, stepsMax);
  let furthest = new Int32Array(2 * max + 3);
  const trace: Int32Array[] = [];
  const at = (points: Int32Array, diagonal: number): number => points[diagonal + max + 1] ?? 0;
  for (let edits = 0; edits <= max; edits++) {
    trace.push(furthest);
    furthest = furthest.slice();
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down =
        diagonal === -edits ||
        (diagonal !== edits && at(furthest, diagonal - 1) < at(furthest, diagonal + 1));
      let x = down ? at(furthest, diagonal + 1) : at(furthest, diagonal - 1) + 1;
      while (
        x < before.length &&
        x - diagonal < after.length &&
        before[x] === after[x - diagonal]
      ) {
        x++;
      }
      furthest[diagonal + max + 1] = x;
      if (x >= before.length && x - diagonal >= after.length) {
        return trace;
      }
    }
  }
  return undefined;
}

function walkBack(
  before: readonly string[],
  after: readonly string[],
  trace: readonly Int32Array[],
): DiffLine[] {
  const lines: DiffLine[] = [];
  let x = before.length;
  let y = after.length;
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const points = trace[edits] ?? new Int32Array(0);
    const max = (points.length - 3) / 2;
    const at = (diagonal: number): number => points[diagonal + max + 1] ?? 0;
    const diagonal = x - y;
    const down = diagonal === -edits || (diagonal !== edits && at(diagonal - 1) < at(diagonal + 1));
    const previous = down ? diagonal + 1 : diagonal - 1;
    const fromX = edits === 0 ? 0 : at(previous);
    const fromY = edits === 0 ? 0 : fromX - previous;
    while (x > fromX && y > fromY) {
      lines.push({ kind: "same", text: before[--x] ?? "" });
      y--;
    }
    if (edits > 0) {
      lines.push(
        down ? { kind: "new", text: after[--y] ?? "" } : { kind: "old", text: before[--x] ?? "" },
      );
    }
  }
  return lines.reverse();
}

export interface Hunk {
  /** "@@ -1,3 +1,4 @@" */
  readonly head: string;
  readonly lines: readonly DiffLine[];
}

/** What changed, each change with some lines around it. */
export function hunksOf(lines: readonly DiffLine[]): Hunk[] {
  const hunks: Hunk[] = [];
  const changed = lines.flatMap(({ kind }, i) => (kind === "same" ? [] : [i]));
  for (let at = 0; at < changed.length; ) {
    const first = Math.max(0, (changed[at] ?? 0) - contextLines);
    let last = changed[at] ?? 0;
    while (at < changed.length && (changed[at] ?? 0) <= last + 2 * contextLines + 1) {
      last = changed[at] ?? 0;
      at++;
    }
    const end = Math.min(lines.length, last + contextLines + 1);
    const part = lines.slice(first, end);
    const count = (all: readonly DiffLine[], other: DiffLine["kind"]): number =>
      all.filter(({ kind }) => kind !== other).length;
    const span = (other: DiffLine["kind"]): string => {
      const length = count(part, other);
      const start = count(lines.slice(0, first), other) + (length === 0 ? 0 : 1);
      return `${start},${length}`;
    };
    hunks.push({ head: `@@ -${span("new")} +${span("old")} @@`, lines: part });
  }
  return hunks;
}
