// Two texts that grew from one, brought together for an editor: what both begin and end with stands
// once, and where they differ both stand between marks, as git writes them.

/** `theirs` is the newer one in the store. */
export function withConflict(
  mine: Uint8Array,
  theirs: Uint8Array,
  revision: number | undefined,
): string {
  const [ours, others] = [mine, theirs].map((bytes) => Buffer.from(bytes).toString().split("\n"));
  const a = ours ?? [];
  const b = others ?? [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) {
    start++;
  }
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) {
    end++;
  }
  return [
    ...a.slice(0, start),
    "<<<<<<< your text",
    ...a.slice(start, a.length - end),
    "=======",
    ...b.slice(start, b.length - end),
    `>>>>>>> ${revision === undefined ? "deleted meanwhile" : `revision ${revision}`}`,
    ...a.slice(a.length - end),
  ].join("\n");
}
